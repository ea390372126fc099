"""What `sc2lsp stats` counts, and how it says it: rows in, figures, JSON and tables out."""

import json
import math
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from sc2lsp.__main__ import main
from sc2lsp.stats import StatsError, bar, is_seen, load, print_stats, reset, summarise
from sc2lsp.suggestions import Calls, Ledger, Suggestion

NOON = datetime(2026, 3, 2, 12).timestamp()
DAY = 86_400.0


def row(fate: str = "shown", visible_ms: float | None = 2000.0, **rest: object) -> Suggestion:
    """One of ten characters, wholly taken where it was accepted."""
    values = {
        "key": 0,
        "shown_at": NOON,
        "language": "python",
        "source": "model",
        "characters": 10,
        "lines": 1,
        "latency_ms": 80.0,
        "taken": 10 if fate == "accepted" else 0,
        **rest,
    }
    return msgspec.convert({**values, "fate": fate, "visible_ms": visible_ms}, Suggestion)


SEEN = [
    (row("accepted", 5.0), True),
    (row("accepted", None), True),
    (row("accepted", 5.0, characters=0, taken=0), True),
    (row("partly", 5.0, taken=4), True),
    (row("rejected", 749.0), False),
    (row("rejected", 750.0), True),
    (row("shown", 120.0), False),
    (row("shown", 3000.0), True),
    (row("shown", None), False),
]


@pytest.mark.parametrize(("suggestion", "seen"), SEEN)
def test_what_counts_as_seen(suggestion: Suggestion, seen: bool) -> None:
    assert is_seen(suggestion) is seen


