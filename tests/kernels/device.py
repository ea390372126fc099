"""Where the kernels of this process run, and which types can be trusted there."""

import os

import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda" if torch.cuda.is_available() else None
# The interpreter's arithmetic in bfloat16 is silently wrong (it computes with the bits as integers).
DTYPES = [torch.float32, torch.float16] + ([] if INTERPRETED else [torch.bfloat16])
TOLERANCE = {torch.float32: 2e-5, torch.float16: 3e-3, torch.bfloat16: 2e-2}


def assert_near(found: torch.Tensor, wanted: torch.Tensor, dtype: torch.dtype) -> None:
    """Equal up to the rounding of `dtype`; the wanted values are an oracle's in float32."""
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(found.float().cpu(), wanted.float().cpu(), rtol=tolerance, atol=tolerance)
