"""`sc2lsp stats`: what suggestions were worth, counted from the rows that `feedback` kept on this machine.

A suggestion counts as seen where it was taken, wholly or in part, or was on the screen for at least 750 ms: what is
replaced at the next keystroke was never read. The acceptance rate is the share of accepted among the seen. What is
typed through is one suggestion; latencies are of every answer to the editor that held one, however old, and exact:
percentiles of the rows themselves.

`--json`, null where nothing was measured:
`{"since","overall":FIGURES,"languages":{name:FIGURES},"days":{date:FIGURES},"calls":CALLS,"calls_by_day":{date:CALLS}}`;
FIGURES `{"shown","seen","accepted","partly","rejected","acceptance_rate","by_word","by_line","characters_accepted",
"characters_followed","characters_kept","kept_rate","latency_ms":{"all" or source:{"count","p50","p95","p99"}}}`, where
what was followed is what was accepted and looked at again after 30 s; CALLS `{"asked","shown","empty","cancelled",
"failed","wasted","wasted_rate","skipped","mean_ms"}`, where wasted is all that was asked and not shown, and what was
skipped was not asked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc2lsp.suggestions import Busy, Calls, Suggestion, Unusable, clear, read

SEEN_MS = 750.0
DAYS_PRINTED = 14
_BARS, _ASCII_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_NAMES = {"model": "the model", "typed": "typed through", "known": "known before", "continuation": "read ahead"}


class StatsError(Exception):
    """The statistics cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from a request to its suggestion."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some suggestions; the module says what counts."""

    shown: int
    seen: int
    accepted: int
    partly: int
    rejected: int
    acceptance_rate: float | None
    by_word: int
    by_line: int
    characters_accepted: int
    characters_followed: int
    characters_kept: int
    kept_rate: float | None
    latency_ms: Mapping[str, Latency]


