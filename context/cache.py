"""What was learnt of a workspace's files, kept on disk: entries by the text they are of, and stamps by path.

A shelf is one workspace's folder: packs of entries, and a table that says which path, at which stamp, had which text.
Processes share a shelf without locks: a lost race, a bent file or a full disk costs a parse, never a wrong answer. Only
what was read from disk is ever put here, never what somebody typed and did not save.
"""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import msgpack

from .entry import FileEntry
from .languages import LANGUAGES
from .records import RecordError, decode, encode, shape
from .store import UNFINISHED, RecordFile, make_private, record_at, records, remove, statuses
from .workspace import Stamp

LENGTH_BYTES = 4
PACK_BYTES = 4 << 20  # a pack is closed when it has grown to this
MAX_PACKS = 16  # beyond it, or where most records are of texts that are gone, packs are merged
ROWS = 500  # of the table, in one record
RACY_NS = 2_000_000_000  # the coarsest clock of a file system still in use
ABANDONED_SECONDS = 3600.0
MEGABYTE = 1 << 20
GRAMMAR_SUFFIXES = (".so", ".pyd", ".dylib")


@dataclass(frozen=True, slots=True)
class Row:
    """A path as it was found: the key of its text, or the reason why it was skipped."""

    path: str
    stamp: Stamp
    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the record stands that holds an entry."""

    pack: Path
    offset: int
    length: int


class Cache:
    """The folder of all shelves, private to the user and bounded in size. Never raises for what a disk does."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self.limit = megabytes * MEGABYTE
        self.failures = 0  # times that something could not be kept
        # `failures` mutates, on the thread of whoever made this.

    def shelf(self, root: Path) -> "Shelf":
        """The shelf of a workspace, as yet unread."""
        name = blake2b(os.fsencode(root), digest_size=16).hexdigest()
        return Shelf(self, root, self.folder / fingerprint() / name)

    def prepare(self, folder: Path) -> bool:
        """Create a shelf's folder; False where that is impossible."""
        return all(make_private(level) for level in (self.folder, folder.parent, folder))

    def trim(self, keep: Path) -> None:
        """Remove the shelves used longest ago until the rest fits, `keep` last of all, and what crashes left."""
        shelves = [(_last_use(shelf), _size(shelf), shelf) for shelf in _subfolders(self.folder)]
        total = sum(size for _, size, _ in shelves)
        for _, size, shelf in sorted(shelves, key=lambda each: (each[2] == keep, each[0])):
            everything = total > self.limit
            for path, status in statuses(shelf):
                if everything or (path.suffix == UNFINISHED and time.time() - status.st_mtime > ABANDONED_SECONDS):
                    remove(path)
            if everything:
                total -= size
                with suppress(OSError):
                    shelf.rmdir()


class Shelf:
    """One workspace's kept entries, for one pass over its files: load, look up, add, write."""

    def __init__(self, cache: Cache, root: Path, folder: Path) -> None:
        self.rows: dict[str, Row] = {}
        self._cache = cache
        self._head = str(root).encode("utf-8", "surrogateescape")
        self._folder = folder
        self._taken_ns = time.time_ns()
        self._places: dict[bytes, _Place] = {}
        self._new: RecordFile | None = None
        # Mutated by `load`, `add` and `write`, on the thread of whoever made this.

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    @property
    def is_empty(self) -> bool:
        return not self._places

    def load(self) -> Iterator[None]:
        """Read the table and what the packs hold, a record at a step."""
        if not self._cache.prepare(self._folder):
            return
        table = records(self._folder / "table")
        if next(table, (0, b""))[1] == self._head:
            for _, record in table:
                with suppress(RecordError):
                    self.rows.update((row.path, row) for row in decode(Row, record))
                yield
        for pack in self._packs():
            for offset, record in records(pack):
                with suppress(RecordError):
                    self._places.update(dict.fromkeys(keys_of(record), _Place(pack, offset, len(record))))
                yield

    def entries(self, keys: Collection[bytes]) -> Iterator[Mapping[bytes, FileEntry]]:
        """The entries of keys and others beside them, a record at a step; what went bad or away is not among them."""
        places = {place for key in keys if (place := self._places.get(key)) is not None}
        for place in sorted(places, key=lambda place: (place.pack, place.offset)):
            record = record_at(place.pack, place.offset, place.length)
            with suppress(RecordError):
                if record is not None:
                    yield entries_of(record)

    def add(self, record: bytes) -> None:
        """Keep a record from `record_of`."""
        if self._new is None and self._cache.prepare(self._folder):
            self._new = RecordFile.create(self._folder)
        if self._new is None or not self._new.append(record):
            self._fail()
        elif self._new.size > PACK_BYTES:
            self._close_pack()

    def write(self, rows: Collection[Row]) -> Iterator[None]:
        """Put everything in place: packs, then the table of all paths, whose rows that may lie are left out."""
        self._close_pack()
        if not self._cache.prepare(self._folder):
            self._fail()
            return
        yield from self._merge({row.key for row in rows})
        table = RecordFile.create(self._folder)
        settled = [row for row in rows if _is_settled(row.stamp, self._taken_ns)]
        parts = [self._head, *(encode(Row, settled[start : start + ROWS]) for start in range(0, len(settled), ROWS))]
        for part in parts:
            if table is None or not table.append(part):
                self._fail()
                return
            yield
        if table is None or not table.finish("table"):
            self._fail()
        self._cache.trim(self._folder)

    def close(self) -> None:
        """Put in place what was added, though the pass did not come to its end."""
        self._close_pack()

    def touch(self) -> None:
        """Nothing is new, but the shelf was of use."""
        with suppress(OSError):
            os.utime(self._folder / "table")

    def _merge(self, live: set[bytes]) -> Iterator[None]:
        """Where there are many packs, or most of what they hold is of texts that are gone: copy what is of use."""
        kept = len(live & self._places.keys())
        packs = self._packs()
        if len(packs) <= MAX_PACKS and 2 * kept >= len(self._places):
            return
        for pack in packs:
            for _, record in records(pack):
                yield
                with suppress(RecordError):
                    keys = keys_of(record)
                    if 2 * len(live.intersection(keys)) >= len(keys):
                        self.add(record)
        self._close_pack()
        for pack in packs:
            remove(pack)

    def _packs(self) -> list[Path]:
        return sorted(path for path, _ in statuses(self._folder) if path.suffix == ".pack")

    def _close_pack(self) -> None:
        if self._new is not None and not self._new.finish(f"{uuid4().hex}.pack"):
            self._fail()
        self._new = None

    def _fail(self) -> None:
        self._new = None
        self._cache.failures += 1


