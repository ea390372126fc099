"""However an answer is computed, its tokens are those of the plainest loop: the whole text again for every token.

With drafts that are right, wrong or random; with whatever the cache holds; beside any number of others; with prompts
read in pieces of any size; after an abort. Both families, past the window, greedy and sampled.
"""

import random
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sc2lsp.runtime.api import Chunk, Indexed
from sc2lsp.runtime.cache_lm import TRUST, Trust
from sc2lsp.runtime.draft import GAP, Draft, Proposal
from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.errors import ModelError

from .checkpoints import EXACT, TINY, TINY_BIGCODE, plain_greedy, write_checkpoint
from .test_engine import Collected

FAMILIES = {"starcoder2": TINY, "starcoder": TINY_BIGCODE}
SAMPLED: dict[str, object] = {"temperature": 1.2, "top_p": 0.95, "seed": 3}
PROMPTS = [[random.Random(seed).randrange(40, 200) for _ in range(10 + 23 * seed)] for seed in range(8)]
NEW = 24


@pytest.fixture(scope="module", params=FAMILIES)
def raw(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def plain(raw: dict[str, Any]) -> list[list[int]]:
    return [plain_greedy(raw, prompt, NEW) for prompt in PROMPTS]


@pytest.fixture
def engine(raw: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = write_checkpoint(tmp_path_factory.mktemp("model"), raw, std=0.2)
    engine = Engine(str(folder), lambda message, fraction: None, EXACT)
    yield engine
    engine.close()


def one_by_one(engine: Engine, **sampling: object) -> list[list[int]]:
    return [Collected(engine, prompt, f"alone {i}", **sampling).finish()[0] for i, prompt in enumerate(PROMPTS)]


def at_once(engine: Engine, **sampling: object) -> list[list[int]]:
    started = [Collected(engine, prompt, f"together {i}", **sampling) for i, prompt in enumerate(PROMPTS)]
    return [each.finish()[0] for each in started]


def test_alone(engine: Engine, plain: list[list[int]]) -> None:
    assert one_by_one(engine) == plain


@pytest.mark.parametrize("rows", [1, 7, 50, 512])
def test_together_in_steps_of_any_size(engine: Engine, plain: list[list[int]], rows: int) -> None:
    engine.call(lambda: setattr(engine._scheduler, "rows", rows)).result()
    assert at_once(engine) == plain


def test_sampled_alone_and_together(engine: Engine) -> None:
    alone = one_by_one(engine, **SAMPLED)
    assert at_once(engine, **SAMPLED) == alone
    assert alone != one_by_one(engine)


def test_whatever_the_cache_holds(engine: Engine, raw: dict[str, Any]) -> None:
    """Typing appends, deleting goes back, a far edit starts over, other documents share what is alike."""
    text = PROMPTS[-1]
    edits = [text, [*text, 50], [*text, 50, 51], text[:140], [99, *text], text, [*text[:64], 60, *text[64:]]]
    for prompt in edits:
        expected = plain_greedy(raw, prompt, NEW)
        for document in ("typed", f"new {len(prompt)}"):
            assert Collected(engine, prompt, document).finish()[0] == expected


def test_aborted_and_resumed(engine: Engine, plain: list[list[int]]) -> None:
    for prompt, expected in zip(PROMPTS, plain, strict=True):
        first = Collected(engine, prompt, max_tokens=200)
        assert isinstance(first.answers.get(timeout=60), Chunk)
        first.generation.abort()
        again = Collected(engine, prompt)
        assert again.finish()[0] == expected
        first.finish()


def test_a_newer_request_of_the_document_ends_the_older(engine: Engine, plain: list[list[int]]) -> None:
    older = Collected(engine, PROMPTS[0], max_tokens=400, temperature=2.0, seed=1)
    newer = Collected(engine, PROMPTS[1])
    ids, last = older.finish()
    assert last.finish_reason in ("cancelled", "stop") and len(ids) < 400
    assert newer.finish()[0] == plain[1]


def test_several_answers_to_one_prompt(engine: Engine) -> None:
    """Each as if it were asked for alone; greedy ones are alike."""
    several = Collected(engine, PROMPTS[5], n=4, **SAMPLED)
    answers: dict[int, list[int]] = {index: [] for index in range(4)}
    while True:
        chunk = several.answers.get(timeout=60)
        assert isinstance(chunk, Chunk)
        answers[chunk.index] += chunk.token_ids
        if chunk.usage is not None:
            break
    assert answers[0] == Collected(engine, PROMPTS[5], "other", **SAMPLED).finish()[0]
    assert len({tuple(answer) for answer in answers.values()}) > 1


def prophet(known: list[list[int]], rng: random.Random, share: float) -> Callable[[Draft, int], Proposal | None]:
    """Drafts the rest of the plain answer, with so large a share of wrong tokens in it."""

    def propose(draft: Draft, room: int) -> Proposal | None:
        everything = array("i", bytes(draft._data)).tolist()
        so_far = everything[len(everything) - everything[::-1].index(GAP) :] if GAP in everything else everything
        whole = next(whole for whole in known if so_far == whole[: len(so_far)])
        guess = whole[len(so_far) : len(so_far) + min(room, 6)]
        tokens = [rng.randrange(40, 200) if rng.random() < share else token for token in guess]
        return Proposal(tokens, "prompt") if tokens else None

    return propose


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("sampling", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_whatever_is_drafted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, sampling: dict[str, object], share: float
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Draft, "propose", lambda self, room: None)
        without = one_by_one(engine, **sampling)
    known = [prompt + answer for prompt, answer in zip(PROMPTS, without, strict=True)]
    monkeypatch.setattr(Draft, "propose", prophet(known, random.Random(0), share))
    assert at_once(engine, **sampling) == without
    right = engine._scheduler.accepted.total() / engine._scheduler.drafted.total()
    assert right == 1.0 if share == 0.0 else right < 0.9


@pytest.mark.parametrize("seed", [0, 1], ids=["the model itself", "another"])
@pytest.mark.parametrize("sampling", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_a_smaller_model_drafts(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, sampling: dict[str, object]
) -> None:
    monkeypatch.setattr("sc2lsp.runtime.draft_model._SURE", -100.0)  # random models are sure of nothing
    folder = write_checkpoint(tmp_path / "model", raw, std=0.2)
    small = write_checkpoint(tmp_path / "small", raw, seed, std=0.2)
    plain = Engine(str(folder), lambda message, fraction: None, EXACT)
    without = one_by_one(plain, **sampling)
    plain.close()
    engine = Engine(str(folder), lambda message, fraction: None, replace(EXACT, draft_model=str(small)))
    assert at_once(engine, **sampling) == one_by_one(engine, **sampling) == without
    drafted, accepted = engine._scheduler.drafted["model"], engine._scheduler.accepted["model"]
    engine.close()
    assert drafted and (sampling or accepted / drafted > 0.8 if seed == 0 else accepted < drafted)


def test_mixed_with_what_the_workspace_says(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model than the network alone, but one: whatever is drafted, alone and together."""
    folder = write_checkpoint(tmp_path / "model", raw, std=0.2)
    monkeypatch.setitem(TRUST, str(folder), Trust(bias=9.0, length=2.0, agreement=1.0, places=0.0))  # type: ignore[index]
    engine = Engine(str(folder), lambda message, fraction: None, EXACT)
    for number, prompt in enumerate(PROMPTS):
        engine.put_document(Indexed("w", f"{number}", (*prompt[-9:], *range(60, 66), *prompt[:9])))
    with monkeypatch.context() as patched:
        patched.setattr(Draft, "propose", lambda self, room: None)
        plain, without = one_by_one(engine), one_by_one(engine, workspace="w")
    assert without != plain
    assert at_once(engine, workspace="w") == one_by_one(engine, workspace="w") == without
    assert engine._scheduler.accepted.total()
    engine.close()


def test_a_model_with_another_tokenizer_cannot_draft(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    other = write_checkpoint(tmp_path / "other", TINY_BIGCODE)
    with pytest.raises(ModelError, match="cannot draft"):
        Engine(str(folder), lambda message, fraction: None, replace(EXACT, draft_model=str(other)))


def test_what_was_shown_is_drafted_again(engine: Engine, plain: list[list[int]]) -> None:
    prompt, answer = PROMPTS[5], plain[5]
    Collected(engine, prompt).finish()
    assert engine._scheduler.drafted["shown"] == 0
    ids, last = Collected(engine, prompt).finish()
    assert ids == answer and last.usage is not None
    assert 0 < engine._scheduler.accepted["shown"] <= last.usage.accepted_tokens
