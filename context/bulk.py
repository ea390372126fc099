"""Reading and parsing many files in worker processes: the parser's binding holds the interpreter lock while it works.

A worker reads batches of paths on its standard input and answers with records, in frames of a length and msgpack. It
ends with whoever started it, and costs no more than the one file it chokes on. Knows no index.

    python -m sc2lsp.context.bulk [NICENESS]
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, thread_time
from typing import IO, Any

from .cache import entries_of, key_of, record_of
from .document import MAX_PARSED_BYTES, PARSE_SECONDS, Document
from .entry import FileEntry, analyse
from .languages import grammar
from .records import decode, encode
from .workspace import Reader, Skipped, Stamp

MAX_WORKERS = 4
FILE_SECONDS = 0.25  # of processor time
HANG_SECONDS = 120.0  # without an answer, whatever a worker waits for: on a busy machine its turn comes late
AHEAD = 2  # batches a worker has at hand, so that it need not wait for the next one
LENGTH_BYTES = 4
FAILED = "parser failed"
COMMAND = (sys.executable, "-P", "-m", "sc2lsp.context.bulk")  # -P: not what lies in the current directory


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: an entry, or the reason why there is none."""

    path: str
    stamp: Stamp | None  # from before it was read
    key: bytes  # of its text, see `cache.key_of`
    entry: FileEntry | None
    reason: str
    lasting: bool  # whether the same file would fare the same again: not where time ran out


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch. `record` holds the lasting entries, ready to be kept."""

    outcomes: tuple[Outcome, ...]
    record: bytes
    peak_rss: int  # bytes, of the worker


@dataclass(frozen=True, slots=True)
class _Job:
    root: str
    paths: tuple[str, ...]


class _TooSlowError(Exception):
    """A file used up its time."""


def analyse_file(reader: Reader, path: str) -> Outcome:
    """Read and parse one file, here and now."""
    text, stamp = reader.read_stamped(path)
    if isinstance(text, Skipped):
        return Outcome(path, stamp, b"", None, text.reason, text.reason != "unreadable")
    started = thread_time()
    document = Document.open(path, text)
    entry = analyse(document)
    # Where others held the processor, the same text may be parsed in time on another day.
    lasting = not _gave_up(document, entry) or thread_time() - started > PARSE_SECONDS / 2
    return Outcome(path, stamp, key_of(path, entry.digest), entry, "", lasting)


def answer(outcomes: Sequence[Outcome]) -> Answer:
    """Outcomes with their lasting entries encoded, each text once."""
    lasting = {each.key: each.entry for each in outcomes if each.lasting and each.entry is not None}
    record = record_of([*lasting], [*lasting.values()])
    return Answer(tuple(outcomes), record, peak_rss())


def peak_rss() -> int:
    """The most memory this process ever had, in bytes; 0 where the platform does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # not getrusage: on Linux that begins with the peak of the process that started this one
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        return int(peak[1]) << 10 if peak else 0
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def worker_count() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_WORKERS)


@dataclass(eq=False, slots=True)
class _Worker:
    process: "subprocess.Popen[bytes]"
    given: deque[tuple[str, ...]] = field(default_factory=deque[tuple[str, ...]])  # the first is the one in work
    heard: float = field(default_factory=monotonic)
    greeted: bool = False
    peak_rss: int = 0


