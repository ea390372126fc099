"""A user's home for one editor: the environment its servers start in, and a workspace that may be written to.

Nothing in it reaches the caches, settings, statistics or runtimes of whoever runs the tests. Knows no editor.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
# Of the environment that runs the tests: what `pip install -e .` put beside the interpreter.
SERVER = Path(sys.executable).parent / ("sc2lsp.exe" if sys.platform == "win32" else "sc2lsp")


@dataclass(frozen=True, slots=True)
class Home:
    """A temporary folder with a short path, as sockets need one. `workspace` is a copy of tests/fixtures/shelf."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "shelf"

    @property
    def config(self) -> Path:
        """The user's own settings of sc2lsp; there are none until a test writes them."""
        return self.folder / "config.toml"

    @property
    def variables(self) -> Mapping[str, str]:
        """What differs from the environment that the tests run in."""
        own = {
            name: str(self.folder / folder)
            for name, folder in {
                "SC2LSP_RUNTIME_DIR": "r",
                "XDG_CACHE_HOME": "cache",
                "XDG_CONFIG_HOME": "config",
                "XDG_DATA_HOME": "data",
                "XDG_STATE_HOME": "state",
            }.items()
        }
        return own | {"SC2LSP_CONFIG": str(self.config), "OMP_NUM_THREADS": "1"}

    def environment(self, **more: str) -> dict[str, str]:
        """For what starts a server: this process's, without what steers sc2lsp, and the home's variables and `more`."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SC2LSP_")}
        return inherited | dict(self.variables) | more

    def fill(self) -> None:
        """Put the workspace there as the fixtures have it."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        shutil.copytree(SHELF, self.workspace, ignore=shutil.ignore_patterns("__pycache__"))

    def ask(self, *arguments: str) -> str:
        """What a command of sc2lsp prints here, such as `ask("status")`. Raises CalledProcessError."""
        command = [str(SERVER), *arguments]
        done = subprocess.run(
            command, env=self.environment(), cwd=self.folder, stdout=subprocess.PIPE, text=True, timeout=120, check=True
        )
        return done.stdout

    def servers(self) -> list[int]:
        """The language servers that run for editors of this home, by process id."""
        own = f"SC2LSP_CONFIG={self.config}".encode()
        return [int(process.name) for process in Path("/proc").glob("[0-9]*") if _is_server(process, own)]

    def stats(self) -> dict[str, Any]:
        """What became of the suggestions of this home: the object that `sc2lsp stats --json` prints."""
        return dict(json.loads(self.ask("stats", "--json")))


def _is_server(process: Path, variable: bytes) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        return b"--stdio" in words and variable in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile, or is somebody else's
        return False


@contextmanager
def new_home() -> Iterator[Home]:
    """A home of its own; its runtimes and its folder go with it. Editors have to be closed before."""
    with TemporaryDirectory(prefix="sc2", ignore_cleanup_errors=True) as name:
        made = Home(Path(name))
        made.fill()
        try:
            yield made
        finally:
            made.ask("stop")


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """The home of a module's tests."""
    with new_home() as made:
        yield made
