"""What the interpreter cannot show: that each kernel compiles, stays in registers and uses tensor cores."""

from functools import partial
from pathlib import Path

import pytest
import torch

from tests.kernels.compiled import MODELS, Binary, attention_example, binaries, step_examples, weight_only_examples

SMALLEST_SHARED = 99 * 1024  # of the consumer cards among those with asynchronous copies (8.6, 8.9)


@pytest.fixture(autouse=True)
def compiled_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def check(made: list[Binary], kernels: list[str]) -> None:
    assert [binary.kernel for binary in made] == kernels
    for binary in made:
        assert binary.stack == binary.spills == 0
        assert binary.shared <= SMALLEST_SHARED


@pytest.mark.parametrize(("rows", "tree"), [(1, False), (16, True)], ids=["decode", "verify"])
@pytest.mark.parametrize("capability", [80, 90])
def test_attention(capability: int, rows: int, tree: bool) -> None:
    made = binaries(partial(attention_example, MODELS["3B"], 1, rows, torch.bfloat16, tree, 33), capability)
    check(made, ["_attend", "_combine"])
    assert made[0].copies > 0
    assert (made[0].hgmma if (capability, rows) == (90, 16) else made[0].hmma) > 0


def test_around_attention() -> None:
    made = binaries(partial(step_examples, MODELS["3B"], 1, torch.bfloat16), 90)
    check(made, ["_store", "_sum_and_norm", "_bias_gelu", "_bias_gelu", "_greedy"])


@pytest.mark.parametrize("capability", [80, 90])
def test_weight_only(capability: int) -> None:
    made = binaries(partial(weight_only_examples, 3072, 12288, 1, torch.bfloat16), capability)
    check(made, ["_int8", "_combine", "_int8", "_int4", "_combine", "_int4"])
    for binary in made:
        assert binary.kernel == "_combine" or (binary.hmma > 0 and binary.copies > 0)
