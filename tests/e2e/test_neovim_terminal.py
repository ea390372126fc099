"""Our plugin in a Neovim in a terminal, as a person sees it: what the terminal shows is what is in the file."""

import shlex
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .home import Home, home
from .instant import instant
from .neovim import SUITES, Installed, configure, setup
from .tools import debian, say

__all__ = ["home"]

SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal of tmux, on a server of its own."""

    socket: Path

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def wait_for(self, text: str) -> str:
        """The screen, once it has this text."""
        deadline = time.monotonic() + SECONDS
        while text not in (screen := self.tmux("capture-pane", "-p")):
            assert time.monotonic() < deadline, f"{text} is not on the screen:\n{screen}"
            time.sleep(0.05)
        return screen


@contextmanager
def terminal(home: Home, version: str, file: Path) -> Generator[Terminal]:
    debian("tmux")
    installed = Installed(version)
    started = Terminal(home.folder / "t")
    environment = home.environment(**installed.variables, TERM="xterm-256color")
    command = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), str(installed.program)]
    started.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "12", shlex.join([*command, str(file)]))
    try:
        yield started
    finally:
        # It is gone where Neovim was left: then there is nothing to end.
        subprocess.run(["tmux", "-S", str(started.socket), "kill-server"], capture_output=True, timeout=SECONDS)


def test_ghost_text_is_seen_and_accepted(home: Home) -> None:
    file = home.workspace / "shelf" / "total.py"
    file.write_text("def total(prices):\n")
    with instant() as runtime:
        runtime.answer("return sum(prices)")
        configure(home, setup(endpoint=runtime.url, max_wait=0))
        for version in SUITES:
            file.write_text("def total(prices):\n")
            with terminal(home, version, file) as seen:
                seen.wait_for("def total")
                seen.press("A", "Enter")
                screen = seen.wait_for("    return sum(prices)")
                assert file.read_text() == "def total(prices):\n"
                say(f"Neovim {version} in a terminal:\n{screen}")
                seen.press("Tab")
                seen.press("Escape", ":wq", "Enter")
                _wait_for_file(file, "def total(prices):\n    return sum(prices)\n")


def _wait_for_file(file: Path, text: str) -> None:
    deadline = time.monotonic() + SECONDS
    while file.read_text() != text:
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.05)
