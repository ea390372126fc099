"""The files of a workspace: which ones may be looked at, and reading them safely.

Three doors guard every file: the ignore files of its folders, the built-in exclusions, and the deny-list of places
where secrets live. Links are never followed, and nothing but a regular file is ever opened to read. This module
knows no documents and no index.
"""

import os
import re
import stat
from codecs import BOM_UTF8
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pathspec

from .languages import language_of

MAX_FILE_BYTES = 1 << 20
MAX_LINE = 10_000  # code points; a longer line was written by a program
READ_BYTES = 1 << 18
NOTHING = r"(?!)"  # matches no text
IGNORE_FILES = (".gitignore", ".ignore", ".sc2lspignore")
GIT_EXCLUDE = ".git/info/exclude"  # git's fourth ignore file, of the workspace's own repository

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


@dataclass(frozen=True, slots=True)
class Change:
    """A file's new text, or None where it is gone. `version` is set where an editor holds the text, not the disk."""

    path: str
    text: str | None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is not looked into, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file system says of a file, cheaply: while it stays the same, so does the content."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @staticmethod
    def of(status: os.stat_result) -> "Stamp":
        return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Ignore patterns of one file; `base` is its folder, "" or ending in "/".

    pathspec decides, but most names match nothing: plain names and endings are looked up before it is asked.
    """

    base: str
    spec: pathspec.GitIgnoreSpec
    names: frozenset[str]
    endings: tuple[str, ...]
    other: re.Pattern[str]  # whatever the patterns match that are neither

    @staticmethod
    def of(base: str, lines: Sequence[str]) -> "_Patterns":
        names, endings, other = set[str](), set[str](), list[str]()
        for line in lines:
            pattern = line.strip().removeprefix("!").removesuffix("/")
            if not re.search(r"[/*?\[\]\\]|^#", pattern):
                names.add(pattern)
            elif pattern[0] == "*" and not re.search(r"[/*?\[\]\\]", pattern[1:]):
                endings.add(pattern[1:])
            else:
                other.append(line)
        expressions = [
            pattern.regex.pattern for pattern in pathspec.GitIgnoreSpec.from_lines(other).patterns if pattern.regex
        ]
        any_other = re.compile("|".join(re.sub(r"\(\?P<\w+>", "(?:", one) for one in expressions) or NOTHING)
        return _Patterns(base, pathspec.GitIgnoreSpec.from_lines(lines), frozenset(names), tuple(endings), any_other)

    def verdict(self, path: str, name: str) -> bool | None:
        """Ignored, kept, or no opinion on `path`, which ends in "/" for a folder; what is around it is not asked."""
        relative = path.removeprefix(self.base)
        if name in self.names or name.endswith(self.endings) or self.other.match(relative):
            return self.spec.check_file(relative).include
        return None


# One chain for each kind of ignore file, outermost folder first: one file's `!` never undoes another kind's rule.
_Chains = tuple[tuple[_Patterns, ...], ...]

_excluded = _Patterns.of("", EXCLUDED)
_denied = _Patterns.of("", DENIED)
_private_folders = pathspec.GitIgnoreSpec.from_lines([pattern for pattern in DENIED if pattern.endswith("/")])


def denied(path: str) -> bool:
    """Whether a path, in any case, is one where secrets live."""
    folder, _, name = path.lower().rpartition("/")
    return _in_denied(folder) or bool(_denied.verdict(name, name))


@lru_cache(maxsize=1 << 12)
def _in_denied(folder: str) -> bool:
    return bool(folder) and _denied.spec.match_file(f"{folder}/")


def in_private_folder(path: str) -> bool:
    """Whether an absolute path lies in a folder where secrets live, such as `.ssh`, wherever a workspace begins."""
    return _private_folders.match_file(path.lower().lstrip("/"))


def is_news(path: str) -> bool:
    """Whether a change of a root-relative path can matter, by the built-in exclusions alone."""
    folder = path.rpartition("/")[0]
    return governs(path) is not None or not _in_excluded(folder)


def governs(path: str) -> str | None:
    """The folder whose rules may change with a root-relative path; None where it holds no rules."""
    folder, _, name = path.rpartition("/")
    if path in (GIT_EXCLUDE, ".git/info", ".git"):
        return ""
    return folder if name in IGNORE_FILES else None


@lru_cache(maxsize=1 << 12)
def _in_excluded(folder: str) -> bool:
    return bool(folder) and _excluded.spec.match_file(f"{folder}/")


class Rules:
    """What a workspace's rules say of its paths. Reads each folder's ignore files once: make one for every pass."""

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        self.root = root
        git = _lines(root, "", GIT_EXCLUDE)
        self._outermost: _Chains = (
            (_Patterns.of("", exclude),),
            (_Patterns.of("", git),) if git else (),
            *(() for _ in IGNORE_FILES[1:]),
        )
        self._chains: dict[str, _Chains | None] = {}  # folder, "" or ending in "/" -> what holds for the names in it
        # `_chains` mutates, on the thread of whoever made this.

    def is_candidate(self, path: str) -> bool:
        """Whether `survey` would give a root-relative path, were it there as a file."""
        folder, name = _split(path)
        chains = self._inside(folder)
        return chains is not None and language_of(name) is not None and not _ignored(folder, name, False, chains)

    def survey(self, below: str = "") -> Iterator[str | Skipped]:
        """The source files worth reading, sorted by folder, and what is worth reading but will not be.

        `below` limits this to one folder, to which all the rules on the way apply.
        """
        start = f"{below}/" if below else ""
        stack = [(start, self._inside(start))]
        while stack:
            folder, outer = stack.pop()
            listed = _listed(self.root, folder)
            if isinstance(listed, Skipped):
                yield listed
            elif outer is not None:
                chains = outer
                if folder != start:
                    chains = self._chains[folder] = self._with_own(folder, outer, {entry.name for entry in listed})
                judged = [found for entry in listed if (found := _judged(folder, entry, chains)) is not None]
                yield from (found for found in judged if isinstance(found, Skipped) or found[-1] != "/")
                stack += [(found, chains) for found in reversed(judged) if isinstance(found, str) and found[-1] == "/"]

    def beside(self, folder: str) -> Iterator[str | Skipped]:
        """What `survey` would give of the files right in a folder."""
        prefix = f"{folder}/" if folder else ""
        listed, chains = _listed(self.root, prefix), self._inside(prefix)
        if chains is not None and not isinstance(listed, Skipped):
            judged = (_judged(prefix, entry, chains) for entry in listed)
            yield from (found for found in judged if isinstance(found, Skipped) or (found and found[-1] != "/"))

    def examine(self, path: str) -> Iterator[str | Skipped]:
        """What `survey` would give of one path and, where it is a folder, of all that is below it."""
        if not path:
            yield from self.survey()
            return
        folder, _ = _split(path)
        chains = self._inside(folder)
        if chains is None:
            return
        try:
            found = _judged(folder, _Named(self.root / path), chains)
        except (OSError, ValueError):
            return
        if isinstance(found, str) and found.endswith("/"):
            yield from self.survey(path)
        elif found is not None:
            yield found

    def _inside(self, folder: str) -> _Chains | None:
        """What holds for the names in a folder; None where a rule or a link on the way keeps everybody out."""
        parents = [folder[: end + 1] for end, char in enumerate(folder) if char == "/"]
        chains = self._chains.get("") or self._with_own("", self._outermost, IGNORE_FILES)
        self._chains[""] = chains
        for here in parents:
            if here not in self._chains:
                self._chains[here] = self._entered(here, chains)
            inner = self._chains[here]
            if inner is None:
                return None
            chains = inner
        return chains

    def _entered(self, folder: str, outer: _Chains) -> _Chains | None:
        parent, name = _split(folder[:-1])
        if _ignored(parent, name, True, outer) or _is_other_than_folder(self.root / folder[:-1]):
            return None
        return self._with_own(folder, outer, IGNORE_FILES)

    def _with_own(self, folder: str, outer: _Chains, names: Container[str]) -> _Chains:
        own = [_lines(self.root, folder, name) if name in names else () for name in IGNORE_FILES]
        if not any(own):
            return outer
        rules = [(_Patterns.of(folder, lines),) if lines else () for lines in own]
        return (outer[0], *(chain + more for chain, more in zip(outer[1:], rules, strict=True)))


def walk(root: Path, exclude: Sequence[str] = (), below: str = "") -> Iterator[str]:
    """Root-relative POSIX paths of the source files worth reading; `exclude` holds gitignore patterns."""
    return (found for found in Rules(root, exclude).survey(below) if isinstance(found, str))


def is_candidate(root: Path, path: str, exclude: Sequence[str] = ()) -> bool:
    """Whether `walk` would give a root-relative path, were it there."""
    return Rules(root, exclude).is_candidate(path)


class Reader:
    """Reads files of a workspace; whether a folder lies inside is asked once, so make one for every pass."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._inside: dict[str, bool] = {}
        # Mutates on the thread of whoever made this.

    def read(self, path: str) -> str | Skipped:
        """The text of a path, without a byte order mark, or why it is not read. Never hangs, never raises."""
        return self.read_stamped(path)[0]

    def read_stamped(self, path: str) -> tuple[str | Skipped, Stamp | None]:
        """The same, and the file's stamp from before it was read, where there was anything to stamp."""
        folder, _ = _split(path)
        inside = self._inside.get(folder)
        if inside is None:
            inside = self._inside[folder] = _inside(self.root, path)
        if not inside:
            return Skipped(path, "outside the workspace"), None
        if denied(path):
            return Skipped(path, "may hold secrets"), None
        data, stamp = _read_regular(f"{self.root}/{path}")
        return (Skipped(path, data) if isinstance(data, str) else _decoded(path, data)), stamp


