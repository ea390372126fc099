"""Bringing an index to what the disk holds: a whole workspace, or what changed of it.

A pass goes in short steps, so that an event loop can run in between: look at the disk, take what the shelf knows, parse
the rest, here where it is little and in worker processes where it is much. What is near the open files comes first.
What an editor holds open, the index guards itself.
"""

import gc
import os
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from posixpath import commonpath, dirname
from stat import S_ISREG

from .bulk import Answer, Outcome, Pool, analyse_file, answer, worker_count
from .cache import Row, Shelf, key_of
from .entry import FileEntry, digest
from .index import Index
from .resolve import resolve
from .workspace import MAX_FILE_BYTES, Reader, Rules, Skipped, Stamp, governs

FEW_FILES = 200  # so many are parsed here: starting a worker takes as long
BATCH_FILES, BATCH_BYTES = 64, 1 << 18  # for a worker; bytes of source text
FRESH_FILES = 16  # parsed here, until they are encoded for the shelf
NEAR_FILES, NEAR_ROUNDS = 64, 2  # around the files that were opened: most files, and steps along imports
STEP_FILES = 16  # looked at or taken in at one step
KNOWN_STEP = 1000  # paths of the index looked at in one step
SHELF_FILES = 50  # changed files that make loading the shelf worth it

Idle = bool  # what a step of the work says: whether it waits for a worker


@dataclass(frozen=True, slots=True)
class Manners:
    """How much a pass gives way to other work."""

    small: int  # bytes: a larger file is never parsed here, for an event loop would wait for it
    niceness: int  # of the workers


FOREGROUND = Manners(MAX_FILE_BYTES, 0)  # somebody waits for it
BACKGROUND = Manners(16 << 10, 10)


@dataclass(frozen=True, slots=True)
class Step:
    """How far a pass has come."""

    done: int
    total: int  # as far as is known
    is_idle: bool  # nothing to do until a worker has something to say
    is_ready: bool  # what is near the open files is in


