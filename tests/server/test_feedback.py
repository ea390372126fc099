"""What the user did with suggestions: which events count, what of them is kept on disk, and what a bad disk costs."""

import logging
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from sc2lsp import feedback as feedback_module
from sc2lsp import suggestions
from sc2lsp.feedback import Feedback
from sc2lsp.spans import Span, kept_characters, narrowed
from sc2lsp.suggestions import Busy, Calls, Damaged, Ledger, Suggestion, Unusable, clear, read

NOW = time.time() - 3600
Event = tuple[object, ...]  # the method, its arguments; a number lets so many seconds pass


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "suggestions.sqlite3"


def play(path: Path | None, events: Sequence[Event | float]) -> None:
    clock = Clock()
    feedback = Feedback(path, clock)
    for event in events:
        if isinstance(event, tuple):
            getattr(feedback, str(event[0]))(*event[1:])
        else:
            clock.now += event
    feedback.close()


def show(id: str, characters: int = 10, source: str = "model") -> Event:
    return ("shown", id, "python", characters, 1, 80.0, source)


def rows(path: Path) -> list[Suggestion]:
    return read(path, 0.0, "")[0]


AGAIN = ("again", 0, 0, 0, 0, None)
# events -> (fate, visible ms, characters taken, by word, by line, kept), a row for each suggestion
CASES: dict[str, tuple[list[Event | float], list[tuple[object, ...]]]] = {
    "shown until the end": ([show("a"), 1.5], [("shown", 1500, 0, 0, 0, None)]),
    "the next takes its place": (
        [show("a"), 0.1, show("b"), 2.0],
        [("shown", 100, 0, 0, 0, None), ("shown", 2000, 0, 0, 0, None)],
    ),
    "accepted": ([show("a"), 1.0, ("accepted", "a")], [("accepted", 1000, 10, 0, 0, None)]),
    "accepted twice": (
        [show("a"), 1.0, ("accepted", "a"), 1.0, ("accepted", "a")],
        [("accepted", 1000, 10, 0, 0, None)],
    ),
    "accepted by who never saw it": ([show("a"), ("accepted", "b"), 1.0], [("shown", 1000, 0, 0, 0, None)]),
    "rejected": ([show("a"), 2.0, ("rejected", "a"), 9.0], [("rejected", 2000, 0, 0, 0, None)]),
    "rejected twice": (
        [show("a"), 2.0, ("rejected", "a"), 9.0, ("rejected", "a")],
        [("rejected", 2000, 0, 0, 0, None)],
    ),
    "the edit comes before the accept": (
        [show("a"), 1.0, ("rejected", "a"), 0.1, ("accepted", "a")],
        [("accepted", 1000, 10, 0, 0, None)],
    ),
    "the continuation comes before the accept": (
        [show("a"), 1.0, show("b"), 0.5, ("accepted", "a"), 0.5],
        [("accepted", 1000, 10, 0, 0, None), ("shown", 1000, 0, 0, 0, None)],
    ),
    "accepted, then rejected": (
        [show("a"), 1.0, ("accepted", "a"), ("rejected", "a")],
        [("accepted", 1000, 10, 0, 0, None)],
    ),
    "a word, then another": (
        [show("a"), ("partly", "a", 4, "word"), 1.0, ("partly", "a", 6, "word"), 1.0],
        [("partly", 2000, 6, 2, 0, None)],
    ),
    "the same word from two clients": (
        [show("a"), ("partly", "a", 4, "word"), ("partly", "a", 4, None), 1.0],
        [("partly", 1000, 4, 1, 0, None)],
    ),
    "a line": ([show("a"), ("partly", "a", 4, "line"), 1.0], [("partly", 1000, 4, 0, 1, None)]),
    "a part of no known unit": ([show("a"), ("partly", "a", 4, None), 1.0], [("partly", 1000, 4, 0, 0, None)]),
    "nothing is no part": ([show("a"), ("partly", "a", 0, "word"), 1.0], [("shown", 1000, 0, 0, 0, None)]),
    "fewer than nothing": ([show("a"), ("partly", "a", -3, "word"), 1.0], [("shown", 1000, 0, 0, 0, None)]),
    "word by word to the end": (
        [show("a"), ("partly", "a", 4, "word"), 1.0, ("partly", "a", 10, "word"), 1.0, ("accepted", "a")],
        [("accepted", 1000, 10, 2, 0, None)],
    ),
    "the last word, of which the edit told before": (
        [show("a"), ("partly", "a", 4, "word"), 1.0, ("accepted", "a"), ("partly", "a", 10, "word")],
        [("accepted", 1000, 10, 2, 0, None)],
    ),
    "the last line twice": (
        [show("a"), ("accepted", "a"), ("partly", "a", 10, "line"), ("partly", "a", 10, "line")],
        [("accepted", 0, 10, 0, 1, None)],
    ),
    "accepted, and a part of it afterwards": (
        [show("a"), ("accepted", "a"), ("partly", "a", 4, "word")],
        [("accepted", 0, 10, 0, 0, None)],
    ),
    "more than there is": ([show("a"), ("partly", "a", 99, "line")], [("accepted", 0, 10, 0, 1, None)]),
    "a word, then the rest": (
        [show("a"), ("partly", "a", 4, "word"), 1.0, ("accepted", "a")],
        [("accepted", 1000, 10, 1, 0, None)],
    ),
    "a word, then away": (
        [show("a"), ("partly", "a", 4, "word"), 1.0, ("rejected", "a"), 1.0],
        [("partly", 1000, 4, 1, 0, None)],
    ),
    "a part of what nobody showed": ([("partly", "a", 4, "word"), ("rejected", "a"), ("kept", "a", 1)], []),
    "kept": ([show("a"), ("accepted", "a"), 30.0, ("kept", "a", 7)], [("accepted", 0, 10, 0, 0, 7)]),
    "kept is looked at once": (
        [show("a"), ("accepted", "a"), ("kept", "a", 7), ("kept", "a", 3)],
        [("accepted", 0, 10, 0, 0, 7)],
    ),
    "no more is kept than was taken": (
        [show("a"), ("partly", "a", 4, "word"), ("kept", "a", 9), 1.0],
        [("partly", 1000, 4, 1, 0, 4)],
    ),
    "no less than nothing is kept": (
        [show("a"), ("accepted", "a"), ("kept", "a", -1)],
        [("accepted", 0, 10, 0, 0, 0)],
    ),
    "nothing of what was rejected": ([show("a"), 1.0, ("kept", "a", 7)], [("shown", 1000, 0, 0, 0, None)]),
    "shown once more": ([show("a"), 1.0, show("a"), 1.0], [("shown", 2000, 0, 0, 0, None), AGAIN]),
    "typed through, then accepted": (
        [show("a"), 1.0, show("a", 6), 1.0, ("accepted", "a")],
        [("accepted", 2000, 6, 0, 0, None), AGAIN],
    ),
    "a word, then what is left": (
        [show("a"), ("partly", "a", 4, "word"), show("a", 6), 1.0, ("accepted", "a")],
        [("accepted", 1000, 10, 1, 0, None), AGAIN],
    ),
    "a word, then one of what is left": (
        [show("a"), ("partly", "a", 4, "word"), show("a", 6), 1.0, ("partly", "a", 3, "word"), 1.0],
        [("partly", 2000, 7, 2, 0, None), AGAIN],
    ),
    "word by word to the end of what is left": (
        [show("a"), ("partly", "a", 4, "word"), show("a", 6), 1.0, ("partly", "a", 6, "word"), 1.0],
        [("accepted", 1000, 10, 2, 0, None), AGAIN],
    ),
    "gone and back again": (
        [show("a"), 0.5, show("b"), 1.0, ("rejected", "b"), 1.0, show("a"), 0.5, ("rejected", "a"), 5.0],
        [("rejected", 1000, 0, 0, 0, None), ("rejected", 1000, 0, 0, 0, None), AGAIN],
    ),
    "rejected, back again, accepted": (
        [show("a"), 0.5, ("rejected", "a"), 1.0, show("a"), 0.5, ("accepted", "a")],
        [("accepted", 1000, 10, 0, 0, None), AGAIN],
    ),
    "accepted, undone, shown again": (
        [show("a"), 0.5, ("accepted", "a"), 1.0, show("a"), 0.5, ("accepted", "a"), ("partly", "a", 3, "word")],
        [("accepted", 1000, 10, 0, 0, None), AGAIN],
    ),
    "a clock that goes back": ([show("a"), -5.0, ("accepted", "a")], [("accepted", 0, 10, 0, 0, None)]),
}


