"""Everything that changes while the server runs: folders with their indexes, and the open documents.

One owner, one thread. Paths are absolute here; the context engine sees them relative to their folder.
"""

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from platformdirs import user_cache_path

from sc2lsp.config import WORKSPACE_FILE, Config, ConfigError, tighten
from sc2lsp.context.cache import Cache
from sc2lsp.context.document import Document, Edit, Encoding, Position, Splice
from sc2lsp.context.entry import digest_of
from sc2lsp.context.index import Index
from sc2lsp.context.languages import Language
from sc2lsp.context.lexical import TextOf
from sc2lsp.context.outline import Following, Outline
from sc2lsp.context.prompt import Prompt
from sc2lsp.context.retrieve import Snippet
from sc2lsp.context.scan import FOREGROUND, Manners, Pass, Step
from sc2lsp.context.symbols import Import
from sc2lsp.context.window import unfinished
from sc2lsp.context.workspace import Reader, denied, governs, in_private_folder, is_candidate
from sc2lsp.spans import narrowed
from sc2lsp.switches import why_off

MAX_RECENT = 8  # files
ASKING = re.compile(r".*(?:\.|->|::|\(|\b(?:raise|except|throw|catch|new|extends|implements|class|struct)\s)")


@dataclass(frozen=True, slots=True)
class Sought:
    """What a ranking is made for. It changes with the line, and where the line asks for members or arguments."""

    line: int
    asking: str  # the line up to the last dot, bracket or keyword before the cursor that says what comes
    imports: tuple[Import, ...]
    recent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Snippets for a cursor, best first, and what they were looked for with."""

    snippets: list[Snippet]
    sought: Sought


@dataclass(frozen=True, slots=True)
class Folder:
    """A workspace folder: its index and the configuration its own file has tightened."""

    root: Path
    config: Config
    index: Index
    cache: Cache | None = None
    changed: set[str] = field(default_factory=set)  # root-relative, on disk, not yet looked at
    rankings: dict[str, Ranking] = field(default_factory=dict)  # of each open document the last: see `completion`
    prompts: dict[str, Prompt] = field(default_factory=dict)  # of each open document the last: see `completion`

    @property
    def name(self) -> str:
        """What the prompt calls the repository."""
        return self.root.name or "workspace"

    def is_candidate(self, path: str) -> bool:
        """Whether a root-relative path may be shown to other files: nothing excludes it."""
        return is_candidate(self.root, path, self.config.exclude)

    def survey(self, manners: Manners = FOREGROUND) -> Pass:
        """A pass over the folder's files."""
        shelf = self.cache.shelf(self.root) if self.cache is not None else None
        return Pass(self.index, self.config.exclude, shelf, manners)

    def scan(self) -> Generator[Step]:
        """Index the folder, in short steps."""
        return self.survey().scan()


def names_of(folder: Folder, path: str) -> tuple[str, str]:
    """What a runtime calls a folder, and a file in it."""
    return str(folder.root), f"{folder.root}\n{path}"


@dataclass(frozen=True, slots=True)
class Target:
    """A cursor in one version of a document: all a completion reads, taken at one moment."""

    folder: Folder
    document: Document
    following: Following
    offset: int  # code points
    recent: tuple[str, ...] = ()  # other files of the folder that were opened or edited last, the latest first
    is_continuation: bool = False  # whether the text before the cursor is a suggestion that was just accepted

    @property
    def outline(self) -> Outline:
        return self.following.outline

    @property
    def outline_here(self) -> Outline:
        """One that is right up to the piece that the cursor is in, and may be some keys old."""
        return self.following.near(self.document.lines.line_of(self.offset))

    @property
    def prefix(self) -> str:
        return self.document.text[: self.offset]

    @property
    def suffix(self) -> str:
        return self.document.text[self.offset :]

    @property
    def unfinished(self) -> str:
        """The word at the cursor, which a prompt leaves out and an answer begins with."""
        return unfinished(self.document.text, self.offset)

    @property
    def sought(self) -> Sought:
        line = self.document.lines.line_of(self.offset)
        asking = ASKING.match(self.document.text, self.document.lines.start(line), self.offset)
        return Sought(line, asking[0] if asking is not None else "", self.outline_here.imports, self.recent)

    def after(self, splice: Splice) -> "Target":
        """The cursor behind the text of a splice, as if somebody had made it."""
        document = self.document.replaced(splice, self.document.version)
        following = self.following.follow(document, [splice])
        return replace(self, document=document, following=following, offset=splice.start + len(splice.text))


def index_cache(config: Config) -> Cache | None:
    """Where indexes are kept between two starts, if anywhere."""
    return Cache(user_cache_path("sc2lsp") / "index", config.cache_mb) if config.cache_mb else None


