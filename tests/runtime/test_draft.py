"""Drafts: what is proposed. That no proposal changes an answer is tested in test_exactness."""

import pytest

from sc2lsp.runtime.draft import GAP, MAX_DRAFT, Draft, Known
from sc2lsp.runtime.sessions import Session
from sc2lsp.runtime.token_index import TokenIndex


def proposed(draft: Draft, room: int = 48) -> list[int]:
    proposal = draft.propose(room)
    return [] if proposal is None else proposal.tokens


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 2, 3, 4, 1, 2], [3, 4]),  # what followed the last two
        ([1, 2, 9, 1, 2, 3, 4, 5, 1, 2], [3, 4]),  # the latest place of several
        ([7, 1, 2, 3, 9, 9, 9, 5, 1, 2, 8, 7, 1, 2], [3, 9, 9]),  # the longest match before the latest
        ([1, 2, 3, 4], []),
        ([1, 2], []),
        ([], []),
        ([5, 5, 5], [5]),
        ([256, 1, 65536, 256, 1], [65536, 256]),  # whole tokens, whatever their bytes
    ],
)
def test_from_the_prompt(tokens: list[int], expected: list[int]) -> None:
    assert proposed(Draft(tokens)) == expected


def test_a_longer_match_is_followed_further_and_never_past_the_room() -> None:
    lengths = [len(proposed(Draft([*range(100), *range(70, 70 + length)]))) for length in (2, 4, 8, 16)]
    assert 0 < lengths[0] < lengths[1] < lengths[2] < lengths[3] <= MAX_DRAFT
    assert len(proposed(Draft([*range(100), *range(50)]), 3)) == 3
    assert Draft([1, 2, 3, 1, 2]).propose(0) is None


def test_where_further_rows_cost_nothing_drafts_are_longer() -> None:
    tokens = [*range(100), 30, 31]
    assert len(proposed(Draft(tokens, likely=0.03))) > len(proposed(Draft(tokens, likely=0.15)))


def test_what_was_shown_comes_first_and_until_it_is_wrong() -> None:
    draft = Draft([1, 2, 3, 1, 2], Known(typed=[50], shown=list(range(50, 100))))
    assert proposed(draft) == list(range(50, 50 + MAX_DRAFT))
    draft.advance([50, 51])
    assert proposed(draft, 4) == [52, 53, 54, 55]
    draft.advance([52, 3])
    assert draft.propose(8) is None
    draft.advance([1, 2])
    assert proposed(draft)[:2] == [50, 51], "then what stands in prompt and answer"


def test_what_was_typed_comes_before_any_copy() -> None:
    draft = Draft([1, 2, 3, 1, 2], Known(typed=[7, 8]))
    assert proposed(draft) == [7, 8]
    draft.advance([7, 8, 1, 2])
    assert proposed(draft)[:1] == [7]


def test_from_earlier_answers_but_not_across_them() -> None:
    known = Known(recent=[60, 61, 62, 63, GAP, 70, 71, GAP])
    assert proposed(Draft([5, 60, 61], known)) == [62, 63]
    assert proposed(Draft([62, 63], known)) == []


def test_from_the_workspace_where_it_matches_longer() -> None:
    index = TokenIndex()
    index.put("a", [9, 8, 1, 2, 30, 31, 32, 33])
    known = Known(index=index)
    assert proposed(Draft([5, 9, 8, 1, 2], known))[:2] == [30, 31]
    assert proposed(Draft([7, 8, 1, 2, 40, 9, 8, 1, 2], known))[:2] == [30, 31]
    assert proposed(Draft([9, 8, 1, 2, 40, 41, 9, 8, 1, 2], known))[:1] == [40], "the prompt's own is nearer"


TYPED = [
    (b"def total(self):\n    return ", b"sum(self.fees)", b"def total(self):\n    return ", "sum(self.fees)"),
    (b"def total(self):\n    return ", b"sum(self.fees)", b"def total(self):\n    return sum(s", "elf.fees)"),
    (b"def total(self):\n    return ", b"sum(self.fees)", b"def total(self):\n    retu", "rn sum(self.fees)"),
    (b"def total(self):\n    return ", b"sum(self.fees)", b"def total(self):\n    return max", ""),
    (b"def total(self):\n    return ", b"sum(self.fees)", b"def total(self):\n    return sum(self.fees)", ""),
    (b"", b"", b"def total(self)", ""),
    (b"short", b" tale", b"short", " tale"),
    (b"# \xc3\xa4\xc3\xa4 0123456789 0123456789 ", b"\xc3\xa4b\xc3", b"\xc3\xa4 0123456789 0123456789 \xc3\xa4", "b"),
]


@pytest.mark.parametrize(("tail", "answer", "typed", "rest"), TYPED)
def test_the_rest_of_what_was_shown(tail: bytes, answer: bytes, typed: bytes, rest: str) -> None:
    assert Session(shown=tail + answer).rest(typed) == rest
