"""Which files an import means in the languages behind `sc2lsp[languages]`; see `resolve`."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from .folders import Folders, around, beside, join, nearest
from .resolve_jvm import jvm
from .symbols import Import

Resolver = Callable[[Container[str], Folders, str, Import], Iterable[str]]  # files, folders, path, import -> candidates

RUBY_FOLDERS = ("", "lib", "app", "test", "spec")
LUA_FOLDERS = ("", "lua", "src")
PHP_FOLDERS = ("", "src", "lib", "app")


def _csharp(_files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    """The folder that agrees with the longest end of a namespace, with two names of it or all."""
    names = found.module.split(".")
    for start in range(max(len(names) - 1, 1)):
        for folder in nearest(path, folders.ending("/".join(names[start:])))[:1]:
            yield from (f"{folder}/{there}.cs" for there, _ in found.names)
            yield from (file for file in folders.files(folder) if file.endswith(".cs"))
            return


def _php(files: Container[str], folders: Folders, path: str, found: Import) -> Iterator[str]:
    if found.level or found.module.endswith(".php"):
        yield beside(path, found.module)
        yield from (join(folder, found.module) for folder in around(path))
        return
    names = found.module.split("\\")
    for name, _ in found.names:  # a namespace is a folder's end, without what it has in front of the source folder
        like = (each for start in range(len(names)) for each in nearest(path, folders.ending("/".join(names[start:]))))
        places = [*(f"{folder}/{name}.php" for folder in like), *(join(root, f"{name}.php") for root in PHP_FOLDERS)]
        yield from [place for place in places if place in files][:1]


def _ruby(_files: Container[str], _folders: Folders, path: str, found: Import) -> Iterator[str]:
    module = found.module.removesuffix(".rb") + ".rb"
    if found.level or module.startswith("."):
        yield beside(path, module)
        return
    yield from (join(join(folder, below), module) for folder in around(path) for below in RUBY_FOLDERS)


def _lua(_files: Container[str], _folders: Folders, path: str, found: Import) -> Iterator[str]:
    module = found.module.replace(".", "/")
    for folder in around(path):
        for below in LUA_FOLDERS:
            place = join(join(folder, below), module)
            yield from (f"{place}.lua", f"{place}/init.lua")


def _bash(_files: Container[str], _folders: Folders, path: str, found: Import) -> Iterator[str]:
    yield from (beside(join(folder, "x"), found.module) for folder in around(path))


EXTRA_RESOLVERS: Mapping[str, Resolver] = {
    "csharp": _csharp,
    "ruby": _ruby,
    "php": _php,
    "kotlin": jvm,
    "scala": jvm,
    "lua": _lua,
    "bash": _bash,
}
