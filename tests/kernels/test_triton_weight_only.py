"""Projections by 8-bit and 4-bit weights against the oracle."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sc2lsp.kernels import weight_only
from sc2lsp.kernels import weight_only_reference as reference
from tests.kernels.device import DEVICE, DTYPES, TOLERANCE

types = pytest.mark.parametrize("dtype", DTYPES, ids=str)
GROUP = 64

Multiply = Callable[[Tensor, Tensor | None, int | None], Tensor]  # x, bias, splits -> x times the weights


def packed(bits: int, weight: Tensor, dtype: torch.dtype) -> tuple[Multiply, Multiply]:
    """A weight's kernel, and its twin for float32 on the CPU."""
    if bits == 8:
        levels, scale = reference.quantize_int8(weight, torch.float32)
        here, kernel, twin = (levels, scale), weight_only.int8_linear, reference.int8_linear
    else:
        levels, scale = reference.quantize_int4(weight, GROUP, dtype)
        here, kernel, twin = (
            (reference.pack_nibbles(levels, GROUP), scale),
            weight_only.int4_linear,
            reference.int4_linear,
        )
    there = tuple(tensor.to(DEVICE) for tensor in here)
    return (
        lambda x, bias, splits: kernel(x, *there, bias, splits),
        lambda x, bias, splits: twin(x, *here, bias),
    )


def made(rows: int, width: int, dtype: torch.dtype) -> Tensor:
    """A view with gaps between its rows, of which each is of another size."""
    sizes = torch.logspace(0, -2, rows)[:, None]
    return (torch.randn(rows, width + 16) * sizes).to(DEVICE, dtype)[:, :width]


def check(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    """Each row up to the rounding of `dtype`, measured by the largest of it."""
    apart = (found.float().cpu() - wanted).abs().amax(1) / wanted.abs().amax(1)
    assert float(apart.max()) < TOLERANCE[dtype]


@types
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize(("rows", "outs", "ins"), [(1, 64, 256), (16, 100, 448), (17, 72, 192), (65, 64, 128)])
def test_against_the_twin(
    rows: int, outs: int, ins: int, splits: int, bias: bool, bits: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    kernel, twin = packed(bits, torch.randn(outs, ins) * torch.logspace(0, -2, outs)[:, None], dtype)
    x, added = made(rows, ins, dtype), torch.randn(outs).to(DEVICE, dtype) / 100 if bias else None
    exact = None if added is None else added.float().cpu()
    check(kernel(x, added, splits), twin(x.float().cpu(), exact, None), dtype)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_row_is_the_same_in_every_batch(bits: int) -> None:
    torch.manual_seed(0)
    kernel, _ = packed(bits, torch.randn(80, 256), torch.float32)
    x = made(40, 256, torch.float32)
    together = kernel(x, None, 2)
    for rows in (1, 16, 33):
        assert torch.equal(kernel(x[:rows], None, 2), together[:rows])


@pytest.mark.parametrize(
    ("outs", "tiles", "processors", "share"),
    [(256, 2, 1, 2), (3072, 24, 132, 4), (49152, 24, 132, 24), (64, 4, 132, 1)],
)
def test_splits_fill_the_processors(outs: int, tiles: int, processors: int, share: int) -> None:
    assert weight_only.tiles_of_a_split(outs, tiles, processors) == share
