"""The extension in a real VS Code, with the built-in model: what its user sees, and what is on disk afterwards.

What the model says is nobody's business here: what was ghost text has to be in the file once it was accepted.
"""

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .browser import browser
from .codeserver import CodeServer, serving
from .frames import Frame, Shown, recorded
from .home import SERVER, Home, home
from .tools import say
from .vsix import extension
from .workbench import REPEATED, Workbench, workbench

__all__ = ["browser", "extension", "home"]
pytestmark = pytest.mark.timeout(1200)  # seconds; the first test installs code-server

MODEL_MS = 90_000.0  # the first suggestion waits for the model to load
READY = re.compile("sc2lsp: .*ready|sc2lsp: embedded")
OFF = re.compile("sc2lsp: .*(off|paused)")
BRACKETS = "()[]{}\"'`"

PYTHON = """class Shelf:
    def __init__(self, books: list[str]) -> None:
        self.books = books

    def first_book(self) -> str:
        if not self.books:
            raise ValueError("no books on this shelf")
        return self.books[0]

    def last_book(self) -> str:
        $0
"""
TYPESCRIPT = """export interface Line {
  price: number;
  quantity: number;
}

export function totalPrice(lines: Line[]): number {
  let total = 0;
  for (const line of lines) {
    total += line.price * line.quantity;
  }
  return total;
}

export function totalQuantity(lines: Line[]): number {
  let total = 0;
  $0
}
"""
CALLS = """def area(width: float, height: float) -> float:
    return width * height


def volume(width: float, height: float, depth: float) -> float:
    return area(width, height) * depth


def cost(width: float, height: float, price: float) -> float:
    return $0
"""


@pytest.fixture(scope="module")
def server(home: Home, extension: Path) -> Iterator[CodeServer]:
    with serving(home, extension, {"sc2lsp.server.path": str(SERVER)}) as running:
        yield running


@pytest.fixture(scope="module")
def window(browser: Browser, server: CodeServer, home: Home) -> Iterator[Workbench]:
    with workbench(browser, server, home.workspace) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Place:
    """A file in the editor; `line` is the cursor's, from 1, and stood there as `text` has it."""

    file: Path
    line: int
    text: str

    def holds(self, shown: Shown) -> None:
        """The file has, on disk, what was shown, and everything else as it was."""
        before = self.text.split("\n")
        expected = [*before[: self.line - 1], *shown.lines, *before[self.line :]]
        assert self.file.read_text("utf-8").split("\n") == expected


@pytest.fixture
def place(window: Workbench, home: Home) -> Iterator[Callable[[str, str], Place]]:
    """Opens a new file of the workspace with the cursor at $0; it is gone afterwards, and teaches nothing."""
    files: list[Path] = []

    def opened(name: str, marked: str) -> Place:
        before, after = marked.split("$0")
        file = home.workspace / name
        file.write_text(before + after, "utf-8")
        files.append(file)
        window.open(file)
        made = Place(file, before.count("\n") + 1, before + after)
        window.go(made.line, len(before) - before.rfind("\n"))
        return made

    yield opened
    for file in files:
        window.run("Revert and Close Editor")
        file.unlink()


def test_pictures_for_the_documentation(window: Workbench, home: Home, screenshots: Path) -> None:
    """Of the workspace of `make demo`: ghost text, the menu, and the view that says why."""
    window.open(home.workspace / "shelf" / "store.py")
    window.go(49, 28)
    window.press("Backspace")
    window.type("_")
    window.ghost(MODEL_MS)
    window.picture(screenshots / "vscode-ghost.png")
    window.menu()
    window.picture(screenshots / "vscode-menu.png")
    window.press("Escape", "Control+1", "Control+b")  # more room
    window.menu()
    window.choose("Why this suggestion")
    page = window.page.frame_locator("iframe.webview.ready").frame_locator("iframe#active-frame")
    expect(page.locator("body")).to_contain_text("prompt")
    expect(page.locator("pre.ghost").first).not_to_be_empty()
    window.picture(screenshots / "vscode-explain.png")
    window.press("Control+1", "Control+b")
    window.save()
    window.run("View: Close All Editors")


@pytest.mark.parametrize(
    ("name", "marked", "typed"),
    [("first.py", PYTHON, "if n"), ("first.ts", TYPESCRIPT, "f")],
    ids=["python", "typescript"],
)
def test_tab_puts_what_is_shown_into_the_file(
    window: Workbench, place: Callable[[str, str], Place], name: str, marked: str, typed: str
) -> None:
    opened = place(name, marked)
    window.type(typed)
    shown = window.ghost(MODEL_MS)
    window.press("Tab")
    window.save()
    opened.holds(shown)


def test_the_next_alternative(window: Workbench, place: Callable[[str, str], Place]) -> None:
    """What is asked for explicitly brings more than one."""
    opened = place("alternatives.py", CALLS)
    window.press("Alt+\\")
    first = window.ghost()
    window.press("Alt+]")
    second = window.ghost(other_than=first)
    window.press("Tab")
    window.save()
    opened.holds(second)


