"""Our plugin in a real Neovim: 0.12, and 0.10 as the oldest that it knows. The model is the built-in one, or a runtime
that says what it is told where a test has to know the words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .home import Home, home
from .instant import Instant, instant
from .neovim import Neovim, running, setup, version

__all__ = ["home", "version"]

BLOCK = "total = a + b\n    return total"
EAGER: dict[str, Any] = {"max_wait": 0, "min_confidence": 0}  # every key is answered


@pytest.fixture(scope="module")
def editor(version: str, home: Home) -> Iterator[Neovim]:
    """With the built-in model."""
    with running(version, home, setup(**EAGER)) as started:
        yield started


@pytest.fixture(scope="module")
def told() -> Iterator[Instant]:
    with instant() as runtime:
        yield runtime


@pytest.fixture(scope="module")
def told_editor(version: str, home: Home, told: Instant) -> Iterator[Neovim]:
    """With a runtime that says what it is told."""
    with running(version, home, setup(endpoint=told.url, **EAGER)) as started:
        yield started


@pytest.fixture
def file(home: Home, request: pytest.FixtureRequest) -> Path:
    """Another one for each test: an editor keeps what it knows of a file."""
    return home.workspace / "shelf" / f"{re.sub(r'[^a-z0-9]+', '_', request.node.name)}.py"


@dataclass(frozen=True, slots=True)
class Case:
    """`typed` into `text` until `answer` is shown; then `keys`, and `expected` is in the file. The cursor is $0."""

    text: str
    typed: str
    answer: str
    keys: str
    expected: str


CASES = {
    "all": Case("x =$0\n", " ", "total(1)", "<Tab>", "x = total(1)$0"),
    "all of a block": Case(
        "def add(a, b):$0\nz = 1\n", "<CR>", BLOCK, "<Tab>", f"def add(a, b):\n    {BLOCK}$0\nz = 1"
    ),
    "a word": Case("x =$0\n", " ", "total(1)", "<M-Right>", "x = total$0"),
    "two words": Case("x =$0\n", " ", "total(1)", "<M-Right><M-Right>", "x = total($0"),
    "words to the end": Case("x =$0\n", " ", "a + b", "<M-Right><M-Right><M-Right>", "x = a + b$0"),
    "a line": Case("def add(a, b):$0\n", "<CR>", BLOCK, "<M-Down>", "def add(a, b):\n    total = a + b$0"),
    "line by line": Case("def add(a, b):$0\n", "<CR>", BLOCK, "<M-Down><M-Down>", f"def add(a, b):\n    {BLOCK}$0"),
    "before a bracket": Case("print($0)\n", "a", "(1), 2)", "<Tab>", "print(a(1), 2)$0"),
    "a word before a bracket": Case("print($0)\n", "a", "(1), 2)", "<M-Right><M-Right>", "print(a(1$0)"),
    "before words": Case("x = foo(1) + $0bar\n", " ", "baz, bar", "<Tab>", "x = foo(1) +  baz, bar$0"),
    "beyond ASCII": Case("größe = 'ä' +$0\n", " ", "'über' + ß", "<Tab>", "größe = 'ä' + 'über' + ß$0"),
    "a word beyond ASCII": Case("größe =$0\n", " ", "länge + ß", "<M-Right>", "größe = länge$0"),
    "taken back": Case("x$0\n", " = ", "total(1)", "<Tab><Esc>ua", "x = $0"),
    "typed through": Case("x =$0\n", " ", "total(1)", "tot<Tab>", "x = total(1)$0"),
    "dismissed": Case("x =$0\n", " ", "total(1)", "<C-]><Tab>", "x =     $0"),
}


@pytest.mark.parametrize("name", CASES)
def test_taking(name: str, told_editor: Neovim, told: Instant, file: Path) -> None:
    case = CASES[name]
    told.answer(case.answer)
    told_editor.open(file, case.text)
    told_editor.type(case.typed)
    told_editor.wait_for_ghost()
    if case.keys == "<Tab>":
        assert "\n".join(told_editor.rows) == case.expected.replace("$0", "")
    told_editor.type(case.keys)
    told_editor.wait_for_text(case.expected)
    told_editor.command("write")
    assert file.read_text() == case.expected.replace("$0", "") + "\n"


@pytest.mark.parametrize("brackets", ["as typed", "closed by a mapping"])
def test_typing_through_never_blinks(brackets: str, told_editor: Neovim, told: Instant, file: Path) -> None:
    told.answer("total(1, 2)")
    told_editor.open(file, "x =$0\n")
    if brackets != "as typed":
        told_editor.command("inoremap <buffer> ( ()<Left>")
    told_editor.type(" ")
    told_editor.wait_for_ghost()
    typed = "x = "
    for key in "total(1":
        told_editor.type(key)
        typed += key
        while typed + "$0" not in told_editor.text:
            assert told_editor.rows == ["x = total(1, 2)"]
        assert told_editor.rows == ["x = total(1, 2)"]
    told_editor.type("<Tab>")
    told_editor.wait_for_text("x = total(1, 2)$0")


def test_what_contradicts_it_is_never_shown(told_editor: Neovim, told: Instant, file: Path) -> None:
    told.answer("total(1)")
    told_editor.open(file, "x =$0\n")
    told_editor.type(" ")
    told_editor.wait_for_ghost()
    told.answer("other", delay=0.3)
    told_editor.type("y")
    told_editor.wait_for_text("x = y$0")
    assert told_editor.rows == ["x = y"]


def accepted_and_saved(editor: Neovim, file: Path) -> str:
    """What is in the file once the suggestion is accepted: what was seen on the screen."""
    seen = editor.rows
    editor.type("<Tab>")
    editor.eventually(lambda: editor.text.replace("$0", "").split("\n") == seen, f"{seen} in the buffer")
    editor.command("write")
    assert file.read_text().splitlines() == seen
    return file.read_text()


def test_the_built_in_model_completes_a_file(editor: Neovim, home: Home, file: Path) -> None:
    before = home.stats()["overall"]["accepted"]
    editor.open(file, "from shelf.models import Book\n\n\ndef titles(books: list[Book]) ->$0\n")
    editor.wait_for_model()
    editor.type(" ")
    editor.wait_for_ghost()
    assert "titles(books: list[Book]) -> " in accepted_and_saved(editor, file)
    editor.eventually(lambda: home.stats()["overall"]["accepted"] > before, "the acceptance counted")


def test_words_and_lines_are_counted(told_editor: Neovim, told: Instant, home: Home, file: Path) -> None:
    before = home.stats()["overall"]
    told.answer(BLOCK)
    told_editor.open(file, "def add(a, b):$0\n")
    told_editor.type("<CR>")
    told_editor.wait_for_ghost()
    told_editor.type("<M-Right><M-Down>")
    told_editor.wait_for_text("def add(a, b):\n    total = a + b$0")
    for unit in ("by_word", "by_line"):
        told_editor.eventually(lambda: home.stats()["overall"][unit] > before[unit], unit)  # noqa: B023


PLACES = ("import os\n\npath =", "for i in", "def titles(books) ->", "x =", "if name ==", "return", "with", "import")


def place_with_alternatives(editor: Neovim, file: Path) -> str:
    """The text of a file with the cursor where the model has more than one thing to say."""
    for place in PLACES:
        editor.open(file, f"{place}$0\n")
        editor.wait_for_model()
        editor.type(" <M-\\>")
        try:
            editor.eventually(lambda: "(1/" in editor.screen, "alternatives", seconds=3)
        except AssertionError:
            continue
        return f"{place} "
    raise AssertionError("no place has alternatives")


def test_another_alternative(editor: Neovim, file: Path) -> None:
    before = place_with_alternatives(editor, file)
    first = editor.ghost
    editor.type("<M-]>")
    second = editor.eventually(lambda: "(2/" in editor.screen and editor.ghost, "the second of some")
    assert second != first
    editor.type("<M-[>")
    editor.eventually(lambda: "(1/" in editor.screen and editor.ghost == first, "the first again")
    editor.type("<M-]>")
    editor.eventually(lambda: "(2/" in editor.screen and editor.ghost == second, "the second again")
    editor.type("<Tab>")
    editor.wait_for_text(f"{before}{second}$0")