def read(root: Path, path: str) -> str | Skipped:
    """The text of a root-relative path, without a byte order mark, or why it is not read. Never hangs, never raises."""
    return Reader(root).read(path)


def _decoded(path: str, data: bytes) -> str | Skipped:
    if b"\0" in data:
        return Skipped(path, "binary")
    try:
        text = data.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        return Skipped(path, "not UTF-8")
    return Skipped(path, "minified") if _has_long_line(text) else text


def _has_long_line(text: str) -> bool:
    start = 0  # of a line; every jump is to the last line that starts within reach
    while start + MAX_LINE < len(text):
        stop = start + MAX_LINE + 1
        end = max(text.rfind("\n", start, stop), text.rfind("\r", start, stop))
        if end < 0:
            return True
        start = end + 1
    return False


def _read_regular(path: str) -> tuple[bytes | str, Stamp | None]:
    """The bytes of a regular file, or the reason against it; its stamp where it has one."""
    # A FIFO would block open() for good; these flags are absent on Windows, where there are none.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):  # noqa: PTH114 - a thousand times a second
            return "not a regular file", None
        descriptor = os.open(path, flags)
    except (OSError, ValueError):
        return ("not a regular file" if _is_other(path) else "unreadable"), None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file", None
        data = b"" if status.st_size > MAX_FILE_BYTES else _all_of(descriptor)
        too_large = max(status.st_size, len(data)) > MAX_FILE_BYTES
        return ("too large" if too_large else data), Stamp.of(status)
    except OSError:
        return "unreadable", None
    finally:
        os.close(descriptor)


