"""The oracle against definitions written out: every pair of positions, one head at a time."""

import math

import pytest
import torch
from torch import Tensor

from sc2lsp.kernels.reference import attention, rotary_table, rotate


def by_definition(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """softmax(q.k / sqrt(d)) over the visible keys, one query at a time."""
    out = torch.empty_like(query)
    group = query.shape[1] // key.shape[1]
    first = key.shape[2] - query.shape[2]
    for head in range(query.shape[1]):
        for i in range(query.shape[2]):
            position = first + i
            start = 0 if window is None else max(0, position - window + 1)
            k, v = key[0, head // group, start : position + 1], value[0, head // group, start : position + 1]
            weights = torch.softmax(k @ query[0, head, i] / math.sqrt(query.shape[3]), dim=0)
            out[0, head, i] = weights @ v
    return out


@pytest.mark.parametrize("heads", [(12, 1), (9, 3), (4, 4), (24, 2)])
@pytest.mark.parametrize("window", [None, 1, 7, 16])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 40), (5, 5), (16, 16), (17, 17), (6, 40), (40, 40)])
def test_attention(heads: tuple[int, int], window: int | None, queries: int, keys: int) -> None:
    torch.manual_seed(0)
    query = torch.randn(1, heads[0], queries, 8)
    key, value = torch.randn(2, 1, heads[1], keys, 8)
    torch.testing.assert_close(attention(query, key, value, window), by_definition(query, key, value, window))


def test_rotation_depends_on_distance_only() -> None:
    """The property rotary embedding exists for: q.k is a function of the distance (RoFormer, equation 16)."""
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64)

    def product(at: int, to: int) -> float:
        (q_cos, q_sin), (k_cos, k_sin) = (
            rotary_table(torch.tensor([position]), 16, 10000.0, torch.float64) for position in (at, to)
        )
        return float((rotate(query, q_cos, q_sin) * rotate(key, k_cos, k_sin)).sum())

    assert product(3, 1) == pytest.approx(product(103, 101), abs=1e-4)
    assert product(3, 1) != pytest.approx(product(3, 2), abs=1e-3)
    assert product(0, 0) == pytest.approx(float((query * key).sum()), abs=1e-6)
