"""What each precision costs in quality, and what a step's projections cost in memory and time.

    python -m tests.benchmarks.precision [MODEL] [--threads 1] [--tokens 60000] [--json FILE]

Quality is that of a model on Python's own standard library, read in an order of its own and cut into equal rows;
projections get 16 tokens at a time, as in decoding. Times are of one pass through the projections of all layers, which
finds no more of the weights in the processor's caches than a decode step does; medians of the faster half.
"""

import json
import math
import random
import statistics
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import click
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from sc2lsp.runtime import gpt_bigcode, model, weights
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.forward import Network
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.runtime.precision import Linear, Precision, activation_dtype, of_head, pack
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8", "int4", "fp8")
ROW, AT_ONCE = 1024, 16  # tokens
ROWS = (1, 4, 8, 16, 512)  # of the timed inputs
REPEATS = 30


@dataclass(frozen=True, slots=True)
class Figure:
    precision: str
    head: str
    bits_per_byte: float
    perplexity: float  # of a token
    megabytes: float  # of all projections
    milliseconds: dict[int, float]  # rows -> all projections


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    tokens: Tensor  # [rows, ROW]
    size: int  # bytes that are predicted


def standard_library(tokenizer: Tokenizer, tokens: int) -> Text:
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    random.Random(0).shuffle(paths)
    ids: list[int] = []
    for path in paths:
        ids += tokenizer.encode(path.read_text("utf-8", errors="replace"))
        if len(ids) >= tokens:
            break
    rows = torch.tensor(ids[: len(ids) // ROW * ROW]).view(-1, ROW)
    return Text(rows, sum(len(tokenizer.bytes_of(id)) for id in rows[:, 1:].flatten().tolist()))


@contextmanager
def packed(network: model.CausalLM, body: Precision, head: Precision, dtype: torch.dtype) -> Iterator[None]:
    """The network computes with packed projections inside."""

    def of(layer: nn.Linear) -> Linear:
        return pack(layer.weight, layer.bias, head if layer is network.lm_head else body, dtype)

    made = {layer: of(layer) for layer in network.modules() if isinstance(layer, nn.Linear)}

    def linear(layer: nn.Linear, x: Tensor) -> Tensor:
        pieces = [made[layer](piece) for piece in x.flatten(0, -2).split(AT_ONCE)]
        return torch.cat(pieces).view(*x.shape[:-1], -1)

    with patch.object(model, "linear", linear), patch.object(gpt_bigcode, "linear", linear):
        yield


def nats(network: model.CausalLM, text: Text) -> float:
    """-ln of the probability of a token, on average."""
    total = 0.0
    for row in text.tokens.to(network.lm_head.weight.device):
        logits = network(row[None, :-1])[0].float()
        total += float(F.cross_entropy(logits, row[1:], reduction="sum"))
    return total / text.tokens[:, 1:].numel()


def milliseconds(projections: Sequence[tuple[int, Linear]], rows: int, dtype: torch.dtype, device: str) -> float:
    """One pass of `rows` rows through projections of these input widths."""
    wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
    inputs = {width: torch.randn(rows, width, dtype=dtype, device=device) for width, _ in projections}
    times: list[float] = []
    for _ in range(REPEATS):
        wait()
        started = time.perf_counter()
        for width, linear in projections:
            linear(inputs[width])
        wait()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(sorted(times)[: REPEATS // 2])


def figure(folder: Path, text: Text, body: Precision, head: Precision, device: str) -> Figure:
    dtype = activation_dtype(body, torch.device(device))
    network = weights.load(folder, dtype, torch.device(device))
    with packed(network, body, head, dtype):
        spent = nats(network, text)
    projections: list[tuple[int, Linear]] = []

    def keep(weight: Tensor, bias: Tensor | None) -> Linear:
        linear = pack(weight, bias, head if weight is network.lm_head.weight else body, dtype)
        projections.append((weight.shape[1], linear))
        return linear

    Network(network, keep)  # for the sake of its projections, some of which it fuses
    times = {rows: milliseconds(projections, rows, dtype, device) for rows in ROWS}
    size = sum(linear.nbytes for _, linear in projections)
    bits = spent * text.tokens[:, 1:].numel() / math.log(2) / text.size
    return Figure(body, head, bits, math.exp(spent), size / 1e6, times)


def cases() -> Iterator[tuple[Precision, Precision]]:
    """Of body and head."""
    for precision in PRECISIONS:
        yield precision, of_head(precision)
    yield "int8", "fp32"
    yield "int4", "int4"


def table(figures: Sequence[Figure], title: str) -> Table:
    made = Table("body", "head", "bits/byte", "perplexity", "loss", "MB", *(f"{n} rows, ms" for n in ROWS), title=title)
    for f in figures:
        loss = f"{100 * (f.perplexity / figures[0].perplexity - 1):+.2f} %"
        quality = (f"{f.bits_per_byte:.4f}", f"{f.perplexity:.3f}", loss)
        made.add_row(
            f.precision, f.head, *quality, f"{f.megabytes:.1f}", *(f"{ms:.2f}" for ms in f.milliseconds.values())
        )
    return made


@click.command(help=__doc__)
@click.argument("name", metavar="[MODEL]", default=EMBEDDED)
@click.option("--tokens", default=60_000)
@click.option("--threads", default=1)
@click.option("--device", default="cpu")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the figures here, too.")
@torch.inference_mode()
def main(name: str, tokens: int, threads: int, device: str, path: Path | None) -> None:
    torch.set_num_threads(threads)
    folder = weights.fetch(name)
    text = standard_library(Tokenizer(read_tokenizer_json(folder)), tokens)
    console, figures = Console(width=140), list[Figure]()
    for body, head in cases():
        try:
            figures.append(figure(folder, text, body, head, device))
        except ModelError as refused:
            console.print(f"{body}: {refused}")
    console.print(table(figures, f"{name} on {device}, {threads} threads, {text.tokens.numel()} tokens"))
    if path is not None:
        path.write_text(json.dumps([asdict(f) for f in figures], indent=1))


if __name__ == "__main__":
    main()
