"""Everything that changes while the server runs: folders with their indexes, and the open documents.

One owner, one thread. Paths are absolute here; the context engine sees them relative to their folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sc2lsp.config import Config, ConfigError, tighten
from sc2lsp.context.document import Document, Edit, Encoding, Position
from sc2lsp.context.index import Index, scan
from sc2lsp.context.workspace import denied, in_private_folder, is_candidate, walk


@dataclass(frozen=True, slots=True)
class Folder:
    """A workspace folder: its index and the configuration its own file has tightened."""

    root: Path
    config: Config
    index: Index

    @property
    def name(self) -> str:
        """What the prompt calls the repository."""
        return self.root.name or "workspace"

    def is_candidate(self, path: str) -> bool:
        """Whether a root-relative path may be shown to other files: nothing excludes it."""
        return is_candidate(self.root, path, self.config.exclude)

    def refresh(self, path: str) -> None:
        """A root-relative path changed on disk, appeared, or is gone with all that was below it."""
        place = self.root / path
        if not place.exists():
            gone = [known for known in self.index.known if known == path or known.startswith(f"{path}/")]
            for known in gone:
                if known not in self.index.open_paths:
                    self.index.remove(known)
        elif place.is_dir():  # moved here whole: the files in it are not announced
            for found in walk(self.root, self.config.exclude, below=path):
                self.index.load(found)
        elif self.is_candidate(path):
            self.index.load(path)

    def scan(self) -> Iterator[str]:
        """Index the folder, one file a step."""
        return scan(self.index, self.config.exclude)


@dataclass(frozen=True, slots=True)
class Target:
    """A cursor in one version of a document: all a completion reads, taken at one moment."""

    folder: Folder
    document: Document
    offset: int  # code points

    @property
    def prefix(self) -> str:
        return self.document.text[: self.offset]

    @property
    def suffix(self) -> str:
        return self.document.text[self.offset :]


class Session:
    """Open documents by absolute path, and the folders they belong to."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folders: dict[Path, Folder] = {}
        self._documents: dict[Path, tuple[Folder, Document]] = {}
        self._refused: set[Path] = set()  # roots whose own configuration cannot be honoured
        # Mutated by: every method that is not a query, on the event loop only.

    def add_folder(self, root: Path) -> Folder:
        """Raises ConfigError when the folder's own configuration cannot be honoured: nothing is completed below it."""
        try:
            folder = Folder(root, tighten(self.config, root), Index(root))
        except ConfigError:
            self._refused.add(root)
            raise
        self._refused.discard(root)
        self.folders[root] = folder
        self._rehome(root)
        return folder

    def remove_folder(self, root: Path) -> None:
        self.folders.pop(root, None)
        self._refused.discard(root)
        self._rehome(root)

    def folder_of(self, path: Path) -> Folder:
        """The innermost folder that holds `path`; a file outside of all gets a folder that is never scanned."""
        holders = [root for root in self.folders if path.is_relative_to(root)]
        if holders:
            return self.folders[max(holders, key=lambda root: len(root.parts))]
        return Folder(path.parent, self.config, Index(path.parent))

    def open(self, path: Path, text: str, version: int) -> None:
        folder = self.folder_of(path)
        document = Document.open(path.relative_to(folder.root).as_posix(), text, version)
        self._documents[path] = (folder, document)
        self._index(folder, document)

    def change(self, path: Path, edits: Sequence[Edit], version: int, encoding: Encoding) -> None:
        """Apply edits in order. An edit of a document that is not open, or of an older version, is dropped."""
        entry = self._documents.get(path)
        if entry is None or version <= entry[1].version:
            return
        self._documents[path] = (entry[0], entry[1].edit(edits, version, encoding))

    def save(self, path: Path) -> None:
        """The pause in which the index takes in what was typed."""
        entry = self._documents.get(path)
        if entry is not None:
            self._index(*entry)
        else:
            self.reload(path)

    def reload(self, path: Path) -> None:
        """A file changed on disk, or is gone."""
        folder = self.folder_of(path)
        if folder.root in self.folders:
            folder.refresh(path.relative_to(folder.root).as_posix())

    def close(self, path: Path) -> None:
        entry = self._documents.pop(path, None)
        if entry is None:
            return
        folder, document = entry
        if folder.is_candidate(document.path):
            folder.index.release(document.path)
        else:
            folder.index.remove(document.path)

    def document(self, path: Path) -> Document | None:
        entry = self._documents.get(path)
        return None if entry is None else entry[1]

    def target(self, path: Path, position: Position, encoding: Encoding) -> Target | None:
        """The cursor at `position`; None where the document is not open, may hold secrets, or is turned off."""
        entry = self._documents.get(path)
        if entry is None or denied(entry[1].path) or in_private_folder(path.as_posix()):
            return None
        if any(path.is_relative_to(root) for root in self._refused):
            return None
        folder, document = entry
        if document.language is not None and document.language.name in folder.config.languages_off:
            return None
        return Target(folder, document, document.offset(position, encoding))

    def _index(self, folder: Folder, document: Document) -> None:
        """Let other files see a document, unless it is excluded from that."""
        if folder.is_candidate(document.path):
            folder.index.apply_document(document)

    def _rehome(self, root: Path) -> None:
        """Documents below a folder that came or went belong to another folder now."""
        for path, (_, document) in list(self._documents.items()):
            if path.is_relative_to(root):
                self.open(path, document.text, document.version)
