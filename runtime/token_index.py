"""The workspace's tokens, searchable: where the longest run of a context's last tokens stands, and what followed it.

Documents are put, replaced and removed while they are edited. They lie in segments with sorted keys; small segments are
merged into larger ones, as in a log-structured merge tree (O'Neil et al., 1996). Knows token ids only: neither where
documents come from, nor what a draft or a distribution makes of a match.
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]
Keys = NDArray[np.uint64]
Positions = NDArray[np.intp]

MIN_MATCH, MAX_MATCH = 2, 16  # tokens
PLACES = 128  # looked at for one context; of more, some that are evenly spread
CAPACITY = 1 << 20  # tokens of a segment, its gaps included

# A place stands between two tokens of a document. Its key holds, from the top, a hash of the two tokens before it, one
# of the third, of the fourth, of the fifth and sixth, and of the seventh and eighth; then its position in the segment.
# In their order, places behind the same 2, 3, 4, 6 or 8 tokens are neighbours, with others where hashes collide.
_LENGTHS = (2, 3, 4, 6, 8)
_HASH_BITS = (20, 8, 6, 5, 5)
_POSITION = (1 << 20) - 1
_SHIFTS = tuple(64 - bits for bits in accumulate(_HASH_BITS))  # right by these: what places behind a length share
_DEPTHS = tuple(sum(bits <= shift for shift in _SHIFTS) for bits in range(66))  # by the bits from a difference on
# Multiply-shift hashing (Dietzfelbinger et al., 1997) with odd numbers of 40 bits, and 22 bits of a token: sums stay
# below 2**64, so Python's and NumPy's are the same.
_MULTIPLIERS = tuple(
    int(digits, 16)
    for digits in "9E3779B97F C6A4A7935B B5297A4D3F 68E31DA4B5 1B56C4E9D1 FF51AFD7ED C4CEB9FE1B 87C37B9113".split()
)
_PRODUCT_BITS = 40

_GAP = -1  # before, between and behind documents; no context holds it
_NOTHING = -2  # before a short context; no document holds it


@dataclass(frozen=True, slots=True)
class Match:
    """The last `length` tokens of a context stand elsewhere, and `tokens` followed there.

    Of the `places` of this length, `agreeing` have the same first token behind them.
    """

    length: int
    tokens: tuple[int, ...]
    agreeing: int
    places: int


@dataclass(frozen=True, slots=True)
class Continuations:
    """What followed the last `length` tokens of a context at `places` places, the most frequent first.

    `counts` add up to less where there are more different tokens than were asked for.
    """

    length: int
    token_ids: tuple[int, ...]
    counts: tuple[int, ...]
    places: int


@dataclass(frozen=True, slots=True)
class _Segment:
    """Documents one behind another; those that were replaced or removed since have no keys and no span."""

    tokens: Tokens  # a gap of MAX_MATCH + 1, then documents with a gap of one behind each
    keys: Keys  # sorted
    spans: Mapping[str, tuple[int, int]]  # document -> its first position, and the one behind its last
    dead: int  # tokens


@dataclass(frozen=True, slots=True)
class _Places:
    """Places behind the longest match, in the order in which they were put."""

    length: int
    found: Sequence[tuple[_Segment, Positions]]

    def following(self) -> list[int]:
        """The token behind each place."""
        return [token for segment, positions in self.found for token in segment.tokens[positions].tolist()]

    def behind(self, place: int, room: int) -> tuple[int, ...]:
        """Up to `room` tokens behind a place, to the document's end."""
        for segment, positions in self.found:
            if place < len(positions):
                start = int(positions[place])
                tokens = segment.tokens[start : start + room].tolist()
                return tuple(tokens[: tokens.index(_GAP)] if _GAP in tokens else tokens)
            place -= len(positions)
        raise IndexError(place)


