"""Our models against transformers', float32: both families, at real widths, past the window, token for token."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM, Starcoder2Config, Starcoder2ForCausalLM

from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.kv_cache import Sequence
from sc2lsp.runtime.model import CausalLM
from sc2lsp.runtime.runner import Runner, Work
from sc2lsp.runtime.shapes import PUBLISHED

from .checkpoints import TINY, TINY_BIGCODE, random_model, serving

TOLERANCE = 1e-4  # logits, float32, largest absolute difference

# The published shapes, with two layers and a sixth of the vocabulary.
FEWER = {"starcoder2": {"num_hidden_layers": 2, "vocab_size": 8192}, "gpt_bigcode": {"n_layer": 2, "vocab_size": 8192}}
REAL = {name: {**raw} | FEWER[raw["model_type"]] for name, raw in PUBLISHED.items()}

SMALL = {
    "starcoder2": TINY,
    "starcoder2, separate head": {**TINY, "tie_word_embeddings": False},
    "starcoder, erf": TINY_BIGCODE,
    "starcoder, tanh, separate head": {
        **TINY_BIGCODE, "activation_function": "gelu_pytorch_tanh", "tie_word_embeddings": False,
    },
}  # fmt: skip


def reference(raw: dict[str, Any], ours: CausalLM) -> Any:
    """transformers' model over the very same weight tensors."""
    theirs: Any = _starcoder2(raw) if raw["model_type"] == "starcoder2" else _gpt_bigcode(raw)
    theirs.load_state_dict(ours.state_dict(), strict=True, assign=True)
    theirs.tie_weights()
    return theirs.eval()


def _starcoder2(raw: dict[str, Any]) -> Starcoder2ForCausalLM:
    config = Starcoder2Config(**{k: v for k, v in raw.items() if k != "rope_theta"})
    config.rope_parameters = {"rope_type": "default", "rope_theta": raw["rope_theta"]}
    config._attn_implementation = "eager"
    with torch.device("meta"):
        model = Starcoder2ForCausalLM(config)
    rotary = type(model.model.rotary_emb)(config)  # its buffers were made on meta
    model.model.rotary_emb = rotary
    return model


def _gpt_bigcode(raw: dict[str, Any]) -> GPTBigCodeForCausalLM:
    config = GPTBigCodeConfig(**raw)
    config._attn_implementation = "eager"
    with torch.device("meta"):
        return GPTBigCodeForCausalLM(config)


def draw(raw: dict[str, Any], length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, raw["vocab_size"], (1, length), generator=torch.Generator().manual_seed(seed))


def largest_difference(raw: dict[str, Any], length: int, std: float) -> float:
    ours = random_model(raw, std=std)
    theirs = reference(raw, ours)
    tokens = draw(raw, length)
    with torch.inference_mode():
        expected = theirs(tokens).logits
        actual = ours.forward(tokens)
    assert expected.abs().max() > 0.1  # something is being compared
    return float((actual - expected).abs().max())


@pytest.mark.parametrize("name", REAL)
def test_logits_at_real_widths(name: str) -> None:
    assert largest_difference(REAL[name], length=24, std=0.02) <= TOLERANCE


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 300, 512])
def test_logits_around_and_past_the_window_and_to_the_last_position(length: int, name: str) -> None:
    assert largest_difference(SMALL[name], length, std=0.1) <= TOLERANCE


@pytest.mark.parametrize(
    ("raw", "change"),
    [
        (TINY, {"sliding_window": None}),
        (TINY, {"hidden_act": "gelu"}),
        (TINY, {"rope_theta": 99.0}),
        (TINY_BIGCODE, {"activation_function": "gelu_pytorch_tanh"}),
    ],
)
def test_what_this_comparison_would_see(raw: dict[str, Any], change: dict[str, Any]) -> None:
    """The same weights read otherwise give logits that the tests above would not take for equal."""
    tokens = draw(raw, 200)
    plain, other = random_model(raw, std=0.2).forward(tokens), random_model({**raw, **change}, std=0.2).forward(tokens)
    assert (plain - other).abs().max() > 2 * TOLERANCE


