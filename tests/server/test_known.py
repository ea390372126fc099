"""Where answers hold: `|` is the cursor when it was asked, then edits, then what was typed of the answer."""

import pytest

from sc2lsp.context.document import Splice
from sc2lsp.known import Anchor, Memory, Stretch


def anchor_at(text: str) -> tuple[str, Anchor]:
    """The text without its cursor, and the anchor of an answer there."""
    before, _, after = text.partition("|")
    start = before.rfind("\n") + 1
    return before + after, Anchor(Stretch(start, before[start:]), before[start:])


@pytest.mark.parametrize(
    ("text", "splices", "offset", "typed"),
    [
        ("x = |\n", [], 4, ""),
        ("x = |\n", [Splice(4, 4, "f")], 5, "f"),
        ("x = |\n", [Splice(4, 4, "f"), Splice(5, 5, "o")], 6, "fo"),
        ("x = |\n", [Splice(4, 4, "foo"), Splice(6, 7, "")], 6, "fo"),  # backspace
        ("x = |\n", [Splice(4, 4, "()")], 5, "("),  # the closing bracket is the editor's
        ("x = |\n", [Splice(3, 4, ""), Splice(3, 3, " ")], 4, ""),  # backspace before it, and typed again
        ("x = |\n", [Splice(3, 4, "")], 3, None),  # before it: it may come back
        ("x = |\n", [Splice(0, 1, "y")], 4, None),  # another name: another question
        ("x = |\n", [Splice(0, 1, "y"), Splice(0, 1, "x")], 4, ""),
        ("a\nx = |\nb\n", [Splice(0, 0, "#")], 7, None),  # an edit above
        ("a\nx = |\nb\n", [Splice(7, 7, "c")], 6, None),  # below
        ("x = |\n", [Splice(0, 5, "x = \n")], 4, None),  # the whole text anew
        ("x = |\n", [Splice(4, 4, "\n    y")], 10, "\n    y"),  # over a line's end
        ("|", [Splice(0, 0, "a")], 1, "a"),
    ],
)
def test_what_was_typed_of_an_answer(text: str, splices: list[Splice], offset: int, typed: str | None) -> None:
    _, anchor = anchor_at(text)
    followed = anchor.follow(splices)
    assert (None if followed is None else followed.typed(offset)) == typed


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        ("x = ", "", True),  # nothing is written yet, nothing typed
        ("x = f", "", False),  # nothing is written yet: it would be read anew
        ("x = f", "foo", True),
        ("x = foo(", "foo", True),  # faster than the model
        ("x = g", "foo", False),
        ("x = foo()", "foo(a)", True),  # the closing bracket is the editor's
        ("x =", "foo", True),  # backspace
        ("y = ", "foo", False),
    ],
)
def test_what_may_still_be_typed(said: str, answer: str, expected: bool) -> None:
    assert Anchor(Stretch(0, said), "x = ").admits(answer) is expected


def test_the_latest_answer_comes_first_and_old_ones_go() -> None:
    _, anchor = anchor_at("x = |\n")
    memory: Memory[int] = Memory()
    for number in range(40):
        memory.add(anchor, number)
    found = memory.at(4)
    assert [answer for _, answer in found] == list(range(39, 7, -1))
    memory.follow([Splice(4, 4, "f")])
    assert memory.at(5)[0] == ("f", 39)
    assert memory.at(4, ahead="f")[0] == ("f", 39)  # as if the item selected in a list were typed
    memory.follow([Splice(0, 0, "\n")])
    assert memory.at(5) == memory.at(6) == []
