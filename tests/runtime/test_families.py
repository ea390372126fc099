"""The engine on a small checkpoint of each family: the answers of no cache at all, and refusals that harm nobody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sc2lsp.runtime.api import RequestRefused, SamplingParams
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.evaluate import Scorer

from .checkpoints import EXACT, TINY, TINY_BIGCODE, plain_greedy, tokenizer_json, write_checkpoint

FAMILIES = {"starcoder2": TINY, "starcoder": TINY_BIGCODE}
PROMPT = tuple((7 * i) % 200 + 40 for i in range(150))  # past the window of StarCoder2's 64
GREEDY = SamplingParams(max_tokens=24)


@pytest.fixture(scope="module", params=FAMILIES)
def raw(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def engine(raw: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    folder = write_checkpoint(tmp_path_factory.mktemp("model"), raw, std=0.2)
    engine = Scorer(str(folder), lambda message, fraction: None, EXACT)
    yield engine
    engine.close()


@pytest.mark.parametrize("prompt", [PROMPT, (*PROMPT, 50, 51), PROMPT[:140], (99, *PROMPT), PROMPT])
def test_a_document_being_typed_is_answered_as_without_a_cache(
    raw: dict[str, Any], engine: Scorer, prompt: tuple[int, ...]
) -> None:
    answer = list(engine.answer("typed", prompt, GREEDY).token_ids)
    assert answer == plain_greedy(raw, prompt, GREEDY.max_tokens)


def test_the_last_position_is_served(raw: dict[str, Any], engine: Scorer) -> None:
    prompt = (PROMPT * 4)[: 512 - 2]
    answer = engine.answer("long", prompt, SamplingParams(max_tokens=2))
    assert list(answer.token_ids) == plain_greedy(raw, prompt, 2)
    assert engine.likelihood("long", prompt, (60, 61)).nats > 0


REFUSED = [
    ((), "has 0 tokens, this model takes 1 to 488"),
    ((40,) * 489, "has 489 tokens, this model takes 1 to 488 here: 512 in all, 24 of them for the answer"),
    ((40, 320), "token ids outside of 0 to 319"),
    ((-1, 40), "token ids outside of 0 to 319"),
]


@pytest.mark.parametrize(("prompt", "says"), REFUSED)
def test_a_refusal_names_the_limit_and_changes_nothing(engine: Scorer, prompt: tuple[int, ...], says: str) -> None:
    before = engine.answer("a", PROMPT, GREEDY).token_ids
    with pytest.raises(RequestRefused, match=says) as caught:
        engine.answer("a", prompt, GREEDY)
    assert caught.value.kind == "bad_request"
    after = engine.answer("a", PROMPT, GREEDY)
    assert (after.token_ids, after.usage.cached_tokens) == (before, len(PROMPT) - 1)


@pytest.mark.parametrize(("raw", "other"), [(TINY, TINY_BIGCODE), (TINY_BIGCODE, TINY)], ids=FAMILIES)
def test_the_tokenizer_of_the_other_family_is_refused(
    tmp_path: Path, raw: dict[str, Any], other: dict[str, Any]
) -> None:
    """Published models of both have 49,152 tokens: nothing but their control tokens tells them apart."""
    write_checkpoint(tmp_path, raw)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json(other))
    with pytest.raises(ModelError, match="not of the same model"):
        Scorer(str(tmp_path), lambda message, fraction: None, EXACT)
