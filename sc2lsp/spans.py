"""A stretch of text followed through edits, and how much of a text is left in another. Knows no documents."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_PIECES = 4000  # of either text: the time is proportional to their product
_PIECE = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Span:
    """Code points [start, end) of a document, as an editor's markers hold them: it does not grow at its ends."""

    start: int
    end: int

    def edited(self, start: int, end: int, inserted_length: int) -> "Span":
        """The same stretch after so many code points were put in place of [start, end)."""
        delta = inserted_length - (end - start)
        if end <= self.start:
            return Span(self.start + delta, self.end + delta)
        if start >= self.end:
            return self
        if start < self.start:
            after = start + inserted_length  # its beginning was replaced, if not all of it
            return Span(after, max(self.end + delta, after))
        return Span(self.start, self.end + delta if end <= self.end else start)


def narrowed(before: Sequence[str], after: Sequence[str]) -> tuple[int, int, int]:
    """The smallest edit (start, end, inserted_length) between two versions, for editors that send whole documents."""
    start = _common(before, after)
    stop = _common(before[start:][::-1], after[start:][::-1])
    return start, len(before) - stop, len(after) - stop - start


def kept_characters(accepted: str, now: str) -> int:
    """How many code points of `accepted` are in `now`, in order and in whole words.

    The longest common subsequence of words, blanks and other characters, each as heavy as it is long. Between the
    beginning and the end that both share, MAX_PIECES are compared: what lies behind those counts as gone.
    """
    ours, theirs = _PIECE.findall(accepted), _PIECE.findall(now)
    start, end, inserted = narrowed(ours, theirs)
    changed = ours[start:end]
    kept = _heaviest(changed[:MAX_PIECES], theirs[start : start + min(inserted, MAX_PIECES)])
    return len(accepted) - sum(map(len, changed)) + kept


def _heaviest(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """The weight of the heaviest common subsequence; row by row of its table, each row at once."""
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(theirs))}
    columns = np.array([ids[piece] for piece in theirs], np.int32)
    best = np.zeros(len(theirs) + 1, np.int64)  # [pieces of theirs + 1]
    for piece in ours:
        if piece in ids:
            taken = best[:-1] + len(piece) * (columns == ids[piece])
            np.maximum(best[1:], taken, out=best[1:])
            np.maximum.accumulate(best, out=best)
    return int(best[-1])


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common beginning, found by halves: comparing two stretches is one call."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