class Pool:
    """Workers on the files of one workspace. Batches go in by `give`, answers come by `take`, in any order."""

    def __init__(self, root: Path, size: int, command: Sequence[str] = COMMAND, niceness: int = 0) -> None:
        self._root = root
        self._size = size
        self._command = [*command, str(niceness)]
        self._priority = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0) if niceness else 0  # on Windows
        self._waiting: deque[tuple[str, ...]] = deque()
        self._workers: list[_Worker] = []
        self._arrived: SimpleQueue[tuple[_Worker, bytes | None]] = SimpleQueue()
        self._reader = Reader(root)
        self._peaks = 0  # bytes, of workers that have ended
        self._broken = False  # no worker can be started: the files are parsed here
        # `_arrived` is fed by a thread for each worker; all else mutates on the thread of whoever made this.

    @property
    def is_done(self) -> bool:
        return not self._waiting and not any(worker.given for worker in self._workers)

    @property
    def peak_rss(self) -> int:
        """Bytes: the most that each worker had, together."""
        return self._peaks + sum(worker.peak_rss for worker in self._workers)

    def start(self) -> None:
        """Have the workers ready before there is anything to give."""
        while len(self._workers) < self._size and self._start() is not None:
            pass

    def give(self, paths: Sequence[str]) -> None:
        self._waiting.append(tuple(paths))

    def take(self) -> Iterator[Answer]:
        """The answers that have arrived, without waiting; sees to it that every worker has something to do."""
        self._end_hung()
        self._hand_out()
        while (arrived := self._next()) is not None:
            worker, frame = arrived
            worker.heard, worker.greeted = monotonic(), worker.greeted or frame is not None
            if frame is None:
                yield from self._bury(worker)
            elif frame:
                worker.given.popleft()
                self._hand_out()
                yield self._opened(worker, frame)
        if self._broken and self._waiting:
            yield self._here(self._waiting.popleft())

    def close(self) -> None:
        """End the workers, whatever they are at."""
        for worker in self._workers:
            self._peaks += worker.peak_rss
            worker.process.kill()
            worker.process.wait()
            _close(worker.process.stdin)
        self._workers.clear()
        self._waiting.clear()

    def _next(self) -> tuple[_Worker, bytes | None] | None:
        try:
            return self._arrived.get_nowait()
        except Empty:
            return None

    def _hand_out(self) -> None:
        while self._waiting and not self._broken:
            worker = min(self._workers, key=lambda each: len(each.given), default=None)
            if len(self._workers) < self._size and (worker is None or worker.given):
                worker = self._start()
            if worker is None or len(worker.given) >= AHEAD:
                return
            if not worker.given:
                worker.heard = monotonic()
            worker.given.append(self._waiting.popleft())
            _send(worker.process.stdin, encode(_Job, [_Job(str(self._root), worker.given[-1])]))

    def _start(self) -> _Worker | None:
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                creationflags=self._priority,
            )  # fmt: skip
        except OSError:
            self._broken = True
            return None
        worker = _Worker(process)
        self._workers.append(worker)
        threading.Thread(target=_listen, args=(worker, self._arrived), daemon=True).start()
        return worker

    def _opened(self, worker: _Worker, frame: bytes) -> Answer:
        (found,) = decode(Answer, frame)
        worker.peak_rss = found.peak_rss
        entries = entries_of(found.record)
        outcomes = (replace(each, entry=entries[each.key]) if each.key in entries else each for each in found.outcomes)
        return replace(found, outcomes=tuple(outcomes))

    def _bury(self, worker: _Worker) -> Iterator[Answer]:
        """A worker died: of the batch it was at, each file is tried alone; one that was alone is given up."""
        if worker not in self._workers:  # closed
            return
        self._workers.remove(worker)
        self._peaks += worker.peak_rss
        _close(worker.process.stdin)
        worker.process.wait()
        self._broken = self._broken or not worker.greeted
        batches = [*worker.given]
        if worker.greeted and batches:
            suspect = batches.pop(0)
            if len(suspect) == 1:
                yield Answer((Outcome(suspect[0], None, b"", None, FAILED, lasting=False),), b"", 0)
            else:
                batches = [(path,) for path in suspect] + batches
        self._waiting.extendleft(reversed(batches))
        self._hand_out()

    def _end_hung(self) -> None:
        for worker in self._workers:
            if worker.given and monotonic() - worker.heard > HANG_SECONDS:
                worker.process.kill()  # its end is announced like any other

    def _here(self, batch: tuple[str, ...]) -> Answer:
        path, *others = batch
        if others:
            self._waiting.appendleft(tuple(others))
        return answer([analyse_file(self._reader, path)])


def work(jobs: IO[bytes], answers: IO[bytes]) -> None:
    """A worker's life: until the jobs end."""
    _send(answers, b"")  # a greeting: it runs, and whatever kills it from here on is a file's doing
    while (frame := _receive(jobs)) is not None:
        (job,) = decode(_Job, frame)
        reader = Reader(Path(job.root))
        found = answer([_limited(reader, path) for path in job.paths])
        bare = tuple(replace(each, entry=None) if each.lasting else each for each in found.outcomes)
        _send(answers, encode(Answer, [replace(found, outcomes=bare)]))


def _limited(reader: Reader, path: str) -> Outcome:
    timer = getattr(signal, "setitimer", None)  # absent on Windows
    try:
        if timer is not None:
            timer(signal.ITIMER_PROF, FILE_SECONDS, FILE_SECONDS)
        outcome = analyse_file(reader, path)
        if timer is not None:
            timer(signal.ITIMER_PROF, 0)
    except (_TooSlowError, RecursionError, MemoryError):
        if timer is not None:
            timer(signal.ITIMER_PROF, 0)
        return Outcome(path, None, b"", None, FAILED, lasting=False)
    return outcome


def _gave_up(document: Document, entry: FileEntry) -> bool:
    """Whether time ran out while parsing: a text without a tree that should have one."""
    language = document.language
    could = language is not None and entry.size <= MAX_PARSED_BYTES and grammar(language) is not None
    return could and document.tree is None


def _listen(worker: _Worker, arrived: "SimpleQueue[tuple[_Worker, bytes | None]]") -> None:
    stream = worker.process.stdout
    assert stream is not None
    while (frame := _receive(stream)) is not None:
        arrived.put((worker, frame))
    stream.close()
    arrived.put((worker, None))


def _send(stream: Any, frame: bytes) -> None:
    with suppress(OSError, ValueError):  # the other side has gone: reading tells
        stream.write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)
        stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    """The next frame; None when there are no more."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    frame = stream.read(length)
    return frame if len(frame) == length else None


def _close(stream: Any) -> None:
    with suppress(OSError):
        stream.close()


def _too_slow(_signal: int, _frame: object) -> None:
    raise _TooSlowError


def main() -> None:
    if hasattr(os, "nice"):
        os.nice(int(*sys.argv[1:]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, _too_slow)
    work(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
