"""Weights of 8 and 4 bits in plain PyTorch: how they are rounded and stored, and what a projection with them is.

    int8: w[o, i] = scale[o] q[o, i],            q in -127..127,   one scale an output channel
    int4: w[o, i] = scale[o, i // group] q[o, i],  q in -8..7,     one scale a group of neighbouring inputs

The oracle of `weight_only`. Knows nothing of models, devices or who chooses a precision.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_SHARES = tuple(step / 40 for step in range(24, 41))  # of a group's greatest weight that its highest level stands for


def quantize_int8(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """[out, in] -> int8 [out, in] and scales [out] of `dtype`.

    The scales are rounded first, so that what they lose is not lost to the weights as well.
    """
    wide = weight.float()
    scale = _rounded(wide.abs().amax(1, keepdim=True) / 127, dtype)
    return (wide / scale).round().clamp(-127, 127).to(torch.int8), scale[:, 0].to(dtype)


def quantize_int4(weight: Tensor, group: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """[out, in] -> int8 in -8..7, [out, in], and scales [out, in / group] of `dtype`.

    Of the scales that put a group's greatest weight, or somewhat less, on level 7: that with the least squared error.
    """
    grouped = weight.float().reshape(len(weight), -1, group)
    top = grouped.abs().amax(2, keepdim=True) / 7
    best, least = torch.ones_like(top), torch.full_like(top, torch.inf)
    for share in _SHARES:
        scale = _rounded(top * share, dtype)
        error = (_levels(grouped, scale) * scale - grouped).square().sum(2, keepdim=True)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return _levels(grouped, best).flatten(1).to(torch.int8), best[..., 0].to(dtype)


def _levels(grouped: Tensor, scale: Tensor) -> Tensor:
    return (grouped / scale).round().clamp(-8, 7)


def _rounded(scale: Tensor, dtype: torch.dtype) -> Tensor:
    """As `dtype` has it, in float32; what would be zero is one."""
    rounded = scale.to(dtype).float()
    return torch.where(rounded == 0, 1.0, rounded)


def pack_nibbles(levels: Tensor, group: int) -> Tensor:
    """Int8 in -8..7, [out, in] -> uint8 [out, in / 2].

    Byte j of a group holds its element j in the low bits and element j + group / 2 in the high ones, each 8 more.
    """
    low, high = (levels + 8).to(torch.uint8).view(len(levels), -1, 2, group // 2).unbind(2)
    return (low | high << 4).flatten(1)


def unpack_nibbles(packed: Tensor, group: int) -> Tensor:
    """What `pack_nibbles` was given."""
    halves = packed.view(len(packed), -1, group // 2)
    return torch.stack((halves & 15, halves >> 4), 2).flatten(1).to(torch.int8) - 8


def int8_weight(levels: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The weights that stand for, [out, in]."""
    return (levels * scale[:, None]).to(dtype)


def int4_weight(packed: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The weights that stand for, [out, in]."""
    group = 2 * packed.shape[1] // scale.shape[1]
    levels = unpack_nibbles(packed, group).view(len(packed), -1, group)
    return (levels * scale[..., None]).flatten(1).to(dtype)


def int8_linear(x: Tensor, levels: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """The twin of `weight_only.int8_linear`, in float32 and rounded once. [rows, in] -> [rows, out]."""
    return _linear(x, int8_weight(levels, scale.float(), torch.float32), bias)


def int4_linear(x: Tensor, packed: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """The twin of `weight_only.int4_linear`, in float32 and rounded once. [rows, in] -> [rows, out]."""
    return _linear(x, int4_weight(packed, scale.float(), torch.float32), bias)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(x.float(), weight, None if bias is None else bias.float()).to(x.dtype)


def quantize_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """[rows, width] -> float8_e4m3fn [rows, width] and float32 scales [rows, 1], the greatest of a row becoming 448."""
    scale = (x.abs().amax(1, keepdim=True).float() / 448).clamp_min(1e-12)
    return (x.float() / scale).to(torch.float8_e4m3fn), scale
