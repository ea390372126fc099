"""Open notebooks: which document of the session each is, and where its cells are in that.

A notebook is one document, its cells in order: see `notebook`. Everything else is a document by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types

from sc2lsp.context.document import Edit, Encoding, Position
from sc2lsp.convert import edit_of, path_of, position_of
from sc2lsp.notebook import Cell, Notebook

# With all their cells, whatever their language.
SELECTOR = types.NotebookDocumentSyncOptions(
    [types.NotebookDocumentFilterWithNotebook(notebook=kind) for kind in ("jupyter-notebook", "interactive")]
)


@dataclass(frozen=True, slots=True)
class Spot:
    """What an editor calls a text document: one of the session's, or a cell of one."""

    uri: str
    path: Path
    notebook: Notebook | None = None

    @property
    def is_completed(self) -> bool:
        return self.notebook is None or self.notebook.is_code(self.uri)

    def into(self, position: types.Position) -> Position:
        """Where a position is in the session's document."""
        found = position_of(position)
        return found if self.notebook is None else self.notebook.to_whole(self.uri, found)

    def out_of(self, position: Position) -> types.Position:
        """`into` and back."""
        if self.notebook is not None and (found := self.notebook.to_cell(position)) is not None:
            position = found[1]
        return types.Position(position.line, position.character)


class Notebooks:
    """Of one editor."""

    def __init__(self) -> None:
        self._open: dict[Path, Notebook] = {}
        self._of_cell: dict[str, Path] = {}  # cell -> its notebook
        # Mutated by: open, change, close; on the event loop.

    def spot(self, uri: str) -> Spot:
        path = self._of_cell.get(uri)
        return Spot(uri, path_of(uri)) if path is None else Spot(uri, path, self._open[path])

    def open(self, params: types.DidOpenNotebookDocumentParams) -> tuple[Path, Notebook]:
        texts = {item.uri: item for item in params.cell_text_documents}
        path = path_of(params.notebook_document.uri)
        return path, self._put(path, Notebook.of(_cells(params.notebook_document.cells, texts)))

    def change(self, params: types.DidChangeNotebookDocumentParams, encoding: Encoding) -> tuple[Path, Sequence[Edit]]:
        """What happens to the session's document; nothing where the notebook is not open."""
        path, change = path_of(params.notebook_document.uri), params.change.cells
        notebook = self._open.get(path)
        if notebook is None or change is None:
            return path, ()
        edits: list[Edit] = []
        for content in change.text_content or ():
            if content.document.uri in notebook:
                changes = [edit_of(edit) for edit in content.changes]
                notebook, whole = notebook.edit(content.document.uri, changes, encoding)
                edits += whole
        restructured = _described(_spliced(notebook, change.structure), change.data or ())
        if restructured is not notebook:
            edits.append(Edit(None, None, restructured.text))
        self._put(path, restructured)
        return path, edits

    def close(self, params: types.DidCloseNotebookDocumentParams) -> Path:
        path = path_of(params.notebook_document.uri)
        self._of_cell = {uri: owner for uri, owner in self._of_cell.items() if owner != path}
        self._open.pop(path, None)
        return path

    def _put(self, path: Path, notebook: Notebook) -> Notebook:
        self._open[path] = notebook
        self._of_cell = {uri: owner for uri, owner in self._of_cell.items() if owner != path}
        self._of_cell |= {cell.uri: path for cell in notebook.cells}
        return notebook


def _spliced(notebook: Notebook, change: types.NotebookDocumentCellChangeStructure | None) -> Notebook:
    if change is None:
        return notebook
    known = {cell.uri: cell for cell in notebook.cells}
    texts = {item.uri: item for item in change.did_open or ()}
    kept = {uri: cell for uri, cell in known.items() if uri not in texts}  # a cell that moved is opened by nobody
    inserted = _cells(change.array.cells or (), texts, kept)
    return notebook.spliced(change.array.start, change.array.delete_count, list(inserted))


def _described(notebook: Notebook, changed: Iterable[types.NotebookCell]) -> Notebook:
    for cell in changed:
        if cell.document in notebook:
            is_code = cell.kind == types.NotebookCellKind.Code
            if is_code != notebook.is_code(cell.document):
                notebook = notebook.described(cell.document, is_code)
    return notebook


def _cells(
    cells: Iterable[types.NotebookCell], texts: Mapping[str, types.TextDocumentItem], kept: Mapping[str, Cell] = {}
) -> Iterable[Cell]:
    for cell in cells:
        item, is_code = texts.get(cell.document), cell.kind == types.NotebookCellKind.Code
        if item is not None:
            yield Cell.of(cell.document, is_code, item.language_id, item.text)
        elif cell.document in kept:
            yield kept[cell.document]