def test_the_window_begins_to_matter_past_it() -> None:
    tokens = draw(TINY, 200)
    windowed, full = random_model(TINY), random_model({**TINY, "sliding_window": None})
    difference = (windowed.forward(tokens) - full.forward(tokens)).abs().amax(dim=-1)[0]
    assert difference[:64].max() <= TOLERANCE < difference[64:].max()


@pytest.mark.parametrize("raw", [TINY, TINY_BIGCODE], ids=["starcoder2", "starcoder"])
@pytest.mark.parametrize("chunk", [1, 7, 64, 250])
def test_cached_prefill_in_chunks_equals_one_pass(chunk: int, raw: dict[str, Any]) -> None:
    """Up to the last position."""
    tokens = draw(raw, 512)
    runner, sequence = serving(raw), Sequence()
    runner.cache.reserve(sequence, 512)
    pieces = []
    for piece in tokens[0].split(chunk):
        pieces.append(runner.run([Work(sequence, piece.tolist(), len(piece))]))
        runner.cache.commit(sequence, piece.tolist())
    assert (torch.cat(pieces) - random_model(raw).forward(tokens)[0]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("raw", [TINY, TINY_BIGCODE], ids=["starcoder2", "starcoder"])
def test_documents_in_a_row_do_not_see_each_other(raw: dict[str, Any]) -> None:
    model = random_model(raw)
    tokens = draw(raw, 120)
    together = model.hidden(tokens.view(2, 60), documents=(40, 20, 60)).view(1, 120, -1)
    alone = [model.hidden(part) for part in tokens.split((40, 20, 60), dim=1)]
    assert (together - torch.cat(alone, dim=1)).abs().max() <= TOLERANCE


def test_positions_past_the_learned_table_are_our_bug() -> None:
    """On a GPU such a lookup would take the whole process with it."""
    with pytest.raises(AssertionError):
        random_model(TINY_BIGCODE).forward(draw(TINY_BIGCODE, 513))


@pytest.mark.parametrize("raw", [TINY, TINY_BIGCODE], ids=["starcoder2", "starcoder"])
def test_greedy_generation_token_for_token(raw: dict[str, Any]) -> None:
    """Four prompts that start past the window, sixty tokens each."""
    ours = random_model(raw, std=0.2)
    theirs = reference(raw, ours)
    produced: set[int] = set()
    for seed in range(4):
        prompt = draw(raw, 150, seed)
        options = {"max_new_tokens": 60, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        expected = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), **options)[0, 150:].tolist()
        assert greedy(serving(raw, std=0.2), prompt[0].tolist(), 60) == expected
        produced |= set(expected)
    assert len(produced) > 20


def greedy(runner: Runner, prompt: list[int], count: int) -> list[int]:
    """The plain loop: one token a step."""
    sequence, todo, produced = Sequence(), prompt, list[int]()
    runner.cache.reserve(sequence, len(prompt) + count)
    for _ in range(count):
        token = int(runner.run([Work(sequence, todo, 1)]).argmax())
        runner.cache.commit(sequence, todo)
        todo = [token]
        produced += todo
    return produced


DEFAULTS: list[tuple[dict[str, Any], tuple[str, ...], Callable[[Any], object], object]] = [
    (
        TINY,
        ("max_position_embeddings", "sliding_window", "rope_theta", "tie_word_embeddings", "use_bias"),
        lambda config: (config.tied_head, config.bias, config.context_length),
        (True, True, 16384),
    ),
    (
        TINY_BIGCODE,
        ("n_inner", "tie_word_embeddings", "multi_query", "layer_norm_epsilon"),
        lambda config: (config.tied_head, config.intermediate_size, config.num_kv_heads, config.norm_eps),
        (True, 256, 1, 1e-5),
    ),
]


@pytest.mark.parametrize(("raw", "absent", "read", "expected"), DEFAULTS, ids=["starcoder2", "starcoder"])
def test_config_defaults_are_the_checkpoints_not_the_librarys(
    raw: dict[str, Any], absent: tuple[str, ...], read: Callable[[Any], object], expected: object
) -> None:
    assert read(parse_config({key: value for key, value in raw.items() if key not in absent})) == expected
