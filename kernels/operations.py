"""What a step computes between its projections, in the version that suits a device: PyTorch's own, or fused kernels.

Chosen once for a network. Knows nothing of layers; imports Triton only where it is used. The activation is torch's
everywhere: projections add their biases themselves, in a GEMM's epilogue, so that it is one launch already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from . import reference
from .step import PlainStep, Rotary, Span, Step


@dataclass(frozen=True, slots=True)
class Operations:
    """As `reference` and `step` describe them; `fused` ones may be captured in a CUDA graph."""

    step: Callable[[Sequence[Span], int | None, Rotary | None, int, Tensor], Step]
    layer_norm_residual: Callable[[Tensor, Tensor | None, Tensor, Tensor, float], tuple[Tensor, Tensor]]
    fused: bool


PLAIN = Operations(PlainStep, reference.layer_norm_residual, fused=False)


def operations(device: torch.device) -> Operations:
    """The fused ones on a GPU that Triton serves, else the plain ones."""
    if device.type != "cuda" or find_spec("triton") is None:
        return PLAIN
    from .triton_operations import TRITON

    return TRITON
