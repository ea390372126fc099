"""In a real Emacs, in a terminal: what a user sees of suggestions, and what is in the file once they are taken."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .emacs import Emacs, emacs, install
from .home import Home, home

__all__ = ["home"]
TYPED = "def add_member(self, member: "


@pytest.fixture(scope="module")
def root() -> Path:
    return install()


@pytest.fixture
def editor(root: Path, home: Home) -> Iterator[Emacs]:
    """At the end of a Python file with one more line to come in it."""
    home.fill()
    (home.workspace / ".git").mkdir()  # a project, as lsp-mode finds them
    with emacs(root, home, home.workspace / "shelf/store.py") as running:
        running.press("M->", "Enter")
        yield running


def suggested(editor: Emacs, text: str) -> str:
    """What is shown in grey behind this text."""
    editor.write(text)
    editor.wait(lambda: any(text.rstrip() in line for line in editor.window()), f"{text!r} to be typed")
    return editor.wait(editor.grey, f"a suggestion behind {text!r}")


def shown(editor: Emacs, beginning: str) -> list[str]:
    """The lines on the screen from the one that begins so to the end of the buffer."""
    lines = editor.window()
    first = next(number for number, line in enumerate(lines) if line.startswith(beginning.rstrip()))
    return "\n".join(lines[first:]).rstrip().split("\n")


def saved(home: Home, beginning: str) -> list[str]:
    text = (home.workspace / "shelf/store.py").read_text("utf-8")
    return text[text.index(beginning) :].rstrip().split("\n")


def settled(editor: Emacs, beginning: str) -> list[str]:
    """What is shown once nothing is grey any more: a suggestion that follows is refused."""
    editor.press("C-g")
    editor.wait(lambda: not editor.grey(), "the suggestion to go")
    return shown(editor, beginning)


def test_accepting_puts_into_the_file_what_was_shown(editor: Emacs, home: Home) -> None:
    assert suggested(editor, TYPED)
    seen = shown(editor, TYPED)
    editor.press("Tab")
    editor.save()
    assert saved(home, TYPED) == seen
    assert seen[0] != TYPED.rstrip()
    editor.wait(lambda: home.stats()["overall"]["accepted"], "the statistics")


def test_a_word_is_taken(editor: Emacs, home: Home) -> None:
    suggested(editor, TYPED)
    seen = " ".join(shown(editor, TYPED))
    by_word = home.stats()["overall"]["by_word"]
    editor.press("M-f")
    editor.save()
    (line,) = saved(home, TYPED)
    assert re.fullmatch(r"\W*\w+", line.removeprefix(TYPED.rstrip())), line
    assert seen.startswith(line)
    editor.wait(lambda: home.stats()["overall"]["by_word"] == by_word + 1, "the statistics")


def test_a_suggestion_that_is_refused_leaves_nothing(editor: Emacs, home: Home) -> None:
    suggested(editor, TYPED)
    assert settled(editor, TYPED) == [TYPED.rstrip()]
    editor.save()
    assert saved(home, TYPED) == [TYPED.rstrip()]


def test_a_bracket_that_was_closed_by_itself_is_not_doubled(editor: Emacs, home: Home) -> None:
    editor.command("electric-pair-mode")
    beginning = "def remove_member("
    suggested(editor, beginning)
    seen = shown(editor, beginning)
    editor.press("Tab")
    editor.save()
    assert saved(home, beginning) == seen
    assert seen[0].count("(") == seen[0].count(")") == 1


def test_off_and_on_again(editor: Emacs) -> None:
    editor.command("sc2lsp-toggle")
    editor.wait(lambda: "sc2lsp:off" in editor.mode_line(), "the mode line to say so")
    editor.write(TYPED)
    editor.wait(lambda: TYPED.rstrip() in editor.window(), "what was typed")
    editor.command("lsp-inline-completion-display")
    editor.wait(lambda: "No Suggestions" in editor.says(), "an answer without a suggestion")
    assert not editor.grey()
    editor.command("sc2lsp-toggle")
    editor.wait(lambda: "sc2lsp:off" not in editor.mode_line(), "the mode line to say so")
    suggested(editor, "M")


def test_settings_hold_at_once(editor: Emacs) -> None:
    for enabled, shown_off in ((":json-false", True), ("t", False)):
        editor.press("M-:")
        editor.write(f"(setopt sc2lsp-settings '((enabled . {enabled})))")
        editor.press("Enter")
        editor.wait(lambda off=shown_off: ("sc2lsp:off" in editor.mode_line()) == off, "the mode line to say so")
    assert suggested(editor, TYPED)


def test_a_server_that_was_killed_comes_back(editor: Emacs) -> None:
    killed = editor.server()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    editor.wait(lambda: "want to restart it" in editor.says(), "the question")
    editor.write("y")
    editor.wait(lambda: editor.server() is None, "the server to be gone")
    editor.press("C-l")  # lsp-mode goes on at the next key
    editor.wait(lambda: editor.server() not in (None, killed), "the server")
    suggested(editor, TYPED)


def test_what_is_wrong_is_said_and_mended_by_one_command(root: Path, home: Home) -> None:
    home.config.write_text('model = "/nowhere/at/all"\n', "utf-8")
    try:
        with emacs(root, home, home.workspace / "shelf/store.py") as editor:
            editor.press("M->", "Enter")
            editor.wait(lambda: "sc2lsp!" in editor.mode_line(), "the mode line to say so")
            editor.command("sc2lsp-status")
            editor.wait(lambda: "M-x sc2lsp-fix: Use the built-in model" in editor.says(), "the command that mends it")
            editor.command("sc2lsp-fix")
            editor.wait(lambda: "sc2lsp!" not in editor.mode_line(), "the mode line to say so")
            assert suggested(editor, TYPED)
    finally:
        home.config.unlink()
