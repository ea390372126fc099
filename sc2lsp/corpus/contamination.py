"""Whether a text shares a span of 150 characters with what completion quality is measured on.

Whitespace counts as one blank. Every 50th 50-gram of the held-out texts is hashed; a shared span of 99 characters
holds one of them in full, wherever it lies, and is then measured on the texts themselves (arXiv 2303.03919).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_BLANK = re.compile(rb"\s+")
_GRAM, SPAN = 50, 150
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no byte's weight vanishes
_TABLE_BITS = np.uint64(22)
_PLACES = 16  # of one gram that are compared: rulers of dashes stand in thousands


def normalised(text: str) -> bytes:
    """UTF-8 with every run of whitespace as one blank."""
    return _BLANK.sub(b" ", text.encode("utf-8", "replace")).strip()


class HeldOut:
    """The texts that a corpus must not share a span with. Immutable after construction."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [normalised(text) for text in texts]
        hashes = [_hashes(text)[::_GRAM] for text in self._texts]
        counts = [len(found) for found in hashes]
        whole = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
        documents = np.repeat(np.arange(len(counts)), counts)
        offsets = np.concatenate([np.arange(n) * _GRAM for n in counts]) if counts else np.zeros(0, np.int64)
        order = np.argsort(whole, kind="stable")
        self._hashes, self._documents, self._offsets = whole[order], documents[order], offsets[order]
        self._table = np.zeros(1 << int(_TABLE_BITS), np.bool_)  # most grams of a corpus are in none of them
        self._table[_slot(self._hashes)] = True

    def shares_span(self, text: str) -> bool:
        """Whether `text` and one of the held-out texts have SPAN bytes in common."""
        ours = normalised(text)
        grams = _hashes(ours)
        starts = np.flatnonzero(self._table[_slot(grams)])
        first = np.searchsorted(self._hashes, grams[starts])
        last = np.minimum(np.searchsorted(self._hashes, grams[starts], "right"), first + _PLACES)
        for i in np.flatnonzero(first < last).tolist():
            for place in range(int(first[i]), int(last[i])):
                theirs, offset = self._texts[int(self._documents[place])], int(self._offsets[place])
                if _common(ours, int(starts[i]), theirs, offset) >= SPAN:
                    return True
        return False


def _hashes(text: bytes) -> NDArray[np.uint64]:
    """The polynomial hash of every 50-gram of a text."""
    count = max(0, len(text) - _GRAM + 1)
    data = np.frombuffer(text, np.uint8).astype(np.uint64)
    hashes = np.zeros(count, np.uint64)
    for i in range(_GRAM if count else 0):
        hashes = hashes * _BASE + data[i : i + count]
    return hashes


def _slot(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return hashes >> (np.uint64(64) - _TABLE_BITS)


def _common(ours: bytes, i: int, theirs: bytes, j: int) -> int:
    """The length of the common span around ours[i:] and theirs[j:], as far as SPAN on either side."""
    before = _longest(min(i, j, SPAN), lambda n: ours[i - n : i] == theirs[j - n : j])
    after = _longest(min(len(ours) - i, len(theirs) - j, SPAN), lambda n: ours[i : i + n] == theirs[j : j + n])
    return before + after


def _longest(most: int, agrees: Callable[[int], bool]) -> int:
    """The largest n up to `most` for which `agrees(n)`, which holds for every smaller n too."""
    return bisect_left(range(1, most + 1), True, key=lambda n: not agrees(n))
