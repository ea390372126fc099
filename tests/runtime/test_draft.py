"""Drafts: what is proposed. That no proposal changes an answer is tested in test_exactness."""

import pytest

from sc2lsp.runtime.draft import MAX_DRAFT, MAX_SHOWN, Draft
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


def test_a_proposal_never_exceeds_its_room_and_grows_with_success() -> None:
    assert len(proposed(Draft([*range(100), *range(90)]), 3)) == 3
    assert Draft([1, 2, 3, 1, 2]).propose(0) is None
    draft = Draft([*range(20), 0, 1])
    first = last = len(proposed(draft))
    for token in range(2, 12):
        draft.advance([token], last, last)
        last = len(proposed(draft))
    assert first < last <= MAX_DRAFT
    for token in range(12, 16):
        draft.advance([token], last, 0)
        last = len(proposed(draft))
    assert last < MAX_DRAFT, "what was wrong several times is tried with less"


def test_what_was_shown_comes_first_and_until_it_is_wrong() -> None:
    draft = Draft([1, 2, 3, 1, 2], list(range(50, 100)))
    assert proposed(draft) == list(range(50, 50 + MAX_SHOWN))
    draft.advance([50, 51], 8, 2)
    assert proposed(draft, 4) == [52, 53, 54, 55]
    draft.advance([52, 3], 4, 1)
    assert draft.propose(8) is None
    draft.advance([1, 2], 0, 0)
    assert proposed(draft)[:2] == [50, 51], "then what stands in prompt and answer"


def test_from_the_workspace_where_it_matches_longer() -> None:
    index = TokenIndex()
    index.put("a", [9, 8, 1, 2, 30, 31, 32, 33])
    assert proposed(Draft([5, 9, 8, 1, 2], index=index))[:2] == [30, 31]
    assert proposed(Draft([7, 8, 1, 2, 40, 9, 8, 1, 2], index=index))[:2] == [30, 31]
    assert proposed(Draft([9, 8, 1, 2, 40, 41, 9, 8, 1, 2], index=index))[:1] == [40], "the prompt's own is newer"


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
