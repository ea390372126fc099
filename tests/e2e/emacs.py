"""Emacs with lsp-mode from Debian, in a terminal of its own: keys go in, what is on the screen comes out.

Its init.el is the one in editors/emacs/README.md, word for word. Knows nothing of what is completed.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from .debian_tree import patched, tree
from .home import SERVER, Home
from .tools import debian

PROJECT = Path(__file__).parents[2]
README = PROJECT / "editors/emacs/README.md"
PACKAGES = "usr/share/emacs/site-lisp/elpa"
COLOUR = 201  # of the grey text in these tests, as nothing else on the screen has it
Value = TypeVar("Value")
TIMEOUT = 60.0  # seconds; a runtime may have to load first

# Native code is compiled by a linker that the tree does not have; MELPA is never asked; marks of diagnostics would
# stand in front of the lines.
EARLY_INIT = """\
(setq native-comp-jit-compilation nil native-comp-enable-subr-trampolines nil)
(setq package-directory-list '("{packages}") package-archives nil)
(setq lsp-diagnostics-provider :none)
(setq inhibit-startup-screen t make-backup-files nil auto-save-default nil create-lockfiles nil)
(with-eval-after-load 'lsp-inline-completion
  (set-face-attribute 'lsp-inline-completion-overlay-face nil :inherit nil :foreground "color-{colour}"))
"""


def install() -> Path:
    """The root of a tree with Emacs and lsp-mode. Raises ToolMissing."""
    debian("tmux")
    root = tree("sid", ["emacs-nox", "elpa-lsp-mode"])
    for link in (root / PACKAGES).rglob("*"):
        if link.is_symlink() and link.readlink().is_absolute() and not link.exists():
            inside = root / link.readlink().relative_to("/")
            link.unlink()
            link.symlink_to(inside)
    return root


class Emacs:
    """A running Emacs; the terminal is tmux's, its server ends with it."""

    def __init__(self, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", os.devnull]

    def start(self, command: str, environment: dict[str, str]) -> None:
        size = ["-x", "150", "-y", "40"]
        subprocess.run([*self._tmux, "new-session", "-d", *size, command], env=environment, check=True)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, such as `C-x`, `M-f`, `Tab`, `Escape`."""
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def write(self, text: str) -> None:
        subprocess.run([*self._tmux, "send-keys", "-l", text], check=True)

    def command(self, name: str) -> None:
        """Run a command by its name, as M-x does."""
        self.press("M-x")
        self.write(name)
        self.press("Enter")

    def save(self) -> None:
        self.press("C-x", "C-s")
        self.wait(lambda: "Wrote " in self.says(), "the file to be written")

    def screen(self) -> list[str]:
        """The lines of the terminal, without blanks at their ends."""
        return [line.rstrip() for line in self._capture().splitlines()]

    def window(self) -> list[str]:
        """The lines of the file that are on the screen."""
        screen = self.screen()
        return screen[: _place_of_mode_line(screen)]

    def mode_line(self) -> str:
        screen = self.screen()
        return screen[_place_of_mode_line(screen)]

    def server(self) -> int | None:
        """The process id of the server, once it is ready."""
        found = re.search(r"\[sc2lsp:(\d+)\]", self.mode_line())
        return None if found is None else int(found.group(1))

    def says(self) -> str:
        """The echo area, beneath the mode line; a backslash ends a line that goes on in the next."""
        screen = self.screen()
        return "".join(line.removesuffix("\\") for line in screen[_place_of_mode_line(screen) + 1 :])

    def grey(self) -> str:
        """What is painted on the screen as a suggestion; blanks may be missing."""
        return "".join(_painted(self._capture("-e"), COLOUR)).strip()

    def _capture(self, *options: str) -> str:
        command = [*self._tmux, "capture-pane", "-p", *options]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def wait(self, condition: Callable[[], Value], what: str) -> Value:
        """The condition's value once it is true."""
        deadline = time.monotonic() + TIMEOUT
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n" + "\n".join(self.screen())
            time.sleep(0.05)
        return value

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def emacs(root: Path, home: Home, path: Path) -> Generator[Emacs]:
    """Open a file of the workspace as a new user would, and answer what lsp-mode asks of a new project."""
    settings = home.folder / "emacs"
    settings.mkdir(exist_ok=True)
    early = EARLY_INIT.format(packages=root / PACKAGES, colour=COLOUR)
    (settings / "early-init.el").write_text(early, "utf-8")
    (settings / "init.el").write_text(_init(), "utf-8")
    clone = home.folder / "sc2lsp"
    if not clone.exists():
        clone.symlink_to(PROJECT)
    running = Emacs(home.folder / "tmux")
    words = [*_program(root), "--no-window-system", f"--init-directory={settings}", str(path)]
    running.start(f"exec {shlex.join(words)}", _environment(root, home))
    try:
        question = "Import project root"
        running.wait(lambda: question in running.says() or "LSP[" in running.mode_line(), "lsp-mode")
        if question in running.says():
            running.write("i")
        running.wait(lambda: running.server() is not None, "the server")
        yield running
    finally:
        running.close()


def _init() -> str:
    """The first block of Emacs Lisp in the README."""
    found = re.search(r"^ *```elisp\n(.*?)^ *```", README.read_text("utf-8"), re.S | re.M)
    assert found is not None
    return found.group(1)


def _program(root: Path) -> list[str]:
    dump = next((root / "usr/libexec/emacs").rglob("*.pdmp"))
    return [str(patched(root, "usr/bin/emacs-nox")), f"--dump-file={dump}"]


def _environment(root: Path, home: Home) -> dict[str, str]:
    shared = next((root / "usr/share/emacs").glob("[0-9]*"))
    lisp = [shared / "lisp", *(folder for folder in (shared / "lisp").rglob("*") if folder.is_dir())]
    return home.environment(
        HOME=str(home.folder),
        PATH=f"{SERVER.parent}{os.pathsep}{os.environ['PATH']}",
        LC_ALL="C.UTF-8",
        TERM="xterm-256color",
        EMACSLOADPATH=os.pathsep.join(map(str, lisp)),
        EMACSDATA=str(shared / "etc"),
        EMACSDOC=str(shared / "etc"),
        EMACSPATH=str(next((root / "usr/libexec/emacs").rglob("*.pdmp")).parent),
    )


def _place_of_mode_line(screen: list[str]) -> int:
    places = [number for number, line in enumerate(screen) if re.match(r"-[\w.-]+:[*%-]{2}", line)]
    return places[-1] if places else len(screen) - 1


def _painted(screen: str, colour: int) -> Iterator[str]:
    """The pieces of a terminal's text, with its escape sequences, that have this colour of 256."""
    current = False
    for number, piece in enumerate(re.split(r"\x1b\[([\d;]*)m", screen)):
        if number % 2 == 0:
            if current:
                yield piece
        elif f"38;5;{colour}" in piece:
            current = True
        elif piece in ("", "0") or re.search(r"(^|;)(0|3[0-9]|9[0-7])(;|$)", piece):
            current = False
