"""In what numbers a model computes: the weights of a projection, packed for the device that they are on.

Knows what each device can do, what it costs in quality and which choice was measured to be best; nothing of networks.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from sc2lsp.kernels import weight_only_reference as reference

from .errors import ModelError

Precision = Literal["fp32", "bf16", "fp16", "int8", "int4", "fp8"]

# Milliseconds of all projections on one core of an AMD EPYC with avx512_bf16 and avx512_vnni, and what is lost
# (`python -m tests.benchmarks.precision`):
#                          built in, 1 and 8 rows    a layer of StarCoderBase-1B, 1 and 9 rows    perplexity, built in
#   fp32 by F.linear           1.3   2.7                     6.8   21.0
#   fp32, reordered            0.9   1.4                     4.2    7.1
#   bf16, reordered            0.6   0.8                     1.8    3.1                                 +0.02 %
#   int8                       0.3   0.8                     0.8    1.6                                 +0.13 %
#   int8, weights alone                                      1.9   10.6
#   int4                       0.3   0.7                     1.2    5.6                                 +0.99 %
_SMALL_MODEL = 100_000_000  # parameters: below, bf16 is faster than int8 for 16 rows (1.1, 1.6 ms) and for prompts
_LARGE = 1 << 20  # weights of a projection from which rounding the inputs pays for itself
_FEW_ROWS = 16  # up to here int8 weights times bfloat16 beat unpacking the weights first
_BLOCK = 1 << 19  # weights unpacked at once: 1 MiB, which stays in the cache and is not returned to the system
_INT4_GROUP = {"cpu": 32, "cuda": 128}  # inputs that share a scale
_DEVICES = ("cpu", "cuda", "mps")


class Linear(Protocol):
    """A projection: [rows, in] -> [rows, out] of the same type, the bias included."""

    @property
    def nbytes(self) -> int:
        """What it keeps in memory."""
        ...

    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Weights of the activations' type."""

    weight: Tensor
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.weight, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class Reordered:
    """Dense weights on a CPU in the layout that oneDNN chose for them. Inputs are rounded to the weights' type.

    A row's result is the same in every batch (the one exception seen: single rows of 2,048 in fp32).
    """

    weight: Tensor  # opaque
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.weight, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        narrow = x.to(self.weight.dtype)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(narrow, self.weight, self.bias, "none", [], "")
        return y.to(x.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Int8:
    """Small weights of 8 bits on a CPU, times inputs in bfloat16. A row's result is the same among up to 16."""

    levels: Tensor  # int8 [out, in]
    scale: Tensor  # bfloat16 [out]
    bias: Tensor | None
    unpacked: torch.dtype  # in which the levels are multiplied by more rows

    @property
    def nbytes(self) -> int:
        return _nbytes(self.levels, self.scale, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] <= _FEW_ROWS:
            y: Tensor = torch.ops.aten._weight_int8pack_mm(x.to(torch.bfloat16), self.levels, self.scale)
        else:
            y = _unpack_and_multiply(x.to(self.unpacked), self.levels, self.scale)
        return y.to(x.dtype) if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Int8Inputs:
    """Large weights of 8 bits on a CPU, times inputs that are rounded to 8 bits as well, row by row.

    The sums are of integers and exact, so a row's result is the same in every batch.
    """

    levels: Tensor  # opaque
    scale: Tensor  # float32 [out]
    zero: Tensor  # int64 [out]
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.levels, self.scale, self.zero, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        top = x.abs().amax(1, keepdim=True).clamp_min_(1e-30)
        narrow = (x * (127 / top)).round_().add_(128).to(torch.uint8)  # oneDNN has no fast path for signed inputs
        multiply = torch.ops.onednn.qlinear_pointwise
        weights = (self.levels, self.scale, self.zero)
        y = multiply(narrow, 1 / 127, 128, *weights, None, 1.0, 0, torch.float32, "none", [], "")
        scaled: Tensor = y.mul_(top) if self.bias is None else torch.addcmul(self.bias, y, top)
        return scaled.to(x.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Int4:
    """Weights of 4 bits on a CPU, times inputs in bfloat16. A row's result does not depend on others."""

    levels: Tensor  # opaque
    scale_and_zero: Tensor  # bfloat16 [in / group, out, 2]
    group: int
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.levels, self.scale_and_zero, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        narrow = x.to(torch.bfloat16)
        y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(narrow, self.levels, self.group, self.scale_and_zero)
        return y.to(x.dtype) if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class TritonInt8:
    """Weights of 8 bits on a GPU."""

    levels: Tensor  # int8 [out, in]
    scale: Tensor  # [out]
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.levels, self.scale, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        from sc2lsp.kernels.weight_only import int8_linear

        return int8_linear(x, self.levels, self.scale, self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class TritonInt4:
    """Weights of 4 bits on a GPU."""

    packed: Tensor  # uint8 [out, in / 2]
    scale: Tensor  # [out, in / group]
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.packed, self.scale, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        from sc2lsp.kernels.weight_only import int4_linear

        return int4_linear(x, self.packed, self.scale, self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class Fp8:
    """Weights and inputs of 8 bits with an exponent (e4m3): one scale an output channel, one an input row."""

    weight: Tensor  # float8_e4m3fn [out, in]
    scale: Tensor  # float32 [1, out]
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.weight, self.scale, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        narrow, scale = reference.quantize_fp8(x)
        y: Tensor = torch.ops.aten._scaled_mm(narrow, self.weight.t(), scale, self.scale, out_dtype=torch.bfloat16)
        return y.to(x.dtype) if self.bias is None else y + self.bias


def default_precision(device: torch.device, parameters: int) -> Precision:
    """The best choice for a model of this size. Raises ModelError where none is known."""
    _require_known(device)
    if device.type == "cuda":  # unmeasured
        return "bf16" if _capability(device) >= (8, 0) else "fp16"
    if device.type == "mps":  # unmeasured
        return "fp16"
    return "bf16" if parameters < _SMALL_MODEL and _cpu_can("avx512_bf16") else "int8"


def of_head(precision: Precision) -> Precision:
    """That of the projection to the vocabulary, which suffers most: in int4 the built-in model's perplexity rises by
    2.65 %, and by 0.99 % with this head in int8."""
    return "int8" if precision == "int4" else precision


def activation_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Of everything that is no packed weight: embedding, norms, keys and values.

    On a CPU always float32: there attention of one row takes ten times as long in bfloat16. Raises ModelError for what
    the device cannot do.
    """
    _require_known(device)
    obstacle = _obstacle_on_cpu(precision) if device.type == "cpu" else _obstacle_on_gpu(precision, device)
    if obstacle is not None:
        raise ModelError(f"{precision} {obstacle}")
    if device.type == "cpu" or precision == "fp32":
        return torch.float32
    newer = device.type == "mps" or _capability(device) >= (8, 0)
    return torch.bfloat16 if newer and precision != "fp16" else torch.float16


def _obstacle_on_cpu(precision: Precision) -> str | None:
    """Why not, and what would do; None where nothing is in the way."""
    if precision in ("fp16", "fp8"):
        return "is slower on a CPU than fp32; use bf16 or int8"
    if precision == "bf16" and not (_has_onednn() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return "is not what this CPU computes with; use int8 or fp32"
    return None


def _obstacle_on_gpu(precision: Precision, device: torch.device) -> str | None:
    """As `_obstacle_on_cpu`."""
    if precision in ("fp32", "fp16"):
        return None
    if device.type == "mps":
        return None if precision == "bf16" else "is not made for mps; use fp16 or bf16"
    if precision == "bf16":
        return None if _capability(device) >= (8, 0) else "needs compute capability 8.0; use fp16"
    if precision == "fp8":
        return None if _capability(device) >= (9, 0) else "needs compute capability 9.0 (Hopper); use int8 or fp16"
    return "on a GPU needs triton, which is not installed; use fp16" if find_spec("triton") is None else None


def pack(weight: Tensor, bias: Tensor | None, precision: Precision, dtype: torch.dtype) -> Linear:
    """The projection of `weight`, [out, in] on its device, and `bias`, for inputs of `dtype` (`activation_dtype`).

    Raises ModelError for what the device cannot do, and for widths that a packed format cannot have.
    """
    activation_dtype(precision, weight.device)
    if precision == "bf16":
        return _dense(weight.to(torch.bfloat16), None if bias is None else bias.to(torch.bfloat16))
    bias = None if bias is None else bias.to(dtype)
    if precision == "int8":
        return _int8(weight, bias)
    if precision == "int4":
        return _int4(weight, bias, dtype)
    if precision == "fp8":
        return _fp8(weight, bias)
    return _dense(weight.to(dtype), bias)


def _dense(weight: Tensor, bias: Tensor | None) -> Linear:
    if weight.device.type != "cpu" or not _has_onednn():
        return Dense(weight, bias)
    return Reordered(torch.ops.mkldnn._reorder_linear_weight(weight), bias)


def _fp8(weight: Tensor, bias: Tensor | None) -> Linear:
    _require_multiple("fp8", weight.shape[1], 16)
    _require_multiple("fp8", weight.shape[0], 16)
    narrow, scale = reference.quantize_fp8(weight)
    return Fp8(narrow, scale.t().contiguous(), bias)


def _int8(weight: Tensor, bias: Tensor | None) -> Linear:
    _require_multiple("int8", weight.shape[1], 16)  # else torch's kernel reads what is not its own
    if weight.device.type == "cuda":
        return TritonInt8(*reference.quantize_int8(weight, torch.float32), bias)
    if weight.numel() < _LARGE or not (_has_onednn() and _cpu_can("avx512_vnni")):
        unpacked = torch.bfloat16 if _cpu_can("avx512_bf16") else torch.float32  # emulated, it takes five times as long
        return Int8(*reference.quantize_int8(weight, torch.bfloat16), bias, unpacked)
    levels, scale = reference.quantize_int8(weight, torch.float32)
    zero = torch.zeros(len(scale), dtype=torch.long)
    return Int8Inputs(torch.ops.onednn.qlinear_prepack(levels, None), scale, zero, bias)


def _int4(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    group = _INT4_GROUP[weight.device.type]
    _require_multiple("int4", weight.shape[1], group)
    if weight.device.type == "cpu":
        _require_multiple("int4", weight.shape[0], 16)
        levels, scale = reference.quantize_int4(weight, group, torch.bfloat16)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels.int() + 8, 1)
        return Int4(packed, torch.stack((scale.t(), torch.zeros_like(scale.t())), 2).contiguous(), group, bias)
    levels, scale = reference.quantize_int4(weight, group, dtype)
    return TritonInt4(reference.pack_nibbles(levels, group), scale, bias)


def _require_known(device: torch.device) -> None:
    if device.type not in _DEVICES:
        raise ModelError(f"no precision is known to work on {device.type}; use one of {', '.join(_DEVICES)}")


def _capability(device: torch.device) -> tuple[int, int]:
    """Compute capability; that of no GPU is (0, 0)."""
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else (0, 0)


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _cpu_can(what: str) -> bool:
    """Whether the processor has the instructions that torch calls so."""
    return bool(torch.cpu.get_capabilities().get(what))


def _require_multiple(precision: Precision, width: int, of: int) -> None:
    if width % of:
        raise ModelError(f"{precision} needs widths that are multiples of {of}, and this model has {width}; use bf16")


def _unpack_and_multiply(x: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
    """Block by block: the levels are exact in any type."""
    blocks = torch.split(levels, max(64, _BLOCK // levels.shape[1]))
    return torch.cat([F.linear(x, block.to(x.dtype)) for block in blocks], 1).mul_(scale)


def _nbytes(*tensors: Tensor | None) -> int:
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
