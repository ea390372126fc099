"""The workspace's names and where they are: one owner of state, changed by `apply` alone, whatever a change comes from.

Texts are not kept: a tag carries its signature, which is all a snippet of another file shows. Parsing a changed file is
the whole cost of `apply`; the name tables change by that file's names only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from .document import Document
from .entry import FileEntry, analyse
from .folders import Folders
from .languages import family_of
from .lexical import Lexical
from .resolve import resolve
from .symbols import FileTags, Import, Tag
from .workspace import Change, Skipped, denied, read

if TYPE_CHECKING:
    from .bindings import Bindings

Place = tuple[str, Tag]  # a file, and what it defines

MAX_USE_OWNERS = 3  # a name that more files define says little about which of them is meant
MAX_FOLDER = 40  # files of a folder that are asked what they use


@dataclass(frozen=True, slots=True)
class FolderUses:
    """What the files of one language in a folder use of other files."""

    paths: tuple[str, ...]  # by name
    using: Mapping[str, int]  # name -> files that mention it ...
    importing: Mapping[str, int]  # ... and files that import it


@dataclass(frozen=True, slots=True)
class IndexStats:
    files: int
    skipped: Mapping[str, int]  # reason -> files
    lines: int
    bytes: int
    definitions: int
    references: int


class Index:
    """Files <-> names of one workspace, its open documents included."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, FileEntry] = {}
        self._skipped: dict[str, str] = {}  # path -> reason
        self._open: set[str] = set()
        self._defining: dict[str, dict[str, tuple[Tag, ...]]] = {}  # name -> path -> tags
        self._mentioning: Counter[str] = Counter()  # identifier -> files that mention it
        self._importing: Counter[str] = Counter()  # name -> files that import it
        self._folders = Folders()  # of the files
        self._scopes: dict[str, Mapping[str, Sequence[Tag]]] = {}  # path -> scope -> members, once asked for
        self._uses: dict[str, Mapping[str, bool]] = {}  # path -> names of other files, once asked for
        self._folder_uses: dict[tuple[str, str], FolderUses] = {}  # (folder, family of languages), once asked for
        self.kept_bindings: dict[str, tuple[Sequence[Import], Bindings]] = {}  # by path: see `bindings`
        self.lexical = Lexical()
        # Everything above but `root` mutates, and only on the thread of the event loop.

    @property
    def files(self) -> Mapping[str, FileEntry]:
        return self._files

    @property
    def open_paths(self) -> frozenset[str]:
        return frozenset(self._open)

    @property
    def known(self) -> frozenset[str]:
        """Every path the index has an opinion on: indexed or skipped."""
        return frozenset(self._files) | frozenset(self._skipped)

    def apply(self, change: Change) -> None:
        """Take in a file's new text. What the disk says of a file that an editor holds open is not news."""
        if change.version is None and change.path in self._open:
            return
        if change.text is None:
            self.remove(change.path)
            return
        if change.version is not None:
            self._open.add(change.path)
        self._replace(Document.open(change.path, change.text, change.version or 0))

    def insert(self, path: str, entry: FileEntry) -> None:
        """Take in what was read and parsed elsewhere, unless an editor holds the file."""
        if path not in self._open:
            self._skipped.pop(path, None)
            self._insert(path, entry)

    def skip(self, path: str, reason: str) -> None:
        """Record why a file is not looked into, unless an editor holds it."""
        if path not in self._open:
            self.remove(path)
            self._skipped[path] = reason

    def apply_document(self, document: Document, tags: FileTags | None = None) -> None:
        """Take in an open document that is parsed already; until `release`, the disk has no say in its path.

        Costs the words of the whole file, so call it when typing pauses: `retrieve` reads the document itself.
        """
        self._open.add(document.path)
        self._replace(document, tags)

    def release(self, path: str) -> None:
        """The editor let go of a file: from here on what the disk says of it is news."""
        self._open.discard(path)

    def load(self, path: str) -> None:
        """Take in a file from disk, or the reason why not, unless it is open."""
        if path in self._open:
            return
        text = read(self.root, path)
        if isinstance(text, Skipped):
            self.skip(path, text.reason)
            return
        self.apply(Change(path, text))

    def remove(self, path: str) -> None:
        """Forget a file, open or not."""
        self._open.discard(path)
        self._skipped.pop(path, None)
        if path in self._files:
            self._drop(path)
            self._forget_uses()

    def _drop(self, path: str) -> None:
        entry = self._files.pop(path)
        for name in {tag.name for tag in entry.tags.definitions}:
            places = self._defining[name]
            del places[path]
            if not places:
                del self._defining[name]
        _subtract(self._mentioning, entry.tags.words)
        _subtract(self._importing, _imported(entry))
        self._folders.discard(path)
        self._scopes.pop(path, None)
        self.kept_bindings.clear()
        self._uses.pop(path, None)
        self._folder_uses.pop((folder_of(path), family_of(path)), None)
        self.lexical.touch(path)

    def defining(self, name: str) -> Sequence[Place]:
        """Every place that defines a name, by path."""
        return [(path, tag) for path, tags in sorted(self._defining.get(name, {}).items()) for tag in tags]

    def owners(self, name: str) -> int:
        """How many files define a name."""
        return len(self._defining.get(name, ()))

    def mentions(self, name: str) -> int:
        """How many files mention an identifier."""
        return self._mentioning[name]

    def importers(self, name: str) -> int:
        """How many files import a name."""
        return self._importing[name]

    def defined_in(self, path: str, name: str) -> Sequence[Tag]:
        """The definitions of a name in one file."""
        return self._defining.get(name, {}).get(path, ())

    def members(self, path: str, scope: str) -> Sequence[Tag]:
        """The definitions directly inside a scope of a file, in source order; "" is the file itself."""
        scopes = self._scopes.get(path)
        if scopes is None:
            found: dict[str, list[Tag]] = {}
            for tag in self._files[path].tags.definitions:
                found.setdefault(tag.scope, []).append(tag)
            scopes = self._scopes[path] = found
        return scopes.get(scope, ())

    def uses(self, path: str) -> Mapping[str, bool]:
        """The names in a file that only a few other files define, and whether the file imports them."""
        found = self._uses.get(path)
        if found is None:
            if path not in self._files:
                return {}
            imported = _imported(self._files[path])
            found = self._uses[path] = {
                name: name in imported
                for name in self._files[path].tags.words
                if (places := self._defining.get(name)) and path not in places and len(places) <= MAX_USE_OWNERS
            }
        return found

    def folder_uses(self, path: str) -> FolderUses:
        """What the files around a file, and it, use of others; of many the first in order."""
        key = folder_of(path), family_of(path)
        found = self._folder_uses.get(key)
        if found is None:
            kin = (other for other in self._folders.files(key[0]) if family_of(other) == key[1])
            paths = tuple(islice(kin, MAX_FOLDER))
            uses = [self.uses(other) for other in paths]
            using = Counter(chain.from_iterable(uses))
            importing = Counter(name for each in uses for name, is_imported in each.items() if is_imported)
            found = self._folder_uses[key] = FolderUses(paths, using, importing)
        return found

    def resolve_import(self, path: str, found: Import) -> Sequence[str]:
        """Indexed files that an import in `path` means, the most specific first."""
        return resolve(self._files, path, found, self._folders)

    def stats(self) -> IndexStats:
        entries = self._files.values()
        return IndexStats(
            files=len(entries),
            skipped=dict(sorted(Counter(self._skipped.values()).items())),
            lines=sum(entry.lines for entry in entries),
            bytes=sum(entry.size for entry in entries),
            definitions=sum(len(entry.tags.definitions) for entry in entries),
            references=sum(entry.tags.occurrences for entry in entries),
        )

    def _replace(self, document: Document, tags: FileTags | None = None) -> None:
        path = document.path
        if denied(path):  # whoever opens such a file keeps it to that window
            if path in self._files:
                self._drop(path)
            self._skipped[path] = "may hold secrets"
            return
        self._skipped.pop(path, None)
        self._insert(path, analyse(document, tags))

    def _insert(self, path: str, entry: FileEntry) -> None:
        before = _defined(self._files[path]) if path in self._files else frozenset[str]()
        if path in self._files:
            self._drop(path)
        self._files[path] = entry
        self.kept_bindings.clear()
        for tag in entry.tags.definitions:
            places = self._defining.setdefault(tag.name, {})
            places[path] = (*places.get(path, ()), tag)
        self._mentioning.update(entry.tags.words)
        self._importing.update(_imported(entry))
        self._folders.add(path)
        self.lexical.touch(path)
        if _defined(entry) != before:  # or what other files use is what it was
            self._forget_uses()

    def _forget_uses(self) -> None:
        self._uses.clear()
        self._folder_uses.clear()


def _subtract(counts: Counter[str], names: Iterable[str]) -> None:
    for name in names:
        counts[name] -= 1
        if not counts[name]:
            del counts[name]


def _defined(entry: FileEntry) -> frozenset[str]:
    return frozenset(tag.name for tag in entry.tags.definitions)


def _imported(entry: FileEntry) -> set[str]:
    return {name for item in entry.tags.imports for pair in item.names for name in pair}


def folder_of(path: str) -> str:
    """The folder of a root-relative path; "" for the root itself."""
    return path.rpartition("/")[0]
