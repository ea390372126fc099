"""sc2lsp.el without an Emacs: its version, and that what the README and the server name is there."""

import re
from pathlib import Path

import pytest

from sc2lsp import __version__
from sc2lsp.server import create_server

FOLDER = Path(__file__).parents[2] / "editors/emacs"
PACKAGE = (FOLDER / "sc2lsp.el").read_text("utf-8")
README = (FOLDER / "README.md").read_text("utf-8")


def test_its_version_is_the_servers() -> None:
    assert f"\n;; Version: {__version__}\n" in PACKAGE


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bsc2lsp(?:-[a-z]+)+\b", README))))
def test_what_the_readme_names_is_defined(name: str) -> None:
    assert re.search(rf"^\((?:defun|defcustom) {name} ", PACKAGE, re.M)


@pytest.mark.parametrize("command", sorted(set(re.findall(r'sc2lsp--execute\s+"([^"]+)"', PACKAGE))))
def test_commands_that_are_sent_are_the_servers(command: str) -> None:
    assert command in create_server().protocol.fm.commands
