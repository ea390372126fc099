"""Results on a terminal: scores, latencies, and what the context gains."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc2lsp.eval.metrics import Interval
from sc2lsp.eval.results import Results, label


def print_results(results: Results, console: Console | None = None) -> None:
    """Three tables, and a word on what they are of."""
    console = console or Console()
    for table in (_scores(results), _latencies(results), _gains(results)):
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


def _scores(results: Results) -> Table:
    table = Table(title="Scores", box=None, title_justify="left")
    for name in ("model", "context", "order", "kind"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "exact match", "as shown", "edit sim.", "ident. F1", "perplexity", "bits/byte"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in results.figures:
        table.add_row(
            Text(label(found.model)),
            found.context,
            found.order,
            found.kind,
            str(found.n),
            percent(found.exact),
            f"{found.shown_match.value * 100:.1f} %",
            number(found.edit_similarity.value, 3),
            number(found.identifier_f1.value, 3),
            number(found.perplexity, 1),
            number(found.bits_per_byte, 3),
            end_section=found.kind == "all",
            style="bold" if found.kind == "all" else None,
        )
    return table


def _latencies(results: Results) -> Table:
    table = Table(title="Milliseconds a suggestion", box=None, title_justify="left")
    for name in ("model", "context", "order", ""):
        table.add_column(name, no_wrap=True)
    stages = ("context", "prompt", "prefill p50", "p95", "decode p50", "total p50", "p95")
    for name in ("n", "tokens", *stages, "10 tokens p50", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in results.latencies:
        times = (found.context_p50, found.prompt_p50, found.prefill_p50, found.prefill_p95, found.decode_p50)
        table.add_row(
            Text(label(found.model)),
            found.context,
            found.order,
            found.temperature,
            str(found.n),
            number(found.tokens, 0),
            *(number(time, 1) for time in (*times, found.total_p50, found.total_p95)),
            number(found.ten_p50, 1),
            number(found.ten_p95, 1),
        )
    return table


def _gains(results: Results) -> Table:
    table = Table("model", "order", "kind", title="Exact match, full over infile", box=None, title_justify="left")
    table.add_column("n", justify="right")
    table.add_column("relative gain", justify="right", no_wrap=True)
    for found in results.gains:
        table.add_row(Text(label(found.model)), found.order, found.kind, str(found.n), signed_percent(found.exact))
    return table
