"""The engine on a small random checkpoint: caching changes nothing, aborting ends, failures stay with one request."""

import queue
from pathlib import Path

import pytest
import torch

from sc2lsp.runtime.api import Chunk, Indexed, Request, RequestRefused, SamplingParams, Usage
from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.kv_cache import PAGE
from sc2lsp.runtime.scheduler import Generation
from sc2lsp.runtime.training.bpe import train_tokenizer

from .checkpoints import TINY, plain_greedy, write_checkpoint


class Collected:
    """Everything one request was answered."""

    def __init__(
        self, engine: Engine, prompt: list[int], document: str = "a", workspace: str = "", **sampling: object
    ) -> None:
        self.answers: queue.Queue[Chunk | RequestRefused] = queue.Queue()
        params = SamplingParams(**{"max_tokens": 24, **sampling})  # type: ignore[arg-type]
        request = Request(1, document, tuple(prompt), params, workspace)
        self.generation: Generation = engine.submit(request, self.answers.put)

    def finish(self) -> tuple[list[int], Chunk]:
        ids: list[int] = []
        while True:
            answer = self.answers.get(timeout=60)
            if isinstance(answer, RequestRefused):
                raise answer
            ids += answer.token_ids
            if answer.finish_reason is not None:
                return ids, answer

    def usage(self) -> Usage:
        usage = self.finish()[1].usage
        assert usage is not None
        return usage


PROMPT = [(7 * i) % 200 + 40 for i in range(150)]  # past the window of 64


def test_greedy_is_the_models_own(engine: Engine, folder: Path) -> None:
    ids, last = Collected(engine, PROMPT).finish()
    assert ids == plain_greedy(TINY, PROMPT, 24)
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.cached_tokens) == (150, 0)


def test_reuse_across_keystrokes_changes_nothing(engine: Engine, folder: Path) -> None:
    """Typing appends, deleting goes back, a far edit starts over: always the tokens of an engine without a past."""
    edits = [PROMPT, [*PROMPT, 50], [*PROMPT, 50, 51], PROMPT[:140], [99, *PROMPT], PROMPT]
    for document, prompt in enumerate(edits):
        fresh, _ = Collected(engine, prompt, document=f"fresh {document}").finish()
        assert Collected(engine, prompt, document="shared").finish()[0] == fresh


def test_a_keystroke_computes_only_what_is_new(engine: Engine) -> None:
    Collected(engine, PROMPT).finish()
    assert Collected(engine, [*PROMPT, 50, 51]).usage().cached_tokens >= 150
    assert Collected(engine, [*PROMPT, 50, 51]).usage().cached_tokens == 151  # all but the token that asks
    assert Collected(engine, [39, *PROMPT]).usage().cached_tokens == 0


def test_abort_ends_a_generation(engine: Engine) -> None:
    running = Collected(engine, PROMPT, max_tokens=300, temperature=2.0, seed=1)
    first = running.answers.get(timeout=60)
    assert isinstance(first, Chunk)
    running.generation.abort()
    ids, last = running.finish()
    assert len(ids) < 299
    assert last.finish_reason in ("cancelled", "stop")


def test_aborted_before_it_ran(engine: Engine) -> None:
    busy = Collected(engine, PROMPT, document="b", max_tokens=200)
    waiting = Collected(engine, PROMPT)
    waiting.generation.abort()
    ids, last = waiting.finish()
    assert (ids, last.finish_reason) == ([], "cancelled")
    busy.finish()


def test_seed_repeats_and_temperature_varies(engine: Engine) -> None:
    def draw(seed: int) -> list[int]:
        return Collected(engine, PROMPT, temperature=1.5, top_p=0.9, seed=seed).finish()[0]

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in range(5)}) > 1


def test_stop_string_ends(engine: Engine) -> None:
    ids, _ = Collected(engine, PROMPT).finish()
    text = engine._loaded.tokenizer.decode(ids)
    stopped, last = Collected(engine, PROMPT, stop=(text[1:3],)).finish()
    assert last.finish_reason == "stop"
    assert len(stopped) <= len(ids)
    assert text[1:3] in engine._loaded.tokenizer.decode(stopped)


@pytest.mark.parametrize("length", [0, TINY["max_position_embeddings"]])
def test_a_prompt_that_does_not_fit_is_refused(engine: Engine, length: int) -> None:
    with pytest.raises(RequestRefused, match="this model takes 1 to 488"):
        Collected(engine, [40] * length)


def test_not_a_number_fails_one_request(engine: Engine) -> None:
    weight = engine._loaded.runner.network._norm.weight
    kept = weight.clone()
    weight.fill_(torch.nan)
    with pytest.raises(RequestRefused, match="the model failed"):
        Collected(engine, PROMPT).finish()
    weight.copy_(kept)
    assert Collected(engine, PROMPT).finish()[0]


def test_the_least_recently_used_document_loses_its_cache(engine: Engine) -> None:
    cache = engine._loaded.runner.cache
    room = cache.pages * PAGE // len(PROMPT)
    assert room < 150
    for document in range(room + 2):
        Collected(engine, [document + 40, *PROMPT], document=str(document)).finish()
    assert Collected(engine, [room + 41, *PROMPT], document=str(room + 1)).usage().cached_tokens == 150
    assert Collected(engine, [40, *PROMPT], document="0").usage().cached_tokens == 0


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(train_tokenizer([chr(i) * 9 for i in range(256, 600)], 700))
    with pytest.raises(ModelError, match="not of the same model"):
        Engine(str(tmp_path), lambda message, fraction: None)


def test_drafts_are_found_in_the_workspace(engine: Engine) -> None:
    """In that of the request, as long as it is known; whatever it holds, the answer is the same."""
    plain = Collected(engine, PROMPT, "none").finish()[0]
    followed = [*PROMPT[-6:], *plain]
    engine.put_document(Indexed("here", "a", tuple(followed)))

    def accepted(document: str, workspace: str) -> int:
        before = engine._scheduler.accepted["workspace"]
        assert Collected(engine, PROMPT, document, workspace=workspace).finish()[0] == plain
        return engine._scheduler.accepted["workspace"] - before

    assert accepted("b", "elsewhere") == 0
    assert accepted("c", "here") > 0
    engine.put_document(Indexed("here", "a", ()))
    assert accepted("d", "here") == 0
    engine.put_document(Indexed("here", "a", tuple(followed)))
    engine.forget_workspaces(["here"])
    assert accepted("e", "here") == 0


@pytest.mark.parametrize("tokens", [(40, 320), (-1,)])
def test_a_document_of_another_model_is_refused(engine: Engine, tokens: tuple[int, ...]) -> None:
    with pytest.raises(RequestRefused, match="token ids outside"):
        engine.put_document(Indexed("here", "a", tokens))
