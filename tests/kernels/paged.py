"""Steps over a paged cache, made up for tests: scattered pages, and NaN wherever nothing may be read."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sc2lsp.kernels.batch import PAGE, PagedBatch


@dataclass(frozen=True, slots=True)
class Shape:
    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    query: Tensor  # [rows, heads, head_dim], a view with gaps
    key_cache: Tensor  # [pages, 16, kv_heads, head_dim], views with gaps
    value_cache: Tensor
    batch: PagedBatch


def ancestors(parents: Sequence[int]) -> list[int]:
    """Parent of each node, -1 for a root -> bitmasks as signed 64-bit numbers."""
    masks: list[int] = []
    for node, parent in enumerate(parents):
        masks.append((masks[parent] if parent >= 0 else 0) | 1 << node)
    return [mask - (1 << 64) if mask >> 63 else mask for mask in masks]


def random_parents(nodes: int, seed: int) -> list[int]:
    """A draft tree: its first node is the last token that is certain; now and then a second root."""
    rng = random.Random(seed)
    return [rng.randrange(-1 if node % 7 == 0 else 0, node) if node else -1 for node in range(nodes)]


def step(shape: Shape, rows: Sequence[int], lengths: Sequence[int], window: int | None, tree: bool = False) -> Step:
    """Float32 on the CPU; sequence i has rows[i] rows and lengths[i] keys. Two rows of padding follow the last."""
    torch.manual_seed(0)
    most = -(-max(lengths) // PAGE) + 1
    pages = len(lengths) * most + 1
    table = (torch.randperm(pages - 1) + 1)[: len(lengths) * most].view(len(lengths), most).int()
    cache = torch.full((pages, 2, PAGE, shape.kv_heads, shape.head_dim), float("nan"))
    for sequence, (count, length) in enumerate(zip(rows, lengths, strict=True)):
        first = 0 if window is None else max(0, length - count - window + 1)
        table[sequence, : first // PAGE] = 0  # given back to the pool: the page of another by now
        for slot in range(first, length):
            cache[table[sequence, slot // PAGE], :, slot % PAGE] = torch.randn(2, shape.kv_heads, shape.head_dim)
    starts = torch.tensor([0, *rows]).cumsum(0).int()
    masks = [mask for i, count in enumerate(rows) for mask in ancestors(random_parents(count, i))] + [1, 1]
    fused = torch.randn(sum(rows) + 2, shape.heads + 2, shape.head_dim)
    batch = PagedBatch(starts, torch.tensor(lengths).int(), table, max(rows), torch.tensor(masks) if tree else None)
    return Step(fused[:, : shape.heads], cache[:, 0], cache[:, 1], batch)


def to(step: Step, device: str, dtype: torch.dtype) -> Step:
    """The same step elsewhere and rounded, its gaps kept."""
    old = step.batch
    tree = None if old.tree is None else old.tree.to(device)
    batch = PagedBatch(old.starts.to(device), old.lengths.to(device), old.block_table.to(device), old.max_rows, tree)
    heads = step.query.shape[1]
    fused = torch.zeros(len(step.query), heads + 2, step.query.shape[2], device=device, dtype=dtype)
    fused[:, :heads] = step.query
    cache = torch.stack((step.key_cache, step.value_cache), 1).to(device, dtype)
    return Step(fused[:, :heads], cache[:, 0], cache[:, 1], batch)
