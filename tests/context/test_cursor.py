"""What is seen around a cursor, `$0` in the text."""

import pytest

from sc2lsp.context.cursor import Cursor, look
from sc2lsp.context.document import Document
from sc2lsp.context.outline import Outline


def cursor_at(text: str, path: str = "a.py") -> Cursor:
    document = Document.open(path, text.replace("$0", ""))
    return look(document, Outline.of(document), text.index("$0"))


@pytest.mark.parametrize(
    ("path", "line", "receiver"),
    [
        ("a.py", "x.$0", "x"),
        ("a.py", "x.par$0", "x"),
        ("a.py", "f().par$0", "f"),
        ("a.py", "a.b.c$0", "b"),
        ("a.py", "x. $0", "x"),
        ("a.py", "x$0", ""),
        ("a.py", "x.y + z$0", ""),
        ("a.cpp", "p->$0", "p"),
        ("a.rs", "Kind::$0", "Kind"),
    ],
)
def test_receivers(path: str, line: str, receiver: str) -> None:
    assert cursor_at(line, path).receiver == receiver


@pytest.mark.parametrize(
    ("line", "callee"),
    [
        ("f($0", "f"),
        ("a.run(b, key=$0", "run"),
        ("f(g(x), [1, (2)], $0", "f"),
        ("f(x)$0", ""),
        ("f([$0", ""),
        ("($0", ""),
        ("if ($0", ""),
        ("f(\n    a,\n    $0", "f"),
    ],
)
def test_what_is_called(line: str, callee: str) -> None:
    assert cursor_at(line).callee == callee


@pytest.mark.parametrize(
    ("path", "text", "name", "types"),
    [
        ("a.py", "x = Foo()\n$0", "x", {"Foo"}),
        ("a.py", "def f(x: Foo, y: Optional[Bar]):\n    $0", "y", {"Bar"}),
        ("a.py", "async def f():\n    x = await lib.open_it()\n    $0", "x", {"open_it"}),
        (
            "a.py",
            "class A:\n    def __init__(self):\n        self.x = Foo()\n    def g(self):\n        $0",
            "x",
            {"Foo"},
        ),
        ("a.ts", "const x = new Foo();\n$0", "x", {"Foo"}),
        ("a.ts", "function f(x: Foo) {\n  $0\n}", "x", {"Foo"}),
        ("a.go", "func f() {\n\tx := lib.NewFoo()\n\t$0\n}", "x", {"NewFoo"}),
        ("a.go", "func f(x *lib.Foo) {\n\t$0\n}", "x", {"Foo"}),
        ("a.java", "class A { void f(Foo x) {\n$0\n} }", "x", {"Foo"}),
        ("a.rs", "fn f(x: &Foo) {\n$0\n}", "x", {"Foo"}),
    ],
)
def test_declared_types(path: str, text: str, name: str, types: set[str]) -> None:
    assert cursor_at(text, path).declared[name] == types


def test_worth_falls_with_the_distance_and_imports_are_not_near() -> None:
    cursor = cursor_at("from lib import imported\nfar = 1\n" + "\n" * 10 + "close = 2\n\nhere = $0\nbehind = 3\n")
    near = cursor.near
    assert 1.0 == near["here"] > near["close"] > near["far"] > 0.0
    assert near["here"] > near["behind"]
    assert "imported" not in near
    assert cursor.counts["imported"] == 1


def test_headers_around_the_cursor_are_near_and_name_what_a_class_builds_on() -> None:
    cursor = cursor_at("class A(Shape):\n    def area(self):\n" + "        pass\n" * 100 + "        $0\n")
    assert cursor.near["Shape"] == cursor.near["area"] == 0.9
    assert cursor.supers >= {"A", "Shape"}
    assert [tag.name for tag in cursor.enclosing] == ["A", "area"]


@pytest.mark.parametrize(
    ("line", "is_raising", "is_classing"),
    [
        ("    raise $0", True, False),
        ("except (A, $0", False, False),
        ("x = new $0", False, True),
        ("x = $0", False, False),
    ],
)
def test_what_a_line_asks_for(line: str, is_raising: bool, is_classing: bool) -> None:
    cursor = cursor_at(line)
    assert (cursor.is_raising, cursor.is_classing) == (is_raising, is_classing)


def test_a_cursor_anywhere_in_anything() -> None:
    for text in ("$0", "\n$0", "$0\ud800", "x" * 100_000 + "$0" + "y" * 100_000, "\f\u2028$0\r"):
        assert cursor_at(text).enclosing == []
