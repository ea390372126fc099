"""Where the tools of these tests live: real editors and browsers, installed once for all runs, under the user's cache.

Knows no particular tool; each has a room of its own that calls `installed`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

READY = ".ready"  # in a folder whose installation came to its end


class ToolMissing(Exception):
    """A tool cannot be installed here; the message says why. Tests that need it are skipped with it."""


def home() -> Path:
    """The folder of all tools; SC2LSP_E2E_TOOLS names another."""
    named = os.environ.get("SC2LSP_E2E_TOOLS", "")
    return Path(named) if named else user_cache_path("sc2lsp-e2e")


def installed(name: str, install: Callable[[Path], None]) -> Path:
    """The folder of a tool, `name` with its version; `install` fills it the first time. Raises ToolMissing.

    What an interrupted installation left is thrown away first.
    """
    folder = home() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{name}.lock"):
        if not (folder / READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            say(f"installing {name}")
            install(folder)
            (folder / READY).touch()
    return folder


def run(
    command: Sequence[str | Path], timeout: float, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """What a step of an installation prints; its last lines are in the ToolMissing that its failure raises."""
    try:
        done = subprocess.run(
            [*map(str, command)],
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError:
        raise ToolMissing(f"there is no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"{command[0]} took longer than {timeout:.0f} s") from None
    if done.returncode:
        raise ToolMissing(f"{' '.join(map(str, command))}: {' | '.join(done.stdout.splitlines()[-5:])}")
    return done.stdout


def debian(*packages: str) -> None:
    """Install Debian packages that are not there yet. Raises ToolMissing where that is not for us to do."""
    listed = [["dpkg-query", "-W", "-f", "${Status}", package] for package in packages]
    try:
        states = [subprocess.run(command, capture_output=True, text=True).stdout for command in listed]
    except FileNotFoundError:
        raise ToolMissing(f"no Debian: install {' '.join(packages)} by hand") from None
    wanted = [package for package, state in zip(packages, states, strict=True) if "ok installed" not in state]
    if not wanted:
        return
    if os.geteuid() != 0:
        raise ToolMissing(f"not root: apt-get install {' '.join(wanted)}")
    home().mkdir(parents=True, exist_ok=True)
    with FileLock(home() / "apt.lock"):
        say(f"apt-get install {' '.join(wanted)}")
        run(["apt-get", "update"], 300)
        run(
            ["apt-get", "install", "-y", "--no-install-recommends", *wanted], 600, {"DEBIAN_FRONTEND": "noninteractive"}
        )


def say(what: str) -> None:
    """A line for the person who waits, past pytest's capture."""
    sys.__stderr__ and print(f"e2e: {what}", file=sys.__stderr__, flush=True)
