"""Packed projections on a CPU: near the weights that they stand for, the same in every batch, refused by name."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from sc2lsp.kernels import weight_only_reference as reference
from sc2lsp.runtime import precision
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.precision import Fp8, Int8, Int8Inputs, Precision, pack

CPU = torch.device("cpu")
LARGE = (1024, 1024)  # what Int8Inputs is for
# How far from the exact product, by its norm: what rounding normal numbers to so many bits leaves, and a third more.
NEAR: dict[Precision, float] = {"fp32": 1e-6, "bf16": 6e-3, "int8": 1.4e-2, "int4": 0.13}


def made(outs: int, ins: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(outs, ins) / ins**0.5, torch.randn(outs)


def require(kind: Precision) -> None:
    try:
        precision.activation_dtype(kind, CPU)
    except ModelError as refused:
        pytest.skip(str(refused))


def inputs(rows: int, width: int) -> Tensor:
    """Rows of sizes from 1 to 100."""
    return torch.randn(rows, width) * torch.logspace(0, 2, rows)[:, None]


def check(found: Tensor, wanted: Tensor, near: float) -> None:
    assert found.shape == wanted.shape
    apart = (found - wanted).norm(dim=1) / wanted.norm(dim=1)
    assert float(apart.max()) < near


@pytest.mark.parametrize("kind", NEAR)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 5, 16, 17, 70])
@pytest.mark.parametrize(("outs", "ins"), [(64, 32), (336, 256), LARGE])
def test_near_the_weights(outs: int, ins: int, rows: int, bias: bool, kind: Precision) -> None:
    require(kind)
    weight, added = made(outs, ins)
    x = inputs(rows, ins)
    packed = pack(weight, added if bias else None, kind, torch.float32)
    check(packed(x), x @ weight.t() + (added if bias else 0), NEAR[kind])


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize(("outs", "ins"), [(336, 256), LARGE])
def test_a_row_is_the_same_in_every_batch(outs: int, ins: int, kind: Precision) -> None:
    packed = pack(*made(outs, ins), kind, torch.float32)
    x = inputs(16, ins)
    together = packed(x)
    for rows in (1, 2, 3, 4, 5, 9):
        assert torch.equal(packed(x[:rows]), together[:rows])


@pytest.mark.parametrize("kind", NEAR)
def test_rows_of_zeros_give_the_bias(kind: Precision) -> None:
    require(kind)
    weight, bias = made(*LARGE)
    check(pack(weight, bias, kind, torch.float32)(torch.zeros(2, LARGE[1])), bias.expand(2, -1), NEAR[kind])


def test_many_rows_without_instructions_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    weight, bias = made(*LARGE)
    packed = pack(weight, bias, "int8", torch.float32)
    assert isinstance(packed, Int8) and packed.unpacked is torch.float32
    x = inputs(40, LARGE[1])
    check(packed(x), x @ weight.t() + bias, NEAR["int8"])


@pytest.mark.parametrize("kind", NEAR)
def test_a_channel_of_zeros_stays_one(kind: Precision) -> None:
    require(kind)
    weight, _ = made(64, 64)
    weight[3], weight[5, :32] = 0, 0
    x = torch.ones(2, 64)
    found = pack(weight, None, kind, torch.float32)(x)
    assert not found[:, 3].any()
    torch.testing.assert_close(found[:, 5], (x @ weight.t())[:, 5], rtol=0.1, atol=0.1)


def test_rounding_to_integers_is_by_rows_and_exact() -> None:
    weight, bias = made(*LARGE)
    packed = pack(weight, bias, "int8", torch.float32)
    if not isinstance(packed, Int8Inputs):
        pytest.skip("this processor has no fast sums of 8-bit products")
    x = inputs(3, LARGE[1])
    levels, scale = reference.quantize_int8(weight, torch.float32)
    top = x.abs().amax(1, keepdim=True)
    rounded = (x * (127 / top)).round()
    wanted = (rounded.double() @ levels.double().t()) * (top / 127 * scale).double() + bias
    torch.testing.assert_close(packed(x).double(), wanted, rtol=1e-5, atol=1e-5)


def test_fp8() -> None:
    weight, bias = made(64, 64)
    narrow, scale = reference.quantize_fp8(weight)
    x = inputs(3, 64)
    wanted = x @ weight.t() + bias
    check(Fp8(narrow, scale.t().contiguous(), bias)(x), wanted, 0.06)


@pytest.mark.parametrize(("kind", "bits"), [("fp32", 32), ("bf16", 16), ("int8", 8), ("int4", 5)])
def test_bytes(kind: Precision, bits: int) -> None:
    require(kind)
    weight, bias = made(256, 1024)
    size = pack(weight, bias, kind, torch.float32).nbytes
    assert weight.numel() * bits / 8 <= size <= weight.numel() * bits / 8 + 2048


def test_nibbles() -> None:
    levels = torch.randint(-8, 8, (3, 128), dtype=torch.int8)
    packed = reference.pack_nibbles(levels, 64)
    assert packed.shape == (3, 64)
    assert torch.equal(reference.unpack_nibbles(packed, 64), levels)
    assert int(packed[0, 1]) == int(levels[0, 1] + 8) + 16 * int(levels[0, 33] + 8)


def test_int4_scales_err_least_among_those_tried() -> None:
    weight, _ = made(32, 128)
    weight[0, 0] = 3.0  # an outlier
    levels, scale = reference.quantize_int4(weight, 32, torch.float32)
    plain = weight.view(32, 4, 32).abs().amax(2) / 7
    rounded = ((weight.view(32, 4, 32) / plain[..., None]).round() * plain[..., None]).flatten(1)
    found = reference.int4_weight(reference.pack_nibbles(levels, 32), scale, torch.float32)
    assert float((found - weight).square().sum()) < 0.95 * float((rounded - weight).square().sum())


@pytest.mark.parametrize(
    ("kind", "outs", "ins", "names"),
    [
        ("fp16", 64, 64, "fp16 .* CPU .* use bf16 or int8"),
        ("fp8", 64, 64, "fp8 .* CPU .* use bf16 or int8"),
        ("int8", 64, 40, "multiples of 16, .* has 40"),
        ("int4", 64, 48, "multiples of 32, .* has 48"),
        ("int4", 40, 64, "multiples of 16, .* has 40"),
    ],
)
def test_refused(kind: Precision, outs: int, ins: int, names: str) -> None:
    with pytest.raises(ModelError, match=names):
        pack(*made(outs, ins), kind, torch.float32)


def test_unknown_devices_are_refused() -> None:
    for ask in (lambda d: precision.default_precision(d, 1), lambda d: precision.activation_dtype("fp32", d)):
        with pytest.raises(ModelError, match="on xpu; use one of cpu, cuda, mps"):
            ask(torch.device("xpu"))


@pytest.mark.parametrize(
    ("kind", "capability", "expected"),
    [
        ("fp32", (7, 5), torch.float32),
        ("fp16", (9, 0), torch.float16),
        ("bf16", (8, 0), torch.bfloat16),
        ("bf16", (7, 5), "needs compute capability 8.0; use fp16"),
        ("fp8", (9, 0), torch.bfloat16),
        ("fp8", (8, 9), "Hopper.*; use int8 or fp16"),
        ("int8", (8, 0), torch.bfloat16),
        ("int4", (7, 5), torch.float16),
    ],
)
def test_on_gpus(
    kind: Precision, capability: tuple[int, int], expected: torch.dtype | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(precision, "find_spec", lambda name: object())
    if isinstance(expected, torch.dtype):
        assert precision.activation_dtype(kind, torch.device("cuda")) is expected
    else:
        with pytest.raises(ModelError, match=expected):
            precision.activation_dtype(kind, torch.device("cuda"))


@pytest.mark.parametrize(("capability", "default"), [((9, 0), "bf16"), ((7, 5), "fp16")])
def test_defaults_on_gpus(capability: tuple[int, int], default: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert precision.default_precision(torch.device("cuda"), 3_000_000_000) == default


@pytest.mark.parametrize(
    ("instructions", "parameters", "default"),
    [({"avx512_bf16": True}, 5_000_000, "bf16"), ({"avx512_bf16": True}, 10**9, "int8"), ({}, 5_000_000, "int8")],
)
def test_defaults_on_cpus(
    instructions: dict[str, bool], parameters: int, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert precision.default_precision(CPU, parameters) == default


def test_the_head_of_a_model_in_int4_is_int8() -> None:
    kinds: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8", "int4", "fp8")
    assert [precision.of_head(kind) for kind in kinds] == ["fp32", "bf16", "fp16", "int8", "int8", "fp8"]


def test_needs_no_triton() -> None:
    code = "import sys; sys.modules['triton'] = None; import sc2lsp.runtime.precision"
    subprocess.run([sys.executable, "-c", code], check=True)
