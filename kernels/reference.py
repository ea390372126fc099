"""The operations of a StarCoder2 step in plain PyTorch: the oracle of every faster kernel, and the CPU path.

Knows nothing of layers, caches or requests: tensors in, tensors out.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .batch import PAGE, PagedBatch
from .blocked import blocked_attention


def rotary_table(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary embedding, each [tokens, head_dim], computed in float32 (RoFormer, section 3.4.2)."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim)
    angles = positions.to(torch.float32)[:, None] * frequencies[None, :]
    angles = torch.cat((angles, angles), dim=-1)  # NeoX layout: halves, not pairs
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary embedding to x: [batch, heads, tokens, head_dim]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def window_mask(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor:
    """True where a query may look: [queries, keys]; the queries are the last of the `keys` positions.

    A query sees at most `window` keys, itself included.
    """
    query = torch.arange(keys - queries, keys, device=device)[:, None]
    key = torch.arange(keys, device=device)[None, :]
    visible = key <= query
    return visible if window is None else visible & (key > query - window)


def attention(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """Causal sliding-window attention with grouped queries, scaled by head_dim ** -0.5.

    query: [batch, heads, queries, head_dim]; key, value: [batch, kv_heads, keys, head_dim], heads a multiple of
    kv_heads. The queries are the last `queries` of the `keys` positions. Returns query's shape.
    """
    queries, keys = query.shape[2], key.shape[2]
    if window is not None and keys > window + queries - 1:  # nothing left of the first query's window is visible
        key, value = key[:, :, keys - window - queries + 1 :], value[:, :, keys - window - queries + 1 :]
        keys = key.shape[2]
    grouped = query.shape[1] != key.shape[1]
    if queries == keys and (window is None or keys <= window):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=grouped)
    if queries == 1:  # the slice above already is its window
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=grouped)
    mask = window_mask(queries, keys, window, query.device)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=grouped)


def document_attention(
    query: Tensor, key: Tensor, value: Tensor, window: int | None, documents: Sequence[int]
) -> Tensor:
    """`attention` inside each of the documents that rows are made of: none sees another.

    query: [batch, heads, tokens, head_dim]; key, value: [batch, kv_heads, tokens, head_dim]. `documents`: their lengths
    one behind another through all rows; none crosses the end of a row. Returns query's shape.
    """
    if len(documents) == query.shape[0]:
        return _whole(query, key, value, window)
    flat = [x.transpose(0, 1).flatten(1, 2) for x in (query, key, value)]  # [heads, batch * tokens, head_dim]
    mixed: list[Tensor] = []
    start = 0
    for length, run in groupby(documents):
        end = start + length * len(list(run))
        parts = [x[:, start:end].view(x.shape[0], -1, length, x.shape[2]).transpose(0, 1) for x in flat]
        mixed.append(_whole(parts[0], parts[1], parts[2], window).transpose(0, 1).flatten(1, 2))
        start = end
    return torch.cat(mixed, dim=1).view(query.transpose(0, 1).shape).transpose(0, 1)


def _whole(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """Attention of whole sequences, on the fastest way there is for them."""
    unseen = window is not None and key.shape[2] > window
    if value.requires_grad and value.dtype is torch.bfloat16 and value.device.type == "cpu" and not unseen:
        return blocked_attention(query, key, value)
    return attention(query, key, value, window)


def paged_attention(
    query: Tensor, key_cache: Tensor, value_cache: Tensor, batch: PagedBatch, window: int | None
) -> Tensor:
    """`attention` of several sequences' rows to the pages of their keys: the twin of `attention.paged_attention`.

    query: [rows, heads, head_dim]; key_cache, value_cache: [pages, 16, kv_heads, head_dim]. Returns query's shape;
    padding rows are zero.
    """
    out = torch.zeros_like(query)
    starts = batch.starts.tolist()
    for sequence, length in enumerate(batch.lengths.tolist()):
        rows = slice(starts[sequence], starts[sequence + 1])
        base = length - (rows.stop - rows.start)
        if base == length:
            continue
        hidden = 0 if window is None else max(0, base - window + 1) // PAGE  # pages that no row sees
        pages = batch.block_table[sequence, hidden : -(-length // PAGE)].long()
        key, value = (
            x[pages].flatten(0, 1)[: length - hidden * PAGE].transpose(0, 1) for x in (key_cache, value_cache)
        )
        q = query[rows].transpose(0, 1)[None]
        if batch.tree is None:
            mixed = attention(q, key[None], value[None], window)
        else:
            mask = tree_mask(batch.tree[rows], key.shape[1], window)
            grouped = q.shape[1] != key.shape[0]
            mixed = F.scaled_dot_product_attention(q, key[None], value[None], attn_mask=mask, enable_gqa=grouped)
        out[rows] = mixed[0].transpose(0, 1)
    return out


def tree_mask(ancestors: Tensor, keys: int, window: int | None) -> Tensor:
    """True where a row of a draft tree may look: [rows, keys]; the rows are the last of the `keys` slots.

    ancestors: [rows] int64, bit j for the j-th row. What stands before the rows is seen up to `window` back from the
    row's position, which is that of the first row and one more for each proper ancestor.
    """
    rows = ancestors.shape[0]
    bits = (ancestors[:, None] >> torch.arange(rows, device=ancestors.device)) & 1 == 1
    slots = torch.arange(keys - rows, device=ancestors.device)[None, :]
    position = keys - rows + bits.sum(1, keepdim=True) - 1
    before = torch.ones_like(slots == position) if window is None else slots > position - window
    return torch.cat((before, bits), dim=1)


def store_kv(
    qkv: Tensor,
    bias: Tensor | None,
    positions: Tensor,
    slot_mapping: Tensor,
    key_cache: Tensor,
    value_cache: Tensor,
    rotary: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Bias, rotation, keys and values to their slots: the twin of `kv_store.store_kv`, whose shapes it takes."""
    kv_heads, head_dim = key_cache.shape[2:]
    split = (qkv if bias is None else qkv.float() + bias.float()).view(qkv.shape[0], -1, head_dim)  # [tokens, heads, d]
    rotated, value = split[:, :-kv_heads], split[:, -kv_heads:]
    if rotary is not None:
        cos, sin = (table[positions.long()][:, None] for table in rotary)
        rotated = rotate(rotated.float(), cos, sin)
    stored = slot_mapping >= 0
    page, place = slot_mapping[stored].long() // PAGE, slot_mapping[stored].long() % PAGE
    key_cache[page, place] = rotated[stored, -kv_heads:].to(key_cache.dtype)
    value_cache[page, place] = value[stored].to(value_cache.dtype)
    return rotated[:, :-kv_heads].to(qkv.dtype)


def layer_norm_residual(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """LayerNorm of x + residual, and that sum (x itself without a residual). x, residual: [tokens, width]."""
    total = x if residual is None else x + residual
    return F.layer_norm(total, weight.shape, weight, bias, eps), total


def bias_gelu(x: Tensor, bias: Tensor | None, approximate: Literal["none", "tanh"]) -> Tensor:
    """GELU of x + bias, rounded once. x: [tokens, width]; bias: [width]."""
    if bias is None:
        return F.gelu(x, approximate=approximate)
    return F.gelu(x.float() + bias.float(), approximate=approximate).to(x.dtype)


def greedy(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest token of each row and the logarithm of its probability: [rows] int64, [rows] float32."""
    tokens = logits.argmax(dim=-1)
    return tokens, torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens[:, None])[:, 0]