# rows -> figures of all of them; what is not named is 0 or None
COUNTED: dict[str, tuple[list[Suggestion], dict[str, object]]] = {
    "nothing": ([], {}),
    "passed by": ([row("shown", 100.0)] * 3, {"shown": 3}),
    "looked at": ([row(), row("rejected")], {"shown": 2, "seen": 2, "rejected": 1, "acceptance_rate": 0.0}),
    "half of what was seen": (
        [row("accepted"), row("rejected"), row("shown", 100.0), row("rejected", 100.0)],
        {"shown": 4, "seen": 2, "accepted": 1, "rejected": 1, "acceptance_rate": 0.5, "characters_accepted": 10},
    ),
    "what is shown again is no other suggestion": (
        [row("accepted"), row("again", 0.0, source="typed"), row("again", 0.0, source="known")],
        {"shown": 1, "seen": 1, "accepted": 1, "acceptance_rate": 1.0, "characters_accepted": 10},
    ),
    "a part is no accept": (
        [row("accepted"), row("partly", taken=4, by_word=2), row("partly", taken=6, by_line=1, by_word=1)],
        {
            "shown": 3, "seen": 3, "accepted": 1, "partly": 2, "acceptance_rate": 0.3333, "by_word": 3, "by_line": 1,
            "characters_accepted": 20,
        },
    ),
    "kept of what was followed": (
        [row("accepted", kept=10), row("accepted", kept=4), row("accepted"), row("partly", taken=5, kept=0)],
        {
            "shown": 4, "seen": 4, "accepted": 3, "partly": 1, "acceptance_rate": 0.75, "characters_accepted": 35,
            "characters_followed": 25, "characters_kept": 14, "kept_rate": 0.56,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), COUNTED.values(), ids=COUNTED)
def test_figures(rows: list[Suggestion], expected: dict[str, object]) -> None:
    found = msgspec.to_builtins(summarise(rows, []).overall)
    del found["latency_ms"]
    assert found == {name: None if name.endswith("rate") else 0 for name in found} | expected


def test_percentiles_are_those_of_the_rows() -> None:
    times = [math.exp(n / 40) for n in range(401)]
    shuffled = [times[(n * 177) % 401] for n in range(401)]
    rows = [row(latency_ms=t) for t in shuffled] + [row("again", source="typed", latency_ms=0.5)] * 599
    latency = summarise(rows, []).overall.latency_ms
    assert set(latency) == {"all", "model", "typed"}
    model, typed, all_ = latency["model"], latency["typed"], latency["all"]
    assert (model.count, typed.count, all_.count) == (401, 599, 1000)
    # Of 401 sorted values percentile p is the one at 4 p.
    assert (model.p50, model.p95, model.p99) == tuple(round(times[n], 3) for n in (200, 380, 396))
    assert (typed.p50, typed.p95, typed.p99) == (0.5, 0.5, 0.5)
    assert all_.p50 == 0.5


def test_a_single_row_is_its_own_percentiles() -> None:
    latency = summarise([row(latency_ms=12.5)], []).overall.latency_ms["all"]
    assert (latency.count, latency.p50, latency.p95, latency.p99) == (1, 12.5, 12.5, 12.5)


def test_languages_and_days_add_up() -> None:
    rows = [
        *[row("accepted", language="go", shown_at=NOON)] * 2,
        *[row("shown", language="python", shown_at=NOON + DAY)] * 3,
        row("accepted", language="python", shown_at=NOON + 3 * DAY),
    ]
    stats = summarise(rows, [])
    assert {name: (found.shown, found.accepted) for name, found in stats.languages.items()} == {
        "python": (4, 1),
        "go": (2, 2),
    }
    assert list(stats.languages) == ["python", "go"]  # the most used first
    assert {day: found.shown for day, found in stats.days.items()} == {
        "2026-03-02": 2,
        "2026-03-03": 3,
        "2026-03-05": 1,
    }


def test_calls_that_were_wasted() -> None:
    calls = [
        Calls("2026-03-02", "shown", 6, 600.0),
        Calls("2026-03-02", "empty", 1, 90.0),
        Calls("2026-03-03", "cancelled", 2, 40.0),
        Calls("2026-03-03", "failed", 1, 70.0),
        Calls("2026-03-03", "skipped", 30, 0.0),
    ]
    stats = summarise([], calls)
    assert msgspec.to_builtins(stats.calls) == {
        "asked": 10, "shown": 6, "empty": 1, "cancelled": 2, "failed": 1, "wasted": 4, "wasted_rate": 0.4,
        "skipped": 30, "mean_ms": 80.0,
    }  # fmt: skip
    assert {day: (found.asked, found.wasted) for day, found in stats.calls_by_day.items()} == {
        "2026-03-02": (7, 1),
        "2026-03-03": (3, 3),
    }
    spared = summarise([], calls[-1:]).calls
    assert (spared.asked, spared.wasted_rate, spared.mean_ms) == (0, None, None)


def test_json_is_the_contract() -> None:
    stats = summarise([row("accepted")], [Calls("2026-03-02", "shown", 1, 80.0)])
    found = json.loads(msgspec.json.encode(stats))
    assert set(found) == {"since", "overall", "languages", "days", "calls", "calls_by_day"}
    figures = {
        "shown", "seen", "accepted", "partly", "rejected", "acceptance_rate", "by_word", "by_line",
        "characters_accepted", "characters_followed", "characters_kept", "kept_rate", "latency_ms",
    }  # fmt: skip
    for one in (found["overall"], found["languages"]["python"], found["days"]["2026-03-02"]):
        assert set(one) == figures
        assert one["latency_ms"] == {
            source: {"count": 1, "p50": 80.0, "p95": 80.0, "p99": 80.0} for source in ("all", "model")
        }
    asked = {"asked", "shown", "empty", "cancelled", "failed", "wasted", "wasted_rate", "skipped", "mean_ms"}
    assert set(found["calls"]) == set(found["calls_by_day"]["2026-03-02"]) == asked


def filled(path: Path, suggestions: Sequence[Suggestion], calls: Sequence[Calls] = ()) -> Path:
    ledger = Ledger(path)
    ledger.write(suggestions, calls)
    ledger.close()
    return path


def test_the_last_days_are_local_ones_today_included(tmp_path: Path) -> None:
    midnight = datetime.combine(date.today(), datetime.min.time()).timestamp()
    times = [time.time(), midnight + 1, midnight - 1, midnight - 5 * DAY]
    days = [(date.today() - timedelta(back)).isoformat() for back in (0, 1, 5)]
    path = filled(
        tmp_path / "s.sqlite3",
        [row(key=key, shown_at=at) for key, at in enumerate(times)],
        [Calls(day, "shown", 1, 1.0) for day in days],
    )
    for asked, shown, calls, since in ((None, 4, 3, None), (1, 2, 1, days[0]), (2, 3, 2, days[1]), (9, 4, 3, None)):
        stats = load(path, asked)
        assert (stats.overall.shown, stats.calls.asked) == (shown, calls)
        assert since is None or stats.since == since


def test_everything_is_forgotten(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.sqlite3", [row(key=key) for key in range(3)], [Calls("2026-03-02", "shown", 1, 1.0)])
    assert reset(path) == 3
    assert (load(path).overall.shown, load(path).calls.asked) == (0, 0)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    path.write_bytes(b"no database" * 1000)
    for run in (load, reset):
        with pytest.raises(StatsError, match="not a database"):
            run(path)
    assert path.exists()  # the language server moves it aside, reading does not


def printed(stats_of: Sequence[Suggestion], calls: Sequence[Calls] = (), encoding: str = "utf-8") -> str:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=False, color_system=None)
    console.__class__ = type("Printed", (Console,), {"encoding": encoding})
    print_stats(summarise(stats_of, calls), console)
    return out.getvalue()


def test_nothing_yet_is_said_kindly() -> None:
    assert printed([]) == "No suggestion was shown: there is nothing to count yet.\n"


def test_tables_for_people() -> None:
    rows = [
        *[row("accepted", kept=8, latency_ms=100.0)] * 3,
        *[row("rejected", source="typed", latency_ms=0.5)] * 5,
        *[row("accepted", language="go", shown_at=NOON + DAY, latency_ms=100.0)] * 6,
    ]
    out = printed(rows, [Calls("2026-03-02", "shown", 9, 900.0), Calls("2026-03-02", "cancelled", 1, 9.0)])
    lines = [line.split() for line in out.splitlines()]
    assert ["python", "8", "8", "3", "37.5", "%", "0", "30", "80.0", "%", "0.5"] in lines
    assert ["go", "6", "6", "6", "100.0", "%", "0", "60", "-", "100.0"] in lines
    assert ["all", "14", "14", "9", "64.3", "%", "0", "90", "80.0", "%", "100.0"] in lines
    assert ["typed", "through", "5", "0.5", "0.5", "0.5"] in lines
    assert ["2026-03-03", "6", "100.0", "%", "-", "6", "█" * 20] in lines
    assert ["2026-03-02", "8", "37.5", "%", "80.0", "%", "3", "█" * 10] in lines
    assert "1 (10.0 %) were wasted" in " ".join(out.split())
    assert "24 of 30 characters" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_terminal_without_block_characters_gets_others() -> None:
    rows = [row("accepted", shown_at=NOON + day * DAY) for day in range(3)]
    assert printed(rows, encoding="cp1252").isascii()
    assert "@" * 20 in printed(rows, encoding="ascii")


def test_a_long_history_stays_a_short_table() -> None:
    rows = [row("accepted", shown_at=NOON + day * DAY) for day in range(300)]
    out = printed(rows)
    assert len(out.splitlines()) < 40
    assert "2026-12-26" in out


BARS = [(0, 10, ""), (10, 10, "####"), (5, 10, "##"), (6, 10, "##."), (7, 10, "##+"), (1, 10, "."), (0, 0, "")]


@pytest.mark.parametrize(("value", "most", "expected"), BARS)
def test_bars_are_as_long_as_their_share(value: int, most: int, expected: str) -> None:
    assert bar(value, most, " .+#", width=4).rstrip() == expected


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command looks."""
    path = tmp_path / "s.sqlite3"
    monkeypatch.setattr("sc2lsp.feedback.statistics_path", lambda: path)
    return path


def sc2lsp(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["stats", *arguments])
    assert done.exit_code == status, done.output
    return done.output


def test_the_command_prints_tables_and_json(kept: Path) -> None:
    assert sc2lsp() == "No suggestion was shown: there is nothing to count yet.\n"
    today, long_ago = row("accepted", key=1, shown_at=time.time()), row("accepted", key=2)
    filled(kept, [today, long_ago])
    assert "Suggestions" in sc2lsp()
    assert json.loads(sc2lsp("--json")) == json.loads(msgspec.json.encode(load(kept)))
    assert json.loads(sc2lsp("--json"))["overall"]["shown"] == 2
    assert json.loads(sc2lsp("--json", "--days", "1"))["overall"]["shown"] == 1
    sc2lsp("--days", "0", status=2)


def test_the_command_forgets(kept: Path) -> None:
    filled(kept, [row(key=key) for key in range(3)])
    assert "3" in sc2lsp("--reset")
    assert sc2lsp().startswith("No suggestion")


def test_the_command_says_what_is_wrong_in_a_line(kept: Path) -> None:
    kept.write_bytes(b"no database" * 1000)
    assert len(sc2lsp(status=1).splitlines()) == 1