def key_of(path: str, digest: bytes) -> bytes:
    """A text's name in a shelf: what is said of it also depends on its language."""
    return digest + path.rpartition("/")[2].rpartition(".")[2].lower().encode("utf-8", "surrogatepass")


def record_of(keys: Sequence[bytes], entries: Sequence[FileEntry]) -> bytes:
    """Entries as one record, for a pack or a pipe."""
    directory: bytes = msgpack.packb([*keys])
    return len(directory).to_bytes(LENGTH_BYTES, "big") + directory + encode(FileEntry, entries)


def keys_of(record: bytes) -> Sequence[bytes]:
    """The keys of a record's entries. Raises RecordError."""
    try:
        keys: list[bytes] = msgpack.unpackb(record[LENGTH_BYTES : _body(record)])
    except (ValueError, msgpack.exceptions.UnpackException):
        raise RecordError("no keys") from None
    return keys


def entries_of(record: bytes) -> Mapping[bytes, FileEntry]:
    """A record's entries by key. Raises RecordError."""
    return dict(zip(keys_of(record), decode(FileEntry, record[_body(record) :]), strict=False))


@cache
def fingerprint() -> str:
    """Changes with everything that decides what an entry says: our code, the entries' shape, the grammars."""
    modules = dict.fromkeys(["tree_sitter", *(language.module for language in LANGUAGES)])
    code = b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    said = "\0".join([shape(FileEntry), *map(_grammar, modules)])
    return blake2b(said.encode() + code).hexdigest()[:16]


def _grammar(module: str) -> str:
    """An installed parser's identity, without importing it."""
    spec = find_spec(module)
    folders = spec.submodule_search_locations if spec is not None else None
    files = [file for folder in folders or () for file in statuses(Path(folder)) if file[0].suffix in GRAMMAR_SUFFIXES]
    return f"{module} {sorted((path.name, status.st_size, status.st_mtime_ns) for path, status in files)}"


def _body(record: bytes) -> int:
    return LENGTH_BYTES + int.from_bytes(record[:LENGTH_BYTES], "big")


def _is_settled(stamp: Stamp, taken_ns: int) -> bool:
    """Whether a later change of the file must show in its stamp: as in git, one of the same moment may not."""
    return max(stamp.mtime_ns, stamp.ctime_ns) < taken_ns - RACY_NS


def _subfolders(folder: Path) -> list[Path]:
    """Every shelf, of this version and of others."""
    found: list[Path] = []
    with suppress(OSError):
        for version in folder.iterdir():
            with suppress(OSError):
                found += version.iterdir()
    return found


def _last_use(shelf: Path) -> float:
    return max((status.st_mtime for _, status in statuses(shelf)), default=0.0)


def _size(shelf: Path) -> int:
    return sum(status.st_size for _, status in statuses(shelf))
