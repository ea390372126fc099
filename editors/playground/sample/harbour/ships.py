"""Ships, and the berths that they lie at. Lengths and depths are in metres."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ship:
    name: str
    length: float
    draught: float
    passengers: int = 0


@dataclass
class Berth:
    number: int
    length: float
    depth: float
    ship: Ship | None = None

    @property
    def is_free(self) -> bool:
        return self.ship is None

    def takes(self, ship: Ship) -> bool:
        """Whether a ship may lie here now."""
        return self.is_free and ship.length <= self.length and ship.draught <= self.depth
