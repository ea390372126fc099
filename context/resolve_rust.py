"""Which files a Rust path means: a module is `a/b.rs` or `a/b/mod.rs` below the folder of its crate's root.

A crate of the workspace is taken to lie in a folder of its name; what `Cargo.toml` or `#[path]` say is not known.
"""

from collections.abc import Container, Iterator, Sequence

from .folders import Folders, join
from .symbols import Import

ROOTS = ("lib.rs", "main.rs")
CRATE_FOLDERS = frozenset({"bin", "benches", "examples", "tests"})  # each file right in them is a crate
STANDARD = frozenset({"alloc", "core", "std"})


def rust(files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    root, here = _place(files, path)
    steps = found.module.split("::")
    names = [name for name, _ in found.names if name != "*"]
    for base, module in _absolute(files, folders, root, here, steps, names):
        for name in names:
            yield from _module(files, base, [*module, name])
        yield from next(filter(None, (_module(files, base, module[:size]) for size in range(len(module), -1, -1))), ())


def _place(files: Container[str], path: str) -> tuple[str, list[str]]:
    """The folder of the crate that a file belongs to, and the file's module in it."""
    folder, _, name = path.rpartition("/")
    root = folder
    while not _is_root(files, root):
        if not root:
            return folder, []
        root = root.rpartition("/")[0]
    module = path[len(root) + 1 if root else 0 :].removesuffix(".rs").split("/")
    if module[-1] == "mod":
        module.pop()
    is_crate = root == folder and (name in ROOTS or root.rpartition("/")[2] in CRATE_FOLDERS)
    return root, [] if is_crate else module


def _is_root(files: Container[str], folder: str) -> bool:
    if folder.rpartition("/")[2] in CRATE_FOLDERS:
        return True
    return any(join(folder, root) in files for root in ROOTS)


def _absolute(
    files: Container[str], folders: Folders, root: str, here: Sequence[str], steps: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """(folder of a crate, module in it) that a path means, seen from a module."""
    first = steps[0]
    if first == "crate":
        yield root, steps[1:]
    elif first == "self":
        yield root, [*here, *steps[1:]]
    elif first == "super":
        up = next((count for count, step in enumerate(steps) if step != "super"), len(steps))
        if up <= len(here):
            yield root, [*here[: len(here) - up], *steps[up:]]
    elif first not in STANDARD:
        yield from _by_name(files, folders, root, here, steps, names)


def _by_name(
    files: Container[str], folders: Folders, root: str, here: Sequence[str], steps: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """A module below this one or below the root, else a crate of the workspace."""
    for base in (here, ()):
        if _module(files, root, [*base, steps[0]]):
            yield root, [*base, *steps]
            return
    for name in (steps[0], steps[0].replace("_", "-")):
        for folder in folders.ending(name):
            if f"{folder}/src/lib.rs" in files:
                yield f"{folder}/src", steps[1:]
                return
    # The package at the workspace's root, seen from its tests and programs: its name is nobody's folder.
    inside = [*steps[1:], *names][:1]
    if root.rpartition("/")[0] in ("", "src") and _module(files, "src", inside) and inside:
        yield "src", steps[1:]


def _module(files: Container[str], root: str, module: Sequence[str]) -> list[str]:
    """The files that a module may be, of those that there are."""
    below = "/".join(module)
    places = [f"{below}.rs", f"{below}/mod.rs"] if module else ROOTS
    return [place for place in (join(root, each) for each in places) if place in files]
