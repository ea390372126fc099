"""The kernels on a GPU, beside what else computes the same; without a GPU, what the compiler makes of them.

    python -m tests.benchmarks.kernels [--json FILE]    microseconds of a layer, copy bandwidth of the same run
    python -m tests.benchmarks.kernels --compile        registers, spills, tensor-core instructions for sm_80 and sm_90

Every repetition goes through as many layers as do not fit the L2 cache, in one CUDA graph: a decode step finds none of
its keys there either. The others get keys and values without pages, and where they cannot skip what the window hides,
only the window: what is compared is the most that they could give.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from triton.testing import do_bench_cudagraph

from sc2lsp.kernels import gelu, layer_norm, reference, sampling
from sc2lsp.kernels.attention import paged_attention
from sc2lsp.kernels.batch import PAGE, PagedBatch
from tests.kernels.compiled import MODELS, attention_example, binaries, step_examples

DTYPE, WINDOW = torch.bfloat16, 4096
CONTEXTS, ROWS = (512, 4096, 16384), (1, 16)
PAST_L2 = 512 << 20  # bytes of keys and values that a repetition reads at least
NEAR = 2e-2

try:
    from flash_attn import flash_attn_with_kvcache  # type: ignore[import-not-found]
except ImportError:
    flash_attn_with_kvcache = None


@dataclass(frozen=True, slots=True)
class Figure:
    what: str
    model: str
    context: int
    rows: int
    implementation: str
    microseconds: float  # of one layer
    bytes_per_second: float  # keys and values that the window leaves; 0 for what is no attention


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One sequence's keys and values, [layers, context, kv_heads, head_dim], and how many rows look at them."""

    context: int
    rows: int
    key: Tensor
    value: Tensor
    starts: Tensor
    lengths: Tensor


Attention = Callable[[Tensor, int], Tensor]  # query [rows, heads, head_dim], layer -> its attention


def microseconds(run: Callable[[], object], layers: int) -> float:
    return float(do_bench_cudagraph(run, rep=200, return_mode="median")) * 1e3 / layers


def copy_bandwidth() -> float:
    """Bytes read and written a second by a copy of 2 GiB."""
    source = torch.empty(2 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / (microseconds(lambda: target.copy_(source), 1) * 1e-6)


def ours(case: Case) -> Attention:
    pages, layers = case.context // PAGE, len(case.key)
    table = torch.randperm(pages, device="cuda").int()[None]
    batch = PagedBatch(case.starts, case.lengths, table, case.rows)
    cache = torch.empty(2, layers, pages, PAGE, *case.key.shape[2:], device="cuda", dtype=DTYPE)
    for to, x in zip(cache, (case.key, case.value), strict=True):
        to[:, table[0].long()] = x.view_as(to)
    return lambda q, layer: paged_attention(q, cache[0, layer], cache[1, layer], batch, WINDOW)


def scaled_dot_product(case: Case) -> Attention:
    first = max(0, case.context - WINDOW - case.rows + 1)  # what the window hides is not even passed
    key, value = (x[:, first:].transpose(1, 2).contiguous() for x in (case.key, case.value))
    mask = None if case.rows == 1 else reference.window_mask(case.rows, case.context - first, WINDOW, key.device)

    def run(q: Tensor, layer: int) -> Tensor:
        k, v = key[layer][None], value[layer][None]
        mixed = F.scaled_dot_product_attention(q.transpose(0, 1)[None], k, v, attn_mask=mask, enable_gqa=True)
        return mixed[0].transpose(0, 1)

    return run


def flex(case: Case) -> Attention:
    def visible(_batch: Tensor, _head: Tensor, query: Tensor, slot: Tensor) -> Tensor:
        position = query + case.context - case.rows
        return (slot <= position) & (slot > position - WINDOW)

    key, value = (x.transpose(1, 2).contiguous() for x in (case.key, case.value))
    blocks = create_block_mask(visible, None, None, case.rows, case.context, device="cuda")
    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=False)

    def run(q: Tensor, layer: int) -> Tensor:
        k, v = key[layer][None], value[layer][None]
        mixed: Tensor = compiled(q.transpose(0, 1)[None], k, v, block_mask=blocks, enable_gqa=True)
        return mixed[0].transpose(0, 1)

    return run


def flash(case: Case) -> Attention:
    window = (WINDOW - 1, 0)

    def run(q: Tensor, layer: int) -> Tensor:
        k, v = case.key[layer][None], case.value[layer][None]
        mixed: Tensor = flash_attn_with_kvcache(
            q[None], k, v, cache_seqlens=case.lengths, causal=True, window_size=window
        )
        return mixed[0]

    return run


ATTENTIONS = {"ours": ours, "scaled_dot_product_attention": scaled_dot_product, "FlexAttention": flex}
if flash_attn_with_kvcache is not None:
    ATTENTIONS["flash-attn"] = flash
