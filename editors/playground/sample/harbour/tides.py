"""Tides, as simple as they are not."""

from dataclasses import dataclass
from math import cos, pi

PERIOD = 12.42  # hours


@dataclass(frozen=True)
class Tide:
    """High water at an hour; the range is in metres."""

    high_water: float
    range: float

    def height(self, hour: float) -> float:
        """Above low water, in metres."""
        return self.range / 2 * (1 + cos(2 * pi * (hour - self.high_water) / PERIOD))


def depth_at(chart_depth: float, tide: Tide, hour: float) -> float:
    """The depth of water where the chart says `chart_depth`."""
    return chart_depth + tide.height(hour)
