"""Which lines a unified diff adds to which files.

What a diff says is only believed once the checkout agrees (`checkout`): here paths are text, and nothing is opened.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

MAX_DIFF_BYTES = 32 << 20
REVISION = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_./@{}^~+-]*")  # never an option, never several words
# Whatever the user configured: no colours, no other program, the prefixes that we strip, names as they are.
GIT_DIFF = (
    *("git", "-c", "core.quotePath=false", "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames"),
    *("--unified=3", "--src-prefix=a/", "--dst-prefix=b/"),
)


class DiffError(Exception):
    """There is no diff to read; the message says why."""


@dataclass(frozen=True, slots=True)
class Added:
    """A file of a diff with the lines that are new in it: 1-based number -> text without its terminator."""

    path: str  # POSIX, below the checkout's root
    lines: dict[int, str]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not looked at, and why."""

    path: str
    reason: str


def git_diff(root: Path, base: str) -> bytes:
    """What the checked-out commit has that its last common ancestor with `base` has not. Raises DiffError."""
    if not REVISION.fullmatch(base):
        raise DiffError(f"{base!r} is not the name of a commit")
    command = [*GIT_DIFF, f"{base}...HEAD", "--"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as failure:
        raise DiffError(f"git cannot be run: {failure.strerror}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DiffError(f"git diff {base}...HEAD: {said[-1] if said else 'failed'}. Was enough of the history fetched?")
    return done.stdout


def parse(diff: bytes) -> list[Added | Skipped]:
    """Every file of a diff, in its order. Raises DiffError."""
    if len(diff) > MAX_DIFF_BYTES:
        raise DiffError(f"the diff has more than {MAX_DIFF_BYTES >> 20} MiB, which are not read")
    try:
        patches = PatchSet(diff.decode("utf-8", "replace"))
    except UnidiffParseError as wrong:
        raise DiffError(f"this is no unified diff: {str(wrong).splitlines()[0][:80]!r}") from None
    return [_file(patched) for patched in patches if not patched.is_removed_file]


def _file(patched: PatchedFile) -> Added | Skipped:
    path = _path(patched.target_file)
    if patched.is_binary_file:
        return Skipped(path, "binary")
    if patched.is_symlink or patched.is_submodule:
        return Skipped(path, "not a regular file")
    if not is_inside(path):
        return Skipped(path, "outside the checkout")
    lines = (line for hunk in patched for line in hunk if line.is_added)
    return Added(path, {line.target_line_no or 0: line.value.rstrip("\r\n") for line in lines})


def is_inside(path: str) -> bool:
    """Whether a path cannot leave the folder that it is taken to be in, whatever the system."""
    return not bool(
        path.startswith(("/", "~"))
        or "\\" in path
        or re.match("[A-Za-z]:", path)
        or ".." in path.split("/")
        or any(ord(character) < 32 for character in path)
    )


def _path(name: str) -> str:
    """A name as it stands behind `+++`: git quotes those with odd characters, as C does."""
    if name.startswith('"') and name.endswith('"'):
        name = re.sub(rb"\\([0-7]{3}|.)", _unescaped, name[1:-1].encode()).decode("utf-8", "replace")
    return name.removeprefix("b/")


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF])
    return {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}.get(code, code)
