"""What the attention of one step needs, prepared once for all layers: here in plain PyTorch, for a CPU.

`triton_step` has its twin for a GPU. Knows block tables, nothing of who gave the pages out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .batch import PAGE
from .reference import window_mask

Rotary = tuple[Tensor, Tensor]  # cosines and sines of every position, each [positions, head_dim] float32


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of one sequence in a step: its last `rows` of `length` tokens, and its pages in order.

    Pages out of every row's window are never read, whatever number stands in their place.
    """

    rows: int
    length: int
    pages: Sequence[int]


class Step(Protocol):
    """Rows of several sequences one behind another."""

    positions: Tensor  # [rows]

    def store(self, qkv: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        """Rotate, and put keys and values in their slots.

        qkv: [rows, (heads + 2 * kv_heads) * head_dim]; caches: [pages, 16, kv_heads, head_dim]. Returns the queries,
        [rows, heads, head_dim].
        """
        ...

    def attend(self, query: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        """[rows, heads, head_dim] -> what every row sees of its sequence, [rows, heads * head_dim]."""
        ...


@dataclass(frozen=True, slots=True)
class _View:
    """The slots that a span's rows see, a range where pages follow each other; the mask where rows do not see all."""

    rows: slice
    slots: slice | Tensor
    bias: Tensor | None  # [group * rows, keys], 0 or -inf


class PlainStep:
    """`Step` on PyTorch's own operations."""

    def __init__(
        self, spans: Sequence[Span], window: int | None, rotary: Rotary | None, group: int, like: Tensor
    ) -> None:
        """`group` query heads share a key; `like` has the device and type of the queries."""
        device = like.device
        self.positions = _joined([torch.arange(s.length - s.rows, s.length, device=device) for s in spans])
        self._group = group
        self._rotary = None if rotary is None else _rotary_rows(spans, rotary, like.dtype)
        new = [_slots(span.pages, span.length - span.rows, span.length, device) for span in spans]
        self._new = new[0] if len(new) == 1 else torch.cat([_listed(slots, device) for slots in new])
        self._views = _views(spans, window, group, like)

    def store(self, qkv: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        kv_heads, head_dim = key_cache.shape[2:]
        split = qkv.view(qkv.shape[0], -1, head_dim)  # [rows, heads + 2 * kv_heads, head_dim]
        rotated = split[:, :-kv_heads]
        if self._rotary is not None:
            cos, sin = self._rotary
            rotated = torch.addcmul(rotated * cos, rotated.roll(head_dim // 2, -1), sin)
        key_cache.flatten(0, 1)[self._new] = rotated[:, -kv_heads:]
        value_cache.flatten(0, 1)[self._new] = split[:, -kv_heads:]
        return rotated[:, :-kv_heads]

    def attend(self, query: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        keys, values = key_cache.flatten(0, 1), value_cache.flatten(0, 1)  # [slots, kv_heads, head_dim]
        parts = [self._attended(query[v.rows], keys[v.slots], values[v.slots], v) for v in self._views]
        return _joined(parts)

    def _attended(self, query: Tensor, key: Tensor, value: Tensor, view: _View) -> Tensor:
        """The heads that share a key become rows of one: half the reads that `enable_gqa` takes for few rows."""
        rows, _, head_dim = query.shape
        folded = query.reshape(rows, -1, self._group, head_dim).permute(1, 2, 0, 3).reshape(key.shape[1], -1, head_dim)
        key, value = key.transpose(0, 1), value.transpose(0, 1)
        mixed = F.scaled_dot_product_attention(folded[None], key[None], value[None], attn_mask=view.bias)
        return mixed.view(-1, self._group, rows, head_dim).permute(2, 0, 1, 3).reshape(rows, -1)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _slots(pages: Sequence[int], start: int, end: int, device: torch.device) -> slice | Tensor:
    """Where tokens `start` to `end` of a sequence stand in the cache: a range where their pages follow each other."""
    first, last = start // PAGE, (end - 1) // PAGE
    if all(after == page + 1 for page, after in pairwise(pages[first : last + 1])):
        offset = pages[first] * PAGE - first * PAGE
        return slice(offset + start, offset + end)
    places = torch.arange(start, end, device=device)
    return torch.tensor(pages, device=device)[places // PAGE] * PAGE + places % PAGE


def _listed(slots: slice | Tensor, device: torch.device) -> Tensor:
    return torch.arange(slots.start, slots.stop, device=device) if isinstance(slots, slice) else slots


def _rotary_rows(spans: Sequence[Span], rotary: Rotary, dtype: torch.dtype) -> Rotary:
    """Cosines and sines of the rows' positions, [rows, 1, head_dim]; the first half of the sines negated, as
    x * cos + roll(x) * sin wants them, where roll swaps the halves of a head.
    """
    cos, sin = (_joined([table[s.length - s.rows : s.length] for s in spans])[:, None] for table in rotary)
    low, high = sin.chunk(2, dim=-1)
    return cos.to(dtype), torch.cat((-low, high), dim=-1).to(dtype)


def _views(spans: Sequence[Span], window: int | None, group: int, like: Tensor) -> list[_View]:
    views: list[_View] = []
    row = 0
    for span in spans:
        lowest = 0 if window is None else max(0, span.length - span.rows + 1 - window)
        slots = _slots(span.pages, lowest, span.length, like.device)
        bias = None
        if span.rows > 1:
            seen = window_mask(span.rows, span.length - lowest, window, like.device)
            bias = torch.zeros_like(seen, dtype=like.dtype).masked_fill_(~seen, float("-inf")).repeat(group, 1)
        views.append(_View(slice(row, row + span.rows), slots, bias))
        row += span.rows
    return views
