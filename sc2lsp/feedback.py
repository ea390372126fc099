"""What the user did with suggestions: told on the event loop, written by a thread of its own, never sent anywhere.

Nothing here waits for a disk but `close`, and nothing fails: a file that cannot be written costs the statistics. Knows
no LSP and no documents; a suggestion is an id that its server made up, and the id stays in memory.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, Literal

from platformdirs import user_data_path

from sc2lsp.suggestions import Busy, Calls, Ledger, Outcome, Suggestion, Unusable

MAX_KNOWN = 1024  # suggestions that can still be accepted, or looked at again: those of more than the last 30 s
MAX_QUEUED = 10_000  # rows that wait for a disk
MAX_LANGUAGE = 32  # characters of an editor's name for a language
BATCH_SECONDS = 1.0
CLOSE_SECONDS = 3.0
Unit = Literal["word", "line"]  # what can be accepted of a suggestion at once
log = logging.getLogger("sc2lsp")


def statistics_path() -> Path:
    """Where this user's statistics are kept."""
    return user_data_path("sc2lsp") / "suggestions.sqlite3"


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows that go into the file together."""

    suggestions: dict[int, Suggestion] = field(default_factory=dict)  # by key: of one only the last row counts
    calls: list[Calls] = field(default_factory=list)

    def add(self, row: Suggestion | Calls) -> None:
        if isinstance(row, Suggestion):
            self.suggestions[row.key] = row
        else:
            self.calls.append(row)

    def __len__(self) -> int:
        return len(self.suggestions) + len(self.calls)


_Rows = Queue[Suggestion | Calls | None]  # None ends them


@dataclass(frozen=True, slots=True)
class _Known:
    """A suggestion, and the item that shows what is left of it once its beginning was typed or taken."""

    row: Suggestion
    length: int  # of the item, code points
    taken_before: int = 0  # characters, when the item was shown
    is_end_counted: bool = False  # by the word or by the line


class Feedback:
    """Of one language server. `path` None keeps nothing; one suggestion at a time is on the screen, the last shown."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock  # seconds since the epoch
        self._known: dict[str, _Known] = {}  # by id, oldest first
        self._visible = ""  # the id of what is on the screen ...
        self._visible_since = 0.0
        self._rows: _Rows = Queue(MAX_QUEUED)
        self._thread: Thread | None = None  # from the first row on
        # Mutated by every method, on the event loop only; the thread has the other end of the queue.

    def shown(self, id: str, language: str, characters: int, lines: int, latency_ms: float, source: str) -> None:
        """A suggestion is on the screen now; of alternatives, the one that is seen. `source`: suggestions.Source.

        The same id again is the same suggestion, what is left of it or anew: of that only the latency counts.
        """
        if self._path is None:
            return
        key, now = secrets.randbits(63), self._clock()
        row = Suggestion(key, now, language[:MAX_LANGUAGE], source, characters, lines, latency_ms)
        known = self._known.get(id)
        if self._visible != id:
            self._hide()
            self._visible, self._visible_since = id, now
        if known is None:
            self._keep(id, _Known(row, characters))
        else:
            self._put(replace(row, fate="again", visible_ms=0.0))
            self._known[id] = _Known(known.row, characters, known.row.taken)
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def accepted(self, id: str) -> None:
        """The whole was taken. The second word of it, and word of what nobody showed, are ignored.

        May come after `rejected` or the next `shown`: some editors send the edit before they tell why.
        """
        known = self._known.get(id)
        if known is not None and known.row.fate != "accepted":
            self._change(id, fate="accepted", taken=known.taken_before + known.length)
            self._hide(id)

    def partly(self, id: str, characters: int, unit: Unit | None) -> None:
        """So many characters from the item's beginning were taken by now; all of them make it accepted.

        Of the last of them an editor may tell once the edit itself has made it accepted.
        """
        known = self._known.get(id)
        if known is None:
            return
        row, taken = known.row, known.taken_before + min(characters, known.length)
        is_end, is_accepted = characters >= known.length, row.fate == "accepted"
        if not (is_end and not known.is_end_counted if is_accepted else taken > row.taken):
            return
        self._known[id] = replace(known, is_end_counted=is_end and unit is not None)
        by_word, by_line = row.by_word + (unit == "word"), row.by_line + (unit == "line")
        if is_accepted:
            self._change(id, by_word=by_word, by_line=by_line)
            return
        self._change(id, fate="partly", taken=taken, by_word=by_word, by_line=by_line)
        if is_end:
            self.accepted(id)

    def rejected(self, id: str) -> None:
        """It left the screen without having been taken, or with no more than was told."""
        known = self._known.get(id)
        if known is not None:
            if known.row.fate == "shown":
                self._change(id, fate="rejected")
            self._hide(id)

    def kept(self, id: str, characters: int) -> None:
        """Of what was taken, so many characters were still there 30 s later."""
        known = self._known.get(id)
        if known is not None and known.row.taken and known.row.kept is None:
            self._change(id, kept=min(max(characters, 0), known.row.taken))

    def asked(self, outcome: Outcome, latency_ms: float) -> None:
        """A call of the model ended, or ("skipped") was not made where typing alone would have made one."""
        if self._path is not None:
            self._put(Calls(date.fromtimestamp(self._clock()).isoformat(), outcome, 1, latency_ms))

    def close(self) -> None:
        """Write what is left; waits for the disk, for some seconds at most."""
        self._hide()
        if self._thread is not None and self._thread.is_alive():
            try:
                self._rows.put(None, timeout=CLOSE_SECONDS)
            except Full:
                return
            self._thread.join(CLOSE_SECONDS)

    def _hide(self, id: str | None = None) -> None:
        """What is on the screen is so no longer; of an `id` only that one."""
        known = self._known.get(self._visible)
        if known is not None and id in (None, self._visible):
            visible_ms = max(self._clock() - self._visible_since, 0.0) * 1000
            self._change(self._visible, visible_ms=(known.row.visible_ms or 0.0) + visible_ms)
            self._visible = ""

    def _change(self, id: str, **values: Any) -> None:
        known = self._known[id]
        self._keep(id, replace(known, row=replace(known.row, **values)))

    def _keep(self, id: str, known: _Known) -> None:
        self._known[id] = known
        self._put(known.row)

    def _put(self, row: Suggestion | Calls) -> None:
        if self._thread is None:
            assert self._path is not None  # or nothing is known that could be put
            self._thread = Thread(target=_write, args=(self._path, self._rows), name="sc2lsp-feedback", daemon=True)
            self._thread.start()
        if self._thread.is_alive():
            try:
                self._rows.put_nowait(row)
            except Full:
                log.debug("the disk does not keep up: a row of the statistics is lost")


def _write(path: Path, rows: _Rows) -> None:
    """The thread: rows into the file, a batch at a time, until they end or the file is of no use."""
    ledger, batch, is_open = Ledger(path), _Batch(), True
    try:
        while is_open:
            is_open = _gather(rows, batch)
            try:
                ledger.write(batch.suggestions.values(), batch.calls)
            except Busy as others:
                if len(batch) > MAX_QUEUED:
                    raise Unusable(str(others)) from None
            else:
                batch = _Batch()
    except Unusable as why:
        log.warning("statistics of suggestions are not kept from here on: %s", why)
    finally:
        ledger.close()


def _gather(rows: _Rows, batch: _Batch) -> bool:
    """Add the next row and what comes within a second of it; False where the rows ended."""
    row, deadline = rows.get(), time.monotonic() + BATCH_SECONDS
    while row is not None:
        batch.add(row)
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        try:
            row = rows.get(timeout=left)
        except Empty:
            return True
    return False
