"""The paged oracle against definitions written out: one row, one head, one path at a time."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from sc2lsp.kernels.batch import PAGE
from sc2lsp.kernels.reference import bias_gelu, greedy, layer_norm_residual, paged_attention, rotary_table, store_kv
from tests.kernels.paged import Shape, Step, ancestors, random_parents, step


def by_definition(made: Step, sequence: int, row: int, path: Sequence[int], window: int | None) -> Tensor:
    """Row `row` of a sequence, which follows the rows of `path` (itself last), sees these and what stands before."""
    start, end = made.batch.starts[sequence : sequence + 2].tolist()
    base = int(made.batch.lengths[sequence]) - (end - start)
    seen = [*range(base), *(base + node for node in path)][-(window or 1 << 30) :]
    pages = made.batch.block_table[sequence]
    query = made.query[start + row]
    out = torch.empty_like(query)
    for head in range(query.shape[0]):
        kv_head = head // (query.shape[0] // made.key_cache.shape[2])
        keys, values = (
            torch.stack([cache[pages[slot // PAGE], slot % PAGE, kv_head] for slot in seen])
            for cache in (made.key_cache, made.value_cache)
        )
        out[head] = torch.softmax(keys @ query[head] / math.sqrt(len(query[head])), dim=0) @ values
    return out


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("window", [None, 16, 24])
def test_paged_attention(window: int | None, tree: bool) -> None:
    rows, lengths = (1, 0, 2, 16, 5), (1, 40, 17, 50, 33)
    made = step(Shape(4, 2, 16), rows, lengths, window, tree)
    clean = Step(made.query, made.key_cache.nan_to_num(), made.value_cache.nan_to_num(), made.batch)
    found = paged_attention(clean.query, clean.key_cache, clean.value_cache, clean.batch, window)
    for sequence, count in enumerate(rows):
        parents = random_parents(count, sequence) if tree else [row - 1 for row in range(count)]
        for row in range(count):
            path = [row]
            while parents[path[0]] >= 0:
                path.insert(0, parents[path[0]])
            wanted = by_definition(made, sequence, row, path, window)
            torch.testing.assert_close(found[int(made.batch.starts[sequence]) + row], wanted)


def test_ancestors_of_a_full_tree_use_the_sign() -> None:
    chain = ancestors([node - 1 for node in range(64)])
    assert chain[:3] == [1, 3, 7]
    assert chain[63] == -1


def test_store_kv_by_definition() -> None:
    torch.manual_seed(0)
    heads, kv_heads, dim, theta = 3, 1, 8, 100.0
    qkv, bias = torch.randn(2, (heads + 2 * kv_heads) * dim), torch.randn((heads + 2 * kv_heads) * dim)
    keys, values = torch.zeros(2, 3, PAGE, kv_heads, dim)
    rotary = rotary_table(torch.arange(40), dim, theta, torch.float32)
    query = store_kv(qkv, bias, torch.tensor([7, 31]), torch.tensor([2 * PAGE + 5, -1]), keys, values, rotary)
    flat = (qkv + bias)[0].double().tolist()

    def rotated(head: int, position: int) -> list[float]:
        x = flat[head * dim : (head + 1) * dim]
        angles = [position * theta ** (-2 * (i % 4) / dim) for i in range(dim)]
        partner = [-v for v in x[4:]] + x[:4]
        return [a * math.cos(t) + b * math.sin(t) for a, b, t in zip(x, partner, angles, strict=True)]

    for head in range(heads):
        assert query[0, head].tolist() == pytest.approx(rotated(head, 7), abs=1e-5)
    assert keys[2, 5, 0].tolist() == pytest.approx(rotated(heads, 7), abs=1e-5)
    assert values[2, 5, 0].tolist() == pytest.approx(flat[-dim:], abs=1e-6)
    assert keys.count_nonzero() == values.count_nonzero() == dim  # the second token has no slot


def test_small_operations_by_definition() -> None:
    torch.manual_seed(0)
    x, residual = torch.randn(2, 3, 5)
    weight, bias = torch.randn(2, 5)
    normed, total = layer_norm_residual(x, residual, weight, bias, 1e-5)
    torch.testing.assert_close(total, x + residual)
    row = (x + residual)[1]
    spread = ((row - row.mean()) ** 2).mean()
    torch.testing.assert_close(normed[1], (row - row.mean()) / (spread + 1e-5).sqrt() * weight + bias)
    torch.testing.assert_close(layer_norm_residual(x, None, weight, bias, 1e-5)[1], x)
    exact = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in (x + bias)[0].tolist()]
    assert bias_gelu(x, bias, "none")[0].tolist() == pytest.approx(exact, abs=1e-6)
    tokens, log_probs = greedy(torch.tensor([[0.0, 2.0, 2.0], [-math.inf, -math.inf, 1.0]]))
    assert tokens[1] == 2
    assert log_probs.tolist() == pytest.approx([-math.log(math.exp(-2) + 2), 0.0])