SMALL = {"layer_norm_residual": layer_norm.layer_norm_residual, "bias_gelu": gelu.bias_gelu, "greedy": sampling.greedy}


def attention_figures(model: str, context: int, rows: int) -> Iterator[Figure]:
    """Each implementation's time, once its answer has been found equal to ours."""
    shape = MODELS[model]
    seen = min(context, WINDOW + rows - 1) * shape.kv_heads * shape.head_dim * 2 * DTYPE.itemsize
    layers = math.ceil(PAST_L2 / seen)
    key, value = torch.randn(2, layers, context, shape.kv_heads, shape.head_dim, device="cuda", dtype=DTYPE)
    starts, lengths = (torch.tensor(x, dtype=torch.int32, device="cuda") for x in ([0, rows], [context]))
    case = Case(context, rows, key, value, starts, lengths)
    query = torch.randn(rows, shape.heads, shape.head_dim, device="cuda", dtype=DTYPE)
    wanted = ours(case)(query, 0)
    for name, prepared in ATTENTIONS.items():
        run = prepared(case)
        torch.testing.assert_close(run(query, 0), wanted, rtol=NEAR, atol=NEAR)
        spent = microseconds(lambda run=run: [run(query, layer) for layer in range(layers)], layers)
        yield Figure("attention", model, context, rows, name, spent, seen / (spent * 1e-6))


def step_figures(model: str, rows: int) -> Iterator[Figure]:
    """The small kernels beside the same in torch."""
    width = MODELS[model].heads * MODELS[model].head_dim
    x, inner, logits = (torch.randn(rows, n, device="cuda", dtype=DTYPE) for n in (width, 4 * width, 49152))
    arguments = {
        "layer_norm_residual": (x, x, x[0], x[0], 1e-5),
        "bias_gelu": (inner, inner[0], "tanh"),
        "greedy": (logits,),
    }
    for what, given in arguments.items():
        for name, run in (("ours", SMALL[what]), ("torch", getattr(reference, what))):
            yield Figure(what, model, 0, rows, name, microseconds(partial(run, *given), 1), 0.0)


def measured(models: Sequence[str], contexts: Sequence[int]) -> dict[str, Any]:
    bandwidth = copy_bandwidth()
    figures = [
        f for model in models for context in contexts for n in ROWS for f in attention_figures(model, context, n)
    ]
    figures += [figure for model in models for n in ROWS for figure in step_figures(model, n)]
    device, torch_version = torch.cuda.get_device_name(), torch.__version__
    table = Table("", "model", "context", "rows", "by", "us a layer", "of copy bandwidth")
    for f in figures:
        share = f"{f.bytes_per_second / bandwidth:.0%}" if f.bytes_per_second else ""
        table.add_row(f.what, f.model, str(f.context), str(f.rows), f.implementation, f"{f.microseconds:.1f}", share)
    console = Console(width=120)
    console.print(table)
    console.print(f"{device}, torch {torch_version}, copies {bandwidth / 1e9:.0f} GB/s")
    return {
        "device": device,
        "torch": torch_version,
        "copy_bytes_per_second": bandwidth,
        "figures": [asdict(f) for f in figures],
    }


def compiled(models: Sequence[str]) -> dict[str, Any]:
    """What a decode step and the verification of a tree of 16 launch, for sm_80 and sm_90."""
    table = Table("", "model", "kernel", "rows", "registers", "stack", "spills", "HMMA", "HGMMA", "shared", "copies")
    rows: list[dict[str, Any]] = []
    for capability in (80, 90):
        for model in models:
            shape = MODELS[model]
            examples = [(n, partial(attention_example, shape, 1, n, DTYPE, n > 1, 33)) for n in ROWS]
            for n, example in [*examples, (1, partial(step_examples, shape, 1, DTYPE))]:
                rows += [
                    {"sm": capability, "model": model, "rows": n} | asdict(b) for b in binaries(example, capability)
                ]
    for row in rows:
        names = ("kernel", "rows", "registers", "stack", "spills", "hmma", "hgmma", "shared", "copies")
        table.add_row(f"sm_{row['sm']}", row["model"], *(str(row[name]) for name in names))
    Console(width=120).print(table)
    return {"compiled": rows}


@click.command(help=__doc__)
@click.option("--compile", "only_compile", is_flag=True, help="Needs no GPU.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the figures here, too.")
@click.option("--model", "models", multiple=True, type=click.Choice(list(MODELS)), default=("3B", "7B", "15B"))
@click.option("--context", "contexts", multiple=True, type=int, default=CONTEXTS)
def main(only_compile: bool, path: Path | None, models: tuple[str, ...], contexts: tuple[int, ...]) -> None:
    if not only_compile and not torch.cuda.is_available():
        raise click.UsageError("there is no GPU here: only --compile works without")
    results = compiled(models) if only_compile else measured(models, contexts)
    if path is not None:
        path.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