class Pass:
    """One pass over a workspace's files: iterate over `scan` or over `refresh`, once."""

    def __init__(
        self, index: Index, exclude: Sequence[str] = (), shelf: Shelf | None = None, manners: Manners = FOREGROUND
    ) -> None:
        self.index = index
        self.parsed = 0  # files
        self._rules = Rules(index.root, exclude)
        self._reader = Reader(index.root)
        self._pool = Pool(index.root, worker_count(), niceness=manners.niceness)
        self._shelf = shelf
        self._small = manners.small
        self._rows: dict[str, Row] = {}
        self._has_news = False  # for the shelf
        self._fresh: list[Outcome] = []
        self._seen: set[str] = set()
        self._served: frozenset[str] = frozenset()  # open files around which everything was taken in
        self._done = self._total = 0
        # Mutated by the steps, and the index with it, on the thread that iterates.

    @property
    def peak_rss(self) -> int:
        """Bytes, of the workers together."""
        return self._pool.peak_rss

    def scan(self) -> Generator[Step]:
        """Take in the whole workspace; forget what is not there."""
        return self._steps(self._scan())

    def refresh(self, changed: Collection[str]) -> Generator[Step]:
        """Take in what changed: paths of files and folders that are new, different or gone."""
        return self._steps(self._refresh(changed))

    def _steps(self, work: Iterator[Idle]) -> Generator[Step]:
        try:
            for is_idle in work:
                if opened := self.index.open_paths - self._served:
                    self._served |= opened
                    for _ in self._take_near(opened):
                        yield Step(self._done, self._total, is_idle=False, is_ready=False)
                yield Step(self._done, self._total, is_idle, is_ready=bool(self._served))
            yield Step(self._done, self._total, is_idle=False, is_ready=True)
        finally:
            self._pool.close()
            if self._shelf is not None:
                self._shelf.close()

    def _scan(self) -> Iterator[Idle]:
        yield False
        if self._shelf is not None:
            for _ in self._shelf.load():
                yield False
        found: list[str] = []
        for each in self._rules.survey():
            self._note(each, found)
            if len(found) == FEW_FILES and not self.index.files and (self._shelf is None or self._shelf.is_empty):
                self._pool.start()
            if len(self._seen) % STEP_FILES == 0:
                yield False
        yield from self._take(_by_distance(found, self.index.open_paths))
        yield from self._forget(self.index.known - self._seen)
        yield from self._keep()

    def _refresh(self, changed: Collection[str]) -> Iterator[Idle]:
        places = _places(changed)
        files, opened = self.index.files, self.index.open_paths
        may_hold_others = [place for place in places if place not in files or place in opened]
        found: list[str] = []
        for place in places:
            for each in self._rules.examine(place):
                self._note(each, found)
            yield False
        if len(found) < SHELF_FILES:
            self._shelf = None
        if self._shelf is not None:
            for _ in self._shelf.load():
                yield False
            self._rows.update(self._shelf.rows)
        yield from self._take(found)
        gone = [place for place in places if place not in self._seen]
        yield from self._forget(gone)
        if may_hold_others:
            yield from self._forget_below(may_hold_others)
        yield from self._keep()

    def _note(self, found: str | Skipped, candidates: list[str]) -> None:
        if isinstance(found, Skipped):
            self._seen.add(found.path)
            self.index.skip(found.path, found.reason)
        elif found not in self._seen:
            self._seen.add(found)
            candidates.append(found)

    def _take_near(self, opened: Collection[str]) -> Iterator[Idle]:
        """The files beside those that were opened, and those that they import, and so on for a few steps."""
        near: dict[str, None] = {}
        for folder in dict.fromkeys(map(dirname, opened)):
            near.update((each, None) for each in self._rules.beside(folder) if isinstance(each, str))
            yield False
        yield from self._take_here(islice(near, NEAR_FILES))
        frontier: Iterable[str] = opened
        on_disk = _OnDisk(self._rules)
        for _ in range(NEAR_ROUNDS):
            reached: dict[str, None] = {}
            for path in frontier:
                entry = self.index.files.get(path)
                for each in entry.tags.imports if entry is not None else ():
                    reached.update(dict.fromkeys(resolve(on_disk, path, each)))
                yield False
            frontier = list(islice((path for path in reached if path not in near), max(NEAR_FILES - len(near), 0)))
            near.update(dict.fromkeys(frontier))
            yield from self._take_here(frontier)

    def _take_here(self, paths: Iterable[str]) -> Iterator[Idle]:
        """Take in a few files, whatever the shelf knows of them, unless they are in already or too large."""
        for path in paths:
            if path not in self.index.files and _size(self._rules, path) <= self._small:
                yield from self._parse_here([path])

    def _take(self, paths: Sequence[str]) -> Iterator[Idle]:
        """Take in files that are on disk: what the shelf knows of them, then all others."""
        self._total += len(paths)
        wanted: dict[bytes, list[str]] = {}
        missing: list[str] = []
        for number, path in enumerate(paths, 1):
            key = b"" if path in self.index.open_paths else self._known(path)
            if key is None:
                missing.append(path)
            elif key:
                wanted.setdefault(key, []).append(path)
            if number % STEP_FILES == 0:
                yield False
        yield from self._take_kept(wanted)
        missing += [path for paths in wanted.values() for path in paths]  # went bad, or away
        if len(missing) >= FEW_FILES:
            yield from self._parse_elsewhere(missing)
            return
        large = [path for path in missing if _size(self._rules, path) > self._small]
        yield from self._parse_here(path for path in missing if path not in large)
        yield from self._parse_elsewhere(large)

    def _known(self, path: str) -> bytes | None:
        """The shelf's key for a file; b"" where nothing is left to do, None where it must be parsed."""
        shelf, held = self._shelf, self.index.files.get(path)
        row = shelf.rows.get(path) if shelf is not None else None
        if shelf is not None and row is not None and row.stamp == _stamp(self._rules, path):
            return self._decided(shelf, row, held)
        if held is None and (shelf is None or shelf.is_empty):
            return None
        text, stamp = self._reader.read_stamped(path)
        if isinstance(text, Skipped):
            self._apply(Outcome(path, stamp, b"", None, text.reason, lasting=text.reason != "unreadable"))
            return b""
        key = key_of(path, digest(text.encode()))
        if stamp is not None and shelf is not None and (key in shelf or _is_of(held, key)):
            self._has_news = True
            return self._decided(shelf, Row(path, stamp, key, ""), held)
        return b"" if _is_of(held, key) else None

    def _decided(self, shelf: Shelf, row: Row, held: FileEntry | None) -> bytes | None:
        if row.reason:
            self.index.skip(row.path, row.reason)
        elif row.key not in shelf and not _is_of(held, row.key):
            return None
        self._rows[row.path] = row
        if row.reason or _is_of(held, row.key):
            self._done += 1
            return b""
        return row.key

    def _take_kept(self, wanted: dict[bytes, list[str]]) -> Iterator[Idle]:
        if self._shelf is None or not wanted:
            return
        for entries in self._shelf.entries(wanted):
            for key, entry in entries.items():
                for path in wanted.pop(key, ()):
                    self.index.insert(path, entry)
                    self._done += 1
            gc.freeze()  # what is indexed stays: looking through all of it for garbage would halt an event loop
            yield False

    def _parse_here(self, paths: Iterable[str]) -> Iterator[Idle]:
        for path in paths:
            outcome = analyse_file(self._reader, path)
            self._apply(outcome)
            self._fresh.append(outcome)
            if len(self._fresh) >= FRESH_FILES:
                self._shelve_fresh()
            yield False

    def _parse_elsewhere(self, paths: Sequence[str]) -> Iterator[Idle]:
        for batch in _batches(self._rules, paths):
            self._pool.give(batch)
            yield False
        while not self._pool.is_done:
            for found in self._pool.take():
                yield from self._apply_all(found)
            yield True

    def _apply_all(self, found: Answer) -> Iterator[Idle]:
        if self._shelf is not None and any(each.lasting and each.entry is not None for each in found.outcomes):
            self._shelf.add(found.record)
        for number, outcome in enumerate(found.outcomes, 1):
            self._apply(outcome)
            if number % STEP_FILES == 0:
                yield False
        gc.freeze()
        yield False

    def _apply(self, outcome: Outcome) -> None:
        self._done += 1
        self._has_news = True
        if outcome.entry is None:
            self.index.skip(outcome.path, outcome.reason)
        else:
            self.parsed += 1
            self.index.insert(outcome.path, outcome.entry)
        if outcome.lasting and outcome.stamp is not None:
            self._rows[outcome.path] = Row(outcome.path, outcome.stamp, outcome.key, outcome.reason)

    def _shelve_fresh(self) -> None:
        if self._shelf is not None and any(each.lasting and each.entry is not None for each in self._fresh):
            self._shelf.add(answer(self._fresh).record)
        self._fresh.clear()

    def _forget(self, paths: Collection[str]) -> Iterator[Idle]:
        for number, path in enumerate(paths, 1):
            if path not in self.index.open_paths:
                self.index.remove(path)
            self._has_news = self._rows.pop(path, None) is not None or self._has_news
            if number % STEP_FILES == 0:
                yield False

    def _forget_below(self, places: Sequence[str]) -> Iterator[Idle]:
        """Forget what was below folders that changed and is no longer found there."""
        prefixes = tuple(f"{place}/" if place else "" for place in places)
        gone: list[str] = []
        for number, path in enumerate(self.index.known, 1):
            if path.startswith(prefixes) and path not in self._seen:
                gone.append(path)
            if number % KNOWN_STEP == 0:
                yield False
        yield from self._forget(gone)

    def _keep(self) -> Iterator[Idle]:
        if self._shelf is None:
            return
        self._shelve_fresh()
        if not self._has_news and len(self._rows) == len(self._shelf.rows):
            self._shelf.touch()
            return
        for _ in self._shelf.write(list(self._rows.values())):
            yield False