class Session:
    """Open documents by absolute path, and the folders they belong to."""

    def __init__(self, config: Config, cache: Cache | None = None) -> None:
        self.config = config
        self.cache = cache
        self.folders: dict[Path, Folder] = {}
        self._outside: dict[Path, Folder] = {}  # of open documents that are in none of them
        self._documents: dict[Path, tuple[Folder, Document]] = {}
        self._outlines: dict[Path, Following] = {}  # of the documents
        self._astray: set[Path] = set()  # documents whose changes came out of order
        self._counting: dict[Path, bool] = {}  # documents whose versions have grown
        self._indexed: dict[Path, int] = {}  # the version of each document that other files see
        self._recent: dict[Path, None] = {}  # files opened or edited, the latest last
        self._refused: set[Path] = set()  # roots whose own configuration cannot be honoured
        # Mutated by: every method that is not a query, on the event loop only.

    def add_folder(self, root: Path, last: Folder | None = None) -> Folder:
        """`last` is what it was until now. Raises ConfigError when the folder's own configuration cannot be honoured:
        nothing is completed below it.
        """
        try:
            config = tighten(self.config, root)
            folder = (
                Folder(root, config, Index(root), self.cache)
                if last is None
                else replace(last, config=config, rankings={}, prompts={})
            )
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
        """The innermost folder that holds `path`; files outside of all share one for each place, never scanned."""
        holders = [root for root in self.folders if path.is_relative_to(root)]
        if holders:
            return self.folders[max(holders, key=lambda root: len(root.parts))]
        root = path.parent
        if root not in self._outside:
            self._outside[root] = Folder(root, self.config, Index(root))
        return self._outside[root]

    def reconfigure(self, config: Config) -> None:
        """Other settings from now on. Raises ConfigError as `add_folder` does, once all that can be changed is."""
        self.config = config
        failures: list[ConfigError] = []
        for root in [*self.folders, *self._refused]:
            try:
                self.add_folder(root, self.folders.get(root))
            except ConfigError as wrong:
                failures.append(wrong)
        self._outside = {root: replace(folder, config=config) for root, folder in self._outside.items()}
        for path, (_, document) in self._documents.items():
            self._documents[path] = (self.folder_of(path), document)
        for folder in self.folders.values():
            self._admit(folder, (path for path, (owner, _) in self._documents.items() if owner is folder))
        if failures:
            raise failures[0]

    def open(self, path: Path, text: str, version: int, language: Language | None = None) -> None:
        """`language` is what the editor says; a path that says another one is believed first."""
        folder = self.folder_of(path)
        document = Document.open(path.relative_to(folder.root).as_posix(), text, version, language)
        self._documents[path] = (folder, document)
        self._astray.discard(path)
        self._outlines[path] = Following.of(document)
        self._visit(path)
        self._index(path, folder, document)

    def change(self, path: Path, edits: Sequence[Edit], version: int, encoding: Encoding) -> tuple[Splice, ...]:
        """Apply edits in order; what was done. Edits of a closed document are dropped.

        An old version means that our text is not the editor's: nothing is completed there until a whole text comes.
        """
        entry = self._documents.get(path)
        if entry is None:
            return ()
        is_counting = self._counting.get(path, False)  # some clients give every version the same number
        if version < entry[1].version or (version == entry[1].version and is_counting):
            self._astray.add(path)
            return ()
        self._counting[path] = version > entry[1].version
        if any(edit.start is None for edit in edits):
            self._astray.discard(path)
        document, splices = entry[1].spliced(edits, version, encoding)
        if any(edit.start is None for edit in edits):  # an editor that sends whole documents
            start, end, inserted = narrowed(entry[1].text, document.text)
            splices = (Splice(start, end, document.text[start : start + inserted]),)
        self._documents[path] = (entry[0], document)
        self._outlines[path] = self._outlines[path].follow(document, splices)
        self._visit(path)
        return splices

    def save(self, path: Path) -> None:
        """The editor saved, or typing paused: let other files see what was typed."""
        entry = self._documents.get(path)
        if entry is not None and self._indexed.get(path) != entry[1].version:
            self._index(path, *entry)

    def changed(self, paths: Iterable[Path]) -> Collection[Folder]:
        """Files or folders changed on disk, appeared, or are gone; the folders that should be refreshed."""
        concerned: dict[Path, Folder] = {}
        for path in paths:
            for root, folder in self.folders.items():
                if path.is_relative_to(root):
                    folder.changed.add(path.relative_to(root).as_posix())
                    concerned[root] = folder
        return concerned.values()

    def refresh(self, folder: Folder, manners: Manners = FOREGROUND) -> Generator[Step]:
        """Look at what changed in a folder, in short steps."""
        changed = set(folder.changed)
        folder.changed.clear()
        if changed:
            yield from folder.survey(manners).refresh(changed)
        self._reconsider(folder, changed)

    def close(self, path: Path) -> Collection[Folder]:
        """The editor let go of a file: it is what the disk says as soon as the folders returned are refreshed."""
        entry = self._documents.pop(path, None)
        if entry is None:
            return ()
        self._indexed.pop(path, None)
        self._astray.discard(path)
        self._counting.pop(path, None)
        del self._outlines[path]
        folder, document = entry
        folder.prompts.pop(document.path, None)
        folder.rankings.pop(document.path, None)
        folder.index.release(document.path)
        if folder.root in self._outside and all(owner is not folder for owner, _ in self._documents.values()):
            del self._outside[folder.root]
        return self.changed([path])

    def document(self, path: Path) -> Document | None:
        entry = self._documents.get(path)
        return None if entry is None else entry[1]

    def why_off(self, path: Path) -> str | None:
        """Why nothing is completed in a document; None where it is."""
        entry = self._documents.get(path)
        if entry is None:
            return "the document is not open"
        folder, document = entry
        if path in self._astray:
            return "the editor's changes came out of order; close the document and open it again"
        if denied(document.path) or in_private_folder(path.as_posix()):
            return "files where secrets live are never completed"
        if any(path.is_relative_to(root) for root in self._refused):
            return f"the folder's {WORKSPACE_FILE} asks for what only your own settings may"
        language = document.language.name if document.language is not None else None
        return why_off(folder.config, folder.root, document.path, language)

    def target(self, path: Path, position: Position, encoding: Encoding) -> Target | None:
        """The cursor at `position`; None where nothing is completed: see `why_off`."""
        if self.why_off(path) is not None:
            return None
        folder, document = self._documents[path]
        inside = (other for other in self._recent if other.is_relative_to(folder.root))
        recent = (other.relative_to(folder.root).as_posix() for other in inside)
        others = [other for other in recent if other != document.path]
        offset = document.offset(position, encoding)
        return Target(folder, document, self._outlines[path], offset, tuple(reversed(others)))

    def _visit(self, path: Path) -> None:
        self._recent.pop(path, None)
        self._recent[path] = None
        if len(self._recent) > MAX_RECENT:
            del self._recent[next(iter(self._recent))]

    def catch_up(self, folder: Folder) -> Iterator[str]:
        """Let the search for similar code see what the index saw, one file a step."""
        yield from folder.index.lexical.catch_up(self.texts(folder))

    def texts(self, folder: Folder) -> TextOf:
        """What files say, as the index knows them: None for one that says something else by now."""
        texts = {document.path: document.text for owner, document in self._documents.values() if owner is folder}
        reader = Reader(folder.root)

        def text_of(path: str) -> str | None:
            entry = folder.index.files.get(path)
            text = texts.get(path) or reader.read(path)
            current = entry is not None and isinstance(text, str) and digest_of(text) == entry.digest
            return text if current and isinstance(text, str) else None

        return text_of

    def _index(self, path: Path, folder: Folder, document: Document) -> None:
        """Let other files see a document, unless it is excluded from that."""
        if folder.is_candidate(document.path):
            self._indexed[path] = document.version
            outline = self._outlines[path].outline.settled(document)
            self._outlines[path] = Following(outline, document)
            folder.index.apply_document(document, outline.file_tags)
        else:
            self._indexed.pop(path, None)
            folder.index.remove(document.path)

    def _reconsider(self, folder: Folder, changed: Collection[str]) -> None:
        """Rules hold for open documents too, where those or a folder around the document changed."""
        anew = any(governs(path) is not None for path in changed)

        def is_concerned(owner: Folder, document: Document) -> bool:
            around = PurePosixPath(document.path).parents
            return owner is folder and (anew or any(str(parent) in changed for parent in around))

        self._admit(folder, (path for path, entry in self._documents.items() if is_concerned(*entry)))

    def _admit(self, folder: Folder, paths: Iterable[Path]) -> None:
        """Let other files see those of a folder's open documents that its rules let them see."""
        for path in list(paths):
            document = self._documents[path][1]
            if not folder.is_candidate(document.path):
                folder.index.remove(document.path)
            elif document.path not in folder.index.open_paths:
                self._index(path, folder, document)

    def _rehome(self, root: Path) -> None:
        """Documents below a folder that came or went belong to another folder now."""
        for path, (_, document) in list(self._documents.items()):
            if path.is_relative_to(root):
                self.open(path, document.text, document.version, document.language)
