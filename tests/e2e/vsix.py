"""The VS Code extension as users install it, with the server in it, built and tested from this checkout."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock

from . import node
from .tools import ToolMissing, run, say
from .tools import home as tools_home

FOLDER = Path(__file__).parents[2] / "editors" / "vscode"
BUILD_SECONDS = 300.0


@pytest.fixture(scope="module")
def extension() -> Path:
    return build()


def build() -> Path:
    """The .vsix. What makes it is installed where it is not there as the lock file has it, or ToolMissing raised."""
    lock, marker = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    with TemporaryDirectory() as commands, FileLock(tools_home() / "vsix.lock"):
        environment = node.environment(Path(commands))
        if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
            say("npm ci for the VS Code extension")
            run(["npm", "ci", "--no-fund", "--no-audit"], BUILD_SECONDS, environment, FOLDER)
        for step in ("test", "server", "package"):
            _make(step, environment)
    return FOLDER / "sc2lsp.vsix"


def _make(step: str, environment: Mapping[str, str]) -> None:
    """Our own build: where it fails nothing is missing, something is wrong."""
    try:
        run(["npm", "run", step], BUILD_SECONDS, environment, FOLDER)
    except ToolMissing as failure:
        raise AssertionError(str(failure)) from None
