"""Which files an import means, by name alone: Python, JavaScript and TypeScript; elsewhere the folder is the package.

Nothing is read: a candidate counts when the index knows a file of that path.
"""

import posixpath
from collections.abc import Container, Iterator

from .languages import language_of
from .tags import Import

PYTHON_SUFFIXES = (".py", ".pyi")
SCRIPT_SUFFIXES = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")


def resolve(files: Container[str], path: str, found: Import) -> tuple[str, ...]:
    """Paths among `files` that an import in `path` means, the most specific first."""
    language = language_of(path)
    name = language.name if language is not None else ""
    if name == "python":
        candidates = _python(path, found)
    elif name in ("javascript", "typescript", "tsx"):
        candidates = _script(path, found)
    elif name in ("c", "cpp"):
        candidates = iter((_join(path, found.module), found.module, f"include/{found.module}", f"src/{found.module}"))
    else:
        return ()
    return tuple(dict.fromkeys(candidate for candidate in candidates if candidate in files and candidate != path))


def _python(path: str, found: Import) -> Iterator[str]:
    inside = found.module.replace(".", "/")
    for base in _python_bases(path, found.level):
        module = "/".join(filter(None, (base, inside)))
        for name, _ in found.names:
            yield from _python_module(f"{module}/{name}" if module else name)
        yield from _python_module(module)


def _python_bases(path: str, level: int) -> Iterator[str]:
    """Folders that an import may start from: for an absolute one the root, `src`, and every folder around the file."""
    around = [path[:end] for end in range(len(path), 0, -1) if path[end : end + 1] == "/"] + [""]
    if level > 0:
        yield from around[level - 1 : level]
        return
    yield from dict.fromkeys(("", "src", *reversed(around)))


def _python_module(module: str) -> Iterator[str]:
    for suffix in PYTHON_SUFFIXES:
        if module:
            yield f"{module}{suffix}"
        yield f"{module}/__init__{suffix}".removeprefix("/")


def _script(path: str, found: Import) -> Iterator[str]:
    if not found.module.startswith("."):
        return
    target = _join(path, found.module)
    stem = posixpath.splitext(target)[0] if target.endswith((".js", ".jsx", ".mjs", ".cjs")) else target
    yield target
    for suffix in SCRIPT_SUFFIXES:  # TypeScript is imported by the name of the JavaScript it becomes
        yield f"{target}{suffix}"
        yield f"{stem}{suffix}"
    yield from (posixpath.join(target, f"index{suffix}") for suffix in SCRIPT_SUFFIXES)


def _join(path: str, relative: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))
