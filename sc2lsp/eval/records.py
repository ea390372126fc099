"""What an evaluation keeps: its settings, a row for each measured answer, and the file they are kept in.

The file holds source code of the repository and what a model wrote for it: it stays where the user asked for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from sc2lsp.context.prompt import Order
from sc2lsp.eval.holes import Kind
from sc2lsp.headless import InputError

Context = Literal["full", "infile"]
CONTEXTS: tuple[Context, ...] = ("full", "infile")
ORDERS: tuple[Order, ...] = ("spm", "psm")

FILE = "cases.jsonl"

Key = tuple[str, str, Context, Order, str, int, int, Kind]  # what tells a row from all others


@dataclass(frozen=True, slots=True)
class Settings:
    """What the scores of a case depend on beside its model: rows of other settings are of no use."""

    version: str
    root: str
    workspace: str  # digest of all that is indexed
    budget: int  # tokens; a shorter context lowers it


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one answer, in milliseconds."""

    context: float
    prompt: float
    prefill: float
    decode: float
    tokens: int  # generated
    cached: int  # of the prompt


@dataclass(frozen=True, slots=True)
class Row:
    """One answer: to which prompt, what was there, what was written instead, and how it scores."""

    model: str
    weights: str  # what tells these weights from others of the same name
    context: Context
    order: Order
    kind: Kind
    path: str
    start: int  # code points
    end: int
    line: int  # 1-based
    hole: str
    answer: str
    shown: str | None
    prompt_tokens: int
    snippets: int
    exact: bool
    shown_match: bool
    edit_similarity: float
    identifier_f1: float | None
    size: int  # bytes of the hole in UTF-8
    tokens: int  # of the hole
    nats: float | None  # None where prompt and hole do not fit the model's context together
    end_nats: float | None
    cold: Timing
    warm: Timing | None

    @property
    def key(self) -> Key:
        return self.model, self.weights, self.context, self.order, self.path, self.start, self.end, self.kind


class RowFile:
    """Rows on disk, one a line behind the settings; what was there with the same settings is taken over."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Raises InputError where the folder cannot be written to."""
        self._path = folder / FILE
        kept = _read(self._path, settings)
        self._rows = {row.key: row for row in kept}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(_lines([settings, *kept]))
        except OSError as wrong:
            raise InputError(f"{folder} cannot be written to: {wrong.strerror}") from None
        # Mutated by: add().

    def get(self, key: Key) -> Row | None:
        return self._rows.get(key)

    def add(self, rows: Sequence[Row]) -> None:
        with self._path.open("ab") as file:
            file.write(_lines(rows))
        self._rows |= {row.key: row for row in rows}


def _read(path: Path, settings: Settings) -> list[Row]:
    """Up to the first line that is none of ours, such as one that was written in part."""
    rows: list[Row] = []
    try:
        lines = path.read_bytes().splitlines()
        if lines and msgspec.json.decode(lines[0], type=Settings) == settings:
            for line in lines[1:]:
                rows.append(msgspec.json.decode(line, type=Row))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return rows
    return rows


def _lines(values: Iterable[object]) -> bytes:
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)
