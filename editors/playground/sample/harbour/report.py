"""What the harbour master reads in the morning."""

from .harbour import Harbour
from .ships import Berth, Ship


def describe(ship: Ship) -> str:
    """A ship in a few words."""
    return f"{ship.name}, {ship.length:.0f} m"


def line(berth: Berth) -> str:
    """A berth in one line."""
    return f"{berth.number:3} {'free' if berth.ship is None else describe(berth.ship)}"


def report(harbour: Harbour) -> str:
    """All berths, one a line."""
    return "\n".join(line(berth) for berth in harbour.berths)
