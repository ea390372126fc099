"""The files of a workspace: which ones may be looked at, and reading them safely.

Three doors guard every file: the ignore files of its folders, the built-in exclusions, and the deny-list of places
where secrets live. Links are never followed, and nothing but a regular file is ever opened to read. This module
knows no documents and no index.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pathspec

from .languages import language_of

MAX_FILE_BYTES = 1 << 20
MAX_LINE = 10_000  # code points; a longer line was written by a program
IGNORE_FILES = (".gitignore", ".ignore", ".sc2lspignore")

EXCLUDED = """
.git/ .hg/ .svn/ .jj/ node_modules/ bower_components/ __pycache__/ .venv/ venv/ .tox/ .nox/ site-packages/ .eggs/
*.egg-info/ .mypy_cache/ .pytest_cache/ .ruff_cache/ .hypothesis/ .cache/ .gradle/ .idea/ .vscode/ .next/ .nuxt/
.terraform/ CMakeFiles/ bazel-*/ /build/ /dist/ /out/ /target/ /coverage/ *.min.js *.min.mjs *.bundle.js
*_pb2.py *_pb2_grpc.py *.pb.go
""".split()

DENIED = """
.env* *.env *.pem *.key *.p12 *.pfx *.jks *.keystore *.kdbx *.tfstate* id_rsa* id_dsa* id_ecdsa* id_ed25519* .npmrc
.pypirc .netrc _netrc .htpasswd .pgpass credentials credentials.* credentials-* credentials_* secret.* secrets.*
secrets/ .aws/ .ssh/ .gnupg/ .kube/ .docker/
""".split()

_excluded = pathspec.GitIgnoreSpec.from_lines(EXCLUDED)
_denied = pathspec.GitIgnoreSpec.from_lines(DENIED)
_private_folders = pathspec.GitIgnoreSpec.from_lines([pattern for pattern in DENIED if pattern.endswith("/")])


@dataclass(frozen=True, slots=True)
class Change:
    """A file's new text, or None where it is gone. `version` is set where an editor holds the text, not the disk."""

    path: str
    text: str | None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not looked into, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Rules:
    """Ignore patterns of one folder and one kind of ignore file; `base` is the folder, "" or ending in "/"."""

    base: str
    spec: pathspec.GitIgnoreSpec


# One chain for each kind of ignore file, outermost folder first: one file's `!` never undoes another kind's rule.
_Chains = tuple[tuple[_Rules, ...], ...]


def denied(path: str) -> bool:
    """Whether a path, in any case, is one where secrets live."""
    return _denied.match_file(path.lower())


def in_private_folder(path: str) -> bool:
    """Whether an absolute path lies in a folder where secrets live, such as `.ssh`, wherever a workspace begins."""
    return _private_folders.match_file(path.lower().lstrip("/"))


def walk(root: Path, exclude: Sequence[str] = (), below: str = "") -> Iterator[str]:
    """Root-relative POSIX paths of the source files worth reading, sorted; `exclude` holds gitignore patterns.

    `below` limits the walk to one folder, to which all the rules on the way apply.
    """
    chains = _chains_into(root, below, exclude)
    if chains is None:
        return
    stack: list[tuple[str, _Chains]] = [(f"{below}/" if below else "", chains)]
    while stack:
        folder, outer = stack.pop()
        entries = _entries(root, folder)
        chains = _with_ignore_files(root, folder, {name for name, _ in entries}, outer)
        kept = [(name, is_folder) for name, is_folder in entries if not _ignored(folder, name, is_folder, chains)]
        yield from (f"{folder}{name}" for name, is_folder in kept if not is_folder)
        stack += [(f"{folder}{name}/", chains) for name, is_folder in reversed(kept) if is_folder]


def is_candidate(root: Path, path: str, exclude: Sequence[str] = ()) -> bool:
    """Whether `walk` would give a root-relative path, were it there."""
    parent, _, name = path.rpartition("/")
    chains = _chains_into(root, parent, exclude)
    if chains is None:
        return False
    folder = f"{parent}/" if parent else ""
    return not _ignored(folder, name, False, _with_ignore_files(root, folder, set(IGNORE_FILES), chains))


