"""Sliding-window attention with grouped queries over a paged cache: decode, verification and chunks of a prompt.

    O = softmax(Q K^T / sqrt(d) + M) V,   M = 0 where the row sees the slot, else -inf

One program per (block of rows, sequence and KV head, split). A row is a query token and one of the `group` heads that
share a KV head. The keys that any row of the block may see are shared out among the splits, and nothing outside is
read. Each split keeps a running maximum m and sum l in base 2 (arXiv 2205.14135, algorithm 1); split s leaves O_s and
L_s = m + log2 l, and a second kernel adds them:  O = sum_s 2^(L_s - L) O_s,  L = log2 sum_s 2^(L_s).

The grid depends on shapes alone, so that a CUDA graph holds for any lengths; programs without work return at once.
"""
# ruff: noqa: N803 (what a kernel is compiled for is written in capitals)

import functools
import math
from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .batch import MOST_NODES, PAGE, PagedBatch
from .launch import launch

_UNSEEN = 1 << 30  # a window that hides nothing, and added to a position still an int32
# Speeds are unmeasured. Compiled for sm_80 and sm_90 (python -m tests.benchmarks.kernels --compile), these blocks stay
# in registers and below 99 KiB of shared memory; 64 rows on 4 warps, 128 rows on 8, and float32 on 4 spill.
_LEAST_ROWS = 16  # of a block: what tensor cores take
_BLOCK = {2: (64, 64), 4: (16, 32)}  # element size -> most rows of a block, keys of a tile
_WARPS = {(2, 16): 4, (2, 32): 4, (2, 64): 8, (4, 16): 8}  # element size, rows -> warps
_STAGES = 2
_MOST_SPLITS = 128  # what one program of the second kernel adds up


@triton.jit  # type: ignore[untyped-decorator]
def _ones(bits: "Any") -> "Any":
    """How many bits of an int64 are set: pairs, nibbles, bytes, and the sum of all bytes in the highest one."""
    count = bits.to(tl.uint64, bitcast=True)
    count = count - ((count >> 1) & 0x5555555555555555)
    count = (count & 0x3333333333333333) + ((count >> 2) & 0x3333333333333333)
    count = (count + (count >> 4)) & 0x0F0F0F0F0F0F0F0F
    return ((count * 0x0101010101010101) >> 56).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def _seen(slot: "Any", token: "Any", bits: "Any", base: "Any", window: "Any") -> "Any":
    """Which slots a row sees, [rows, keys]. `base`: the first row's slot. `bits`: the row's ancestors, or None."""
    if bits is None:
        position = (base + token)[:, None]
        seen = (slot[None, :] <= position) & (slot[None, :] > position - window)
    else:
        position = (base + _ones(bits) - 1)[:, None]
        node = slot - base
        low, high = bits.to(tl.int32)[:, None], (bits >> 32).to(tl.int32)[:, None]  # half the registers of int64
        ancestor = (tl.where((node < 32)[None, :], low, high) >> (node & 31)[None, :]) & 1
        seen = tl.where((node >= 0)[None, :], ancestor == 1, slot[None, :] > position - window)
    return seen


