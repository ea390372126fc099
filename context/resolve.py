"""Which files an import means, by path alone.

Nothing is read: a candidate counts when the index knows a file of that path. Where modules have a root that only the
content of a file tells (Go's module path, Java's source folders), folders are matched from their ends.
"""

import posixpath
import re
from collections.abc import Container, Iterator, Mapping
from itertools import chain, islice

from .folders import Folders, around, beside, join, nearest
from .languages import language_of
from .resolve_extra import EXTRA_RESOLVERS, Resolver
from .resolve_jvm import java
from .resolve_rust import rust
from .symbols import Import

PYTHON_SUFFIXES = (".py", ".pyi")
SCRIPT_SUFFIXES = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
COMPILED_SUFFIXES = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")  # of what an import's name becomes
SCRIPT_ROOTS = ("@/", "~/", "src/")  # what bundlers and `baseUrl` commonly call a package's source folder
PACKAGE_FOLDERS = ("packages", "libs")  # where workspaces of several packages keep them
GO_VERSION = re.compile(r"v\d+")
GO_HOSTS = frozenset({"bitbucket.org", "github.com", "gitlab.com", "golang.org"})  # whose modules have three elements
# First elements of the standard library's import paths, which are no folder of a workspace.
GO_STANDARD = frozenset(
    "archive bufio bytes cmp compress container context crypto database debug embed encoding errors expvar flag fmt go"
    " hash html image index io iter log maps math mime net os path plugin reflect regexp runtime slices sort strconv"
    " strings structs sync syscall testing text time unicode unique unsafe weak".split()
)


def resolve(files: Container[str], path: str, found: Import, folders: Folders | None = None) -> tuple[str, ...]:
    """Paths among `files` that an import in `path` means, the most specific first.

    Without the folders of these files, languages whose imports say no whole path resolve to nothing or less.
    """
    language = language_of(path)
    resolver = RESOLVERS.get(language.family) if language is not None else None
    if resolver is None:
        return ()
    candidates = resolver(files, folders if folders is not None else Folders(), path, found)
    return tuple(dict.fromkeys(candidate for candidate in candidates if candidate in files and candidate != path))


def _python(_files: Container[str], _folders: Folders, path: str, found: Import) -> Iterator[str]:
    inside = found.module.replace(".", "/")
    for base in _python_bases(path, found.level):
        module = "/".join(filter(None, (base, inside)))
        for name, _ in found.names:
            yield from _python_module(f"{module}/{name}" if module else name)
        yield from _python_module(module)


def _python_bases(path: str, level: int) -> Iterator[str]:
    """Folders that an import may start from: for an absolute one the root, `src`, and every folder around the file."""
    if level > 0:
        yield from around(path)[level - 1 : level]
        return
    yield from dict.fromkeys(("", "src", *reversed(around(path))))


def _python_module(module: str) -> Iterator[str]:
    for suffix in PYTHON_SUFFIXES:
        if module:
            yield f"{module}{suffix}"
        yield f"{module}/__init__{suffix}".removeprefix("/")


def _script(_files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    if found.module.startswith("."):
        yield from _script_file(beside(path, found.module))
    elif found.module.startswith(SCRIPT_ROOTS):
        inside = found.module.partition("/")[2]
        for folder in around(path):
            yield from _script_file(join(folder, f"src/{inside}"))
            yield from _script_file(join(folder, inside))
    else:
        yield from _script_package(folders, found.module)


def _script_package(folders: Folders, module: str) -> Iterator[str]:
    """`@scope/name/inside` or `name/inside` of a package that lies in a folder of its name."""
    name, _, inside = (module.partition("/")[2] if module.startswith("@") else module).partition("/")
    for packages in PACKAGE_FOLDERS:
        if f"{packages}/{name}" in folders:
            yield from _script_file(posixpath.normpath(f"{packages}/{name}/src/{inside}"))
            yield from _script_file(posixpath.normpath(f"{packages}/{name}/{inside}"))


def _script_file(target: str) -> Iterator[str]:
    stem = posixpath.splitext(target)[0] if target.endswith(COMPILED_SUFFIXES) else target
    yield target
    for (
        suffix
    ) in SCRIPT_SUFFIXES:  # TypeScript is imported by the name of the JavaScript it becomes, and the other way round
        yield f"{target}{suffix}"
        yield f"{stem}{suffix}"
    yield from (posixpath.join(target, f"index{suffix}") for suffix in SCRIPT_SUFFIXES)


def _go(_files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    elements = found.module.split("/")
    if elements[0] in GO_STANDARD:
        return
    versionless = [element for element in elements if not GO_VERSION.fullmatch(element)]
    for wanted in (elements, versionless):
        for folder in nearest(path, _go_folders(folders, wanted))[:1]:
            yield from (
                file for file in folders.files(folder) if file.endswith(".go") and not file.endswith("_test.go")
            )
            return


def _go_folders(folders: Folders, elements: list[str]) -> list[str]:
    """Folders that agree with the longest end of an import path and leave a module's path before it."""
    for start in range(len(elements)):
        ends_alike = folders.ending("/".join(elements[start:]))
        is_last = start == len(elements) - 1
        found = [folder for folder in ends_alike if (not is_last or "/" not in folder) and _has_go(folders, folder)]
        if found and (start == 0 or start >= _go_module_length(elements[0])):
            return found
    return []


def _go_module_length(host: str) -> int:
    """How many elements a module's path has at least."""
    return 3 if host in GO_HOSTS else 2 if "." in host else 1


def _has_go(folders: Folders, folder: str) -> bool:
    return any(file.endswith(".go") for file in folders.files(folder))


def _c(files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    """The first that there is, as a compiler does: beside the file, below a folder around it, in a folder like that."""
    below = (join(folder, place) for folder in around(path) for place in ("", "include", "src"))
    inside, _, name = found.module.rpartition("/")
    like = (join(folder, name) for folder in nearest(path, folders.ending(inside)))
    candidates = chain((posixpath.normpath(join(folder, found.module)) for folder in below), like)
    return islice((candidate for candidate in candidates if candidate in files), 1)


RESOLVERS: Mapping[str, Resolver] = {
    "python": _python,
    "script": _script,
    "go": _go,
    "java": java,
    "rust": rust,
    "c": _c,
    **EXTRA_RESOLVERS,
}
