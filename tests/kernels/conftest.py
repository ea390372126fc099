"""Kernels are tested on a GPU where there is one (`pytest tests/kernels`), else under Triton's interpreter.

The interpreter has to be chosen before triton is imported and is meant for no other test: test_interpreter.py runs
test_triton_*.py in a process of its own, and nothing else collects them.
"""

from importlib.util import find_spec

from tests.kernels.device import DEVICE, INTERPRETED

collect_ignore_glob = [] if DEVICE else ["test_triton_*.py"]
collect_ignore = ["test_compiled.py"] if INTERPRETED or find_spec("triton") is None else []
