"""Which ship lies where."""

from .ships import Berth, Ship


class HarbourFullError(Exception):
    """There is no berth for a ship."""


class Harbour:
    """Its berths, and the ships that wait outside."""

    def __init__(self, berths: list[Berth]) -> None:
        self.berths = berths
        self.waiting: list[Ship] = []

    def free_berths(self) -> list[Berth]:
        """Those where no ship lies, the shortest first."""
        return sorted((berth for berth in self.berths if berth.is_free), key=lambda berth: berth.length)

    def berth_for(self, ship: Ship) -> Berth:
        """The shortest berth that takes a ship. Raises HarbourFullError."""
        for berth in self.free_berths():
            if berth.takes(ship):
                return berth
        raise HarbourFullError(f"no berth takes {ship.name}")

    def arrive(self, ship: Ship) -> Berth:
        """Moor a ship. Raises HarbourFullError."""
        berth = self.berth_for(ship)
        berth.ship = ship
        return berth

    def depart(self, ship: Ship) -> None:
        """Free the berth of a ship, if it lies at one."""
        for berth in self.berths:
            if berth.ship == ship:
                berth.ship = None