@dataclass(frozen=True, slots=True)
class Asked:
    """How calls of the model ended."""

    asked: int
    shown: int
    empty: int
    cancelled: int
    failed: int
    wasted: int
    wasted_rate: float | None
    skipped: int
    mean_ms: float | None


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything; `since` is the first local day, None where all days count."""

    since: str | None
    overall: Figures
    languages: Mapping[str, Figures]  # most used first
    days: Mapping[str, Figures]
    calls: Asked
    calls_by_day: Mapping[str, Asked]


def load(path: Path, days: int | None = None) -> Stats:
    """The statistics of the last days, today included, or of all. Raises StatsError."""
    first = None if days is None else date.today() - timedelta(days - 1)
    since = 0.0 if first is None else datetime.combine(first, time.min).timestamp()
    try:
        rows, calls = read(path, since, "" if first is None else first.isoformat())
    except (Busy, Unusable) as failure:
        raise StatsError(f"the statistics cannot be read: {failure}") from None
    return summarise(rows, calls, None if first is None else first.isoformat())


def reset(path: Path) -> int:
    """Forget everything; how many suggestions that were. Raises StatsError."""
    try:
        return clear(path)
    except (Busy, Unusable) as failure:
        raise StatsError(f"the statistics cannot be cleared: {failure}") from None


def summarise(rows: Sequence[Suggestion], calls: Sequence[Calls], since: str | None = None) -> Stats:
    languages: defaultdict[str, list[Suggestion]] = defaultdict(list)
    days: defaultdict[str, list[Suggestion]] = defaultdict(list)
    for row in rows:
        languages[row.language].append(row)
        days[date.fromtimestamp(row.shown_at).isoformat()].append(row)
    by_day: defaultdict[str, list[Calls]] = defaultdict(list)
    for call in calls:
        by_day[call.day].append(call)
    most_used = sorted(languages, key=lambda name: (-len(languages[name]), name))
    return Stats(
        since,
        _figures(rows),
        {name: _figures(languages[name]) for name in most_used},
        {day: _figures(days[day]) for day in sorted(days)},
        _asked(calls),
        {day: _asked(by_day[day]) for day in sorted(by_day)},
    )


def is_seen(row: Suggestion) -> bool:
    """Whether somebody could read it."""
    return row.taken > 0 or row.fate == "accepted" or (row.visible_ms or 0.0) >= SEEN_MS


def _figures(rows: Sequence[Suggestion]) -> Figures:
    seen = [row for row in rows if is_seen(row)]
    fates = Counter(row.fate for row in seen)
    followed = [row for row in seen if row.kept is not None]
    taken, still = sum(row.taken for row in followed), sum(row.kept or 0 for row in followed)
    return Figures(
        shown=sum(row.fate != "again" for row in rows),
        seen=len(seen),
        accepted=fates["accepted"],
        partly=fates["partly"],
        rejected=fates["rejected"],
        acceptance_rate=_rate(fates["accepted"], len(seen)),
        by_word=sum(row.by_word for row in seen),
        by_line=sum(row.by_line for row in seen),
        characters_accepted=sum(row.taken for row in seen),
        characters_followed=taken,
        characters_kept=still,
        kept_rate=_rate(still, taken),
        latency_ms=_latencies(rows),
    )


def _latencies(rows: Sequence[Suggestion]) -> dict[str, Latency]:
    by_source: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_source["all"].append(row.latency_ms)
        by_source[row.source].append(row.latency_ms)
    return {source: _latency(by_source[source]) for source in by_source}


def _latency(times: Sequence[float]) -> Latency:
    p50, p95, p99 = (round(float(value), 3) for value in np.percentile(times, (50, 95, 99)))
    return Latency(len(times), p50, p95, p99)


def _asked(calls: Sequence[Calls]) -> Asked:
    counts: Counter[str] = Counter()
    for call in calls:
        counts[call.outcome] += call.count
    asked = counts.total() - counts["skipped"]
    spent = sum(call.latency_ms for call in calls if call.outcome != "skipped")
    return Asked(
        asked=asked,
        shown=counts["shown"],
        empty=counts["empty"],
        cancelled=counts["cancelled"],
        failed=counts["failed"],
        wasted=asked - counts["shown"],
        wasted_rate=_rate(asked - counts["shown"], asked),
        skipped=counts["skipped"],
        mean_ms=round(spent / asked, 3) if asked else None,
    )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def print_stats(stats: Stats, console: Console | None = None) -> None:
    """Tables for a terminal, or a kind word where there is nothing yet."""
    console = console or Console()
    when = "" if stats.since is None else f" since {stats.since}"
    if not stats.overall.shown and not stats.calls.asked:
        console.print(Text(f"No suggestion was shown{when}: there is nothing to count yet."))
        return
    console.print(_by_language(stats, f"Suggestions{when}"))
    console.print()
    console.print(_by_source(stats.overall))
    if len(stats.days) > 1:
        console.print()
        console.print(_by_day(stats, _bars(console)))
    console.print()
    for line in (*_taken(stats.overall), *_calls(stats.calls)):
        console.print(Text(line))


def _table(title: str, name: str, figures: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(name, no_wrap=True)
    for figure in figures:
        table.add_column(figure, justify="right", no_wrap=True)
    return table


def _by_language(stats: Stats, title: str) -> Table:
    table = _table(title, "language", ("shown", "seen", "accepted", "rate", "in part", "chars", "kept", "p50 ms"))
    rows = {**stats.languages, "all": stats.overall}
    for name, found in rows.items():
        latency = found.latency_ms.get("all")
        table.add_row(
            Text(name or "unknown"),
            *(f"{count:,}" for count in (found.shown, found.seen, found.accepted)),
            _percent(found.acceptance_rate),
            f"{found.partly:,}",
            f"{found.characters_accepted:,}",
            _percent(found.kept_rate),
            f"{latency.p50:,.1f}" if latency is not None else "-",
            style="bold" if found is stats.overall else None,
        )
    return table


def _by_source(found: Figures) -> Table:
    table = _table("Milliseconds to a suggestion", "from", ("answers", "p50", "p95", "p99"))
    for source, latency in found.latency_ms.items():
        times = (f"{value:,.1f}" for value in (latency.p50, latency.p95, latency.p99))
        table.add_row(Text(_NAMES.get(source, source)), f"{latency.count:,}", *times)
    return table


def _by_day(stats: Stats, bars: str) -> Table:
    """The last days that had suggestions; the one that accepted most has the longest bar."""
    table = _table("Days", "day", ("shown", "rate", "kept", "accepted"))
    table.add_column(no_wrap=True)
    days = list(stats.days.items())[-DAYS_PRINTED:]
    most = max(found.accepted for _, found in days)
    for day, found in days:
        rates = (_percent(found.acceptance_rate), _percent(found.kept_rate))
        table.add_row(day, f"{found.shown:,}", *rates, f"{found.accepted:,}", bar(found.accepted, most, bars))
    return table


def bar(value: int, most: int, bars: str, width: int = 20) -> str:
    """A bar of at most `width` characters, to an eighth of one; `bars` goes from blank to full."""
    full, rest = divmod(round(value * width * (len(bars) - 1) / most) if most else 0, len(bars) - 1)
    return bars[-1] * full + (bars[rest] if rest else "")


def _bars(console: Console) -> str:
    return _BARS if console.encoding.lower().startswith("utf") else _ASCII_BARS


def _taken(found: Figures) -> list[str]:
    lines = [f"Taken in part: {found.by_word:,} times by the word, {found.by_line:,} times by the line."]
    if found.kept_rate is not None:
        kept_of = f"{found.characters_kept:,} of {found.characters_followed:,}"
        lines.append(f"After 30 seconds {kept_of} characters were still there ({_percent(found.kept_rate)}).")
    return lines


def _calls(calls: Asked) -> list[str]:
    if not calls.asked:
        return []
    ends = (f"{calls.empty:,} without a suggestion", f"{calls.cancelled:,} cancelled", f"{calls.failed:,} failed")
    wasted = f"{calls.wasted:,} ({_percent(calls.wasted_rate)}) were wasted: {', '.join(ends)}"
    return [f"Calls of the model: {calls.asked:,}, of which {wasted}; {calls.skipped:,} were spared."]


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate * 100:.1f} %"
