"""A source of a recipe -> its files as bytes: a package of a registry, unpacked in memory, or a folder.

Package managers do the downloading, so that proxies, mirrors and credentials are the user's own settings.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sc2lsp.context.workspace import walk

from . import CorpusError
from .licences import is_licence_text
from .recipe import Source

MAX_FILE = 1 << 20  # bytes: longer ones are data


@dataclass(frozen=True, slots=True)
class Raw:
    """One file as it came; `path` is POSIX, within its source."""

    path: str
    data: bytes


def fetch(source: Source, cache: Path) -> list[Raw]:
    """Every regular file of at most MAX_FILE bytes, sorted by path. Raises CorpusError where it cannot be had."""
    files = _folder(Path(source.folder).expanduser()) if source.folder else _archive(_download(source, cache))
    return sorted(files, key=lambda file: file.path)


def _folder(folder: Path) -> Iterator[Raw]:
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder")
    sources = list(walk(folder))  # neither ignored nor where secrets live
    parents = {parent for path in sources for parent in PurePosixPath(path).parents}
    texts = [path for parent in parents for path in (folder / parent).iterdir() if is_licence_text(path.name)]
    for inside in {*sources, *(text.relative_to(folder).as_posix() for text in texts)}:
        path = folder / inside
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE:
            yield Raw(inside, path.read_bytes())


def _archive(path: Path) -> Iterator[Raw]:
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as wheel:
            for info in wheel.infolist():
                if not info.is_dir() and info.file_size <= MAX_FILE:
                    yield Raw(info.filename, wheel.read(info))
        return
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() and member.size <= MAX_FILE else None
            if content is not None:  # npm and source archives have one folder at their top
                yield Raw(member.name.partition("/")[2] or member.name, content.read())


def _download(source: Source, cache: Path) -> Path:
    """The package's archive in `cache`, fetched where it is missing."""
    folder = cache / source.key
    if not (found := _archives(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        command = _npm(source, folder) if source.registry == "npm" else _pip(source, folder)
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            raise CorpusError(f"{source.key} needs the command `{command[0]}`, which is not installed") from None
        if done.returncode or not (found := _archives(folder)):
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise CorpusError(f"{source.key} cannot be downloaded: {reason}")
    return found[0]


def _archives(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.name.endswith((".whl", ".zip", ".tar.gz", ".tgz")))


def _pip(source: Source, folder: Path) -> list[str]:
    """A wheel: nothing of it is run, while a source distribution would be built."""
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    return [sys.executable, "-m", "pip", "download", *options, f"{source.package}=={source.version}"]


def _npm(source: Source, folder: Path) -> list[str]:
    destination = ["--pack-destination", str(folder)]
    return ["npm", "pack", "--silent", "--ignore-scripts", *destination, f"{source.package}@{source.version}"]
