"""The one way a kernel is started: on the device of its first argument, which need not be the current one.

Knows nothing of any kernel. Type checkers see a kernel as a plain function; here ends what they could check.
"""

from typing import Any

import torch


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Run `kernel` for every program of `grid`. Constants are what it is compiled for, by name.

    Multiplications and additions are fused, said aloud because Triton's default is about to change.
    """
    with torch.cuda.device_of(arguments[0]):  # type: ignore[no-untyped-call]
        kernel[grid](*arguments, **constants, enable_fp_fusion=True)
