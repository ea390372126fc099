"""Paged attention as a kernel against the oracle: lengths around page, tile, window; chains, trees, splits, blocks."""

from collections.abc import Sequence

import pytest
import torch

from sc2lsp.kernels import attention, reference
from tests.kernels.device import DEVICE, DTYPES, INTERPRETED, assert_near
from tests.kernels.paged import Shape, Step, step, to

SHAPES = {
    "group 12": Shape(12, 1, 128),  # 3B and 15B, one of the KV heads
    "group 9": Shape(18, 2, 128),  # 7B, two of four
    "group 48": Shape(48, 1, 128),  # StarCoder 15.5B
    "built in": Shape(4, 2, 64),
}
LENGTHS = (1, 15, 16, 17, 24, 25, 33, 64, 65, 100)  # page 16; tile 32 or 64; window 24
FULL = [] if INTERPRETED else [(1, 4096, n) for n in (4095, 4096, 4097, 16384)] + [(16, 4096, 4111), (64, None, 9000)]


def check(
    shape: Shape,
    rows: Sequence[int],
    lengths: Sequence[int],
    window: int | None,
    dtype: torch.dtype,
    splits: int | None,
    tree: bool = False,
) -> None:
    assert DEVICE is not None
    made = to(step(shape, rows, lengths, window, tree), DEVICE, dtype)
    found = attention.paged_attention(made.query, made.key_cache, made.value_cache, made.batch, window, splits)
    exact = to(made, "cpu", torch.float32)
    clean = Step(exact.query, exact.key_cache.nan_to_num(), exact.value_cache.nan_to_num(), exact.batch)
    wanted = reference.paged_attention(clean.query, clean.key_cache, clean.value_cache, clean.batch, window)
    assert_near(found[: sum(rows)], wanted[: sum(rows)], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("window", [None, 1, 24])
@pytest.mark.parametrize("shape", SHAPES)
def test_lengths(shape: str, window: int | None, dtype: torch.dtype) -> None:
    check(SHAPES[shape], [1] * len(LENGTHS), LENGTHS, window, dtype, 2 if window is None else 1)


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
@pytest.mark.parametrize("count", [2, 5, 16])
@pytest.mark.parametrize("shape", SHAPES)
def test_verification(shape: str, count: int, tree: bool) -> None:
    check(SHAPES[shape], (count, 1), (40, 17), 24, torch.float16, 2, tree)
    check(SHAPES["built in"], (count, count), (count, 70), 24, torch.float16, 2, tree)


@pytest.mark.parametrize("window", [None, 24])
@pytest.mark.parametrize("splits", [1, 2, 5, 8, None])
def test_splits_full_and_empty(splits: int | None, window: int | None) -> None:
    check(SHAPES["built in"], (1, 3, 0, 2), (17, 150, 8, 64), window, torch.float32, splits)
    check(SHAPES["built in"], (2, 1), (90, 150), window, torch.float16, splits)


def test_a_tree_of_64_nodes() -> None:
    check(SHAPES["built in"], (64, 64), (64, 150), 64, torch.float16, 2, tree=True)
    check(SHAPES["built in"], (64,), (100,), None, torch.float32, 1, tree=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("window", [None, 24])
def test_chunks_of_prompts(window: int | None, dtype: torch.dtype) -> None:
    """Several blocks of rows, beside sequences that decode or only pad the step."""
    check(SHAPES["built in"], (50, 1, 70, 0), (50, 33, 129, 0), window, dtype, 1)
    check(SHAPES["group 9"], (20, 1), (70, 20), window, dtype, 2)


@pytest.mark.parametrize(("rows", "window", "length"), FULL)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_full_size(shape: str, dtype: torch.dtype, rows: int, window: int | None, length: int) -> None:
    check(SHAPES[shape], (rows, 1), (length, 33), window, dtype, None, tree=rows > 1)


@pytest.mark.parametrize(
    ("programs", "keys", "processors", "splits"),
    [(2, 4096, 132, 64), (4, 4096, 132, 33), (2, 100, 132, 2), (256, 4096, 132, 1), (1, 10**6, 1000, 128)],
)
def test_split_count(programs: int, keys: int, processors: int, splits: int) -> None:
    assert attention.split_count(programs, keys, 64, processors) == splits
