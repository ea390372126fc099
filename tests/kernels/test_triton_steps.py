"""The kernels around attention against the oracle: storing keys and values, LayerNorm, GELU, the likeliest token."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from sc2lsp.kernels import gelu, kv_store, layer_norm, reference, sampling
from sc2lsp.kernels.batch import PAGE
from tests.kernels.device import DEVICE, DTYPES, assert_near

types = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def made(*shape: int, dtype: torch.dtype) -> Tensor:
    """A view with gaps between its rows."""
    wide = torch.randn(*shape[:-1], shape[-1] + 16) if len(shape) > 1 else torch.randn(shape)
    return wide.to(DEVICE, dtype)[..., : shape[-1]]


@types
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize(("heads", "kv_heads", "dim"), [(4, 2, 64), (9, 1, 128), (12, 1, 128)])
def test_store_kv(heads: int, kv_heads: int, dim: int, rotary: bool, bias: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    width = (heads + 2 * kv_heads) * dim
    qkv, added = made(5, width, dtype=dtype), made(width, dtype=dtype) if bias else None
    positions = torch.tensor([0, 1, 17, 4097, 16383], dtype=torch.int32, device=DEVICE)
    slots = torch.tensor([0, PAGE - 1, 3 * PAGE, -1, 2 * PAGE + 5], device=DEVICE)
    table = reference.rotary_table(torch.arange(16384), dim, 1e6, torch.float32) if rotary else None
    on_device = None if table is None else (table[0].to(DEVICE), table[1].to(DEVICE))
    cache = torch.full((2, 4, PAGE, kv_heads, dim), 7.0).to(DEVICE, dtype)
    query = kv_store.store_kv(qkv, added, positions, slots, cache[0], cache[1], on_device)
    wanted = torch.full((2, 4, PAGE, kv_heads, dim), 7.0)
    exact = None if added is None else added.float().cpu()
    places = (positions.cpu(), slots.cpu(), wanted[0], wanted[1])
    assert_near(query, reference.store_kv(qkv.float().cpu(), exact, *places, table), dtype)
    assert_near(cache, wanted, dtype)


@types
@pytest.mark.parametrize("width", [256, 320, 3072, 4608])
@pytest.mark.parametrize("residual", [False, True])
def test_layer_norm(width: int, residual: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, weight, bias = made(3, width, dtype=dtype) + 3, made(width, dtype=dtype), made(width, dtype=dtype)
    r = made(3, width, dtype=dtype) if residual else None
    normed, total = layer_norm.layer_norm_residual(x, r, weight, bias, 1e-5)
    exact = x if r is None else x + r
    wanted, _ = reference.layer_norm_residual(exact.float(), None, weight.float(), bias.float(), 1e-5)
    assert torch.equal(total, exact)
    assert_near(normed, wanted, dtype)


@types
@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")  # the interpreter's sigmoid of -30
@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("bias", [False, True])
def test_bias_gelu(approximate: Literal["none", "tanh"], bias: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, added = made(3, 1300, dtype=dtype) * 4, made(1300, dtype=dtype) if bias else None
    x[0, :4] = torch.tensor([0.0, -30.0, 30.0, -3.0])
    exact = None if added is None else added.float()
    assert_near(gelu.bias_gelu(x, added, approximate), reference.bias_gelu(x.float(), exact, approximate), dtype)


def test_forms_of_gelu_differ() -> None:
    x = torch.linspace(-3, 3, 32, device=DEVICE)[None]
    apart = (gelu.bias_gelu(x, None, "tanh") - gelu.bias_gelu(x, None, "none")).abs().max()
    assert 1e-4 < float(apart) < 1e-3


@types
@pytest.mark.parametrize("vocab", [5, 4096, 8193, 49152])
def test_greedy(vocab: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = made(4, vocab, dtype=dtype) * 5
    logits[1, :3] = 99.0  # the first of equals
    logits[2, 1:] = float("-inf")
    tokens, log_probs = sampling.greedy(logits)
    wanted_tokens, wanted = reference.greedy(logits.float().cpu())
    assert tokens[1:3].tolist() == [0, 0]
    assert torch.equal(logits.gather(1, tokens[:, None]), logits.gather(1, wanted_tokens[:, None].to(tokens.device)))
    assert_near(log_probs, wanted, torch.float32)


def test_a_row_with_nan_says_so() -> None:
    logits = torch.zeros(2, 100, device=DEVICE)
    logits[0, 40] = float("nan")
    tokens, log_probs = sampling.greedy(logits)
    assert log_probs.isnan().tolist() == [True, False]
    assert ((tokens >= 0) & (tokens < 100)).all()