class TokenIndex:
    """Documents of token ids. Of one longer than a segment, only the beginning is searchable."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """`capacity`: tokens of a segment, at most CAPACITY."""
        assert MAX_MATCH + 2 < capacity <= CAPACITY
        self._capacity = capacity
        self._segments: list[_Segment] = []  # what was put later stands further behind
        # Mutated by: put() and remove(), on the engine's thread.

    def __len__(self) -> int:
        """Tokens that are searchable."""
        return sum(end - start for segment in self._segments for start, end in segment.spans.values())

    @property
    def nbytes(self) -> int:
        return sum(segment.tokens.nbytes + segment.keys.nbytes for segment in self._segments)

    def put(self, document: str, tokens: "Sequence[int] | array[int]") -> None:
        """Add a document, or replace the one of this name."""
        self._drop(document)
        room = self._capacity - MAX_MATCH - 2
        self._segments.append(_segment({document: np.array(tokens[:room], np.int32)}))
        self._merge()

    def remove(self, document: str) -> None:
        """Forget a document, where there is one of this name."""
        self._drop(document)
        self._merge()

    def match(self, context: Sequence[int], room: int, own: str | None = None) -> Match | None:
        """What may follow, up to `room` tokens; None without a match of MIN_MATCH tokens.

        Of the longest matches, one with the continuation that most places agree on; of these, what was put last. A
        place in the document `own` that matches all MAX_MATCH tokens is where the context itself stands, and what
        follows there is what follows the cursor: it does not count.
        """
        places = self._longest(context, own)
        if places is None or room <= 0:
            return None
        following = places.following()
        counts = Counter(following)
        most = max(counts.values())
        last = max(place for place, token in enumerate(following) if counts[token] == most)
        return Match(places.length, places.behind(last, room), most, len(following))

    def continuations(self, context: Sequence[int], most: int, own: str | None = None) -> Continuations | None:
        """The `most` frequent next tokens at the longest matches, as `match` finds them."""
        places = self._longest(context, own)
        if places is None:
            return None
        following = places.following()
        frequent = Counter(following).most_common(most)
        ids, counts = tuple(token for token, _ in frequent), tuple(count for _, count in frequent)
        return Continuations(places.length, ids, counts, len(following))

    def _longest(self, context: Sequence[int], own: str | None) -> _Places | None:
        """The places behind the longest match."""
        back = [*reversed(context[-MAX_MATCH:])]
        if len(back) < MIN_MATCH:
            return None
        back += [_NOTHING] * (MAX_MATCH + 1 - len(back))
        key = _key(back)
        depths = [_depth(segment.keys, key) for segment in self._segments]
        for depth in range(max(depths, default=0), 0, -1):
            reached = [segment for segment, deep in zip(self._segments, depths, strict=True) if deep >= depth]
            places = _matching(reached, key, depth, np.array(back, np.int32), own)
            if places.length >= _LENGTHS[depth - 1]:  # else hashes collided: a shorter match may have more places
                return places
        return None

    def _drop(self, document: str) -> None:
        self._segments = [
            _without(segment, document) if document in segment.spans else segment for segment in self._segments
        ]

    def _merge(self) -> None:
        """Empty segments go; neighbours become one where it fits and the older is at most twice as large."""
        segments = [_compact(segment) for segment in self._segments if segment.spans]
        for place in range(len(segments) - 2, -1, -1):
            old, new = segments[place : place + 2]
            size, more = len(old.tokens), len(new.tokens)
            if size <= 2 * more and size + more <= self._capacity:
                segments[place : place + 2] = [_merged(old, new)]
        self._segments = segments


def _segment(documents: Mapping[str, Tokens]) -> _Segment:
    """These documents in their order."""
    parts = [np.full(MAX_MATCH + 1, _GAP, np.int32)]
    spans: dict[str, tuple[int, int]] = {}
    start, gap = MAX_MATCH + 1, parts[0][:1]
    for name, tokens in documents.items():
        spans[name] = start, start + len(tokens)
        start += len(tokens) + 1
        parts += [tokens, gap]
    joined = np.concatenate(parts)
    return _Segment(joined, _sorted_keys(joined), spans, 0)


def _sorted_keys(tokens: Tokens) -> Keys:
    """Of every place with MIN_MATCH tokens before it and one behind it."""
    first = MAX_MATCH + 1
    back = [tokens[first - i : len(tokens) - i] for i in range(_LENGTHS[-1] + 1)]  # [0]: behind a place, [1]: before it
    is_place = np.logical_and.reduce([column != _GAP for column in back[: MIN_MATCH + 1]])
    positions = np.arange(first, len(tokens), dtype=np.uint64)
    keys = _key([column.astype(np.uint64) for column in back[1:]]) | positions
    return np.sort(keys[is_place])


def _key(back: Sequence[Any]) -> Any:
    """Of a place behind the tokens ... `back[1]`, `back[0]`, or of many where these are arrays. Its position is 0."""
    key = zero = back[0] & 0
    for length, before, bits, shift in zip(_LENGTHS, (0, *_LENGTHS), _HASH_BITS, _SHIFTS, strict=False):
        total = zero
        for token, multiplier in zip(back[before:length], _MULTIPLIERS[before:length], strict=True):
            total = total + (token & (1 << 22) - 1) * multiplier
        key = key | (total >> (_PRODUCT_BITS - bits) & (1 << bits) - 1) << shift
    return key


def _depth(keys: Keys, key: int) -> int:
    """How many of _LENGTHS some place shares with a key, if no hashes collide."""
    after = int(keys.searchsorted(np.uint64(key)))
    differing = min((near ^ key for near in keys[max(after - 1, 0) : after + 1].tolist()), default=1 << 64)
    return _DEPTHS[differing.bit_length()]


def _matching(segments: Sequence[_Segment], key: int, depth: int, back: Tokens, own: str | None) -> _Places:
    """The longest matches among the places that share `depth` of _LENGTHS with a key; every segment has some."""
    neighbours = [_neighbours(segment.keys, key, depth) for segment in segments]
    step = -(-sum(map(len, neighbours)) // PLACES)
    found = [np.sort(keys[::step] & _POSITION).astype(np.intp) for keys in neighbours]
    # One column more than a match may be long: no token is _NOTHING, so the first difference is in it or before.
    columns = np.arange(1, MAX_MATCH + 2)
    before = np.concatenate([s.tokens[p[:, None] - columns] for s, p in zip(segments, found, strict=True)])
    lengths = (before != back).argmax(axis=1)
    if own is not None:
        inside = np.concatenate([_inside(p, s.spans.get(own)) for s, p in zip(segments, found, strict=True)])
        lengths[inside & (lengths == MAX_MATCH)] = 0
    longest = int(lengths.max(initial=0))
    splits = np.split(lengths == longest, np.cumsum([*map(len, found)])[:-1])
    kept = [(segment, p[is_longest]) for segment, p, is_longest in zip(segments, found, splits, strict=True)]
    return _Places(longest, kept)


def _inside(positions: Positions, span: tuple[int, int] | None) -> NDArray[np.bool_]:
    start, end = span or (0, 0)
    inside: NDArray[np.bool_] = (positions >= start) & (positions < end)
    return inside


def _neighbours(keys: Keys, key: int, depth: int) -> Keys:
    """Those that share `depth` of _LENGTHS with a key."""
    low = key >> _SHIFTS[depth - 1] << _SHIFTS[depth - 1]
    high = low | (1 << _SHIFTS[depth - 1]) - 1
    start, end = keys.searchsorted(np.array((low, high), np.uint64))
    return keys[start:end]


def _without(segment: _Segment, document: str) -> _Segment:
    start, end = segment.spans[document]
    positions = segment.keys & _POSITION
    keys = segment.keys[(positions < start) | (positions >= end)]
    spans = {name: span for name, span in segment.spans.items() if name != document}
    return replace(segment, keys=keys, spans=spans, dead=segment.dead + end - start)


def _compact(segment: _Segment) -> _Segment:
    """The segment without its dead tokens, once they are the larger part."""
    if 2 * segment.dead <= len(segment.tokens):
        return segment
    return _segment({name: segment.tokens[start:end] for name, (start, end) in segment.spans.items()})


def _merged(old: _Segment, new: _Segment) -> _Segment:
    """One segment of two. Two sorted runs of keys, which a stable sort takes as they are."""
    shift = len(old.tokens) - MAX_MATCH - 1
    tokens = np.concatenate([old.tokens, new.tokens[MAX_MATCH + 1 :]])
    keys = np.concatenate([old.keys, new.keys + shift])
    keys.sort(kind="stable")
    moved = {name: (start + shift, end + shift) for name, (start, end) in new.spans.items()}
    return _Segment(tokens, keys, {**old.spans, **moved}, old.dead + new.dead)
