"""Which pages of the cache are in use, by how many sequences, and what those hold that nobody uses any more.

Arithmetic on page numbers; knows neither tensors nor tokens. A page that is let go keeps its content until somebody
else needs the room, and is found again by the digest of what it holds.
"""

from array import array
from collections.abc import Sequence

_FREE = b"\x01"
_ROOM_TO_GROW = (4, 2, 1)  # times what is asked for: from the middle of the first run of free pages so long


class OutOfPages(Exception):
    """Fewer pages are free than were asked for."""


class PagePool:
    """Counts references to `count` pages; at most `len(self)` can be had."""

    def __init__(self, count: int) -> None:
        self._free = bytearray(_FREE * count)
        self._references = array("i", bytes(count * array("i").itemsize))
        self._page_of: dict[bytes, int] = {}
        self._digest_of: dict[int, bytes] = {}
        self.available = count
        # Mutated by every method but find(), on the engine's thread.

    def __len__(self) -> int:
        return len(self._free)

    def take(self, count: int, after: int | None = None) -> list[int]:
        """`count` pages, one behind another wherever that can be had, best of all right behind page `after`.

        Sequences whose pages follow each other are read without gathering. Raises OutOfPages.
        """
        if count > self.available:
            raise OutOfPages
        pages = self._run(count, after)
        for page in pages:
            self._free[page] = 0
            self._references[page] = 1
            self.forget(page)
        self.available -= count
        return pages

    def share(self, page: int) -> None:
        """One more user of a page, which may be one that nobody used."""
        if self._free[page]:
            self._free[page] = 0
            self.available -= 1
        self._references[page] += 1

    def release(self, pages: Sequence[int]) -> None:
        for page in pages:
            self._references[page] -= 1
            if not self._references[page]:
                self._free[page] = 1
                self.available += 1

    def is_shared(self, page: int) -> bool:
        return self._references[page] > 1

    def remember(self, page: int, digest: bytes) -> None:
        """Name a full page by its content, unless another page of that content has the name."""
        if digest not in self._page_of:
            self.forget(page)
            self._page_of[digest] = page
            self._digest_of[page] = digest

    def forget(self, page: int) -> None:
        """The page is about to hold something else."""
        digest = self._digest_of.pop(page, None)
        if digest is not None:
            del self._page_of[digest]

    def forget_all(self) -> None:
        self._page_of.clear()
        self._digest_of.clear()

    def find(self, digest: bytes) -> int | None:
        return self._page_of.get(digest)

    def _run(self, count: int, after: int | None) -> list[int]:
        if after is not None and self._free[after + 1 : after + 1 + count] == _FREE * count:
            return list(range(after + 1, after + 1 + count))
        for factor in _ROOM_TO_GROW:
            start = self._free.find(_FREE * (count * factor))
            if start >= 0:
                start += factor // 2 * count  # what lies before the run may grow into it as well
                return list(range(start, start + count))
        return self._scattered(count)

    def _scattered(self, count: int) -> list[int]:
        pages: list[int] = []
        page = -1
        while len(pages) < count:
            page = self._free.find(_FREE, page + 1)
            pages.append(page)
        return pages