@pytest.mark.parametrize(("events", "expected"), CASES.values(), ids=CASES)
def test_what_becomes_of_suggestions(
    path: Path, events: list[Event | float], expected: list[tuple[object, ...]]
) -> None:
    play(path, events)
    found = [
        (row.fate, round(row.visible_ms or 0.0), row.taken, row.by_word, row.by_line, row.kept) for row in rows(path)
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_a_row_says_what_was_told(path: Path) -> None:
    play(path, [("shown", "a", "go", 42, 3, 81.5, "continuation")])
    (row,) = rows(path)
    assert (row.language, row.characters, row.lines, row.latency_ms, row.source) == ("go", 42, 3, 81.5, "continuation")
    assert row.shown_at == NOW


def test_calls_are_added_up_by_day(path: Path) -> None:
    day = time.strftime("%Y-%m-%d", time.localtime(NOW))
    for _ in range(2):
        play(path, [("asked", "shown", 80.0), ("asked", "shown", 20.0), ("asked", "cancelled", 5.0)])
    assert read(path, 0.0, "")[1] == [Calls(day, "cancelled", 2, 10.0), Calls(day, "shown", 4, 200.0)]


def test_nowhere_keeps_nothing(tmp_path: Path) -> None:
    play(None, [show("a"), ("accepted", "a"), ("partly", "a", 3, "word"), ("kept", "a", 3), ("asked", "shown", 1.0)])
    assert not list(tmp_path.iterdir())


def test_nothing_is_made_before_there_is_something_to_keep(path: Path) -> None:
    play(path, [("accepted", "a")])
    assert not path.parent.exists()
    assert read(path, 0.0, "") == ([], [])
    assert clear(path) == 0
    assert not path.parent.exists()


def test_no_text_and_no_id_reaches_the_disk(path: Path) -> None:
    id, language = "/home/canary_7f3a9/x.py", "canary_51d0c" * 100
    play(path, [("shown", id, language, 10, 1, 80.0, "model"), ("accepted", id), ("kept", id, 3)])
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"canary_7f3a9" not in written
    assert written.count(b"canary_51d0c") < 8  # a language's name is cut


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_the_file_is_its_owners(path: Path) -> None:
    ledger = Ledger(path)
    ledger.write([Suggestion(1, NOW, "go", "model", 1, 1, 1.0)], [])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {f"{path.name}{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
    ledger.close()
    path.chmod(0o644)
    assert len(rows(path)) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_rows_are_there_within_moments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without closing: a window that is killed keeps all but its last second."""
    monkeypatch.setattr(feedback_module, "BATCH_SECONDS", 0.05)
    feedback = Feedback(path, Clock())
    for number in range(3):
        feedback.shown(str(number), "go", 1, 1, 1.0, "model")
        deadline = time.monotonic() + 20
        while not path.exists() or len(rows(path)) <= number:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    feedback.close()


WINDOW = """
import sys
from pathlib import Path
from sc2lsp import feedback as module
module.BATCH_SECONDS = 0.002
feedback = module.Feedback(Path(sys.argv[1]))
for number in range(400):
    feedback.shown(f"{number}", "go", 10, 1, 1.0, "model")
    feedback.accepted(f"{number}")
    feedback.asked("shown", 1.0)
    if number % 10 == 0:
        module.time.sleep(0.002)
module.CLOSE_SECONDS = 60
feedback.close()
"""


def test_many_windows_write_one_file(path: Path) -> None:
    command = [sys.executable, "-P", "-W", "error", "-c", WINDOW, str(path)]
    windows = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(5)]
    assert [window.communicate(timeout=120)[1] for window in windows] == [b""] * 5
    found, calls = read(path, 0.0, "")
    assert len(found) == 5 * 400
    assert {row.fate for row in found} == {"accepted"}
    assert sum(call.count for call in calls) == 5 * 400


def test_windows_that_are_killed_leave_a_sound_file(path: Path) -> None:
    endless = WINDOW.replace("range(400)", "range(1_000_000)").replace("% 10", "% 2")
    command, before = [sys.executable, "-P", "-c", endless, str(path)], 0
    for _ in range(3):
        windows = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
        deadline = time.monotonic() + 60
        while len(rows(path)) <= before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for window in windows:
            window.kill()
            window.communicate()
        before = len(rows(path))
    assert not list(path.parent.glob("*.damaged"))


def test_a_batch_waits_for_another_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(suggestions, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(feedback_module, "BATCH_SECONDS", 0.01)
    play(path, [show("before")])
    feedback = Feedback(path, Clock())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        feedback.shown("a", "go", 1, 1, 1.0, "model")
        time.sleep(0.2)
        other.execute("COMMIT")
    feedback.shown("b", "go", 1, 1, 1.0, "model")
    feedback.close()
    assert len(rows(path)) == 3
    assert not caplog.records


def unreadable(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(random.Random(1).randbytes(9000))


def cut_short(path: Path) -> None:
    play(path, [show(str(number)) for number in range(900)])
    path.write_bytes(path.read_bytes()[:9000])


def bent(path: Path) -> None:
    play(path, [show(str(number)) for number in range(900)])
    data = path.read_bytes()
    path.write_bytes(data[:4096] + random.Random(1).randbytes(len(data) - 4096))


@pytest.mark.parametrize("damage", [unreadable, cut_short, bent])
def test_a_damaged_file_is_moved_aside(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(path)
    play(path, [show("new"), ("accepted", "new")])
    assert [row.fate for row in rows(path)] == ["accepted"]
    assert path.with_name(f"{path.name}.damaged").exists()
    assert not caplog.records


def test_what_another_window_mended_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage is found in what was open, when the first of two windows has put a new file in its place already."""
    play(path, [show("of the other window")])
    ledger, failures, honest = Ledger(path), [Damaged("malformed")], Ledger._write

    def write(self: Ledger, *rows: list[tuple[object, ...]]) -> None:
        if failures:
            raise failures.pop()
        honest(self, *rows)

    monkeypatch.setattr(Ledger, "_write", write)
    ledger.write([Suggestion(1, NOW, "go", "model", 1, 1, 1.0)], [])
    ledger.close()
    assert len(rows(path)) == 2
    assert not failures


def no_folder(path: Path) -> None:
    path.parent.write_text("a file")


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def a_link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent / "elsewhere")


def newer(path: Path) -> None:
    play(path, [show("old")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def full(path: Path) -> None:
    """As a full disk says it."""
    play(path, [show("old")])
    real = suggestions._connect

    def connect(path: Path) -> sqlite3.Connection:
        connection = real(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    pytest.MonkeyPatch().setattr(suggestions, "_connect", connect)


@pytest.mark.parametrize("obstacle", [no_folder, a_folder, a_link, newer, full])
def test_what_cannot_be_written_costs_one_warning(
    path: Path, obstacle: Callable[[Path], None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_module, "BATCH_SECONDS", 0.01)
    monkeypatch.setattr(suggestions, "_connect", suggestions._connect)  # so that it is put back
    obstacle(path)
    caplog.set_level(logging.DEBUG)
    feedback = Feedback(path, Clock())
    for start in (0, 500):
        for number in range(start, start + 500):
            feedback.shown(str(number), "go", 1, 1, 1.0, "model")
            feedback.accepted(str(number))
        time.sleep(0.1)
    feedback.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(path.parent) not in caplog.text


@pytest.mark.skipif(sys.platform == "win32" or not Path("/proc").exists(), reason="modes are POSIX")
def test_a_file_that_may_only_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a read-only file system says it (tests may run as root, whom modes do not stop)."""
    play(path, [show("old")])

    def connect(path: Path, **options: object) -> sqlite3.Connection:
        return real(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)

    real = sqlite3.connect
    monkeypatch.setattr(suggestions.sqlite3, "connect", connect)
    with pytest.raises(Unusable, match="readonly"):
        Ledger(path).write([Suggestion(1, NOW, "go", "model", 1, 1, 1.0)], [])


def test_a_file_of_an_earlier_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(path, [show("old")])
    more = ("ALTER TABLE call ADD COLUMN note TEXT", "CREATE INDEX call_day ON call (day)")
    monkeypatch.setattr(suggestions, "_MIGRATIONS", (*suggestions._MIGRATIONS, more))
    play(path, [show("new"), ("asked", "shown", 1.0)])
    assert len(rows(path)) == 2
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT note FROM call").fetchone() == (None,)


def test_a_migration_happens_wholly_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(path, [show("old")])
    wrong = ("ALTER TABLE call ADD COLUMN note TEXT", "CREATE INDEX x ON nowhere (day)")
    with monkeypatch.context() as patch:
        patch.setattr(suggestions, "_MIGRATIONS", (*suggestions._MIGRATIONS, wrong))
        with pytest.raises(Unusable):
            Ledger(path).write([Suggestion(1, NOW, "go", "model", 1, 1, 1.0)], [])
    play(path, [show("new")])
    assert len(rows(path)) == 2


def test_what_is_old_or_too_much_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day, now = 86_400, time.time()
    ages = [401 * day, 399 * day, 5.0, 4.0, 3.0, 2.0, 1.0]
    ledger = Ledger(path)
    days = [time.strftime("%Y-%m-%d", time.localtime(now - age)) for age in (402 * day, 390 * day)]
    ledger.write(
        [Suggestion(key, now - age, "go", "model", 1, 1, 1.0) for key, age in enumerate(ages)],
        [Calls(name, "shown", 1, 1.0) for name in days],
    )
    ledger.close()
    found, calls = read(path, 0.0, "")
    assert [row.key for row in found] == [1, 2, 3, 4, 5, 6]
    assert [call.day for call in calls] == days[1:]
    monkeypatch.setattr(suggestions, "MAX_ROWS", 4)
    assert [row.key for row in rows(path)] == [3, 4, 5, 6]


def test_everything_can_be_forgotten(path: Path) -> None:
    play(path, [*(show(str(number)) for number in range(5)), ("asked", "shown", 1.0)])
    with closing(sqlite3.connect(path)) as other:  # as a window that is open has it
        other.execute("SELECT count(*) FROM suggestion").fetchone()
        assert clear(path) == 5
    assert read(path, 0.0, "") == ([], [])
    play(path, [show("new")])
    assert len(rows(path)) == 1


def test_a_batch_is_written_wholly_or_not_at_all(path: Path) -> None:
    wrong = Calls("2026-03-02", None, 1, 1.0)  # type: ignore[arg-type]
    with pytest.raises(Unusable):
        Ledger(path).write([Suggestion(1, NOW, "go", "model", 1, 1, 1.0)], [wrong])
    assert not rows(path)


def test_busy_is_told_from_useless(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "BUSY_SECONDS", 0.01)
    play(path, [show("a")])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy):
            Ledger(path).write([Suggestion(1, NOW, "go", "model", 1, 1, 1.0)], [])


def test_what_is_remembered_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback_module, "MAX_KNOWN", 3)
    play(path, [*(show(str(number)) for number in range(5)), ("accepted", "1"), ("accepted", "2")])
    assert sorted(row.fate for row in rows(path)) == ["accepted", "shown", "shown", "shown", "shown"]


SPANS = {
    # a text with the span in brackets, an edit (start, end, inserted), the text afterwards
    "before": ("ab[cde]f", (0, 1, "xyz"), "xyzb[cde]f"),
    "right before": ("ab[cde]f", (2, 2, "x"), "abx[cde]f"),
    "up to it": ("ab[cde]f", (1, 2, ""), "a[cde]f"),
    "after": ("ab[cde]f", (6, 6, "x"), "ab[cde]fx"),
    "right after": ("ab[cde]f", (5, 5, "x"), "ab[cde]xf"),
    "inside": ("ab[cde]f", (3, 3, "xy"), "ab[cxyde]f"),
    "replaced inside": ("ab[cde]f", (3, 4, "xy"), "ab[cxye]f"),
    "its end": ("ab[cde]f", (4, 6, "x"), "ab[cd]x"),
    "its beginning": ("ab[cde]f", (1, 3, "xyz"), "axyz[de]f"),
    "all of it": ("ab[cde]f", (2, 5, ""), "ab[]f"),
    "all and more": ("ab[cde]f", (1, 6, "xyz"), "axyz[]"),
    "an empty one": ("ab[]f", (2, 2, "x"), "abx[]f"),
    "its last": ("ab[cde]f", (4, 5, ""), "ab[cd]f"),
    "its first": ("ab[cde]f", (2, 3, ""), "ab[de]f"),
    "its first, replaced": ("ab[cde]f", (2, 3, "xx"), "ab[xxde]f"),
}


@pytest.mark.parametrize(("before", "edit", "after"), SPANS.values(), ids=SPANS)
def test_spans_follow_edits(before: str, edit: tuple[int, int, str], after: str) -> None:
    text, span = unmarked(before)
    start, end, inserted = edit
    assert (text[:start] + inserted + text[end:], span.edited(start, end, len(inserted))) == unmarked(after)


def unmarked(text: str) -> tuple[str, Span]:
    start, end = text.index("["), text.index("]") - 1
    return text.replace("[", "").replace("]", ""), Span(start, end)


def test_spans_stay_spans_of_what_was_not_touched() -> None:
    """The characters of the span that edits leave alone are those inside it afterwards."""
    draw = random.Random(3)
    for _ in range(2000):
        text = [(n, 10 <= n < 20) for n in range(30)]  # a character, and whether the span holds it
        span = Span(10, 20)
        for _ in range(draw.randint(1, 6)):
            start = draw.randint(0, len(text))
            end = draw.randint(start, min(len(text), start + 8))
            inserted = [(-1, False)] * draw.randint(0, 4)
            text[start:end] = inserted
            span = span.edited(start, end, len(inserted))
            assert 0 <= span.start <= span.end <= len(text)
        inside = [is_ours for _, is_ours in text[span.start : span.end]]
        assert sum(inside) == sum(is_ours for _, is_ours in text)
        if any(inside):
            assert inside[0] or text[span.start][0] == -1


KEPT = {
    "all": ("return total", "return total", 12),
    "nothing left": ("return total", "", 0),
    "something else": ("total", "ab", 0),
    "a letter is no word": ("value", "xvx", 0),
    "a word renamed": ("return total", "return count", 7),
    "the first word renamed": ("total = 0", "count = 0", 4),
    "a word put in": ("return total", "return the total", 12),
    "a word gone": ("f(a, b, c)", "f(a, c)", 7),
    "indented anew": ("if x:\n    y()\n", "if x:\n\ty()\n", 9),
    "another word that begins so": ("total", "totals", 0),
    "swapped": ("alpha beta", "beta alpha", 5),
    "twice there": ("ab", "ab ab", 2),
    "in another order, the heavier": ("x longer", "longer x", 6),
    "emoji": ("s = '🎉🎉'", "t = '🎉🎉'", 7),
    "empty": ("", "x", 0),
}


@pytest.mark.parametrize(("accepted", "now", "kept"), KEPT.values(), ids=KEPT)
def test_characters_that_were_kept(accepted: str, now: str, kept: int) -> None:
    assert kept_characters(accepted, now) == kept


def test_kept_characters_are_bounded() -> None:
    """Whatever becomes of a text, no more is kept than there was, and a long one is compared in bounded work."""
    draw = random.Random(5)
    for size in (10, 100, 1000, 200_000):
        accepted = "".join(draw.choices("ab (){}\n.", k=min(size, 4000)))
        for now in ("".join(draw.choices("ab (){}\n.", k=size)), accepted + "x" * size, "(" + accepted + ")"):
            kept = kept_characters(accepted, now)
            assert 0 <= kept <= min(len(accepted), len(now))
            assert kept == len(accepted) or not now.startswith(accepted)


NARROWED = [("", "", (0, 0, 0)), ("ab", "ab", (2, 2, 0)), ("abc", "axc", (1, 2, 1)), ("aa", "aaa", (2, 2, 1)),
            ("abc", "", (0, 3, 0)), ("", "abc", (0, 0, 3)), ("xax", "x", (1, 3, 0))]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "edit"), NARROWED)
def test_the_smallest_edit_between_two_texts(before: str, after: str, edit: tuple[int, int, int]) -> None:
    start, end, inserted = narrowed(before, after)
    assert (start, end, inserted) == edit
    assert before[:start] + after[start : start + inserted] + before[end:] == after
