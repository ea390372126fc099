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

# What was chosen where, and why. Figures: `python -m tests.benchmarks.precision`.
_DEFAULT: dict[str, Precision] = {
    "cpu": "int8",  # perplexity of the built-in model +0.05 %; a row through its projections in 0.3 ms, 1.3 ms in fp32
    "cuda": "bf16",  # unmeasured
    "mps": "fp16",  # unmeasured
}
_INT4_GROUP = {"cpu": 32, "cuda": 128}  # inputs that share a scale: what the kernels of either are best at
_FEW_ROWS = 16  # up to here int8 x bfloat16 beats unpacking the weights first (built-in shapes: 1.6 and 1.8 ms)
_BLOCK = 1 << 19  # weights unpacked at once: 1 MiB, which stays in the cache and is never returned to the system


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
    """Dense weights on a CPU, in the layout that oneDNN chose for them: on AMD half the time of `F.linear` in float32."""

    weight: Tensor  # opaque
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.weight, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return y


@dataclass(frozen=True, slots=True, eq=False)
class Int8:
    """Weights of 8 bits on a CPU, times inputs in bfloat16. Up to 16 rows, a row's result does not depend on others."""

    levels: Tensor  # int8 [out, in]
    scale: Tensor  # bfloat16 [out]
    bias: Tensor | None

    @property
    def nbytes(self) -> int:
        return _nbytes(self.levels, self.scale, self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        multiply = torch._weight_int8pack_mm if x.shape[0] <= _FEW_ROWS else _unpack_and_multiply
        y = multiply(x.to(torch.bfloat16), self.levels, self.scale)
        return y.to(x.dtype) if self.bias is None else y + self.bias


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
        y = torch._weight_int4pack_mm_for_cpu(narrow, self.levels, self.group, self.scale_and_zero)
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
        y = torch._scaled_mm(narrow, self.weight.t(), scale, self.scale, out_dtype=torch.bfloat16)
        return y.to(x.dtype) if self.bias is None else y + self.bias


def default_precision(device: torch.device) -> Precision:
    """The best choice for a device. Raises ModelError where none is known."""
    if device.type not in _DEFAULT:
        raise ModelError(f"no precision is known to work on {device.type}; use one of {', '.join(_DEFAULT)}")
    precision = _DEFAULT[device.type]
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "fp16"  # bfloat16 is emulated there
    return precision


def activation_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Of everything that is no packed weight: embedding, norms, keys and values. Raises ModelError as `pack` does."""
    kind = device.type
    if kind not in _DEFAULT:
        raise ModelError(f"no precision is known to work on {kind}; use one of {', '.join(_DEFAULT)}")
    if precision == "fp32":
        return torch.float32
    if precision == "fp16":
        if kind == "cpu":
            raise ModelError("fp16 is slower than fp32 on a CPU; use int8 or bf16")
        return torch.float16
    if precision in ("int8", "int4"):
        return _integer_activations(precision, device)
    if kind == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        raise ModelError(f"this GPU computes no {precision}; use fp16")
    if precision == "fp8" and (kind != "cuda" or torch.cuda.get_device_capability(device) < (9, 0)):
        raise ModelError(f"fp8 needs a Hopper GPU (compute capability 9.0); use {default_precision(device)}")
    return torch.bfloat16


def _integer_activations(precision: Precision, device: torch.device) -> torch.dtype:
    if device.type == "mps":
        raise ModelError(f"there is no {precision} on mps; use fp16 or bf16")
    if device.type == "cpu":
        return torch.float32
    if find_spec("triton") is None:
        raise ModelError(f"{precision} on a GPU needs triton, which is not installed; use bf16 or fp16")
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def pack(weight: Tensor, bias: Tensor | None, precision: Precision, dtype: torch.dtype) -> Linear:
    """The projection of `weight` ([out, in], on its device) and `bias` for inputs of `dtype`. Keeps no reference to
    weights that it converts.

    Raises ModelError for what the device cannot do, and for widths that a packed format cannot have.
    """
    activation_dtype(precision, weight.device)
    bias = None if bias is None else bias.to(dtype)
    if precision == "int8":
        return _int8(weight, bias, dtype)
    if precision == "int4":
        return _int4(weight, bias, dtype)
    if precision == "fp8":
        narrow, scale = reference.quantize_fp8(weight)
        return Fp8(narrow, scale.t().contiguous(), bias)
    return _dense(weight.to(dtype), bias)


def _dense(weight: Tensor, bias: Tensor | None) -> Linear:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return Dense(weight, bias)
    if weight.dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return Dense(weight, bias)
    return Reordered(torch.ops.mkldnn._reorder_linear_weight(weight), bias)


def _int8(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    _require_multiple("int8", weight.shape[1], 16)  # torch's kernel reads past the end of other rows
    if weight.device.type == "cpu":
        return Int8(*reference.quantize_int8(weight, torch.bfloat16), bias)
    return TritonInt8(*reference.quantize_int8(weight, torch.float32), bias)


def _int4(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    group = _INT4_GROUP[weight.device.type]
    _require_multiple("int4", weight.shape[1], group)
    if weight.device.type == "cpu":
        _require_multiple("int4", weight.shape[0], 16)
        levels, scale = reference.quantize_int4(weight, group, torch.bfloat16)
        packed = torch._convert_weight_to_int4pack_for_cpu(levels.int() + 8, 1)
        return Int4(packed, torch.stack((scale.t(), torch.zeros_like(scale.t())), 2).contiguous(), group, bias)
    levels, scale = reference.quantize_int4(weight, group, dtype)
    return TritonInt4(reference.pack_nibbles(levels, group), scale, bias)


def _require_multiple(precision: Precision, width: int, of: int) -> None:
    if width % of:
        raise ModelError(f"{precision} needs widths that are multiples of {of}, and this model has {width}; use bf16")


def _unpack_and_multiply(x: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
    """Block by block: the levels are exact in bfloat16."""
    blocks = levels.split(max(64, _BLOCK // levels.shape[1]))
    return torch.cat([F.linear(x, block.to(x.dtype)) for block in blocks], 1).mul_(scale)


def _nbytes(*tensors: Tensor | None) -> int:
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
