"""The fused operations of a GPU, together. Importing this imports Triton."""

from .layer_norm import layer_norm_residual
from .operations import Operations
from .triton_step import triton_step

TRITON = Operations(triton_step, layer_norm_residual, fused=True)
