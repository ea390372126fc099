"""Which files an import means in Java, Kotlin and Scala: a package is a folder's end, a class a file of its name."""

from collections.abc import Container, Iterable, Iterator

from .folders import Folders, nearest
from .symbols import Import

JAVA_SUFFIXES = (".java",)
JVM_SUFFIXES = (".kt", ".scala", ".java")


def java(_files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    yield from _classes(folders, path, found, JAVA_SUFFIXES)
    if ("*", "*") in found.names:
        yield from _package(folders, path, found.module, JAVA_SUFFIXES)


def jvm(files: Container[str], folders: Folders, path: str, found: Import) -> Iterable[str]:
    """A file of the class's name, else the files of the package: a file may hold many classes, and functions."""
    named = [each for each in _classes(folders, path, found, JVM_SUFFIXES) if each in files]
    return named or _package(folders, path, found.module, JVM_SUFFIXES)


def _classes(folders: Folders, path: str, found: Import, suffixes: tuple[str, ...]) -> Iterator[str]:
    module = found.module.replace(".", "/")
    for folder in nearest(path, folders.ending(module)):
        yield from (f"{folder}/{name}{suffix}" for name, _ in found.names for suffix in suffixes)
    owner, _, outer = module.rpartition("/")  # of which a member may be taken
    for folder in nearest(path, folders.ending(owner)):
        yield from (f"{folder}/{outer}{suffix}" for suffix in suffixes)


def _package(folders: Folders, path: str, module: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    for folder in nearest(path, folders.ending(module.replace(".", "/"))):
        yield from (file for file in folders.files(folder) if file.endswith(suffixes))
