"""The Triton kernels on a machine without a GPU: tests/kernels/test_triton_*.py in a process with the interpreter."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.kernels.device import DEVICE


@pytest.mark.timeout(1200)  # 50 s of processor time, which a busy machine may stretch
@pytest.mark.skipif(DEVICE is not None, reason="collected as they are")
@pytest.mark.skipif(find_spec("triton") is None, reason="no Triton for this platform")
def test_kernels_under_the_interpreter() -> None:
    files = sorted(Path(__file__).parent.glob("test_triton_*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
