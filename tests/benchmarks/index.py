"""How fast workspaces are indexed, beside universal-ctags in the same run: cold, warm, the first useful context, one
saved file; and what a server holds in memory then.

    make bench-index ROOTS="django-5.2 docker rxjs"
    python -m tests.benchmarks.index ROOT... [--repeats 3] [--synthetic 100000]

Prints a table; asserts nothing about time, since machines are shared and noisy: the ratios to ctags mean more.
"""

import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from sc2lsp.config import Config
from sc2lsp.context.document import Document, Edit, Position
from sc2lsp.context.index import Index
from sc2lsp.context.scan import Pass
from sc2lsp.context.workspace import read, walk
from sc2lsp.session import Session
from tests.server.editor import Editor, editor

CTAGS = "ctags"
OPENED = 5  # files around which the first useful context is measured
SAVED_LINES = 1000
FOLDER_FILES = 100  # of the synthetic tree
SYNTHETIC = '''"""Module {0}."""

from ..f{1}.m{2} import Shape{2}


class Shape{0}(Shape{2}):
    """A shape."""

    def area{0}(self, width: int, height: int) -> int:
        return width * height + {0}
'''


@dataclass(frozen=True, slots=True)
class Measured:
    what: str
    seconds: float
    note: str = ""


def ctags(root: Path, paths: Iterable[str]) -> Measured:
    """The files that we index, listed: ctags reads no ignore files."""
    with TemporaryDirectory() as name:
        listed = Path(name, "files")
        listed.write_text("\n".join(paths))
        started = time.perf_counter()
        subprocess.run([CTAGS, "-L", listed, "-f", f"{name}/tags"], cwd=root, check=True, capture_output=True)
        return Measured("ctags", time.perf_counter() - started, "the same files, one thread")


