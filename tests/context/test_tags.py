"""What each language's files define and import."""

import pytest

from sc2lsp.context.document import Document
from sc2lsp.context.tags import Import, extract, imports

CASES: dict[str, tuple[str, dict[str, tuple[str, str]], list[tuple[str, tuple[tuple[str, str], ...], str, int]]]] = {
    "a.py": (
        "import os, a.b as c\nfrom . import x\nfrom ..p.q import (y as z,\n  w)\nfrom m import *\n"
        "if True:\n    X = 1\n@deco\nclass A(B):\n    '''Doc\n    more'''\n    f: int = 1\n"
        "    async def g(self,\n          a):\n        'Hi.'\n        def inner(): pass\n        return 1\n",
        {"X": ("value", ""), "A": ("class", ""), "f": ("value", "A"), "g": ("function", "A")},
        [
            ("os", (), "os", 0),
            ("a.b", (), "c", 0),
            ("", (("x", "x"),), "", 1),
            ("p.q", (("y", "z"), ("w", "w")), "", 2),
            ("m", (("*", "*"),), "", 0),
        ],
    ),
    "a.js": (
        "import D, {a, b as c} from './m';\nexport class K extends L { x = 1; go(a) { return a } }\n"
        "const f = async (x) => {\n  foo();\n};\nfunction* h() {}\n",
        {
            "K": ("class", ""),
            "x": ("field", "K"),
            "go": ("function", "K"),
            "f": ("value", ""),
            "h": ("function", ""),
        },
        [("./m", (("D", "D"), ("a", "a"), ("b", "b")), "", 0)],
    ),
    "a.ts": (
        "import type { T } from '../t';\nexport interface I { m(a: T): void; p: string }\ntype U = { q: number };\n"
        "enum E { V = 1 }\nabstract class C { private y = 1; abstract z(): void }\n"
        "declare function dd(): string;\nnamespace NS { export function n() {} }\n",
        {
            "I": ("interface", ""),
            "m": ("function", "I"),
            "p": ("field", "I"),
            "U": ("type", ""),
            "q": ("field", "U"),
            "E": ("enum", ""),
            "V": ("field", "E"),
            "C": ("class", ""),
            "y": ("field", "C"),
            "z": ("function", "C"),
            "dd": ("function", ""),
            "NS": ("module", ""),
            "n": ("function", "NS"),
        },
        [("../t", (("T", "T"),), "", 0)],
    ),
    "a.tsx": ("export const V = () => <b/>;\n", {"V": ("value", "")}, []),
    "a.go": (
        'package x\nimport (\n  "fmt"\n  q "a/b"\n)\ntype T struct {\n  A int\n}\ntype I interface { M(a int) }\n'
        "func (t *T) Do(a int) error {\n  return nil\n}\nfunc F() {}\nconst K = 1\nvar V = 3\n",
        {
            "T": ("type", ""),
            "A": ("field", "T"),
            "I": ("type", ""),
            "M": ("function", "I"),
            "Do": ("function", "T"),
            "F": ("function", ""),
            "K": ("value", ""),
            "V": ("value", ""),
        },
        [("fmt", (), "", 0), ("a/b", (), "", 0)],
    ),
    "A.java": (
        "import java.util.List;\nimport static a.B.*;\npublic class A {\n  private int x = 1;\n  @Override\n"
        "  public String go(int a) { return b(); }\n  enum E { P }\n}\ninterface J { void j(); }\nrecord R(int c) {}\n",
        {
            "A": ("class", ""),
            "x": ("field", "A"),
            "go": ("function", "A"),
            "E": ("enum", "A"),
            "P": ("field", "A.E"),
            "J": ("interface", ""),
            "j": ("function", "J"),
            "R": ("class", ""),
        },
        [("java.util.List", (), "", 0), ("a.B.*", (), "", 0)],
    ),
    "a.rs": (
        "use std::fmt;\npub struct S { a: i32 }\nimpl S<T> { pub fn new(a: i32) -> Self { S } }\n"
        "trait T { fn x(&self); }\nenum E { V(i32) }\nconst C: i32 = 1;\nmacro_rules! mm { () => {} }\n",
        {
            "S": ("struct", ""),
            "a": ("field", "S"),
            "new": ("function", "S"),
            "T": ("trait", ""),
            "x": ("function", "T"),
            "E": ("enum", ""),
            "V": ("field", "E"),
            "C": ("value", ""),
            "mm": ("macro", ""),
        },
        [("std::fmt", (), "", 0)],
    ),
    "a.c": (
        '#include <stdio.h>\n#include "x.h"\n#define M 1\nstruct s { int a; };\ntypedef struct { int q; } tt;\n'
        "int *foo(int a)\n{\n  struct s x;\n  return 0;\n}\n",
        {
            "M": ("macro", ""),
            "s": ("struct", ""),
            "a": ("field", "s"),
            "tt": ("type", ""),
            "q": ("field", "tt"),
            "foo": ("function", ""),
        },
        [("stdio.h", (), "", 0), ("x.h", (), "", 0)],
    ),
    "a.cpp": (
        "namespace ns { class C : D { int f; }; }\nint ns::C::m(int a) const { return 1; }\n"
        "template <typename T>\nT biggest(T a) { return a; }\nusing Q = int;\n",
        {
            "C": ("class", "ns"),
            "f": ("field", "ns.C"),
            "m": ("function", "C"),
            "biggest": ("function", ""),
            "Q": ("type", ""),
        },
        [],
    ),
}


@pytest.mark.parametrize("path", CASES)
def test_definitions_and_imports(path: str) -> None:
    text, definitions, imported = CASES[path]
    document = Document.open(path, text)
    found = extract(document)
    assert {tag.name: (tag.kind, tag.scope) for tag in found.definitions} == definitions
    assert found.imports == tuple(Import(*item) for item in imported) == imports(document)


@pytest.mark.parametrize(
    ("path", "text", "name", "lines", "signature"),
    [
        (
            "a.py",
            "@a\ndef f(x,\n      y):\n    '''Does.\n\n    More.'''\n    pass\n",
            "f",
            (0, 7),
            "@a\ndef f(x,\n      y):\n    '''Does.'''\n",
        ),
        ("a.py", "def f(x):\n    return x\n", "f", (0, 2), "def f(x):\n    return x\n"),
        ("a.py", "class A:\n    x = 1\n", "A", (0, 2), "class A:\n"),
        ("a.py", "D = {\n  1: 2,\n  3: 4,\n  5: 6,\n}\n", "D", (0, 5), "D = {\n"),
        ("a.js", "/* é */\rexport function f(a) {\n  b;\n  c;\n  d;\n}\n", "f", (1, 6), "export function f(a) {\n"),
        ("a.c", "int f(void)\n{\n  a();\n  b();\n}\n", "f", (0, 5), "int f(void)\n"),
    ],
)
def test_signatures(path: str, text: str, name: str, lines: tuple[int, int], signature: str) -> None:
    tag = next(tag for tag in extract(Document.open(path, text)).definitions if tag.name == name)
    assert ((tag.start_line, tag.end_line), tag.signature) == (lines, signature)


def test_half_typed_code_hides_no_neighbours() -> None:
    text = "def before(): pass\nx = foo.\ndef after(a):\n    return a\nclass B:\n    def m(self): pass\n"
    assert {"before", "B", "m"} <= {tag.name for tag in extract(Document.open("a.py", text)).definitions}


def test_words_are_counted_without_a_tree() -> None:
    found = extract(Document.open("a.unknown", "é1 b b 2c _d"))
    assert (found.definitions, found.words, found.occurrences) == ((), ("é1", "b", "_d"), 4)
