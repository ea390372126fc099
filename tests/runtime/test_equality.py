"""Our StarCoder2 against transformers', float32: at real widths, past the window, token for token."""

from typing import Any

import pytest
import torch
from transformers import Starcoder2Config, Starcoder2ForCausalLM

from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.kv_cache import KVCache
from sc2lsp.runtime.model import StarCoder2

from .checkpoints import TINY, random_model

TOLERANCE = 1e-4  # logits, float32, largest absolute difference

# The published widths (config.json of bigcode/starcoder2-{3b,7b,15b}), with two layers.
COMMON = {**TINY, "vocab_size": 49152, "num_hidden_layers": 2, "max_position_embeddings": 16384, "sliding_window": 4096}
REAL: dict[str, dict[str, Any]] = {
    "3b": {"hidden_size": 3072, "intermediate_size": 12288, "num_attention_heads": 24, "num_key_value_heads": 2,
           "rope_theta": 999999.4420358813, "tie_word_embeddings": True},
    "7b": {"hidden_size": 4608, "intermediate_size": 18432, "num_attention_heads": 36, "num_key_value_heads": 4,
           "rope_theta": 1000000.0, "tie_word_embeddings": True},
    "15b": {"hidden_size": 6144, "intermediate_size": 24576, "num_attention_heads": 48, "num_key_value_heads": 4,
            "rope_theta": 100000.0, "tie_word_embeddings": False},
}  # fmt: skip


def reference(raw: dict[str, Any], ours: StarCoder2) -> Starcoder2ForCausalLM:
    """transformers' model over the very same weight tensors."""
    config = Starcoder2Config(**{k: v for k, v in raw.items() if k != "rope_theta"})
    config.rope_parameters = {"rope_type": "default", "rope_theta": raw["rope_theta"]}
    config._attn_implementation = "eager"
    with torch.device("meta"):
        model = Starcoder2ForCausalLM(config)
    model.load_state_dict(ours.state_dict(), strict=True, assign=True)
    model.tie_weights()
    rotary = type(model.model.rotary_emb)(config)  # its buffers were made on meta
    model.model.rotary_emb = rotary
    return model.eval()


def largest_difference(raw: dict[str, Any], length: int, std: float) -> float:
    ours = random_model(raw, std=std)
    theirs = reference(raw, ours)
    tokens = torch.randint(0, raw["vocab_size"], (1, length), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = theirs(tokens).logits
        actual = ours.forward(tokens)
    assert expected.abs().max() > 0.1  # something is being compared
    return float((actual - expected).abs().max())


@pytest.mark.parametrize("size", REAL)
def test_logits_at_real_widths(size: str) -> None:
    assert largest_difference({**COMMON, **REAL[size]}, length=24, std=0.02) <= TOLERANCE


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 300])
def test_logits_around_and_past_the_window(length: int, tied: bool) -> None:
    assert largest_difference({**TINY, "tie_word_embeddings": tied}, length, std=0.1) <= TOLERANCE


def test_the_window_matters_to_this_comparison() -> None:
    """Without a window the same weights give other logits past it: the tests above would see a missing window."""
    windowed = random_model(TINY)
    full = random_model({**TINY, "sliding_window": None})
    tokens = torch.randint(0, TINY["vocab_size"], (1, 200))
    difference = (windowed.forward(tokens) - full.forward(tokens)).abs().amax(dim=-1)[0]
    assert difference[:64].max() <= TOLERANCE < difference[64:].max()


@pytest.mark.parametrize("chunk", [1, 7, 64, 250])
def test_cached_prefill_in_chunks_equals_one_pass(chunk: int) -> None:
    model = random_model(TINY)
    tokens = torch.randint(0, TINY["vocab_size"], (1, 250))
    cache = KVCache(model.config, 250, torch.float32, torch.device("cpu"))
    pieces = []
    for piece in tokens.split(chunk, dim=1):
        pieces.append(model.forward(piece, cache))
        cache.commit(piece[0].tolist())
    assert (torch.cat(pieces, dim=1) - model.forward(tokens)).abs().max() <= TOLERANCE


def test_greedy_generation_token_for_token() -> None:
    """Four prompts that start past the window, sixty tokens each."""
    ours = random_model(TINY, std=0.2)
    theirs = reference(TINY, ours)
    produced: set[int] = set()
    for seed in range(4):
        prompt = torch.randint(0, TINY["vocab_size"], (1, 150), generator=torch.Generator().manual_seed(seed))
        options = {"max_new_tokens": 60, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        expected = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), **options)[0, 150:].tolist()
        assert greedy(ours, prompt, 60) == expected
        produced |= set(expected)
    assert len(produced) > 20


def greedy(model: StarCoder2, prompt: torch.Tensor, count: int) -> list[int]:
    cache = KVCache(model.config, prompt.shape[1] + count, torch.float32, torch.device("cpu"))
    step, produced = prompt, []
    for _ in range(count):
        logits = model.forward(step, cache)
        cache.commit(step[0].tolist())
        step = logits[:, -1:].argmax(dim=-1)
        produced.append(int(step))
    return produced


def test_config_defaults_are_the_checkpoints_not_the_librarys() -> None:
    absent = ("max_position_embeddings", "sliding_window", "rope_theta", "tie_word_embeddings", "use_bias")
    config = parse_config({key: value for key, value in TINY.items() if key not in absent})
    assert (config.tied_head, config.bias, config.context_length) == (True, True, 16384)
