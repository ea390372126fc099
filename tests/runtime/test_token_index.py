"""The token index against a search through everything, whatever was put, replaced and removed before."""

import random
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.token_index import CAPACITY, MAX_MATCH, MIN_MATCH, PLACES, Match, TokenIndex
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

Documents = Mapping[str, Sequence[int]]

TOKENS = st.lists(st.sampled_from([0, 1, 2, 49_151, (1 << 22) - 3]), max_size=24)
CHANGES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | TOKENS), max_size=16)


def matched(context: Sequence[int], before: Sequence[int]) -> int:
    """How many of the last tokens of two sequences are the same, up to MAX_MATCH."""
    pairs = zip(context[: -MAX_MATCH - 1 : -1], reversed(before), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def expected(documents: Documents, context: Sequence[int], own: str | None = None) -> tuple[int, list[Sequence[int]]]:
    """The longest match, and what follows at each of its places, the latest last."""
    if not context:
        return 0, []
    places = [
        (matched(context, tokens[max(place - MAX_MATCH, 0) : place]), tokens[place:])
        for name, tokens in documents.items()
        for place in range(MIN_MATCH, len(tokens))
        if tokens[place - 1] == context[-1]
        and not (name == own and matched(context, tokens[max(place - MAX_MATCH, 0) : place]) == MAX_MATCH)
    ]
    longest = max((length for length, _ in places), default=0)
    if longest < MIN_MATCH:
        return 0, []
    return longest, [following for length, following in places if length == longest]


def check(index: TokenIndex, documents: Documents, context: Sequence[int], room: int, own: str | None = None) -> None:
    """`documents`: what the index holds, what was put last standing last."""
    length, following = expected(documents, context, own)
    match, continuations = index.match(context, room, own), index.continuations(context, room, own)
    if not following:
        assert match is None
        assert continuations is None
        return
    assert match is not None
    assert continuations is not None
    assert match.length == continuations.length == length
    alike = sum(pair == tuple(context[-2:]) for tokens in documents.values() for pair in pairwise(tokens[:-1]))
    if alike > PLACES:
        assert match.agreeing <= match.places <= len(following)
        assert match.tokens in {tuple(tokens[:room]) for tokens in following}
        return
    assert match.places == continuations.places == len(following)
    counts = Counter(tokens[0] for tokens in following)
    most = max(counts.values())
    best = [tokens for tokens in following if counts[tokens[0]] == most][-1]
    assert match == Match(length, tuple(best[:room]), most, len(following))
    found = dict(zip(continuations.token_ids, continuations.counts, strict=True))
    assert len(found) == min(room, len(counts))
    assert found.items() <= counts.items()
    assert sorted(found.values()) == sorted(counts.values())[-len(found) :]


@given(CHANGES, TOKENS, st.integers(1, 12), st.sampled_from([24, 64, CAPACITY]))
def test_what_is_found_is_what_a_search_through_everything_finds(
    changes: list[tuple[str, list[int] | None]], context: list[int], room: int, capacity: int
) -> None:
    index, documents = TokenIndex(capacity), dict[str, list[int]]()
    for name, tokens in changes:
        documents.pop(name, None)
        if tokens is None:
            index.remove(name)
        else:
            index.put(name, tokens)
            documents[name] = tokens[: capacity - MAX_MATCH - 2]
        check(index, documents, context, room)
    assert len(index) == sum(map(len, documents.values()))
    for name, tokens in documents.items():
        check(index, documents, tokens[:-1], room)
        check(index, documents, tokens[:-1], room, name)
        check(index, documents, context, room, name)


@pytest.mark.parametrize(
    ("documents", "context", "match"),
    [
        ({"a": [1, 2, 3, 4, 5]}, [9, 1, 2], Match(2, (3, 4, 5), 1, 1)),
        ({"a": [1, 2, 3, 4, 5]}, [2], None),  # too short
        ({"a": [1, 2, 3, 4, 5]}, [4, 5], None),  # nothing follows
        ({"a": [1, 2], "b": [3, 4]}, [1, 2], None),  # nor does another document
        ({"a": [9, 1], "b": [2, 3, 4]}, [1, 2, 3], Match(2, (4,), 1, 1)),  # nor does one precede
        ({"a": [7, 1, 2, 3], "b": [1, 2, 4], "c": [1, 2, 4]}, [7, 1, 2], Match(3, (3,), 1, 1)),  # the longest first
        ({"a": [1, 2, 3, 9], "b": [1, 2, 3], "c": [1, 2, 4]}, [5, 1, 2], Match(2, (3,), 2, 3)),  # then the usual
        ({"a": [1, 2, 3, 8], "b": [1, 2, 4, 9]}, [5, 1, 2], Match(2, (4, 9), 1, 2)),  # then the latest
        ({"a": [*range(100)]}, [*range(50)], Match(MAX_MATCH, (50, 51, 52, 53), 1, 1)),
    ],
)
def test_what_is_preferred(documents: Documents, context: list[int], match: Match | None) -> None:
    index = TokenIndex()
    for name, tokens in documents.items():
        index.put(name, array("i", tokens))
    assert index.match(context, 4) == match
    check(index, documents, context, 4)


def test_of_very_many_places_some_are_looked_at() -> None:
    index = TokenIndex()
    index.put("a", [1, 2, 3] * (3 * PLACES) + [1, 2, 4])
    match = index.match([1, 2], 4)
    assert match is not None
    assert match.tokens == (3, 1, 2, 3)
    assert PLACES // 2 < match.agreeing <= match.places <= PLACES


def test_room_for_nothing_finds_nothing() -> None:
    index = TokenIndex()
    index.put("a", [1, 2, 3])
    assert index.match([1, 2], 0) is None


def test_what_a_hash_takes_for_the_same_is_not() -> None:
    """The token before the last two: of 200 different ones, some have the 8 bits of every other."""
    index, documents = TokenIndex(), {"a": [token for first in range(200) for token in (first, 500, 501, first)]}
    index.put("a", documents["a"])
    for first in range(1000, 1050):
        check(index, documents, [first, 500, 501], 4)


def test_more_tokens_than_a_segment_holds() -> None:
    index, rng, start = TokenIndex(), np.random.default_rng(0), CAPACITY // 4
    documents = {name: rng.integers(0, 49_152, CAPACITY // 2, dtype=np.int32).tolist() for name in "abc"}
    for name, tokens in documents.items():
        index.put(name, array("i", tokens))
    for tokens in documents.values():
        assert index.match(tokens[:start], 4) == Match(MAX_MATCH, tuple(tokens[start : start + 4]), 1, 1)


def test_what_is_gone_takes_no_memory() -> None:
    index, rng = TokenIndex(), random.Random(0)
    for name in range(100):
        index.put(f"{name}", [rng.randrange(4096) for _ in range(1000)])
    assert len(index) == 100_000
    assert index.nbytes <= 13 * len(index)
    for name in range(100):
        if name % 10:
            index.remove(f"{name}")
    assert len(index) == 10_000
    assert index.nbytes <= 16 * len(index) + 4 * 2000, "at most as many tokens dead as alive"
    for name in range(0, 100, 10):
        index.remove(f"{name}")
    assert len(index) == index.nbytes == 0


def test_code() -> None:
    """This repository's own, edited on the way."""
    folder, rng = model_folder(EMBEDDED), random.Random(1)
    assert folder is not None
    tokenizer = Tokenizer(read_tokenizer_json(folder))
    texts = {path.name: path.read_text("utf-8") for path in Path(__file__).parent.glob("test_[e-m]*.py")}
    index, documents = TokenIndex(), {name: tokenizer.encode(text) for name, text in texts.items()}
    for name, tokens in documents.items():
        index.put(name, tokens)
    edited = min(documents)
    documents[edited] = [token for token in documents.pop(edited) if rng.random() < 0.99]
    index.put(edited, documents[edited])
    for tokens in documents.values():
        place = rng.randrange(MAX_MATCH, len(tokens))
        check(index, documents, tokens[:place], 8)
        check(index, documents, [*tokens[: place - 9], 0, *tokens[place - 3 : place]], 8)