def read(root: Path, path: str) -> str | Skipped:
    """The text of a root-relative path, without a byte order mark, or why it is not read. Never hangs, never raises."""
    if not _inside(root, path):
        return Skipped(path, "outside the workspace")
    if denied(path):
        return Skipped(path, "may hold secrets")
    data = _read_regular(root / path)
    if isinstance(data, str):
        return Skipped(path, data)
    if b"\0" in data:
        return Skipped(path, "binary")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Skipped(path, "not UTF-8")
    if len(text) > MAX_LINE and max(map(len, re.split(r"[\r\n]", text))) > MAX_LINE:
        return Skipped(path, "minified")
    return text


def _chains_into(root: Path, folder: str, exclude: Sequence[str]) -> _Chains | None:
    """The rules that hold on the way into a root-relative folder, or None where one of them keeps everybody out."""
    own = _Rules("", pathspec.GitIgnoreSpec.from_lines(exclude))
    chains: _Chains = ((own,), *(() for _ in IGNORE_FILES))
    outer = ""
    for part in folder.split("/") if folder else ():
        chains = _with_ignore_files(root, outer, set(IGNORE_FILES), chains)
        if _ignored(outer, part, True, chains):
            return None
        outer = f"{outer}{part}/"
    return chains


def _read_regular(path: Path) -> bytes | str:
    """The bytes of a regular file, or the reason against it."""
    # A FIFO would block open() for good; these flags are absent on Windows, where there are none.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        if path.is_symlink():
            return "not a regular file"
        descriptor = os.open(path, flags)
    except (OSError, ValueError):
        return "unreadable"
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_size > MAX_FILE_BYTES:
            return "too large"
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        return "unreadable"
    finally:
        os.close(descriptor)
    return "too large" if len(data) > MAX_FILE_BYTES else data


def _inside(root: Path, path: str) -> bool:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return False
    try:
        return (root / path).parent.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _entries(root: Path, folder: str) -> list[tuple[str, bool]]:
    """(name, is a folder) of what a folder holds, sorted; links and anything special are left out."""
    try:
        with os.scandir(root / folder) as scan:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan if _is_plain(entry)]
    except OSError:
        return []
    return sorted(found)


def _is_plain(entry: os.DirEntry[str]) -> bool:
    try:
        entry.name.encode("utf-8")  # a name that is not UTF-8 cannot be spelled in any message
        return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    except (OSError, UnicodeEncodeError):
        return False


def _with_ignore_files(root: Path, folder: str, names: set[str], outer: _Chains) -> _Chains:
    found = [_rules(root, folder, name) if name in names else () for name in IGNORE_FILES]
    return (outer[0], *(chain + rules for chain, rules in zip(outer[1:], found, strict=True)))


def _rules(root: Path, folder: str, name: str) -> tuple[_Rules, ...]:
    data = _read_regular(root / folder / name)
    if isinstance(data, str):
        return ()
    specs: list[str] = data.decode("utf-8", "replace").splitlines()
    try:
        return (_Rules(folder, pathspec.GitIgnoreSpec.from_lines(specs)),)
    except ValueError:  # one malformed pattern: keep the others
        return (_Rules(folder, pathspec.GitIgnoreSpec.from_lines([line for line in specs if _is_pattern(line)])),)


def _is_pattern(line: str) -> bool:
    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _ignored(folder: str, name: str, is_folder: bool, chains: _Chains) -> bool:
    if not is_folder and language_of(name) is None:
        return True
    path = f"{folder}{name}/" if is_folder else f"{folder}{name}"
    return _excluded.match_file(path) or denied(path) or any(_matches(path, chain) for chain in chains)


def _matches(path: str, chain: Sequence[_Rules]) -> bool:
    """Whether a chain ignores a path: the innermost folder with an opinion decides."""
    for rules in reversed(chain):
        verdict = rules.spec.check_file(path.removeprefix(rules.base)).include
        if verdict is not None:
            return verdict
    return False
