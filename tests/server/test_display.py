"""What is shown of what the model wrote: `$0` is the cursor in the text, the raw output is what came back."""

import pytest

from sc2lsp.display import Shown, show, stops


def check(text: str, raw: str, expected: str | None, replaces: int = 0) -> None:
    prefix, _, suffix = text.partition("$0")
    shown = show(raw, prefix, suffix)
    assert shown == (None if expected is None else Shown(expected, replaces))


@pytest.mark.parametrize(
    ("text", "raw", "expected"),
    [
        ("x = $0\n", "1\ny = 2", "1"),  # a line in progress: one line
        ("def f():\n    $0\n", "a = 1\n    return a\n\n\ndef g():", "a = 1\n    return a"),  # a block may follow
        ("def f():$0\n", "\n    return 1\n", "\n    return 1"),
        ("x = f($0)\n", "1, 2", "1, 2"),
        ("x = $0  # why\n", "1\nmore", "1"),  # text to the right: one line
        ("x = $0\n", "   \n", None),
        ("x = $0\n", "", None),
        ("x = '$0'\n", "caf\ufffd", "caf"),  # cut inside a character
        ("    $0\n    return a\n", "a = 1\n    return a\n", "a = 1"),  # already stands below
        ("    $0\n\n    return a\n", "a = 1\n    return a", "a = 1"),
        ("x = $0", "1   ", "1"),
        ("f($0", "today, today, today, today, today, today, to", None),  # a runaway
        ("x = [$0", "0, 0, 0, 0]", "0, 0, 0, 0]"),
    ],
)
def test_trimming(text: str, raw: str, expected: str | None) -> None:
    check(text, raw, expected)


@pytest.mark.parametrize(
    ("text", "raw", "expected", "replaces"),
    [
        ("f($0)\n", "a, b)", "a, b)", 1),  # the bracket that the editor inserted is replaced, not doubled
        ("f(g($0))\n", "x))", "x))", 2),
        ("f($0)\n", "a", "a", 0),
        ("print($0)\n", "str(x)", "str(x)", 0),  # closes what it opened itself
        ("a = [$0]\n", "x[0]", "x[0]", 0),
        ("print($0)\n", "str(x))", "str(x))", 1),
        ("f('$0')\n", "it", "it", 0),
        ("f('$0')\n", "it')", "it')", 2),
        ("f('$0')\n", "a', 'b')", "a', 'b')", 2),
        ("f($0) + 1\n", "a)", "a)", 0),  # more than brackets to the right: nothing is replaced
    ],
)
def test_what_the_editor_closed_is_replaced(text: str, raw: str, expected: str, replaces: int) -> None:
    check(text, raw, expected, replaces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = $0\n", "\n"),
        ("    $0\n", "\n\n"),
        ("if x:$0\n", "\n\n"),
        ("f(\n    $0)\n", "\n"),
        ("f($0\n", "\n"),
        ("if (x) {$0\n", "\n\n"),
        ("$0", "\n\n"),
    ],
)
def test_where_generation_ends(text: str, expected: str) -> None:
    prefix, _, suffix = text.partition("$0")
    assert stops(prefix, suffix) == (expected,)
