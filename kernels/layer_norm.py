"""The residual stream's sum and the LayerNorm that follows it, in one pass.

    s = x + r,   y = (s - mean s) / sqrt(var s + eps) * w + b

The sum is rounded to its type before it is normalised, as the separate operations do. One program per token.
"""
# ruff: noqa: N803 (what a kernel is compiled for is written in capitals)

from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .launch import launch

_PER_WARP = 512  # elements of a row for each warp, up to 16 warps: unmeasured


@triton.jit  # type: ignore[untyped-decorator]
def _sum_and_norm(
    x: "Any",
    residual: "Any",
    weight: "Any",
    bias: "Any",
    total: "Any",
    normed: "Any",
    x_stride: "Any",
    residual_stride: "Any",
    width: "Any",
    eps: "Any",
    WIDTH: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, WIDTH)
    real = column < width
    s = tl.load(x + token * x_stride + column, mask=real, other=0.0).to(tl.float32)
    if residual is not None:
        s += tl.load(residual + token * residual_stride + column, mask=real, other=0.0).to(tl.float32)
        rounded = s.to(total.dtype.element_ty)
        tl.store(total + token * width + column, rounded, mask=real)
        s = rounded.to(tl.float32)
    centred = tl.where(real, s - tl.sum(s, 0) / width, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, 0) / width + eps)
    y = centred * scale * tl.load(weight + column, mask=real, other=0.0).to(tl.float32)
    y += tl.load(bias + column, mask=real, other=0.0).to(tl.float32)
    tl.store(normed + token * width + column, y.to(normed.dtype.element_ty), mask=real)


def layer_norm_residual(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """LayerNorm of x + residual, and that sum (x itself without a residual).

    x, residual: [tokens, width]; weight, bias: [width]. Returns two of [tokens, width].
    """
    tokens, width = x.shape
    assert x.stride(1) == 1 and (residual is None or residual.stride(1) == 1)
    padded = triton.next_power_of_2(width)
    normed = torch.empty((tokens, width), dtype=x.dtype, device=x.device)
    total = x if residual is None else torch.empty_like(normed)
    launch(
        _sum_and_norm,
        (tokens,),
        x,
        residual,
        weight,
        bias,
        total,
        normed,
        x.stride(0),
        0 if residual is None else residual.stride(0),
        width,
        eps,
        WIDTH=padded,
        num_warps=min(max(padded // _PER_WARP, 1), 16),
    )
    return normed, total
