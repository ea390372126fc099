"""Results on a terminal: scores, latencies, and what the context gains."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc2lsp.eval.metrics import Interval
from sc2lsp.eval.results import Results, label


def print_results(results: Results, console: Console | None = None) -> None:
    """Three tables for each model, narrow enough for any terminal, and a word on what they are of."""
    console = console or Console()
    for note in results.models:
        for table in (_scores(results, note.name), _latencies(results, note.name), _gains(results, note.name)):
            if table.row_count:
                console.print(table)
                console.print()
    console.print(Text(summary(results)))


def summary(results: Results) -> str:
    """What was measured, in one line."""
    notes = (f"{label(m.name)} ({m.parameters:,} parameters, {m.dtype} on {m.device})" for m in results.models)
    models = ", ".join(notes)
    state = "" if results.complete else "; interrupted"
    return f"{results.cases} holes in {results.settings.root}, greedy, 95 % intervals; {models}{state}"


def percent(interval: Interval) -> str:
    """`12.0 % [8.1, 17.2]`"""
    return f"{interval.value:.1%} [{interval.low * 100:.1f}, {interval.high * 100:.1f}]".replace("%", " %")


def signed_percent(interval: Interval | None) -> str:
    """`+12 % [-3, +30]`; a dash where there is nothing to compare with."""
    if interval is None:
        return "–"
    return f"{interval.value:+.0%} [{interval.low * 100:+.0f}, {interval.high * 100:+.0f}]".replace("%", " %")


def number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def _table(title: str, words: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(results: Results, model: str) -> Table:
    figures = ("n", "exact match", "shown", "edit", "F1", "ppl", "bits/B")
    table = _table(f"{label(model)}: scores", ("prompt", "kind"), figures)
    for found in results.figures:
        if found.model == model:
            table.add_row(
                f"{found.context} {found.order}",
                found.kind,
                str(found.n),
                percent(found.exact),
                f"{found.shown_match.value * 100:.1f} %",
                number(found.edit_similarity.value, 2),
                number(found.identifier_f1.value, 2),
                number(found.perplexity, 1),
                number(found.bits_per_byte, 3),
                style="bold" if found.kind == "all" else None,
            )
    return table


def _latencies(results: Results, model: str) -> Table:
    figures = ("n", "tok", "context", "prefill", "decode", "total", "p95", "of 10", "p95")
    table = _table(f"{label(model)}: milliseconds, medians; of 10 tokens", ("prompt", ""), figures)
    for found in results.latencies:
        if found.model == model:
            before = (found.context_p50 + found.prompt_p50, found.prefill_p50, found.decode_p50)
            totals = (found.total_p50, found.total_p95, found.ten_p50, found.ten_p95)
            table.add_row(
                f"{found.context} {found.order}",
                found.temperature,
                str(found.n),
                number(found.tokens, 0),
                *(number(time, 0) for time in (*before, *totals)),
            )
    return table


def _gains(results: Results, model: str) -> Table:
    title = f"{label(model)}: full over infile"
    table = _table(title, ("order", "kind"), ("n", "exact match, relative"))
    for found in results.gains:
        if found.model == model:
            table.add_row(found.order, found.kind, str(found.n), signed_percent(found.exact))
    return table
