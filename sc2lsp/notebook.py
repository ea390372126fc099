"""A notebook's cells, in order, as one document: Jupytext's percent format, which models have read.

Markdown becomes comments. A cell begins at a line's start, so that its positions are those of the whole, some lines
further down. A notebook is a value; a keystroke in a cell becomes the same edit of the whole. Knows neither lsprotocol
nor files. Where a cell's lines end does not matter to positions: in the whole they all end with a line feed.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sc2lsp.context.document import Document, Edit, Encoding, Position
from sc2lsp.context.lines import TERMINATOR
from sc2lsp.language_ids import language_for_id, line_comment

PYTHON = "python"
RAW = "raw"  # what editors call the language of cells that are neither code nor markdown, though their kind is code
LINE_END = 1 << 30  # a character that no line has: positions are clamped to their line


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the editor has it."""

    uri: str
    is_code: bool
    language_id: str
    document: Document = field(repr=False)

    @staticmethod
    def of(uri: str, is_code: bool, language_id: str, text: str) -> "Cell":
        return Cell(uri, is_code and language_id != RAW, language_id, Document.open("", text))

    @property
    def text(self) -> str:
        return self.document.text


@dataclass(frozen=True)
class Notebook:
    """One version of a notebook. Every `uri` that a method takes is of one of its cells, or KeyError is raised."""

    cells: tuple[Cell, ...]
    starts: tuple[int, ...] = field(repr=False)  # the line of the whole where each cell's own first line is
    comment: str  # what turns a line of markdown into a comment, with a blank behind it
    _places: Mapping[str, int] = field(repr=False)  # uri -> index in `cells`

    @staticmethod
    def of(cells: Iterable[Cell]) -> "Notebook":
        cells = tuple(cells)
        suffix = language_for_id(_language_id(cells))
        comment = line_comment(suffix or ".py") or "#"
        return Notebook(cells, _starts(cells), f"{comment} ", {cell.uri: place for place, cell in enumerate(cells)})

    @property
    def language_id(self) -> str:
        """The language of most code cells, the earlier one of two that are equal; Python without any."""
        return _language_id(self.cells)

    @cached_property
    def text(self) -> str:
        """The whole, composed anew."""
        return "\n\n".join(f"{self._marker(cell)}\n{self._body(cell)}" for cell in self.cells)

    def __contains__(self, uri: str) -> bool:
        return uri in self._places

    def cell(self, uri: str) -> Cell:
        return self.cells[self._places[uri]]

    def is_code(self, uri: str) -> bool:
        """Whether something can be completed there."""
        return self.cell(uri).is_code

    def to_whole(self, uri: str, position: Position) -> Position:
        """Where a cell's position is in the whole, in the same encoding; past the cell's end, its end."""
        place = self._places[uri]
        cell = self.cells[place]
        shift = 0 if cell.is_code else len(self.comment)
        last = cell.document.line_count - 1
        if position.line > last:
            return Position(self.starts[place] + last, LINE_END)
        if position.line < 0:
            return Position(self.starts[place], shift)
        return Position(self.starts[place] + position.line, max(position.character, 0) + shift)

    def to_cell(self, position: Position) -> tuple[str, Position] | None:
        """The cell of a position of the whole, and where it is there; None on the lines between two cells."""
        place = bisect_right(self.starts, position.line) - 1
        if place < 0 or (line := position.line - self.starts[place]) >= self.cells[place].document.line_count:
            return None
        cell = self.cells[place]
        shift = 0 if cell.is_code else len(self.comment)
        return cell.uri, Position(line, max(position.character - shift, 0))

    def end(self, uri: str, encoding: Encoding) -> Position:
        """Where a cell ends in the whole: nothing that is suggested may run over it."""
        document = self.cell(uri).document
        return self.to_whole(uri, document.position(len(document.text), encoding))

    def edit(self, uri: str, edits: Sequence[Edit], encoding: Encoding) -> "tuple[Notebook, list[Edit]]":
        """The next version, each edit applying to the result of the one before, and what happens to the whole."""
        notebook, whole = self, list[Edit]()
        for edit in edits:
            notebook, edited = notebook._edit(uri, edit, encoding)
            whole.append(edited)
        return notebook, whole

    def spliced(self, start: int, deleted: int, inserted: Sequence[Cell]) -> "Notebook":
        """With `inserted` in place of so many cells from `start` on; the whole is `text`."""
        return Notebook.of((*self.cells[:start], *inserted, *self.cells[start + deleted :]))

    def described(self, uri: str, is_code: bool, language_id: str | None = None) -> "Notebook":
        """With another kind, or language, of a cell; the whole is `text`."""
        place = self._places[uri]
        cell = self.cells[place]
        return self.spliced(place, 1, [Cell.of(uri, is_code, language_id or cell.language_id, cell.text)])

    def _edit(self, uri: str, edit: Edit, encoding: Encoding) -> "tuple[Notebook, Edit]":
        place = self._places[uri]
        cell = self.cells[place]
        document = cell.document.edit([edit], cell.document.version + 1, encoding)
        edited = replace(cell, document=document)
        notebook = self._with(place, edited)
        if edit.start is None or edit.end is None or not cell.is_code or "\r" in cell.text or "\r" in document.text:
            last = Position(self.starts[place] + cell.document.line_count - 1, LINE_END)
            return notebook, Edit(Position(self.starts[place], 0), last, self._body(edited))
        return notebook, Edit(self.to_whole(uri, edit.start), self.to_whole(uri, edit.end), edit.text)

    def _with(self, place: int, cell: Cell) -> "Notebook":
        cells = (*self.cells[:place], cell, *self.cells[place + 1 :])
        more = cell.document.line_count - self.cells[place].document.line_count
        if not more:
            return Notebook(cells, self.starts, self.comment, self._places)
        below = (start + more for start in self.starts[place + 1 :])
        return Notebook(cells, (*self.starts[: place + 1], *below), self.comment, self._places)

    def _marker(self, cell: Cell) -> str:
        return f"{self.comment}%%" if cell.is_code else f"{self.comment}%% [markdown]"

    def _body(self, cell: Cell) -> str:
        """IPython's magics and shell lines stay as they are."""
        text = TERMINATOR.sub("\n", cell.text) if "\r" in cell.text else cell.text
        if cell.is_code:
            return text
        return "\n".join(f"{self.comment}{line}" if line else self.comment.rstrip() for line in text.split("\n"))


def _language_id(cells: Sequence[Cell]) -> str:
    """A keystroke cannot change it."""
    counts = Counter(cell.language_id for cell in cells if cell.is_code and language_for_id(cell.language_id))
    return counts.most_common(1)[0][0] if counts else PYTHON


def _starts(cells: Sequence[Cell]) -> tuple[int, ...]:
    """A marker above every cell, a blank line between two."""
    starts, line = list[int](), 1
    for cell in cells:
        starts.append(line)
        line += cell.document.line_count + 2
    return tuple(starts)
