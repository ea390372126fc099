"""Kernels compiled for a GPU that is not there, by Triton's own compiler and assembler, and what came out of it.

The launchers run on tensors without memory; what they would have launched is compiled instead. So an example is a call
of a public function, and what is compiled is what that call launches.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction
from triton.tools.disasm import get_sass

from sc2lsp.kernels.attention import paged_attention
from sc2lsp.kernels.batch import PAGE, PagedBatch
from sc2lsp.kernels.gelu import bias_gelu
from sc2lsp.kernels.kv_store import store_kv
from sc2lsp.kernels.layer_norm import layer_norm_residual
from sc2lsp.kernels.sampling import greedy
from sc2lsp.kernels.weight_only import int4_linear, int8_linear
from tests.kernels.paged import Shape

TYPES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.int32: "i32", torch.int64: "i64"}
TYPES |= {torch.int8: "i8", torch.uint8: "u8"}
MODELS = {"3B": Shape(24, 2, 128), "7B": Shape(36, 4, 128), "15B": Shape(48, 4, 128), "built in": Shape(4, 2, 64)}


@dataclass(frozen=True, slots=True)
class Launch:
    kernel: Any
    arguments: tuple[Any, ...]
    constants: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Binary:
    """What the assembler made of a launch. Bytes of stack are what did not fit into registers."""

    kernel: str
    registers: int
    stack: int
    shared: int
    spills: int  # instructions that load from or store to the stack
    hmma: int  # tensor-core instructions of a warp
    hgmma: int  # and of a whole warp group, from compute capability 9.0 on
    copies: int  # asynchronous copies to shared memory


@contextmanager
def recorded() -> Generator[list[Launch]]:
    """Launches inside are noted instead of run."""
    launches: list[Launch] = []

    def run(kernel: Any, *arguments: Any, grid: Any, warmup: bool, **constants: Any) -> None:
        launches.append(Launch(kernel, arguments, constants))

    plain = JITFunction.run
    JITFunction.run = run
    try:
        yield launches
    finally:
        JITFunction.run = plain


def assemble(launch: Launch, capability: int) -> Binary:
    """Compile for a compute capability such as 90, with what Triton derives from the arguments of a launch."""
    options = {name: value for name, value in launch.constants.items() if name not in launch.kernel.arg_names}
    values = dict(zip(launch.kernel.arg_names, launch.arguments, strict=False)) | launch.constants
    names, signature, fixed, attributes = launch.kernel.arg_names, {}, {}, {}
    for i, name in enumerate(names):
        value = values[name]
        if value is None or i >= len(launch.arguments) or (isinstance(value, int) and value == 1):
            signature[name], fixed[name] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[name], attributes[(i,)] = f"*{TYPES[value.dtype]}", [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i32" if abs(value) < 1 << 31 else "i64"
            if value % 16 == 0:
                attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(launch.kernel, signature, fixed, attributes)
    target = GPUTarget("cuda", capability, 32)
    made = triton.compile(source, target=target, options=options)
    return inspected(source.name, made.metadata.shared, made.asm["cubin"])


def inspected(kernel: str, shared: int, cubin: bytes) -> Binary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cubin"
        path.write_bytes(cubin)
        command = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", str(path)]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = {name: int(re.findall(rf"\b{name}:(\d+)", usage)[-1]) for name in ("REG", "STACK")}
    code = get_sass(cubin)
    counts = [len(re.findall(rf"\b(?:{name})\b", code)) for name in ("LDL|STL", "HMMA", "HGMMA", "LDGSTS")]
    return Binary(kernel, figures["REG"], figures["STACK"], shared, *counts)


def attention_example(shape: Shape, sequences: int, rows: int, dtype: torch.dtype, tree: bool, splits: int) -> None:
    """A launch over 16,384 slots a sequence with the window of StarCoder2."""
    qkv, cache = _qkv(shape, sequences * rows, dtype), _cache(shape, dtype)
    query = qkv.view(sequences * rows, -1, shape.head_dim)[:, : shape.heads]
    table = _empty(sequences, 16384 // PAGE, dtype=torch.int32)
    starts, lengths = _empty(sequences + 1, dtype=torch.int32), _empty(sequences, dtype=torch.int32)
    masks = _empty(sequences * rows, dtype=torch.int64) if tree else None
    paged_attention(query, cache[0], cache[1], PagedBatch(starts, lengths, table, rows, masks), 4096, splits)


def step_examples(shape: Shape, tokens: int, dtype: torch.dtype) -> None:
    """One launch of each kernel around attention."""
    width = shape.heads * shape.head_dim
    qkv, cache, hidden = _qkv(shape, tokens, dtype), _cache(shape, dtype), _empty(tokens, width, dtype=dtype)
    tables = _empty(2, 16384, shape.head_dim, dtype=torch.float32)
    positions, slots = _empty(tokens, dtype=torch.int32), _empty(tokens, dtype=torch.int64)
    store_kv(qkv, qkv[0], positions, slots, cache[0], cache[1], (tables[0], tables[1]))
    layer_norm_residual(hidden, hidden, hidden[0], hidden[0], 1e-5)
    inner = _empty(tokens, 4 * width, dtype=dtype)
    bias_gelu(inner, inner[0], "tanh")
    bias_gelu(inner, inner[0], "none")
    greedy(_empty(tokens, 49152, dtype=dtype))


def weight_only_examples(outs: int, ins: int, rows: int, dtype: torch.dtype) -> None:
    """A launch of each kernel for packed weights, one with and one without splits."""
    x, bias = _empty(rows, ins, dtype=dtype), _empty(outs, dtype=dtype)
    int8_linear(x, _empty(outs, ins, dtype=torch.int8), _empty(outs, dtype=torch.float32), bias, 6)
    int8_linear(x, _empty(outs, ins, dtype=torch.int8), _empty(outs, dtype=torch.float32), None, 1)
    int4_linear(x, _empty(outs, ins // 2, dtype=torch.uint8), _empty(outs, ins // 128, dtype=dtype), bias, 6)
    int4_linear(x, _empty(outs, ins // 2, dtype=torch.uint8), _empty(outs, ins // 128, dtype=dtype), bias, 1)


def binaries(example: Callable[[], None], capability: int) -> list[Binary]:
    with recorded() as launches:
        example()
    return [assemble(launch, capability) for launch in launches]


def _empty(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _qkv(shape: Shape, tokens: int, dtype: torch.dtype) -> torch.Tensor:
    return _empty(tokens, (shape.heads + 2 * shape.kv_heads) * shape.head_dim, dtype=dtype)


def _cache(shape: Shape, dtype: torch.dtype) -> torch.Tensor:
    return _empty(2, 4096, PAGE, shape.kv_heads, shape.head_dim, dtype=dtype)
