"""What goes wrong around the extension in a real VS Code: one message, with a first button that mends it when pressed.

Mended means that ghost text comes. Nobody's text is in what is logged or reported of it.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sc2lsp import __version__

from .browser import browser
from .codeserver import CodeServer, serving
from .home import SERVER, Home, home, new_home
from .tools import ToolMissing, say
from .vsix import extension
from .workbench import REPEATED, Workbench, workbench

__all__ = ["browser", "extension", "home"]
pytestmark = pytest.mark.timeout(1200)  # seconds; a server is installed from nothing

MODEL_MS = 90_000.0  # the first suggestion waits for the model to load
TROUBLE_MS = 60_000.0  # until it is noticed: a server that crashes is started a few times
INSTALL_MS = 900_000.0
CANARY = "heliotrope_xylophone_4711"  # in a document, and nowhere else
WELL = "sc2lsp: embedded"
CLOSED = "http://127.0.0.1:9"  # nothing answers there


@dataclass(frozen=True, slots=True)
class Desk:
    """A window, what it is served by, and the home of both."""

    home: Home
    server: CodeServer
    window: Workbench

    def told(self, message: str, button: str) -> None:
        """One message is shown, with the button first; the button is pressed."""
        notice = self.window.notice(message, TROUBLE_MS)
        ours = [shown for shown in self.window.notices() if shown.message.startswith("sc2lsp: ")]
        assert ours == [notice]
        assert notice.buttons[0] == button
        self.window.answer(message, button)

    def completes(self, name: str, within: float = MODEL_MS) -> None:
        """Things are said to be well, and there is ghost text in a new file."""
        expect(self.window.status_item()).to_have_attribute("aria-label", WELL, timeout=within)
        file = self.home.workspace / name
        file.write_text(REPEATED, "utf-8")
        self.window.open(file)
        self.window.go(REPEATED.count("\n") + 1, 12)
        self.window.type("pri")
        self.window.ghost(within)
        self.window.press("Tab")  # half a word in one file would be copied into the next one
        self.window.save()


@contextmanager
def desk(
    browser: Browser, home: Home, extension: Path, settings: Mapping[str, object], environment: Mapping[str, str]
) -> Iterator[Desk]:
    with (
        serving(home, extension, settings, environment) as server,
        workbench(browser, server, home.workspace) as window,
    ):
        yield Desk(home, server, window)


@pytest.fixture(scope="module")
def working(browser: Browser, home: Home, extension: Path) -> Iterator[Desk]:
    """Where all is well until a test changes that. There is no hub to download from."""
    settings = {"sc2lsp.server.path": str(SERVER)}
    with desk(browser, home, extension, settings, {"HF_ENDPOINT": CLOSED}) as opened:
        opened.completes("well.py")
        yield opened


def test_a_server_that_is_not_there(working: Desk) -> None:
    missing = working.home.folder / "nowhere" / "sc2lsp"
    working.server.change({"sc2lsp.server.path": str(missing)})
    working.told(f"There is no server at {missing}", "Choose a path...")
    working.window.choose_file(SERVER)
    working.completes("chosen.py")
    assert working.server.read()["sc2lsp.server.path"] == str(SERVER)


def test_a_server_that_crashes_at_every_start(working: Desk) -> None:
    """What was mended meanwhile is found by the button."""
    broken = working.home.folder / "broken"
    broken.touch()
    program = script(
        working.home.folder / "crashing",
        f'if [ "$1" = --version ]; then echo "sc2lsp, version {__version__}"; exit; fi',
        f"if [ -e {broken} ]; then exit 1; fi",
        f'exec {SERVER} "$@"',
    )
    working.server.change({"sc2lsp.server.path": str(program)})
    working.window.notice("crashed 5 times", TROUBLE_MS)
    broken.unlink()
    working.told("crashed 5 times", "Restart")
    working.completes("uncrashed.py")
    working.server.change({"sc2lsp.server.path": str(SERVER)})


@pytest.mark.parametrize("model", ["/nowhere/model", "nobody/no-such-model"], ids=["folder", "offline"])
def test_a_model_that_is_not_there(working: Desk, model: str) -> None:
    working.server.change({"sc2lsp.model": model})
    working.told("model", "Use the built-in model")
    working.completes(f"{Path(model).name}.py")
    assert working.server.read().get("sc2lsp.model", "embedded") == "embedded"


def test_a_workspace_that_may_not_be_read(browser: Browser, extension: Path) -> None:
    """By the server: root, who may read everything, runs it without that right."""
    with new_home() as home:
        rights = "setpriv --bounding-set -dac_override,-dac_read_search " if os.geteuid() == 0 else ""
        if rights and shutil.which("setpriv") is None:
            raise ToolMissing("root may read everything, and there is no setpriv to take that right away")
        program = script(home.folder / "plain", f'exec {rights}{SERVER} "$@"')
        home.workspace.chmod(0o000)
        try:
            with desk(browser, home, extension, {"sc2lsp.server.path": str(program)}, {}) as opened:
                opened.window.notice("not be read", TROUBLE_MS)
                home.workspace.chmod(0o755)
                opened.told("not be read", "Try again")
                opened.completes("readable.py")
        finally:
            home.workspace.chmod(0o755)


def test_no_text_of_a_document_is_in_logs_and_reports(working: Desk) -> None:
    """The server fails while it is typed, too."""
    working.completes("quiet.py")
    working.window.press("Control+End", "Enter")
    working.window.type(f"{CANARY} = {CANARY}.{CANARY}(\n", delay=20)
    working.server.change({"sc2lsp.model": "/nowhere/other"})
    working.window.type(f"# {CANARY}\n", delay=20)
    working.told("model", "Use the built-in model")
    working.completes("quiet_again.py")
    working.window.run("sc2lsp: Write a Report for a Bug")
    working.window.editor.get_by_text("sc2lsp report").first.wait_for()
    working.window.press("Control+s")
    report = working.home.folder / "report.md"
    working.window.choose_file(report)
    working.window.until(report.exists, "the report on disk")
    assert "# sc2lsp report" in report.read_text("utf-8")
    assert CANARY not in report.read_text("utf-8")
    logs = working.server.logs() + "".join(path.read_text("utf-8") for path in working.home.folder.glob("r/*.log"))
    assert "sc2lsp" in logs
    assert CANARY not in logs


def test_no_python_or_one_that_is_too_old(browser: Browser, home: Home, extension: Path) -> None:
    """The button asks for one, and installs with it."""
    programs = home.folder / "no-python"
    programs.mkdir()
    offline = {"sc2lsp.server.pipArguments": ["--no-index"]}
    with desk(browser, home, extension, offline, {"PATH": str(programs)}) as opened:
        opened.told("not installed yet", "Install")
        opened.window.notice("No Python 3.11 or later was found", TROUBLE_MS)
        script(programs / "python3", "echo 3.9.2")
        opened.window.run("sc2lsp: Install the Language Server")
        opened.told("No Python 3.11 or later was found", "Choose Python...")
        opened.window.choose_file(Path(sys.executable))
        opened.window.notice("could not be installed", TROUBLE_MS)  # as it may download nothing


def test_installing_from_nothing(browser: Browser, extension: Path) -> None:
    """What a new user does: install the extension, press a button, wait, type. At first, they are offline."""
    user = Path.home()
    environment = {
        "PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin",
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(user / ".cache" / "pip")),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(user / ".config")),  # where pip is told of indexes
    }
    with (
        new_home() as home,
        desk(browser, home, extension, {"sc2lsp.server.pipArguments": ["--no-index"]}, environment) as opened,
    ):
        opened.told("not installed yet", "Install")
        opened.window.notice("could not be installed", INSTALL_MS)
        opened.server.change({"sc2lsp.server.pipArguments": None})
        opened.told("could not be installed", "Try again")
        opened.window.until(home.servers, "the installed server", INSTALL_MS)
        opened.completes("installed.py")
        say("VS Code: a server installed from nothing gives ghost text")


def script(file: Path, *lines: str) -> Path:
    """A program for the shell."""
    file.write_text("\n".join(("#!/bin/sh", *lines, "")), "utf-8")
    file.chmod(0o755)
    return file