def test_word_by_word(window: Workbench, place: Callable[[str, str], Place]) -> None:
    opened = place("words.py", PYTHON)
    window.type("if n")
    whole = window.ghost()
    window.press("Control+ArrowRight")
    rest = window.ghost(other_than=whole)
    assert rest.lines[: len(whole.lines)] == whole.lines, "what is left of it is on the screen as it was"
    assert len(rest.ghost[0]) < len(whole.ghost[0])
    window.press("Tab")
    window.save()
    opened.holds(rest)


def test_typing_what_is_shown_does_not_flicker(window: Workbench, place: Callable[[str, str], Place]) -> None:
    place("through.py", PYTHON)
    window.type("if n")
    before = window.ghost()
    typed = until_bracket(before.ghost[0])[:-1]
    assert len(typed) >= 4, f"{before} has too little to type"
    with recorded(window.page) as recording:
        window.type(typed, delay=90)
        window.page.wait_for_timeout(500)
    gone, other = flicker(before, recording.frames)
    frames = f"{len(recording.frames)} frames, {gone} without ghost text, {other} with another"
    say(f"VS Code: {len(recording.keys)} keys typed through, {frames}")
    assert len(recording.frames) > len(typed), "frames were seen"
    assert (gone, other) == (0, 0)


def until_bracket(text: str) -> str:
    """Without what an editor would close by itself."""
    end = min((text.find(bracket) for bracket in BRACKETS if bracket in text), default=len(text))
    return text[:end]


def flicker(before: Shown, frames: Sequence[Frame]) -> tuple[int, int]:
    """Frames without ghost text, and those where the line does not go on as it was shown at first."""
    gone = sum(frame.shown is None for frame in frames)
    other = sum(frame.shown is not None and not frame.shown.lines[0].startswith(before.lines[0]) for frame in frames)
    return gone, other


def test_brackets_that_the_editor_closed_stay_balanced(window: Workbench, place: Callable[[str, str], Place]) -> None:
    opened = place("brackets.py", CALLS)
    window.type("area(")
    shown = window.ghost()
    window.press("Tab")
    window.save()
    opened.holds(shown)
    text = opened.file.read_text("utf-8")
    assert "area()" not in text
    assert all(text.count(left) == text.count(right) for left, right in ("()", "[]", "{}"))


def test_it_is_turned_off_and_on_in_the_menu(window: Workbench, place: Callable[[str, str], Place]) -> None:
    opened = place("switch.py", f"{REPEATED}$0\n")
    expect(window.status_item()).to_have_attribute("aria-label", READY)
    window.type("p")
    window.ghost()
    window.menu()
    window.choose("Turn off")
    expect(window.status_item()).to_have_attribute("aria-label", OFF)
    window.type("ri")
    window.at(opened.line, 15)
    assert window.stays_without_ghost()
    window.menu()
    window.choose("Turn on")
    expect(window.status_item()).to_have_attribute("aria-label", READY)
    window.type("c")
    window.ghost()


def test_a_killed_server_comes_back(window: Workbench, place: Callable[[str, str], Place], home: Home) -> None:
    opened = place("killed.py", f"{REPEATED}$0\n")
    window.type("p")
    window.ghost()
    (old,) = home.servers()
    os.kill(old, signal.SIGKILL)
    window.type("rice  # typed while it was away", delay=20)
    window.press("Enter")
    window.until(lambda: home.servers() not in ([], [old]), "another server")
    window.type("return pri")
    shown = window.ghost(MODEL_MS)
    window.press("Tab")
    window.save()
    lines = opened.file.read_text("utf-8").split("\n")
    assert lines[opened.line - 1] == "    return price  # typed while it was away"
    assert lines[opened.line : opened.line + len(shown.lines)] == list(shown.lines)


def test_what_is_accepted_is_counted(window: Workbench, place: Callable[[str, str], Place], home: Home) -> None:
    """In full, and by the word; a suggestion that is taken word by word is one."""
    before = taken(home)
    place("counted.ts", TYPESCRIPT)
    window.type("f")
    whole = window.ghost()
    window.press("Control+ArrowRight")
    window.ghost(other_than=whole)
    window.press("Tab")
    window.save()

    expected = (before[0] + 1, before[1] + 1)
    window.until(lambda: taken(home) == expected, f"{expected} accepted and by the word, not {taken(home)}")


def taken(home: Home) -> tuple[int, int]:
    """TypeScript suggestions that were accepted, and words of them: no test just before took one of that language."""
    figures = home.stats()["languages"].get("typescript", {"accepted": 0, "by_word": 0})
    return figures["accepted"], figures["by_word"]


def test_an_untitled_document(window: Workbench) -> None:
    window.run("New Untitled Text File")
    window.type("totals = [price * quantity for price, quantity in lines]\n" * 3 + "totals = [pri", delay=10)
    window.ghost()
    window.run("Revert and Close Editor")
