"""The files of a diff as they lie in the checkout, and the texts that the model is shown of them.

The one place that opens files of the checkout, by sc2lsp's own reader: no links, no secrets, no devices, no giants.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc2lsp.context.workspace import read
from sc2lsp_review.diff import Added, Skipped
from sc2lsp_review.places import Place, names, tree_of
from sc2lsp_review.unfinished import unfinished


@dataclass(frozen=True, slots=True)
class Source:
    """A changed file. `rows` are its lines without terminators."""

    path: str
    rows: list[str]
    newline: str
    places: tuple[Place, ...]

    def has_name(self, name: str) -> bool:
        return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", "\n".join(self.rows)) is not None

    def row(self, place: Place) -> str:
        return self.rows[place.line - 1]

    def query(self, place: Place) -> dict[str, Any]:
        """A line of the batch: the file without the rest of the line, as if its author were just writing it."""
        rows = [*self.rows[: place.line - 1], self.row(place)[: place.start - 1], *self.rows[place.line :]]
        line, column = place.line, place.start
        if not place.written:  # an open block: what is asked for begins on the next line
            rows.insert(place.line, indent_below(self.row(place)))
            line, column = place.line + 1, len(rows[place.line]) + 1
        return {"path": self.path, "line": line, "column": column, "text": self.newline.join(rows)}


def sources(root: Path, files: Iterable[Added | Skipped]) -> Iterator[Source | Skipped]:
    """Every file of a diff, with the places to ask at, or why there are none."""
    for file in files:
        yield file if isinstance(file, Skipped) else _source(root, file)


def indent_below(row: str) -> str:
    """What a line begins with in the block that `row` opens."""
    own = row[: len(row) - len(row.lstrip())]
    return own + ("\t" if own.startswith("\t") else "    ")


def is_plain(text: str) -> bool:
    """Whether a text holds no control characters: nothing that moves a terminal's cursor or turns text around."""
    return text.replace("\t", "").isprintable()


def _source(root: Path, file: Added) -> Source | Skipped:
    text = read(root, file.path)
    if not isinstance(text, str):
        return Skipped(file.path, text.reason)
    newline = "\r\n" if "\r\n" in text else "\n"
    rows = text.replace("\r\n", "\n").split("\n")
    if "\r" in text.replace("\r\n", ""):
        return Skipped(file.path, "lines end in carriage returns")
    if any(not _is_there(rows, line, written) for line, written in file.lines.items()):
        return Skipped(file.path, "the checkout has other lines than the diff")
    tree, lines = tree_of(file.path, "\n".join(rows)), {line for line in file.lines if is_plain(rows[line - 1])}
    if tree is None:
        return Skipped(file.path, "no grammar for its language")
    if not lines:
        return Source(file.path, rows, newline, ())
    found = (*names(file.path, tree, rows, lines), *unfinished(file.path, tree, rows, lines))
    return Source(file.path, rows, newline, tuple(sorted(found, key=lambda place: (place.line, place.start))))


def _is_there(rows: list[str], line: int, written: str) -> bool:
    return line <= len(rows) and rows[line - 1] == written.removeprefix("\ufeff")
