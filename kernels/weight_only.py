"""Projections of few rows by weights of 8 and 4 bits: what a decode step waits for is the weights' bytes.

    int8:  y[r, o] = scale[o] sum_i x[r, i] q[o, i] + bias[o]
    int4:  y[r, o] = sum_g scale[o, g] sum_{i in g} x[r, i] q[o, i] + bias[o]

One program per (block of outputs, split of the inputs, block of rows). Levels become numbers of x's type in registers,
which is exact, and are summed in float32. The splits fill the processors and depend on the weights' shape alone, and a
second kernel adds them in their order: a row's result is the same in every batch of up to 64. More rows than that pay
for unpacking the weights first.
"""
# ruff: noqa: N803 (what a kernel is compiled for is written in capitals)

from typing import Any

import torch
import torch.nn.functional as F
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .attention import multiprocessors
from .launch import launch
from .weight_only_reference import int4_weight, int8_weight

# Speeds are unmeasured. Compiled for sm_80 and sm_90 (tests/kernels/test_compiled.py), these blocks stay in registers.
_ROWS = 16  # of a block: what tensor cores take
_FEW_ROWS = 64
_OUT = 64  # outputs of a block
_IN = 128  # inputs of a tile; that of 4-bit weights is a group
_STAGES = 4
_PROGRAMS = 2  # for each processor, at least


@triton.jit  # type: ignore[untyped-decorator]
def _store(total: "Any", out: "Any", scale: "Any", bias: "Any", row: "Any", o: "Any", rows: "Any", outs: "Any") -> None:
    """The sums of a block, [rows, outs], finished where no split follows: then `out` is the result, not a part."""
    if scale is not None:
        total *= tl.load(scale + o, mask=o < outs, other=0.0).to(tl.float32)[None, :]
    if bias is not None:
        total += tl.load(bias + o, mask=o < outs, other=0.0).to(tl.float32)[None, :]
    place = (tl.program_id(1).to(tl.int64) * rows + row)[:, None] * outs + o[None, :]
    tl.store(out + place, total.to(out.dtype.element_ty), mask=(row < rows)[:, None] & (o < outs)[None, :])


@triton.jit  # type: ignore[untyped-decorator]
def _int8(
    x: "Any",
    levels: "Any",
    scale: "Any",
    bias: "Any",
    out: "Any",
    x_stride: "Any",
    rows: "Any",
    outs: "Any",
    ins: "Any",
    share: "Any",
    ROWS: tl.constexpr,
    OUT: tl.constexpr,
    IN: tl.constexpr,
) -> None:
    o = tl.program_id(0) * OUT + tl.arange(0, OUT)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    begin = tl.program_id(1) * share
    end = tl.minimum(begin + share, ins)
    x += row.to(tl.int64)[:, None] * x_stride
    levels += o.to(tl.int64)[None, :] * ins
    total = tl.zeros([ROWS, OUT], tl.float32)
    for at in range(begin, end, IN):
        i = at + tl.arange(0, IN)
        a = tl.load(x + i[None, :], mask=(row < rows)[:, None] & (i < end)[None, :], other=0.0)
        q = tl.load(levels + i[:, None], mask=(i < end)[:, None] & (o < outs)[None, :], other=0)
        total += tl.dot(a, q.to(a.dtype), input_precision="ieee")
    _store(total, out, scale, bias, row, o, rows, outs)


@triton.jit  # type: ignore[untyped-decorator]
def _int4(
    x: "Any",
    packed: "Any",
    scale: "Any",
    bias: "Any",
    out: "Any",
    x_stride: "Any",
    rows: "Any",
    outs: "Any",
    groups: "Any",
    share: "Any",
    ROWS: tl.constexpr,
    OUT: tl.constexpr,
    HALF: tl.constexpr,
) -> None:
    o = tl.program_id(0) * OUT + tl.arange(0, OUT)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    begin = tl.program_id(1) * share
    end = tl.minimum(begin + share, groups)
    j = tl.arange(0, HALF)
    x += row.to(tl.int64)[:, None] * x_stride + j[None, :]
    packed += o.to(tl.int64)[None, :] * (groups * HALF) + j[:, None]
    scale += o.to(tl.int64) * groups
    total = tl.zeros([ROWS, OUT], tl.float32)
    for group in range(begin, end):
        low = tl.load(x + group * 2 * HALF, mask=(row < rows)[:, None], other=0.0)
        high = tl.load(x + group * 2 * HALF + HALF, mask=(row < rows)[:, None], other=0.0)
        q = tl.load(packed + group * HALF, mask=(o < outs)[None, :], other=0)
        part = tl.dot(low, ((q & 15).to(tl.int8) - 8).to(low.dtype), input_precision="ieee")
        part = tl.dot(high, ((q >> 4).to(tl.int8) - 8).to(high.dtype), part, input_precision="ieee")
        total += part * tl.load(scale + group, mask=o < outs, other=0.0).to(tl.float32)[None, :]
    _store(total, out, None, bias, row, o, rows, outs)