def _all_of(descriptor: int) -> bytes:
    """Up to one byte past the limit, however fast the file grows."""
    data = os.read(descriptor, READ_BYTES)
    while data and len(data) <= MAX_FILE_BYTES and (more := os.read(descriptor, READ_BYTES)):
        data += more
    return data


def _is_other(path: str) -> bool:
    """Whether something stands at `path` that is neither a file nor missing."""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _is_other_than_folder(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _inside(root: Path, path: str) -> bool:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return False
    try:
        return (root / path).parent.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


class _Named:
    """One path as `os.scandir` would give it. Raises OSError where nothing stands there."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._mode = path.lstat().st_mode

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self._mode)

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return not follow_symlinks and stat.S_ISDIR(self._mode)

    def is_file(self, *, follow_symlinks: bool) -> bool:
        return not follow_symlinks and stat.S_ISREG(self._mode)


def _listed(root: Path, folder: str) -> list[os.DirEntry[str]] | Skipped:
    """What a folder holds, sorted by name."""
    try:
        with os.scandir(f"{root}/{folder}") as scan:
            return sorted(scan, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):  # went away since it was seen
        return []
    except OSError:
        return Skipped(folder.removesuffix("/"), "unreadable")


def _judged(folder: str, entry: os.DirEntry[str] | _Named, chains: _Chains) -> str | Skipped | None:
    """A source file's path, a folder's with a "/" behind it, or why it is none that is read; None for all the rest."""
    name = entry.name
    try:
        is_link = entry.is_symlink()
        is_folder = entry.is_dir(follow_symlinks=False) or (is_link and "." not in name)  # by name: never followed
        is_source = language_of(name) is not None
        if not (is_folder or is_source) or _ignored(folder, name, is_folder, chains):
            return None
        path = f"{folder}{name}"
        if not _is_utf8(name):  # cannot be spelled in any message
            return Skipped(path, "name is not UTF-8")
        if is_link:
            return Skipped(path, "not a regular file")
        if is_folder:
            return f"{path}/"
        return path if entry.is_file(follow_symlinks=False) else Skipped(path, "not a regular file")
    except OSError:
        return None


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _lines(root: Path, folder: str, name: str) -> tuple[str, ...]:
    """The patterns of an ignore file, without those that are malformed."""
    data, _ = _read_regular(f"{root}/{folder}{name}")
    if isinstance(data, str):
        return ()
    lines = data.decode("utf-8", "replace").splitlines()
    return tuple(line for line in lines if line.strip() and _is_pattern(line))


def _is_pattern(line: str) -> bool:
    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _ignored(folder: str, name: str, is_folder: bool, chains: _Chains) -> bool:
    path = f"{folder}{name}/" if is_folder else f"{folder}{name}"
    small = name.lower()
    return (
        bool(_excluded.verdict(path, name))
        or bool(_denied.verdict(f"{small}/" if is_folder else small, small))
        or any(_matches(path, name, chain) for chain in chains if chain)
    )


def _matches(path: str, name: str, chain: Sequence[_Patterns]) -> bool:
    """Whether a chain ignores a path: the innermost folder with an opinion decides."""
    for patterns in reversed(chain):
        verdict = patterns.verdict(path, name)
        if verdict is not None:
            return verdict
    return False


def _split(path: str) -> tuple[str, str]:
    """Folder, "" or ending in "/", and name."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}", name
