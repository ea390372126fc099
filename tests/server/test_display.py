"""What is shown of what a model wrote: situations as data in display/*.toml, and what holds of any text.

A case has `text` with the cursor as `$0`, the `raw` answer, and either `shown` with what it `replaces` or the rule that
has it `hidden`. What is accepted brings no new syntax error, unless the case says `any_errors`.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sc2lsp.context.document import Document, parse
from sc2lsp.context.outline import Outline
from sc2lsp.display import NEAR, Hidden, Place, Shown, is_finished, place_of, rest, show, whole

FILES = sorted((Path(__file__).parent / "display").glob("*.toml"))


def cases() -> list[Any]:
    found = []
    for path in FILES:
        table = tomllib.loads(path.read_text("utf-8"))
        for case in table["case"]:
            case.setdefault("file", f"a.{table.get('suffix', '')}")
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


def opened(file: str, text: str, is_continuation: bool = False) -> tuple[Document, Place]:
    before, mark, after = text.partition("$0")
    assert mark, "no cursor"
    document = Document.open(file, before + after)
    return document, place_of(document, Outline.of(document), len(before), is_continuation)


def errors(file: str, text: str) -> int:
    """How many nodes of the tree are errors or missing."""
    tree = Document.open(file, text).tree
    waiting: list[tree_sitter.Node] = [tree.root_node] if tree is not None else []
    count = 0
    while waiting:
        node = waiting.pop()
        if node.has_error:
            count += node.is_error or node.is_missing
            waiting += node.children
    return count


def check(case: dict[str, Any]) -> None:
    _, place = opened(case["file"], case["text"], case.get("continuation", False))
    found = show(case["raw"], place)
    if "hidden" in case:
        assert found == Hidden(case["hidden"])
        return
    assert isinstance(found, Shown), found
    assert (found.text, found.replaces) == (case["shown"], case.get("replaces", 0)), found
    assert set(case.get("rules", ())) <= set(found.rules), found
    if not case.get("any_errors"):
        before, _, after = case["text"].partition("$0")
        accepted = before + found.text + after[found.replaces :]
        assert errors(case["file"], accepted) <= errors(case["file"], before + after)


@pytest.mark.parametrize("case", cases())
def test_situations(case: dict[str, Any]) -> None:
    check(case)


@pytest.mark.parametrize("case", cases())
def test_what_holds_of_every_situation(case: dict[str, Any]) -> None:
    """As the answer comes in, piece by piece."""
    _, place = opened(case["file"], case["text"], case.get("continuation", False))
    raw = case["raw"]
    for end in range(len(raw) + 1):
        holds(raw[:end], raw[end:], place)
    holds(raw, "\n        self.x = [1, 2)\n}\n", place)


def holds(raw: str, more: str, place: Place) -> None:
    found = show(raw, place)
    if isinstance(found, Shown):
        again = show(found.text, place)
        assert isinstance(again, Shown), (found, again)
        assert (again.text, again.replaces) == (found.text, found.replaces)
        letters = iter(found.text)
        assert all(char in letters for char in place.after[: found.replaces]), found
        assert "\n" not in place.after[: found.replaces]
        assert found.text.strip()
        assert "\r" not in found.text
    if is_finished(raw, place):
        assert show(raw + more, place) == found, (raw, more)


@pytest.mark.parametrize(
    ("file", "text", "limits"),
    [
        ("a.py", "x = $0\n", (1, 0, ("\n",))),
        ("a.py", "def f():\n    $0\n", (0, 4, ("\n\n\n",))),
        ("a.py", "def f():$0\n", (0, 1, ("\n\n\n",))),
        ("a.py", "$0", (0, 0, ("\n\n\n",))),
        ("a.py", "f(\n    $0)\n", (1, 0, ("\n",))),
        ("a.py", "f($0\n", (1, 0, ("\n",))),
        ("a.py", "# $0\n", (1, 0, ("\n",))),
        ("a.py", "class A:\n\tdef f(self):\n\t\t$0\n", (0, 16, ("\n\n\n",))),  # a tab is eight columns
        ("a.ts", "if (x) {\n  $0\n}\n", (0, 2, ("\n\n\n",))),
        ("a.ts", "if (x) {\n  $0\n", (0, 0, ("\n\n\n",))),  # its brace may come
        ("a.rb", "def f\n  $0\nend\n", (0, 0, ("\n\n\n",))),  # or its end
        ("a.ts", "/** $0\n */\n", (0, 0, ("\n\n\n",))),
    ],
)
def test_where_a_generation_ends(file: str, text: str, limits: tuple[int, int, tuple[str, ...]]) -> None:
    _, place = opened(file, text)
    assert (place.max_lines, place.min_indent, place.stop) == limits


@pytest.mark.parametrize(
    ("file", "text", "raw"),
    [
        ("a.py", "x = $0\n", "1\n"),
        ("a.py", "def f():\n    $0\n", "return 1\nx"),  # a dedent shows in the first character
        ("a.py", "def f():\n    a()\n    $0\n    b()\n", "c()\n    b()\n"),
        ("a.py", "def f():\n    a()\n    $0\n", "b()\n\n    c"),
        ("a.py", "x = $0\n", "1<|endoftext|>"),
        ("a.ts", "if (x) {\n  $0\n}\n", "a();\n}"),  # so does a brace that is there
        ("a.ts", "if (x) {\n  $0\n", "a();\n}\n"),  # one that is not may be followed by an else
    ],
)
def test_a_generation_that_can_be_ended(file: str, text: str, raw: str) -> None:
    _, place = opened(file, text)
    assert is_finished(raw, place)
    assert not is_finished(raw[:-1], place)


@pytest.mark.parametrize(
    ("text", "raw", "expected"),
    [
        ("def f():\n    $0\n", "a()\n    b(1", "a()\n"),
        ("def f():\n    $0\n", "a(1", "a(1"),
        ("def f():$0\n", "\n    a(1", "\n    a(1"),
        ("def f():\n    $0\n", "a()\nb", "a()\nb"),  # it is whole: the next line is not shown
        ("x = $0\n", "a(1", "a(1"),
    ],
)
def test_an_answer_that_broke_off(text: str, raw: str, expected: str) -> None:
    _, place = opened("a.py", text)
    assert whole(raw, place) == expected


@pytest.mark.parametrize(
    ("text", "typed", "expected"),
    [
        ("f($0)\n", "a", Shown(", b)", 1)),  # of the shown text `a, b)`
        ("f($0\n", "a", Shown(", b)", 0)),
        ("f($0)\n", "a, b)", Hidden("nothing")),
    ],
)
def test_the_rest_of_a_text_that_is_typed_through(text: str, typed: str, expected: Shown | Hidden) -> None:
    _, place = opened("a.py", text.replace("$0", f"{typed}$0"))
    assert rest("a, b)".removeprefix(typed), place) == expected


def test_a_long_file_is_read_near_the_cursor_only(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def recorded(language: Any, source: bytes, deadline: float) -> tree_sitter.Tree | None:
        sizes.append(len(source))
        return parse(language, source, deadline)

    body = "".join(f"def f{number}(x):\n    return g(x, {number})\n\n\n" for number in range(1500))
    document = Document.open("a.py", f"{body}def last(x):\n    \n\n{body}")
    outline = Outline.of(document)
    monkeypatch.setattr("sc2lsp.display.place.parse", recorded)
    place = place_of(document, outline, len(body) + len("def last(x):\n    "))
    assert (len(place.before), len(place.after)) == (NEAR, NEAR)
    assert show("return x\n\n\ndef", place) == Shown("return x", 0, ("blank lines",))
    assert sizes
    assert max(sizes) < 4096
    assert "tree" not in vars(document)


CODE = st.text(st.sampled_from("ab1 \n\t()[]{}\"'`:;,#/*.=<>|-\\\r\ufffd\U0001f389"), max_size=60)
TEXT = st.lists(
    st.sampled_from(
        "def f(x): |if x: |else:|return x|end|fi|}| {|(|)|[|]|\n|\n    |\n        |\n\t|\n\n|  |x = |foo|\"|'|/*|*/|//"
        "|#|,|;|self.name|<file_sep>|\ufffd|\r\n|`|${|=>|do |then|bar bar|return None".split("|")
    ),
    max_size=14,
).map("".join)
FILE = st.sampled_from(
    [f"a.{suffix}" for suffix in "py ts tsx go java rs c cpp cs rb php kt scala lua sh md yaml json txt".split()]
)


@settings(deadline=None, max_examples=300)
@given(FILE, CODE | TEXT, CODE | TEXT, CODE | TEXT, CODE | TEXT, st.booleans())
@example("a.py", "def f():\n    ", "", "x\n    ", "y", False)
def test_any_text(file: str, before: str, after: str, raw: str, more: str, is_continuation: bool) -> None:
    document = Document.open(file, before + after)
    place = place_of(document, Outline.of(document), len(before), is_continuation)
    holds(raw, more, place)
    found = show(raw, place)
    if isinstance(found, Shown):
        typed_through(file, before, after, found)


def typed_through(file: str, before: str, after: str, shown: Shown) -> None:
    for count in (1, len(shown.text) // 2):
        typed, left = shown.text[:count], shown.text[count:]
        document = Document.open(file, before + typed + after)
        found = rest(left, place_of(document, Outline.of(document), len(before + typed)))
        assert isinstance(found, Hidden) if not left.strip() else isinstance(found, Shown) and found.text == left