@triton.jit  # type: ignore[untyped-decorator]
def _attend(
    query: "Any",
    key_cache: "Any",
    value_cache: "Any",
    starts: "Any",
    lengths: "Any",
    block_table: "Any",
    tree: "Any",
    out: "Any",
    weight: "Any",
    tokens: "Any",
    window: "Any",
    scale: "Any",
    query_stride: "Any",
    page_stride: "Any",
    slot_stride: "Any",
    head_stride: "Any",
    table_stride: "Any",
    HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAGE: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
) -> None:
    sequence, kv_head = tl.program_id(1) // (HEADS // GROUP), tl.program_id(1) % (HEADS // GROUP)
    first = tl.load(starts + sequence)
    rows = tl.load(starts + sequence + 1) - first
    top_row = tl.program_id(0) * ROWS
    if top_row >= rows * GROUP:
        return
    row = top_row + tl.arange(0, ROWS)
    token, real = row // GROUP, row < rows * GROUP
    place = ((first + token).to(tl.int64) * HEADS) + kv_head * GROUP + row % GROUP  # [rows] of [tokens, heads]

    length = tl.load(lengths + sequence)
    base = length - rows
    if tree is None:
        bits = None
        lowest, end = base + top_row // GROUP, base + tl.minimum(rows, (top_row + ROWS - 1) // GROUP + 1)
    else:
        bits = tl.load(tree + first + token, mask=real, other=1)
        lowest, end = base, length
    start = tl.maximum(0, lowest - window + 1)
    share = tl.cdiv(tl.cdiv(end - start, KEYS), tl.num_programs(2)) * KEYS
    begin = start + tl.program_id(2) * share
    end = tl.minimum(end, begin + share)
    if weight is not None:
        place += tl.program_id(2).to(tl.int64) * tokens * HEADS
        if begin >= end:
            tl.store(weight + place, float("-inf"), mask=real)
            return

    dim = tl.arange(0, HEAD_DIM)
    head = (kv_head * GROUP + row % GROUP) * HEAD_DIM
    q = query + (first + token).to(tl.int64)[:, None] * query_stride + head[:, None] + dim[None, :]
    q = tl.load(q, mask=real[:, None], other=0.0)
    key_cache += kv_head * head_stride
    value_cache += kv_head * head_stride
    block_table += sequence.to(tl.int64) * table_stride
    top = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mixed = tl.zeros([ROWS, HEAD_DIM], tl.float32)
    for at in range(begin, end, KEYS):
        slot = at + tl.arange(0, KEYS)
        page = tl.load(block_table + slot // PAGE, mask=slot < end, other=0).to(tl.int64)
        offset = page * page_stride + (slot % PAGE) * slot_stride
        k = tl.load(key_cache + offset[None, :] + dim[:, None], mask=(slot < end)[None, :], other=0.0)
        score = tl.dot(q, k, input_precision="ieee") * scale
        score = tl.where((slot < end)[None, :] & _seen(slot, token, bits, base, window), score, float("-inf"))
        above = tl.maximum(top, tl.max(score, 1))
        shift = tl.where(above == float("-inf"), 0.0, above)  # a row that sees nothing of this tile
        p = tl.exp2(score - shift[:, None])
        fade = tl.exp2(top - shift)
        v = tl.load(value_cache + offset[:, None] + dim[None, :], mask=(slot < end)[:, None], other=0.0)
        total = total * fade + tl.sum(p, 1)
        mixed = mixed * fade[:, None] + tl.dot(p.to(v.dtype), v, input_precision="ieee")
        top = above

    total = tl.where(total == 0.0, 1.0, total)  # a row that sees nothing of this split: its maximum is -inf still
    mixed = mixed / total[:, None]
    to = out + place[:, None] * HEAD_DIM + dim[None, :]
    tl.store(to, mixed.to(out.dtype.element_ty), mask=real[:, None])
    if weight is not None:
        tl.store(weight + place, top + tl.log2(total), mask=real)


@triton.jit  # type: ignore[untyped-decorator]
def _combine(
    parts: "Any",
    weight: "Any",
    starts: "Any",
    out: "Any",
    splits: "Any",
    sequences: "Any",
    HEAD_DIM: tl.constexpr,
    SPLITS: tl.constexpr,
) -> None:
    if tl.program_id(0) >= tl.load(starts + sequences):  # padding
        return
    row = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    split = tl.arange(0, SPLITS).to(tl.int64)
    place = split * tl.num_programs(0) * tl.num_programs(1) + row  # of [splits, tokens, heads]
    w = tl.load(weight + place, mask=split < splits, other=float("-inf"))
    dim = tl.arange(0, HEAD_DIM)
    part = tl.load(parts + place[:, None] * HEAD_DIM + dim[None, :], mask=(w > float("-inf"))[:, None], other=0.0)
    w = tl.exp2(w - tl.max(w, 0))
    mixed = tl.sum(part * w[:, None], 0) / tl.sum(w, 0)  # pyright: ignore[reportOperatorIssue]
    tl.store(out + row * HEAD_DIM + dim, mixed.to(out.dtype.element_ty))


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """How many programs run at once, one on each; 1 where there is no GPU."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def split_count(programs: int, keys: int, tile: int, processors: int) -> int:
    """Into how many parts to split `keys`, so that `programs` times that many fill the processors about once."""
    return max(1, min(processors // programs, math.ceil(keys / tile), _MOST_SPLITS))


def paged_attention(
    query: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    batch: PagedBatch,
    window: int | None,
    splits: int | None = None,
) -> Tensor:
    """Attention of a step's rows to the keys and values of their sequences, scaled by head_dim ** -0.5.

    query: [tokens, heads, head_dim], its last two dimensions without gaps; key_cache, value_cache:
    [pages, 16, kv_heads, head_dim] of the same strides, heads a multiple of kv_heads, head_dim a power of two. A row
    sees at most `window` keys, itself included; in a tree no path may be longer than the window. `splits` overrides the
    number of parts that a sequence's keys are split into. Returns [tokens, heads, head_dim].
    """
    tokens, heads, head_dim = query.shape
    kv_heads = key_cache.shape[2]
    group = heads // kv_heads
    assert key_cache.stride() == value_cache.stride() and key_cache.stride(3) == 1 == query.stride(2)
    assert key_cache.shape[1] == PAGE and query.stride(1) == head_dim
    assert batch.tree is None or batch.max_rows <= min(MOST_NODES, window or MOST_NODES)
    most_rows, tile = _BLOCK[query.element_size()]
    rows = min(max(triton.next_power_of_2(batch.max_rows * group), _LEAST_ROWS), most_rows)
    grid = (triton.cdiv(batch.max_rows * group, rows), len(batch.lengths) * kv_heads)
    reach = min(batch.block_table.shape[1] * PAGE, (window or _UNSEEN) + batch.max_rows - 1)
    splits = splits or split_count(grid[0] * grid[1], reach, tile, multiprocessors(query.device))
    out = torch.empty((tokens, heads, head_dim), dtype=query.dtype, device=query.device)
    parts, weight = out, None
    if splits > 1:
        parts = torch.empty((splits, tokens, heads, head_dim), dtype=torch.float32, device=query.device)
        weight = torch.empty((splits, tokens, heads), dtype=torch.float32, device=query.device)
    launch(
        _attend,
        (*grid, splits),
        query,
        key_cache,
        value_cache,
        batch.starts,
        batch.lengths,
        batch.block_table,
        batch.tree,
        parts,
        weight,
        tokens,
        window or _UNSEEN,
        math.log2(math.e) * head_dim**-0.5,
        query.stride(0),
        *key_cache.stride()[:3],
        batch.block_table.stride(0),
        HEADS=heads,
        GROUP=group,
        HEAD_DIM=head_dim,
        PAGE=PAGE,
        ROWS=rows,
        KEYS=tile,
        num_warps=_WARPS[query.element_size(), rows],
        num_stages=_STAGES,
    )
    if weight is not None:
        padded = triton.next_power_of_2(splits)
        grid, sequences = (tokens, heads), len(batch.lengths)
        launch(_combine, grid, parts, weight, batch.starts, out, splits, sequences, HEAD_DIM=head_dim, SPLITS=padded)
    return out
