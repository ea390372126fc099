"""The feed-forward layer's bias and activation in one pass.

    none:  x Phi(x),  Phi the normal distribution's;    tanh:  x / 2 (1 + tanh u) = x sigmoid(2 u),
    u = sqrt(2 / pi) (x + 0.044715 x^3)                 (arXiv 1606.08415, section 2)

In float32, rounded once. Knows the two forms by the names that torch and the models' configurations give them.
"""
# ruff: noqa: N803 (what a kernel is compiled for is written in capitals)

from typing import Any, Literal

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .launch import launch

_BLOCK = 1024  # elements of a program: unmeasured


@triton.jit  # type: ignore[untyped-decorator]
def _bias_gelu(
    x: "Any", bias: "Any", out: "Any", x_stride: "Any", width: "Any", TANH: tl.constexpr, BLOCK: tl.constexpr
) -> None:
    token = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = column < width
    a = tl.load(x + token * x_stride + column, mask=real, other=0.0).to(tl.float32)
    if bias is not None:
        a += tl.load(bias + column, mask=real, other=0.0).to(tl.float32)
    if TANH:
        a *= tl.sigmoid(1.5957691216057308 * (a + 0.044715 * a * a * a))
    else:
        a *= 0.5 + 0.5 * tl.erf(a * 0.7071067811865476)
    tl.store(out + token * width + column, a.to(out.dtype.element_ty), mask=real)


def bias_gelu(x: Tensor, bias: Tensor | None, approximate: Literal["none", "tanh"]) -> Tensor:
    """GELU of x + bias. x: [tokens, width]; bias: [width]. Returns [tokens, width]."""
    tokens, width = x.shape
    assert x.stride(1) == 1
    out = torch.empty((tokens, width), dtype=x.dtype, device=x.device)
    grid = (tokens, triton.cdiv(width, _BLOCK))
    launch(_bias_gelu, grid, x, bias, out, x.stride(0), width, TANH=approximate == "tanh", BLOCK=_BLOCK)
    return out
