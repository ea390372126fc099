"""What became of suggestions, in SQLite: a row for each, and by day how many calls were made for them.

Several language servers write the same file at once. It holds languages, counts and times: no text, no path, no name of
anything. This module knows no threads (`feedback` has one) and does no arithmetic (`stats` does).
"""

import os
import sqlite3
import time
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from sc2lsp.context.store import make_private, remove

Source = Literal["model", "typed", "known", "continuation"]
Fate = Literal["shown", "partly", "accepted", "rejected", "again"]  # again: a row for the latency alone
Outcome = Literal["shown", "empty", "cancelled", "failed", "skipped"]

MAX_DAYS = 400
MAX_ROWS = 200_000  # of suggestions: about 20 MB
BUSY_SECONDS = 2.0  # another window's transaction takes milliseconds
_SIDE_FILES = ("-wal", "-shm")
# user_version says how many of these a file has been through; what one of them once said never changes.
_MIGRATIONS = (
    (
        """CREATE TABLE suggestion (
            key INTEGER PRIMARY KEY, shown_at REAL NOT NULL, language TEXT NOT NULL, source TEXT NOT NULL,
            characters INTEGER NOT NULL, lines INTEGER NOT NULL, latency_ms REAL NOT NULL, fate TEXT NOT NULL,
            visible_ms REAL, taken INTEGER NOT NULL, by_word INTEGER NOT NULL, by_line INTEGER NOT NULL, kept INTEGER
        )""",
        "CREATE INDEX suggestion_shown_at ON suggestion (shown_at)",
        """CREATE TABLE call (
            day TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL, latency_ms REAL NOT NULL,
            PRIMARY KEY (day, outcome)
        )""",
    ),
)


class Unusable(Exception):
    """The file cannot be read or written, and trying again would not help."""


class Damaged(Unusable):
    """The file is no database any more: moving it aside would help."""


class Busy(Exception):
    """Others write the file: trying again later would help."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One suggestion and what became of it. Lengths in code points, times in milliseconds unless they say otherwise."""

    key: int  # random, so that several windows need no counter
    shown_at: float  # seconds since the epoch
    language: str
    source: str  # Source
    characters: int
    lines: int
    latency_ms: float
    fate: str = "shown"  # Fate
    visible_ms: float | None = None  # None while it is on the screen, and for good where a window ended by force
    taken: int = 0  # characters accepted
    by_word: int = 0  # partial accepts of one word
    by_line: int = 0
    kept: int | None = None  # of the characters accepted, those still there later; None while nobody looked


@dataclass(frozen=True, slots=True)
class Calls:
    """How often asking the model ended in one way, on one local day, and the milliseconds that took in all."""

    day: str  # ISO
    outcome: str  # Outcome
    count: int
    latency_ms: float


_COLUMNS = [field.name for field in fields(Suggestion)]
_PUT = f"INSERT OR REPLACE INTO suggestion ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_ADD = """INSERT INTO call (day, outcome, count, latency_ms) VALUES (?, ?, ?, ?) ON CONFLICT (day, outcome)
    DO UPDATE SET count = count + excluded.count, latency_ms = latency_ms + excluded.latency_ms"""


class Ledger:
    """The file, to be written; opened when something is. Every method raises Busy and Unusable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        # Mutated by every method, on the one thread that calls them.

    def write(self, suggestions: Iterable[Suggestion], calls: Iterable[Calls]) -> None:
        """All or nothing: a suggestion takes the place of what was known of it, calls are added up."""
        rows, counts = [astuple(suggestion) for suggestion in suggestions], [astuple(call) for call in calls]
        if not rows and not counts:
            return
        try:
            self._write(rows, counts)
        except Damaged:
            self.close()
            # Another window may have moved the damaged file aside already: this one must not do it to the new file.
            if not _is_sound(self._path):
                _move_aside(self._path)
            self._write(rows, counts)

    def _write(self, rows: list[tuple[object, ...]], counts: list[tuple[object, ...]]) -> None:
        with _translated():
            if self._connection is None:
                self._connection = _connect(self._path)
            with _transaction(self._connection):
                self._connection.executemany(_PUT, rows)
                self._connection.executemany(_ADD, counts)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def read(path: Path, since: float, first_day: str) -> tuple[list[Suggestion], list[Calls]]:
    """What was shown since a time and asked since a day, oldest first; nothing without a file. Raises like `Ledger`."""
    if not path.exists():
        return [], []
    with _translated(), closing(_connect(path)) as connection:
        columns = ", ".join(_COLUMNS)
        shown = connection.execute(f"SELECT {columns} FROM suggestion WHERE shown_at >= ? ORDER BY shown_at", (since,))
        asked = connection.execute(
            "SELECT day, outcome, count, latency_ms FROM call WHERE day >= ? ORDER BY day", (first_day,)
        )
        return [Suggestion(*row) for row in shown], [Calls(*row) for row in asked]


def clear(path: Path) -> int:
    """Forget everything; how many suggestions that were. Raises like `Ledger`."""
    if not path.exists():
        return 0
    with _translated(), closing(_connect(path)) as connection:
        with _transaction(connection):
            forgotten = connection.execute("DELETE FROM suggestion").rowcount
            connection.execute("DELETE FROM call")
        with suppress(sqlite3.OperationalError):  # a window that is writing: the pages go another time
            connection.execute("VACUUM")
    return forgotten


def _connect(path: Path) -> sqlite3.Connection:
    _create_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last seconds, never the file
        _migrate(connection)
        _prune(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_private(path: Path) -> None:
    """SQLite gives the files beside it the same mode."""
    if not make_private(path.parent):
        raise Unusable("its folder cannot be made, or is somebody else's")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
            path.chmod(0o600)
    finally:
        os.close(descriptor)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of an older version, or a new one, up to date."""
    if _version(connection) == len(_MIGRATIONS):
        return
    with _transaction(connection):
        version = _version(connection)  # another window may have been faster
        if version > len(_MIGRATIONS):
            raise Unusable("a newer version of sc2lsp made it")
        for statement in (statement for migration in _MIGRATIONS[version:] for statement in migration):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _prune(connection: sqlite3.Connection) -> None:
    """Drop what is too old or too much."""
    newest = "(SELECT shown_at FROM suggestion ORDER BY shown_at DESC LIMIT 1 OFFSET ?)"
    with _transaction(connection):
        connection.execute("DELETE FROM suggestion WHERE shown_at < ?", (time.time() - MAX_DAYS * 86_400,))
        connection.execute(f"DELETE FROM suggestion WHERE shown_at <= {newest}", (MAX_ROWS,))
        connection.execute("DELETE FROM call WHERE day < ?", ((date.today() - timedelta(MAX_DAYS)).isoformat(),))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None]:
    with connection:  # commits, or rolls back
        connection.execute("BEGIN IMMEDIATE")  # waits for other writers now, where waiting is possible
        yield


@contextmanager
def _translated() -> Generator[None]:
    """SQLite's and the disk's errors as what the caller can do about them."""
    try:
        yield
    except sqlite3.Error as failure:
        code = getattr(failure, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Busy(str(failure)) from None
        damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        raise (Damaged if damaged else Unusable)(str(failure)) from None
    except OSError as failure:
        raise Unusable(failure.strerror or type(failure).__name__) from None


def _is_sound(path: Path) -> bool:
    try:
        with _translated(), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return bool(verdict == "ok")
    except Damaged:
        return False


def _move_aside(path: Path) -> None:
    with _translated():
        path.replace(path.with_name(f"{path.name}.damaged"))
    for suffix in _SIDE_FILES:
        remove(path.with_name(path.name + suffix))
