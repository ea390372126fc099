"""What the names that a file imports stand for: definitions in other files, with re-exports followed.

Only names and paths are compared; a binding that leaves the workspace is no binding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .index import Index, Place
from .languages import family_of
from .symbols import Import

Name = tuple[str, str]  # a file, and a name in it

MAX_DEPTH = 5  # of re-exports
RE_EXPORTING = frozenset({"python", "script", "rust"})  # elsewhere what a file imports is its own business
PACKAGE_FILES = frozenset({"__init__", "index", "mod"})  # files that are what their folder is called


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a file's imports bring into it."""

    names: Mapping[str, Sequence[Place]]  # local name -> definitions elsewhere
    modules: Mapping[str, Sequence[str]]  # local name of a module -> its files
    files: frozenset[str]  # every file that is imported, or defines what is


def bindings(index: Index, path: str, imports: Sequence[Import]) -> Bindings:
    """What `imports`, written in `path`, bring; remembered for the very same imports until a file changes."""
    kept = index.kept_bindings.get(path)
    if kept is None or kept[0] is not imports:
        kept = index.kept_bindings[path] = (imports, _bindings(index, path, imports))
    return kept[1]


def _bindings(index: Index, path: str, imports: Sequence[Import]) -> Bindings:
    names: dict[str, Sequence[Place]] = {}
    modules: dict[str, Sequence[str]] = {}
    files: set[str] = set()
    for item in imports:
        targets = index.resolve_import(path, item)
        files.update(targets)
        if item.alias and targets:
            modules[item.alias] = targets
        for there, here in item.names:
            if there == "*":
                names.update((tag.name, ((target, tag),)) for target in targets for tag in index.members(target, ""))
            elif found := [place for target in targets for place in lookup(index, target, there)]:
                names[here] = found
            elif named := [target for target in targets if _module_name(target) == there]:
                modules[here] = named
    files.update(target for places in names.values() for target, _ in places)
    return Bindings(names, modules, frozenset(files - {path}))


def lookup(index: Index, path: str, name: str) -> Sequence[Place]:
    """The top-level definitions of a name that a file offers: its own, or what it takes from others."""
    return _lookup(index, path, name, MAX_DEPTH, set())


def _lookup(index: Index, path: str, name: str, depth: int, seen: set[Name]) -> Sequence[Place]:
    own = [(path, tag) for tag in index.defined_in(path, name) if not tag.scope]
    if own or depth == 0 or (path, name) in seen or family_of(path) not in RE_EXPORTING:
        return own
    seen.add((path, name))
    for item in index.files[path].tags.imports:
        for there, here in item.names:
            if here in (name, "*"):
                wanted = name if there == "*" else there
                for target in index.resolve_import(path, item):
                    if found := _lookup(index, target, wanted, depth - 1, seen):
                        return found
    return ()


def _module_name(path: str) -> str:
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    return folder.rpartition("/")[2] if stem in PACKAGE_FILES else stem
