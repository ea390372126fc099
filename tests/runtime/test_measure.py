"""What is measured of a model, on a small random one: counts, bytes and answers; times only for their order."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sc2lsp.runtime import measure, memory, shapes
from sc2lsp.runtime.api import RequestRefused, SamplingParams
from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.load import Loaded, load
from sc2lsp.runtime.precision import Precision
from sc2lsp.runtime.weights import parameter_count

from .checkpoints import EXACT, TINY, TINY_BIGCODE, plain_greedy, write_checkpoint

PROMPT = tuple((7 * i) % 200 + 40 for i in range(150))  # past the window of 64
VOCAB = 4096  # of the tokenizer that random models are given
TEXT = [(13 * i) % 200 + 40 for i in range(2000)]


@pytest.fixture
def loaded(folder: Path) -> Loaded:
    return load(str(folder), lambda message, fraction: None, EXACT)


@pytest.fixture
def loop(loaded: Loaded) -> measure.Loop:
    return measure.Loop(loaded)


def spreads_are_ordered(*spreads: measure.Spread) -> bool:
    return all(0 < spread.p50 <= spread.p95 and spread.n > 0 for spread in spreads)


def test_the_loop_answers_as_the_model_does(loop: measure.Loop) -> None:
    asked = loop.ask("a", PROMPT, SamplingParams(max_tokens=24))
    assert list(asked.tokens) == plain_greedy(TINY, PROMPT, 24)
    assert sum(asked.passes) == len(asked.tokens)
    assert asked.ended == (len(asked.tokens) < 24)
    assert 0 < asked.first_ms <= asked.usage.queue_ms + asked.usage.prefill_ms + asked.usage.decode_ms


def test_what_is_indexed_is_drafted(loop: measure.Loop) -> None:
    before = loop.ask("a", PROMPT, SamplingParams(max_tokens=24))
    assert "workspace" not in loop.acceptance()
    loop.index("b", [*PROMPT, *before.tokens])
    after = loop.ask("c", PROMPT, SamplingParams(max_tokens=24))
    assert after.tokens == before.tokens
    found = loop.acceptance()["workspace"]
    assert 0 < found.accepted <= found.drafted
    assert found.share == found.accepted / found.drafted
    loop.index("b", [])
    loop.ask("d", PROMPT, SamplingParams(max_tokens=24))
    assert loop.acceptance()["workspace"] == found


def test_first_token(loop: measure.Loop) -> None:
    measured = measure.first_token(loop, TEXT)
    assert measured.prompt_tokens == 512 - 2 * 64
    assert spreads_are_ordered(measured.cold_ms, measured.warm_ms)
    assert (measured.cold_ms.n <= measure.COLD, measured.warm_ms.n <= measure.WARM) == (True, True)
    assert measured.warm_prefilled_tokens == 1.0


def test_passes_read_the_weights_once_and_the_window(loop: measure.Loop, loaded: Loaded) -> None:
    token = 2 * 2 * 2 * 16 * 4  # keys and values, layers, heads, numbers of a head, bytes
    parameters = parameter_count(parse_config(TINY))  # the head is the embedding's
    assert measure.pass_bytes(loaded, 1, 1) == 4 * parameters + token
    assert measure.pass_bytes(loaded, 10, 4) == 4 * parameters + 13 * token
    assert measure.pass_bytes(loaded, 300, 8) == 4 * parameters + (64 + 7) * token
    gives = measure.Bandwidth(1, 1e9, 2e9)
    for each, rows in zip(measure.passes(loop, PROMPT, gives), measure.ROWS, strict=True):
        assert each.rows == rows
        assert each.bytes == measure.pass_bytes(loaded, len(PROMPT), rows)
        assert spreads_are_ordered(each.ms)
        assert each.share_of_bandwidth == pytest.approx(each.bytes / (each.ms.p50 / 1e3) / 2e9)


def test_measuring_leaves_no_pages_behind(loop: measure.Loop, loaded: Loaded) -> None:
    before = loaded.runner.cache.available
    loop.passes(PROMPT, 2)
    assert loop.plain(PROMPT, 8) > 0
    assert loaded.runner.cache.available == before


def test_rates(loop: measure.Loop) -> None:
    both = measure.rates(loop, [PROMPT, PROMPT[1:]], with_drafts=True)
    plain = measure.rates(loop, [PROMPT], with_drafts=False)
    assert both.plain_tokens_per_second > 0 < plain.plain_tokens_per_second
    assert both.drafted_tokens_per_second is not None and both.drafted_tokens_per_second > 0
    assert plain.drafted_tokens_per_second is None


def test_the_machine(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_BUFFER", 1 << 20)
    before = torch.get_num_threads()
    with measure.threads(replace(loaded, threads=1)):
        machine, bandwidth = measure.machine(loaded), measure.bandwidth(loaded)
        assert machine == measure.Machine(machine.processor, "cpu", 1, torch.__version__)
    assert torch.get_num_threads() == before
    assert machine.processor
    assert bandwidth.buffer_bytes == 1 << 20
    assert bandwidth.read_bytes_per_second > 0 < bandwidth.copy_bytes_per_second


def test_memory(loaded: Loaded) -> None:
    measured, cache = measure.memory_of(loaded), loaded.runner.cache
    embedding = 4 * TINY["vocab_size"] * TINY["hidden_size"]  # kept beside the head that is packed of it
    assert measured.weights_bytes == 4 * parameter_count(parse_config(TINY)) + embedding
    assert measured.cache_bytes == cache.pages * 16 * 2 * 2 * 2 * 16 * 4
    assert measured.resident_bytes is None or measured.resident_bytes > measured.cache_bytes
    assert measured.gpu_bytes is None


def test_spread() -> None:
    assert measure.spread([3.0, 1.0, 2.0]) == measure.Spread(2.0, pytest.approx(2.9), 3)
    assert measure.spread([4.0]) == measure.Spread(4.0, 4.0, 1)


def test_repeated_at_least_once() -> None:
    assert list(measure.repeated(5, 3600)) == [0, 1, 2, 3, 4]
    assert list(measure.repeated(5, 0)) == [0]


def test_a_context_that_is_too_short(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {**TINY, "max_position_embeddings": measure.SHORTEST_CONTEXT - 1})
    model = load(str(tmp_path), lambda message, fraction: None, EXACT)
    with pytest.raises(ModelError, match="a context of 63 tokens is too short"):
        measure.Loop(model)


def test_the_shortest_context_is_measured(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {**TINY, "max_position_embeddings": measure.SHORTEST_CONTEXT})
    loop = measure.Loop(load(str(tmp_path), lambda message, fraction: None, EXACT))
    measured = measure.first_token(loop, TEXT)
    prompt = tuple(TEXT[: measured.prompt_tokens])
    assert (measured.prompt_tokens, len(loop.passes(prompt, 1))) == (48, len(measure.ROWS))
    assert measure.rates(loop, [prompt], with_drafts=True).plain_tokens_per_second > 0


def test_a_model_that_fails_is_a_refusal(tmp_path: Path) -> None:
    loop = measure.Loop(load(str(write_checkpoint(tmp_path)), lambda message, fraction: None, EXACT))
    loop.loaded.runner.network._norm.weight.fill_(torch.nan)
    with pytest.raises(RequestRefused, match="not finite"):
        loop.ask("a", PROMPT, SamplingParams())


def test_published_shapes() -> None:
    for known in memory.PUBLISHED:
        config = shapes.published(known.name.removeprefix("bigcode/"), None)
        assert memory.footprint(known.name, config, parameter_count(config)) == known
    assert shapes.published("starcoder2-7b", 2).num_layers == 2


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: shapes.published("starcoder3", None), "no shape is called 'starcoder3'; there are starcoder2-3b, "),
        (lambda: shapes.published("starcoder2-3b", 31), "starcoder2-3b has 30 layers"),
    ],
)
def test_no_such_shape(ask: Callable[[], object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        ask()


@pytest.mark.parametrize("raw", [TINY, TINY_BIGCODE], ids=["starcoder2", "gpt_bigcode"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_random_models_answer(raw: dict[str, Any], precision: Precision) -> None:
    config = parse_config({**raw, "vocab_size": VOCAB})
    model = shapes.random_model("small", config, precision)
    assert (model.facts.parameters, model.facts.dtype) == (parameter_count(config), precision)
    asked = measure.Loop(model).ask("a", PROMPT, SamplingParams(max_tokens=8))
    assert 0 < len(asked.tokens) <= 8


def test_layers_of_a_random_model_share_no_memory() -> None:
    """Or a pass would find in the caches what the layer before it read."""
    model = shapes.random_model("small", parse_config({**TINY, "vocab_size": VOCAB}), "int4")
    first, second = model.runner.network._layers
    pairs = [(first.qkv, second.qkv), (first.out, second.out), (first.up, second.up), (first.down, second.down)]
    for one, other in pairs:
        x = torch.randn(3, first.down.levels.shape[1] * 2 if one is first.down else 64)  # type: ignore[attr-defined]
        assert torch.equal(one(x), other(x))
        assert one.levels.data_ptr() != other.levels.data_ptr()  # type: ignore[attr-defined]


def test_a_shape_without_memory_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 6 << 30)
    with pytest.raises(ModelError, match=r"starcoder2-15b needs .* GiB in int8 .*; bigcode/starcoder2-3b .* would fit"):
        shapes.random_model("starcoder2-15b", shapes.published("starcoder2-15b", None), "int8")
