"""What a keystroke costs in a long file: the new text, the parse of what it touched, and the rest of its outline.

    python -m tests.benchmarks.keystroke [FOLDER ...]

Real code is joined to files of 1,000 to 10,000 lines: Python from the standard library, other languages from the
folders that are named. Prints tables of processor time, in which other programs do not count; asserts nothing.
"""

import platform
import random
import statistics
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import tree_sitter
from rich.console import Console
from rich.table import Table

from sc2lsp.context.document import Document, Edit, Encoding, Position, parse
from sc2lsp.context.languages import Language, language_of
from sc2lsp.context.outline import Outline

LINES = (1_000, 5_000, 10_000)
PLACES = 40  # in each file, for each way to edit
BRACKETS = 300_000
ENCODING: Encoding = "utf-16"

TYPED = {  # a statement of each language that is often half-typed
    "python": 'total = store.find(name, "abc") + [1]',
    "typescript": 'const total = store.find(name, "abc") + `x` + [1];',
    "go": 'total := store.find(name, "abc") + `x` + f[1]',
    "java": 'String total = store.find(name, "abc") + f[1];',
}
UNCLOSED = {"python": '"""', "typescript": "`", "go": "`", "java": '"'}


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds."""

    text: float
    tree: float
    outline: float  # without its trees

    @property
    def total(self) -> float:
        return self.text + self.tree + self.outline


class Stopwatch:
    """Times the parses of an outline."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        # Mutated by every parse, on the one thread there is.

    def parse(self, language: Language, source: bytes, deadline: float) -> tree_sitter.Tree | None:
        started = time.thread_time()
        tree = parse(language, source, deadline)
        self.elapsed += time.thread_time() - started
        return tree


Edits = Iterator[Edit]


def typing(document: Document, line: int, language: str) -> Edits:
    """A new line below, a character at a time."""
    above = document.line(line)
    yield from typed(line, len(above), "\n" + above[: len(above) - len(above.lstrip())] + TYPED[language])


def unclosed(document: Document, line: int, language: str) -> Edits:
    yield from typed(line, len(document.line(line)), f" {UNCLOSED[language]}and so on")


def deleting(document: Document, line: int, language: str) -> Edits:
    yield Edit(Position(line, 0), Position(line + 1, 0), "")


def pasting(document: Document, line: int, language: str) -> Edits:
    lines = [document.line(number) for number in range(line // 2, line // 2 + 50)]
    yield Edit(Position(line, 0), Position(line, 0), "\n".join([*lines, ""]))


def typed(line: int, column: int, chars: str) -> Edits:
    for char in chars:
        at = Position(line, column)
        yield Edit(at, at, char)
        line, column = (line + 1, 0) if char == "\n" else (line, column + 1)


WAYS: dict[str, Callable[[Document, int, str], Edits]] = {
    "typing": typing,
    "unclosed string": unclosed,
    "deleting a line": deleting,
    "pasting 50 lines": pasting,
}


def measure(document: Document, before: Outline, way: Callable[[Document, int, str], Edits]) -> tuple[list[Cost], int]:
    """The cost of every edit, and how many left something unread."""
    assert document.language is not None
    costs, put_off = list[Cost](), 0
    stopwatch = Stopwatch()
    with mock.patch("sc2lsp.context.cut.parse", stopwatch.parse):
        for line in places(document):
            now, outline = document, before
            for edit in way(document, line, document.language.name):
                stopwatch.elapsed = 0.0
                start = time.thread_time()
                now = now.edit([edit], now.version + 1, ENCODING)
                middle = time.thread_time()
                outline = outline.follow(now)
                assert outline.definitions is not None and outline.enclosing(line) is not None
                rest = time.thread_time() - middle - stopwatch.elapsed
                costs.append(Cost((middle - start) * 1e3, stopwatch.elapsed * 1e3, rest * 1e3))
                put_off += stopwatch.elapsed == 0.0
    return costs, put_off


def places(document: Document) -> Sequence[int]:
    """Lines of code in the middle half."""
    source, count = random.Random(0), document.line_count
    middle = [line for line in range(count // 4, count * 3 // 4) if document.line(line).strip()]
    return source.sample(middle, PLACES)


def quantiles(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} / {statistics.quantiles(values, n=20)[-1]:.2f}"


def joined(folders: Sequence[Path], suffix: str, lines: int) -> str | None:
    """Real files one after another, cut at a number of lines; None where there are too few."""
    found = list[str]()
    for folder in folders:
        for path in sorted(folder.rglob(f"*{suffix}")):
            text = path.read_text("utf-8", "replace") if path.is_file() and path.stat().st_size < 200_000 else ""
            is_written = not path.name.endswith((".d.ts", "_generated.py")) and "_sysconfigdata" not in path.name
            if text.count("\n") > 30 and is_written:
                found += text.splitlines(keepends=True)
            if len(found) >= lines:
                return "".join(found[:lines])
    return None


def keystrokes(sources: Mapping[str, Sequence[Path]]) -> Table:
    columns = ("file", "edit", "text", "tree", "outline", "all", "n", "put off")
    table = Table(*columns, title="milliseconds of processor time, p50 / p95", title_justify="left")
    for suffix, folders in sources.items():
        for lines in LINES:
            text = joined(folders, suffix, lines)
            if text is None:
                continue
            document = Document.open(f"a{suffix}", text)
            outline = Outline.of(document)
            for name, way in WAYS.items():
                costs, put_off = measure(document, outline, way)
                parts = (
                    [cost.text for cost in costs],
                    [cost.tree for cost in costs],
                    [cost.outline for cost in costs],
                    [cost.total for cost in costs],
                )
                share = f"{put_off / len(costs):.0%}"
                table.add_row(f"{suffix} {lines:,}", name, *map(quantiles, parts), str(len(costs)), share)
    return table


def pauses(sources: Mapping[str, Sequence[Path]]) -> Table:
    """What opening a file costs, and what reading it whole at a pause does."""
    table = Table(
        "file",
        "open and outline",
        "the whole tree",
        "file tags",
        title="milliseconds of processor time",
        title_justify="left",
    )
    for suffix, folders in sources.items():
        for lines in LINES:
            text = joined(folders, suffix, lines)
            if text is not None:
                table.add_row(f"{suffix} {lines:,}", *map(once, stages(f"a{suffix}", text)))
    for brackets in ("(", "{", "["):
        table.add_row(f".py {BRACKETS:,} {brackets}", *map(once, stages("a.py", brackets * BRACKETS)))
    return table


def stages(path: str, text: str) -> Iterator[Callable[[], object]]:
    document = Document.open(path, text)
    outline = Outline.of(document)
    yield lambda: Outline.of(Document.open(path, text))
    yield lambda: document.tree
    yield lambda: outline.file_tags


def once(work: Callable[[], object]) -> str:
    started = time.thread_time()
    work()
    return f"{(time.thread_time() - started) * 1e3:.1f}"


def main() -> None:
    folders = [Path(each) for each in sys.argv[1:]]
    sources = {".py": [Path(sysconfig.get_path("stdlib"))], ".ts": folders, ".go": folders, ".java": folders}
    assert all(language_of(f"a{suffix}") is not None for suffix in sources)
    console = Console(width=120)
    console.print(f"{platform.machine()}, Python {platform.python_version()}")
    console.print(keystrokes(sources))
    console.print(pauses(sources))


if __name__ == "__main__":
    main()
