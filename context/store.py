"""Files of records, each with its own hash: what is bent, cut short or half written is not there when it is read.

A file is written under a name that nobody reads and then moved into place. Nothing here raises for what a disk does:
writing says whether it succeeded, reading ends early. This module knows nothing of what the records hold.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

MAGIC = b"sc2lsp\x00\x01"
HASH_BYTES = 16
LENGTH_BYTES = 4
MAX_RECORD = 1 << 28
UNFINISHED = ".part"


class RecordFile:
    """A file of records while it is being written."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.size = 0
        self._path = path
        self._file = file
        # Mutated by every method, on the thread of whoever made this.

    @staticmethod
    def create(folder: Path) -> "RecordFile | None":
        """A new file in `folder`, readable by this user only; None where that cannot be."""
        path = folder / f"{uuid4().hex}{UNFINISHED}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except OSError:
            return None
        pack = RecordFile(path, os.fdopen(descriptor, "wb"))
        return pack if pack._write(MAGIC) else None

    def append(self, record: bytes) -> bool:
        """False where the disk refused; then the file is gone."""
        return self._write(len(record).to_bytes(LENGTH_BYTES, "big") + _hash(record) + record)

    def finish(self, name: str) -> bool:
        """Put the file in its place. False where the disk refused; then the file is gone."""
        try:
            self._file.close()
            self._path.replace(self._path.with_name(name))
        except OSError:
            self.abandon()
            return False
        return True

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()
        remove(self._path)

    def _write(self, data: bytes) -> bool:
        try:
            self._file.write(data)
        except (OSError, ValueError):  # ValueError: an earlier failure closed it
            self.abandon()
            return False
        self.size += len(data)
        return True


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, record) of every record up to the first that does not match its hash."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return
            while (record := _next(file)) is not None:
                yield file.tell() - len(record), record
    except OSError:
        return


def record_at(path: Path, offset: int, length: int) -> bytes | None:
    """The record at an offset that `records` gave, if it is still the same."""
    try:
        with path.open("rb") as file:
            file.seek(offset - LENGTH_BYTES - HASH_BYTES)
            record = _next(file)
    except OSError:
        return None
    return record if record is not None and len(record) == length else None


def statuses(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The regular files of a folder."""
    found: list[tuple[Path, os.stat_result]] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
    return found


def remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def make_private(folder: Path) -> bool:
    """Create a folder that only this user can enter; False where that cannot be, or it is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return False
        if os.name == "posix" and status.st_uid != os.geteuid():
            return False
        if os.name == "posix" and status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError:
        return False
    return True


def _next(file: BinaryIO) -> bytes | None:
    head = file.read(LENGTH_BYTES + HASH_BYTES)
    length = int.from_bytes(head[:LENGTH_BYTES], "big")
    if len(head) < LENGTH_BYTES + HASH_BYTES or length > MAX_RECORD:
        return None
    record = file.read(length)
    return record if len(record) == length and _hash(record) == head[LENGTH_BYTES:] else None


def _hash(record: bytes) -> bytes:
    return blake2b(record, digest_size=HASH_BYTES).digest()
