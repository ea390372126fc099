"""Drafts: what is proposed, and that whatever is proposed the answer is the one without drafts."""

import random
from array import array

import pytest

from sc2lsp.runtime.draft import MAX_DRAFT, Draft
from sc2lsp.runtime.engine import Engine

from .test_engine import Collected


@pytest.mark.parametrize(
    ("tokens", "proposed"),
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
def test_what_is_proposed(tokens: list[int], proposed: list[int]) -> None:
    assert Draft(tokens).propose(48) == proposed


def test_a_proposal_never_exceeds_its_room_and_grows_with_success() -> None:
    draft = Draft([*range(100), *range(90)])
    assert len(draft.propose(3)) == 3
    draft = Draft([*range(20), 0, 1])
    first = len(draft.propose(48))
    for token in range(2, 12):
        draft.accept()
        draft.extend(token)
        last = len(draft.propose(48))
    assert first < last <= MAX_DRAFT
    for token in range(12, 16):
        draft.extend(token)
        last = len(draft.propose(48))
    assert last < MAX_DRAFT, "what was wrong several times is tried with less"


def answers(engine: Engine, prompts: list[list[int]], **sampling: object) -> list[list[int]]:
    return [Collected(engine, prompt, f"{i}", **sampling).finish()[0] for i, prompt in enumerate(prompts)]


@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 1.0, "seed": 3}, {"temperature": 1.5, "top_p": 0.9, "seed": 4}]
)
def test_drafts_change_no_token(engine: Engine, monkeypatch: pytest.MonkeyPatch, sampling: dict[str, object]) -> None:
    """Good drafts, drafts drawn at random, and none: one answer. Every sampled token is one draw of one generator."""
    rng = random.Random(0)
    prompts = [[rng.randrange(40, 200) for _ in range(rng.randint(2, 150))] for _ in range(12)]
    monkeypatch.setattr(Draft, "propose", lambda self, room: [])
    plain = answers(engine, prompts, **sampling)
    known = {tuple(prompt): [*prompt, *answer] for prompt, answer in zip(prompts, plain, strict=True)}

    def prophecy(self: Draft, room: int) -> list[int]:
        """The rest of the plain answer, now and then with a wrong token in it."""
        so_far = array("i", bytes(self._data)).tolist()
        whole = next(whole for prompt, whole in known.items() if so_far[: len(prompt)] == list(prompt))
        guess = whole[len(so_far) : len(so_far) + min(room, 5)]
        return [token if rng.random() < 0.8 else rng.randrange(40, 200) for token in guess]

    for propose in (prophecy, lambda self, room: [rng.randrange(40, 200) for _ in range(min(room, 4))]):
        monkeypatch.setattr(Draft, "propose", propose)
        assert answers(engine, prompts, **sampling) == plain


def test_accepted_tokens_are_counted(engine: Engine) -> None:
    """A random model at rest repeats itself, which prompt lookup finds."""
    prompt = [50, 51, 52] * 30
    ids, last = Collected(engine, prompt, max_tokens=40).finish()
    assert last.usage is not None
    assert 0 <= last.usage.accepted_tokens <= min(last.usage.drafted_tokens, len(ids))
