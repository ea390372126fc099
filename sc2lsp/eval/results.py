"""Rows -> results: figures with intervals by model, context, order and kind; latencies; what the context gains.

A frozen tree that `--json` prints as it is. Knows no model and draws nothing.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from sc2lsp.context.prompt import Order
from sc2lsp.eval.holes import KINDS, Kind
from sc2lsp.eval.metrics import Interval, bits_per_byte, mean, percentile, relative_gain, wilson
from sc2lsp.eval.records import CONTEXTS, ORDERS, Context, Row, Settings, Timing

Scope = Kind | Literal["single", "all"]  # `single`: line and tail together
SCOPES: tuple[Scope, ...] = (*KINDS, "single", "all")
Temperature = Literal["cold", "warm"]
TEN = 10  # tokens of a usual suggestion


@dataclass(frozen=True, slots=True)
class ModelNote:
    """What was evaluated, and on what."""

    name: str
    parameters: int
    context_length: int
    device: str
    dtype: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Scores of `n` answers; perplexity is of a token and counts the end, bits per byte is of the holes' text."""

    model: str
    context: Context
    order: Order
    kind: Scope
    n: int
    exact: Interval
    shown_match: Interval
    edit_similarity: Interval
    identifier_f1: Interval
    perplexity: float
    bits_per_byte: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of `n` answers, the median of which has `tokens`.

    What a model writes too much, or fails to write, changes its times; so that models can be compared, `ten_p50` and
    `ten_p95` are of answers of ten tokens.
    """

    model: str
    context: Context
    order: Order
    temperature: Temperature
    n: int
    tokens: float
    context_p50: float
    prompt_p50: float
    prefill_p50: float
    prefill_p95: float
    decode_p50: float
    total_p50: float
    total_p95: float
    ten_p50: float
    ten_p95: float
    totals: tuple[float, ...]  # of every answer, sorted


@dataclass(frozen=True, slots=True)
class Gain:
    """What the full context gains over the file alone in exact match, relative, on the same `n` cases."""

    model: str
    order: Order
    kind: Scope
    n: int
    exact: Interval | None  # None where the file alone never hits


@dataclass(frozen=True, slots=True)
class Results:
    settings: Settings
    models: tuple[ModelNote, ...]
    cases: int
    complete: bool  # or interrupted: the figures are of what was measured until then
    figures: tuple[Figures, ...]
    latencies: tuple[Latency, ...]
    gains: tuple[Gain, ...]


def summarise(
    settings: Settings, models: Sequence[ModelNote], cases: int, is_complete: bool, rows: Sequence[Row]
) -> Results:
    """The results of some rows; what has none is left out."""
    names = [model.name for model in models]
    cells = list(product(names, CONTEXTS, ORDERS))
    figures = (_figures(rows, *cell, kind) for cell in cells for kind in SCOPES)
    temperatures: tuple[Temperature, ...] = ("cold", "warm")
    latencies = (_latency(rows, *cell, temperature) for cell in cells for temperature in temperatures)
    gains = (_gain(rows, model, order, kind) for model, order in product(names, ORDERS) for kind in SCOPES)
    return Results(
        settings,
        tuple(models),
        cases,
        is_complete,
        tuple(found for found in figures if found is not None),
        tuple(found for found in latencies if found is not None),
        tuple(found for found in gains if found is not None),
    )


def label(model: str) -> str:
    """A model's name as it is shown: the last part of a folder's."""
    return model.replace("\\", "/").rstrip("/").rpartition("/")[2]


def is_in(row: Row, scope: Scope) -> bool:
    return scope in ("all", row.kind) or (scope == "single" and row.kind != "block")


def _of(rows: Iterable[Row], model: str, context: Context, order: Order) -> list[Row]:
    return [row for row in rows if (row.model, row.context, row.order) == (model, context, order)]


def _figures(rows: Sequence[Row], model: str, context: Context, order: Order, kind: Scope) -> Figures | None:
    found = [row for row in _of(rows, model, context, order) if is_in(row, kind)]
    if not found or (kind == "single" and {row.kind for row in found} != {"line", "tail"}):
        return None
    scored = [(row.nats, row.end_nats, row) for row in found if row.nats is not None and row.end_nats is not None]
    tokens = sum(row.tokens + 1 for _, _, row in scored)
    all_nats = sum(nats + end for nats, end, _ in scored)
    return Figures(
        model,
        context,
        order,
        kind,
        len(found),
        wilson(sum(row.exact for row in found), len(found)),
        wilson(sum(row.shown_match for row in found), len(found)),
        mean([row.edit_similarity for row in found]),
        mean([row.identifier_f1 for row in found if row.identifier_f1 is not None]),
        math.exp(all_nats / tokens) if tokens else math.nan,
        bits_per_byte([nats for nats, _, _ in scored], [row.size for _, _, row in scored]) if scored else math.nan,
    )


def _latency(
    rows: Sequence[Row], model: str, context: Context, order: Order, temperature: Temperature
) -> Latency | None:
    found = _of(rows, model, context, order)
    timings = [row.cold for row in found] if temperature == "cold" else [row.warm for row in found if row.warm]
    if not timings:
        return None
    rates = [timing.decode / timing.tokens for timing in timings if timing.tokens]
    before = [timing.context + timing.prompt + timing.prefill for timing in timings]
    totals = [first + timing.decode for first, timing in zip(before, timings, strict=True)]
    ten = percentile(rates, 50) * TEN

    def middle(part: Callable[[Timing], float], percent: float = 50) -> float:
        return percentile([part(timing) for timing in timings], percent)

    return Latency(
        model,
        context,
        order,
        temperature,
        len(timings),
        middle(lambda timing: timing.tokens),
        middle(lambda timing: timing.context),
        middle(lambda timing: timing.prompt),
        middle(lambda timing: timing.prefill),
        middle(lambda timing: timing.prefill, 95),
        middle(lambda timing: timing.decode),
        percentile(totals, 50),
        percentile(totals, 95),
        percentile(before, 50) + ten,
        percentile(before, 95) + ten,
        tuple(round(total, 2) for total in sorted(totals)),
    )


def _gain(rows: Sequence[Row], model: str, order: Order, kind: Scope) -> Gain | None:
    def exact(context: Context) -> dict[tuple[str, int, int, Kind], bool]:
        found = (row for row in _of(rows, model, context, order) if is_in(row, kind))
        return {(row.path, row.start, row.end, row.kind): row.exact for row in found}

    full, infile = exact("full"), exact("infile")
    both = [place for place in full if place in infile]
    if not both or (kind == "single" and {place[3] for place in both} != {"line", "tail"}):
        return None
    better, base = [full[place] for place in both], [infile[place] for place in both]
    return Gain(model, order, kind, len(both), relative_gain(better, base))
