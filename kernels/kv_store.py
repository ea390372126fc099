"""What stands between the fused q/k/v projection and attention: bias, rotary embedding, and keys and values stored.

    (a, b) -> (a cos - b sin, b cos + a sin),   a, b the halves of a head of q or k (NeoX layout)

All in float32, rounded once. One program per (token, head). Angles come from a table of all positions, made once for a
model by `reference.rotary_table` in float32: a GPU's own sine loses digits at an angle of 16,000.
"""
# ruff: noqa: N803 (what a kernel is compiled for is written in capitals)

from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .batch import PAGE
from .launch import launch

_WARPS = 1  # a program moves one head: unmeasured


@triton.jit  # type: ignore[untyped-decorator]
def _store(
    qkv: "Any",
    bias: "Any",
    positions: "Any",
    slot_mapping: "Any",
    cos: "Any",
    sin: "Any",
    query: "Any",
    key_cache: "Any",
    value_cache: "Any",
    qkv_stride: "Any",
    page_stride: "Any",
    slot_stride: "Any",
    head_stride: "Any",
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAGE: tl.constexpr,
) -> None:
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    half: tl.constexpr = HEAD_DIM // 2
    dim = tl.arange(0, half)
    source = qkv + token * qkv_stride + head * HEAD_DIM + dim
    a, b = tl.load(source).to(tl.float32), tl.load(source + half).to(tl.float32)
    if bias is not None:
        a += tl.load(bias + head * HEAD_DIM + dim).to(tl.float32)
        b += tl.load(bias + head * HEAD_DIM + half + dim).to(tl.float32)
    if cos is not None and head < HEADS + KV_HEADS:
        angle = tl.load(positions + token).to(tl.int64) * HEAD_DIM + dim
        c, s = tl.load(cos + angle), tl.load(sin + angle)
        a, b = a * c - b * s, b * c + a * s
    if head < HEADS:
        to = query + (token * HEADS + head) * HEAD_DIM + dim
        tl.store(to, a.to(query.dtype.element_ty))
        tl.store(to + half, b.to(query.dtype.element_ty))
        return
    slot = tl.load(slot_mapping + token).to(tl.int64)
    if slot < 0:
        return
    cache = key_cache if head < HEADS + KV_HEADS else value_cache
    to = cache + slot // PAGE * page_stride + slot % PAGE * slot_stride + (head - HEADS) % KV_HEADS * head_stride + dim
    tl.store(to, a.to(key_cache.dtype.element_ty))
    tl.store(to + half, b.to(key_cache.dtype.element_ty))


def store_kv(
    qkv: Tensor,
    bias: Tensor | None,
    positions: Tensor,
    slot_mapping: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    rotary: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Store the rotated keys and the values of new tokens in their slots; return the rotated queries.

    qkv: [tokens, (heads + 2 * kv_heads) * head_dim], queries, keys, values; bias: the same width; positions and
    slot_mapping: [tokens], a slot being page * 16 + its place in the page, negative for a padding token, which is not
    stored; key_cache, value_cache: [pages, 16, kv_heads, head_dim] of the same strides; rotary: cosines and sines of
    every position, each [positions, head_dim] float32, None for a model with learned positions.
    Returns [tokens, heads, head_dim].
    """
    kv_heads, head_dim = key_cache.shape[2:]
    tokens, width = qkv.shape
    heads = width // head_dim - 2 * kv_heads
    assert key_cache.stride() == value_cache.stride() and key_cache.stride(3) == 1 == qkv.stride(1)
    assert key_cache.shape[1] == PAGE and (bias is None or bias.is_contiguous())
    cos, sin = (None, None) if rotary is None else rotary
    assert cos is None or (cos.is_contiguous() and cos.dtype is torch.float32)
    query = torch.empty((tokens, heads, head_dim), dtype=qkv.dtype, device=qkv.device)
    launch(
        _store,
        (tokens, heads + 2 * kv_heads),
        qkv,
        bias,
        positions,
        slot_mapping,
        cos,
        sin,
        query,
        key_cache,
        value_cache,
        qkv.stride(0),
        *key_cache.stride()[:3],
        HEADS=heads,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        PAGE=PAGE,
        num_warps=_WARPS,
    )
    return query