@triton.jit  # type: ignore[untyped-decorator]
def _combine(
    parts: "Any",
    scale: "Any",
    bias: "Any",
    out: "Any",
    outs: "Any",
    splits: "Any",
    OUT: tl.constexpr,
) -> None:
    row = tl.program_id(1).to(tl.int64)
    o = tl.program_id(0) * OUT + tl.arange(0, OUT)
    total = tl.zeros([OUT], tl.float32)
    for split in range(splits):
        total += tl.load(parts + (split * tl.num_programs(1) + row) * outs + o, mask=o < outs, other=0.0)
    if scale is not None:
        total *= tl.load(scale + o, mask=o < outs, other=0.0).to(tl.float32)
    if bias is not None:
        total += tl.load(bias + o, mask=o < outs, other=0.0).to(tl.float32)
    tl.store(out + row * outs + o, total.to(out.dtype.element_ty), mask=o < outs)


def tiles_of_a_split(outs: int, tiles: int, processors: int) -> int:
    """How many of the tiles of an output's inputs one program adds up, so that all processors have work."""
    splits = min(tiles, triton.cdiv(_PROGRAMS * processors, triton.cdiv(outs, _OUT)))
    return int(triton.cdiv(tiles, splits))


def int8_linear(x: Tensor, levels: Tensor, scale: Tensor, bias: Tensor | None, splits: int | None = None) -> Tensor:
    """x: [rows, in]; levels: int8 [out, in]; scale, bias: [out]. Returns [rows, out] of x's type.

    `splits` overrides into how many parts the inputs are split.
    """
    (rows, ins), outs = x.shape, levels.shape[0]
    if rows > _FEW_ROWS:
        return F.linear(x, int8_weight(levels, scale, x.dtype), bias)
    assert x.stride(1) == 1 and levels.is_contiguous()
    tiles = triton.cdiv(ins, _IN)
    share = triton.cdiv(tiles, splits) if splits else tiles_of_a_split(outs, tiles, multiprocessors(x.device))
    splits = triton.cdiv(tiles, share)
    grid = (triton.cdiv(outs, _OUT), splits, triton.cdiv(rows, _ROWS))
    out, parts = _outputs(x, splits, outs)
    last = (scale, bias) if splits == 1 else (None, None)
    shape = (x.stride(0), rows, outs, ins, share * _IN)
    launch(_int8, grid, x, levels, *last, parts, *shape, ROWS=_ROWS, OUT=_OUT, IN=_IN, num_stages=_STAGES)
    if splits > 1:
        _add(parts, scale, bias, out)
    return out


def int4_linear(x: Tensor, packed: Tensor, scale: Tensor, bias: Tensor | None, splits: int | None = None) -> Tensor:
    """x: [rows, in]; packed: uint8 [out, in / 2], a group's first half in the low bits; scale: [out, groups].

    A group holds a power of two of inputs, 32 at least. bias: [out]. Returns [rows, out] of x's type. `splits`
    overrides into how many parts the inputs are split.
    """
    rows, (outs, groups) = len(x), scale.shape
    if rows > _FEW_ROWS:
        return F.linear(x, int4_weight(packed, scale, x.dtype), bias)
    assert x.stride(1) == 1 and packed.is_contiguous() and scale.is_contiguous()
    half = packed.shape[1] // groups
    share = triton.cdiv(groups, splits) if splits else tiles_of_a_split(outs, groups, multiprocessors(x.device))
    splits = triton.cdiv(groups, share)
    grid = (triton.cdiv(outs, _OUT), splits, triton.cdiv(rows, _ROWS))
    out, parts = _outputs(x, splits, outs)
    shape = (x.stride(0), rows, outs, groups, share)
    last = bias if splits == 1 else None
    launch(_int4, grid, x, packed, scale, last, parts, *shape, ROWS=_ROWS, OUT=_OUT, HALF=half, num_stages=_STAGES)
    if splits > 1:
        _add(parts, None, bias, out)
    return out


def _outputs(x: Tensor, splits: int, outs: int) -> tuple[Tensor, Tensor]:
    """The result, [rows, outs], and where the first kernel's programs put theirs: there, or [splits, rows, outs]."""
    out = torch.empty((len(x), outs), dtype=x.dtype, device=x.device)
    if splits == 1:
        return out, out
    return out, torch.empty((splits, len(x), outs), dtype=torch.float32, device=x.device)


def _add(parts: Tensor, scale: Tensor | None, bias: Tensor | None, out: Tensor) -> None:
    splits, rows, outs = parts.shape
    grid = (triton.cdiv(outs, _OUT), rows)
    launch(_combine, grid, parts, scale, bias, out, outs, splits, OUT=_OUT, num_warps=1)