def index(root: Path, cache: str, what: str) -> Measured:
    """What `sc2lsp index --json` says of itself, and how long the whole process took."""
    command = [sys.executable, "-P", "-m", "sc2lsp", "index", root, "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "XDG_CACHE_HOME": cache}, check=True, capture_output=True)
    process = time.perf_counter() - started
    said = json.loads(done.stdout)
    note = f"{process:.2f} s as a process; peak RSS {said['peak_rss_mb']:.0f} MB with workers; {said['lines']:,} lines"
    return Measured(what, said["seconds"], note + (", warm" if said["warm"] else ""))


def cold_and_warm(root: Path) -> tuple[Measured, Measured]:
    with TemporaryDirectory() as cache:
        cold = index(root, cache, "cold index")
        index(root, cache, "settling")  # by now all stamps are old enough to be trusted
        return cold, index(root, cache, "warm start")


def first_useful(root: Path, path: str) -> Measured:
    """From an empty index with one file open until its neighbours and what they import are in."""
    text = read(root, path)
    assert isinstance(text, str)
    empty = Index(root)
    started = time.perf_counter()
    empty.apply_document(Document.open(path, text, 1))
    steps = Pass(empty).scan()
    next(step for step in steps if step.is_ready)
    seconds = time.perf_counter() - started
    steps.close()
    return Measured("first useful context", seconds, f"around {path}: {len(empty.files)} files")


def saved(root: Path, paths: Iterable[str]) -> tuple[Measured, Measured]:
    """A file of about a thousand lines: a character typed and saved, and the same file read anew."""
    texts = {path: text for path in paths if isinstance(text := read(root, path), str)}
    path = min(texts, key=lambda each: abs(texts[each].count("\n") - SAVED_LINES))
    text, where = texts[path], root / path
    session = Session(Config())
    folder = session.add_folder(root)
    session.open(where, text, 0)
    saves, reads = [], []
    place = Position(text.count("\n") // 2, 0)
    for version in range(1, 22):
        session.change(where, [Edit(place, place, " ")], version, "utf-16")
        saves.append(clocked(lambda: session.save(where)))
        reads.append(clocked(lambda: folder.index.apply_document(Document.open(path, text))))
    note = f"{path.rpartition('/')[2]}, {text.count(chr(10))} lines, median of {len(saves)}"
    return (
        Measured("a saved file", statistics.median(saves), note),
        Measured("a file changed on disk", statistics.median(reads), "the same, parsed from nothing"),
    )


def clocked(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def server(root: Path) -> Measured:
    """A language server that indexes the workspace in the background, and what it holds in memory then."""
    with TemporaryDirectory() as cache:
        async with editor(XDG_CACHE_HOME=cache, SC2LSP_ENDPOINT="unix:/nowhere") as window:
            started = time.perf_counter()
            await window.initialize(root)
            while not has_indexed(window):
                assert window.process.returncode is None, "the server ended"
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - started
            status = Path(f"/proc/{window.process.pid}/status")
            resident = int(status.read_text().split("VmRSS:")[1].split()[0]) / 1024 if status.exists() else 0.0
    return Measured("server, cold", seconds, f"RSS then {resident:.0f} MB")


def has_indexed(window: Editor) -> bool:
    reports: list[dict[str, Any]] = window.said("$/progress")
    indexing = {each["token"] for each in reports if str(each["value"].get("title")).startswith("Indexing")}
    return any(each["token"] in indexing and each["value"]["kind"] == "end" for each in reports)


def best(runs: Iterable[Measured]) -> Measured:
    return min(runs, key=lambda run: run.seconds)


def measure(root: Path, repeats: int) -> list[Measured]:
    paths = [path for path in walk(root) if isinstance(read(root, path), str)]
    opened = paths[len(paths) // (2 * OPENED) :: max(len(paths) // OPENED, 1)][:OPENED]
    rows = [best(ctags(root, paths) for _ in range(repeats))] if shutil.which(CTAGS) else []
    rows += map(best, zip(*(cold_and_warm(root) for _ in range(repeats)), strict=True))
    useful = [best(first_useful(root, path) for _ in range(repeats)) for path in opened]
    rows.append(sorted(useful, key=lambda run: run.seconds)[len(useful) // 2])
    return [*rows, *saved(root, paths), asyncio.run(server(root))]


def shown(root: Path, rows: list[Measured]) -> Table:
    reference = next((row.seconds for row in rows if row.what == "ctags"), None)
    table = Table("what", "seconds", "x ctags", "notes", title=root.name)
    for row in rows:
        ratio = f"{row.seconds / reference:.2f}" if reference is not None else "?"
        table.add_row(row.what, f"{row.seconds:.3f}", ratio, row.note)
    return table


def plant(root: Path, count: int) -> None:
    """A tree of `count` small Python files that import each other."""
    for number in range(count):
        other = (number * 7919 + 1) % count
        folder = root / f"f{number // FOLDER_FILES}"
        folder.mkdir(exist_ok=True)
        (folder / f"m{number}.py").write_text(SYNTHETIC.format(number, other // FOLDER_FILES, other))


@click.command(help=__doc__)
@click.argument("roots", type=click.Path(exists=True, path_type=Path), nargs=-1)
@click.option("--repeats", default=3, show_default=True)
@click.option("--synthetic", type=int, help="Also a tree of so many small files, measured once.")
def main(roots: tuple[Path, ...], repeats: int, synthetic: int | None) -> None:
    console = Console(width=150)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if shutil.which(CTAGS) is None:
        console.print(
            "[bold red]universal-ctags IS NOT INSTALLED: no ratios. On Debian: apt-get install universal-ctags"
        )
    for root in roots:
        console.print(shown(root, measure(root.resolve(), repeats)))
    if synthetic:
        with TemporaryDirectory() as name:
            plant(Path(name), synthetic)
            console.print(shown(Path(f"{synthetic:,} synthetic files"), measure(Path(name).resolve(), 1)))


if __name__ == "__main__":
    main()