class _OnDisk:
    """The workspace's files as a container of paths, for resolving imports before everything is indexed."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and _stamp(self._rules, path) is not None and self._rules.is_candidate(path)


def _places(changed: Collection[str]) -> dict[str, None]:
    """What to look at anew: an ignore file speaks for its folder."""
    places = {path if (governed := governs(path)) is None else governed: None for path in changed}
    return {"": None} if not places.keys().isdisjoint(("", ".")) else places


def _by_distance(paths: Sequence[str], opened: Collection[str]) -> Sequence[str]:
    """The nearest first, in steps through folders from any of the open files."""
    if not opened:
        return paths
    folders = {path.rpartition("/")[0] for path in paths}
    targets = {path.rpartition("/")[0] for path in opened}
    far = {folder: min(_distance(folder, target) for target in targets) for folder in folders}
    return sorted(paths, key=lambda path: far[path.rpartition("/")[0]])


def _distance(one: str, other: str) -> int:
    shared = commonpath([f"/{one}", f"/{other}"])
    return f"/{one}".count("/") + f"/{other}".count("/") - 2 * shared.count("/")


def _batches(rules: Rules, paths: Iterable[str]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += _size(rules, path)
        if len(batch) == BATCH_FILES or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _is_of(held: FileEntry | None, key: bytes) -> bool:
    return held is not None and key.startswith(held.digest)


def _size(rules: Rules, path: str) -> int:
    stamp = _stamp(rules, path)
    return stamp.size if stamp is not None else 0


def _stamp(rules: Rules, path: str) -> Stamp | None:
    """The stamp of a regular file."""
    try:
        status = os.lstat(f"{rules.root}/{path}")
    except (OSError, ValueError):
        return None
    return Stamp.of(status) if S_ISREG(status.st_mode) else None
