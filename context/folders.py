"""Paths as text, and the folders of a set of paths, kept up with single paths that come and go.

Paths are POSIX and relative to the workspace's root. Nothing is read, and no language is known here.
"""

import posixpath
from collections.abc import Iterable, Sequence


class Folders:
    """What lies in a folder, and which folders have a name."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._inside: dict[str, set[str]] = {}  # folder -> the files and folders in it; none is empty
        self._named: dict[str, set[str]] = {}  # last element -> folders
        # Both mutate by `add` and `discard` alone, on the thread of whoever owns this.
        for path in paths:
            self.add(path)

    def __contains__(self, folder: object) -> bool:
        return folder in self._inside

    def add(self, path: str) -> None:
        """Take in a file: a few dictionary steps, for folders that are known already one."""
        while path:
            folder = path.rpartition("/")[0]
            inside = self._inside.get(folder)
            if inside is not None:
                inside.add(path)
                return
            self._inside[folder] = {path}
            self._named.setdefault(folder.rpartition("/")[2], set()).add(folder)
            path = folder

    def discard(self, path: str) -> None:
        """Forget a file, and the folders that held nothing else."""
        while path:
            folder = path.rpartition("/")[0]
            inside = self._inside.get(folder, set())
            inside.discard(path)
            if inside or folder not in self._inside:
                return
            del self._inside[folder]
            name = folder.rpartition("/")[2]
            self._named[name].discard(folder)
            if not self._named[name]:
                del self._named[name]
            path = folder

    def files(self, folder: str) -> Sequence[str]:
        """The files right in a folder, in order of their names."""
        return sorted(path for path in self._inside.get(folder, ()) if path not in self._inside)

    def ending(self, suffix: str) -> Sequence[str]:
        """The folders that are called `a/b`, wherever they lie; for "" none."""
        if not suffix:
            return ()
        named = self._named.get(suffix.rpartition("/")[2], ())
        return sorted(folder for folder in named if f"/{folder}".endswith(f"/{suffix}"))


def around(path: str) -> list[str]:
    """The folders that a path lies in, the nearest first and "" last."""
    return [path[:end] for end in range(len(path), 0, -1) if path[end : end + 1] == "/"] + [""]


def join(folder: str, inside: str) -> str:
    return f"{folder}/{inside}" if folder else inside


def nearest(path: str, folders: Iterable[str]) -> list[str]:
    """Folders in order of how far their paths agree with a path."""
    return sorted(folders, key=lambda folder: (-len(posixpath.commonprefix((path, f"{folder}/"))), folder))


def beside(path: str, relative: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))
