"""Outlines that follow typing, against what the whole text says.

A few sessions of edits; `SC2LSP_FUZZ_SESSIONS=20000 pytest tests/context/test_outline.py` runs the full size.
"""

import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from sc2lsp.context import cut, outline, revise
from sc2lsp.context.document import Document, Edit, Position
from sc2lsp.context.outline import Outline
from sc2lsp.context.pieces import Branch, Leaf, Piece, leaves, placed
from sc2lsp.context.tags import extract

SESSIONS = int(os.environ.get("SC2LSP_FUZZ_SESSIONS", "120"))
CHANGES = 25
CONTEXT = Path(__file__).parents[2] / "context"

# What sessions are put together from: whole statements, and scraps that half-type them.
STATEMENTS = {
    "a.py": """\
import os
--
from a import b
--
x = 1
--
# note
--
def f(a):
    return a
--
@d
def g():
    '''Doc.'''
    if x:
        y = 1
    return y
--
class A:
    '''Doc'''
    z = 1

    def m(self):
        self.q = 1
        self.z = 2

    def n(self):
        self.q = 2
        import sys

    class In:
        w = 1

        def k(self):
            pass

        def l(self): pass

    def last(self):
        return 1
--
    def extra(self):
        self.r = 1
--
        self.s = 1
--
    # c
--
if a:
    b = 1
--
else:
    pass
--
@deco
--
x = (1,
  2)
""",
    "a.ts": """\
import {a} from './b';
--
const x = 1;
--
function f(a) {
  return a;
}
--
// c
--
/** doc */
--
export class A extends B {
  z = 1;

  constructor(private p: string) {
    this.q = 1;
  }

  @dec()
  m(): void {
    this.q = 2;
  }

  // note
  n() {
    return 1;
  }
}
--
export interface I {
  a: string;
  b(): void;

  c: number;
  d: number;
  e: number;
}
--
namespace N {
  export const y = 1;

  export function g() {
    return 1;
  }

  export class C {
    a = 1;
  }
}
--
@dec()
--
export
--
  extra() {}
""",
    "A.java": """\
package a;
--
import a.B;
--
// c
--
@Override
--
    int extra;
--
    void o() { }
--
public class A extends B
{
    private int x = 1, y;

    @Override
    public int m(int a) {
        return a;
    }

    static class In {
        int z;

        In() {
        }

        void k() { }
    }

    /* c */
    void n() {
        a();
    }
}
--
interface I {
    void a();

    void b();
    int C = 1;
    int D = 2;
    int E = 3;
}
""",
    "a.go": """\
package a
--
import (
	"fmt"
	"os"
)
--
func f() {
	x := 1
}
--
var x = 1
--
// c
--
type T struct {
	A int

	B int
	C int

	D, E int
	F int
}
--
func (t *T) M(a int) error {
	return nil
}
--
const (
	a = 1
	b = 2
)
--
type I interface {
	M(a int) error

	N()
	O()
	P()
	Q()
}
""",
    "a.rs": """\
use a::b;
--
struct S {
    a: i32,

    b: i32,
    c: i32,
    d: i32,
    e: i32,
}
--
impl S {
    fn new() -> S {
        S
    }

    #[inline]
    pub fn m(&self) {
        1
    }

    fn n() {}
}
--
mod t {
    use super::*;

    fn a() {}

    fn b() {}

    struct Q;
}
--
fn f() {
    1;
}
--
#[derive(A)]
--
// c
""",
    "a.cpp": """\
#include <a>
--
struct S { int a; };
--
int x = 1;
--
// c
--
#define M 1
--
#ifndef G
#define G

int a;

int b() {
  return 1;
}

int c;
int d;

#endif
--
namespace n {

class C : D {
 public:
  int a;

  void f() {
    a = 1;
  }

  int g;
  int h;
};

int e();

int i() {
  return 1;
}

}  // namespace n
--
template <typename T>
T h(T a) {
  return a;
}
""",
}
SCRAPS = {
    "a.py": ['"""', "(", ")", "[", "a", " ", "    ", "\r\n", "\x0c", "é😀"],
    "a.ts": ["{", "}", "`", "(", ")", "a", ";", "/*", "*/", '"', "  ", "\r\n"],
    "A.java": ["{", "}", "a", "(", ")", ";", "/*", "*/", '"', "    "],
    "a.go": ["{", "}", "(", ")", "`", "a", '"', "\t"],
    "a.rs": ["{", "}", "a", "(", ")", ";", '"', "/*", "*/", "    "],
    "a.cpp": ["{", "}", ";", "(", ")", "a", "/*", "*/", '"', "  "],
}


@pytest.fixture(autouse=True)
def on_a_patient_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keystroke that comes at a busy moment is put off, which is not what is tested here."""
    monkeypatch.setattr(revise, "KEYSTROKE_SECONDS", 9.0)


class Session:
    """A text that is edited, mostly in whole statements, and its outline."""

    def __init__(self, path: str, seed: int) -> None:
        self.source = random.Random(seed)
        self.statements = STATEMENTS[path].split("--\n")
        self.scraps = SCRAPS[path]
        self.document = Document.open(path, "")
        self.first = ""  # without errors: in a file that opens with some, what they spoil is not doubted
        while not self.first or has_errors(self.document):
            self.first = "".join(
                self.source.choice(self.statements) + self.source.choice(("", "\n", "\n\n"))
                for _ in range(self.source.randint(1, 6))
            )
            self.document = Document.open(path, self.first)
        self.outline = Outline.of(self.document)
        self.pending: list[tuple[int, str]] = []  # to be typed: offset, characters

    def step(self) -> None:
        start, stop, text = self._edit()
        whole = self.document.text
        self._take(whole[:start] + text + whole[stop:])

    def start_anew(self) -> None:
        self.pending = []
        self._take(self.first)

    def _take(self, text: str) -> None:
        self.document = Document.open(self.document.path, text)
        self.outline = self.outline.follow(self.document)

    def _edit(self) -> tuple[int, int, str]:
        if self.pending:
            at, chars = self.pending.pop(0)
            return at, at, chars
        text, source = self.document.text, self.source
        row = text.rfind("\n", 0, source.randint(0, len(text))) + 1
        match source.choice(("type", "type", "type", "paste", "paste", "delete rows", "delete", "any", "replace")):
            case "type":
                return self._type(row, source.choice(self.statements))
            case "paste":
                return row, row, source.choice(self.statements) + source.choice(("", "\n"))
            case "delete rows":
                stop = row
                for _ in range(source.choice((1, 1, 2, 5, 12))):
                    stop = text.find("\n", stop) + 1 or len(text)
                return row, stop, ""
            case "delete":
                unit = source.choice(self.statements)
                at = max(text.find(unit), 0)
                return at, at + len(unit) * text.startswith(unit, at), ""
            case "any":
                at = source.randint(0, len(text))
                return (
                    at,
                    min(at + source.choice((0, 0, 1, 20)), len(text)),
                    source.choice((*self.statements, *self.scraps)),
                )
            case _:  # and back
                at = source.randint(0, len(text))
                self.pending = [(at, text[at : at + 1])]
                return at, min(at + 1, len(text)), ""

    def _type(self, at: int, unit: str) -> tuple[int, int, str]:
        while unit:
            count = self.source.choice((1, 3, 8, 50))
            self.pending.append((at, unit[:count]))
            at, unit = at + count, unit[count:]
        at, chars = self.pending.pop(0)
        return at, at, chars


def has_errors(document: Document) -> bool:
    return document.tree is None or document.tree.root_node.has_error


def parts(pieces: Iterable[Piece]) -> Iterator[str]:
    for piece in pieces:
        if isinstance(piece, Leaf):
            yield piece.text
        else:
            yield from (piece.head, *parts(piece.pieces), piece.end)


def check(found: Outline, document: Document) -> str:
    """How far the outline can be held against the whole text: "same" where neither has errors."""
    assert "".join(piece.text for piece in found.pieces) == document.text
    assert "".join(parts(found.pieces)) == document.text
    for line, piece in placed(found.pieces, 0):
        assert document.text.startswith(piece.text, document.lines.start(line))
        assert line + piece.lines <= document.line_count
    if has_errors(document):
        return "broken"
    if not found.is_settled:
        return "unsettled"
    assert found.file_tags == extract(document)
    return "same"


@pytest.mark.parametrize("path", STATEMENTS)
def test_an_outline_equals_a_fresh_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "LEAF_ROWS", 3)
    monkeypatch.setattr(cut, "BRANCH_ROWS", 6)
    seen: Counter[str] = Counter()
    for seed in range(SESSIONS // len(STATEMENTS)):
        session = Session(path, seed)
        check(session.outline, session.document)
        for _ in range(CHANGES):
            session.step()
            seen[check(session.outline, session.document)] += 1
            if not session.pending and not session.outline.is_settled:
                session.start_anew()
                check(session.outline, session.document)
        is_settled, settled = session.outline.is_settled, session.outline.settled(session.document)
        assert is_settled or settled == Outline.of(session.document)
    assert seen["same"] > sum(seen.values()) / 10


def functions(count: int) -> str:
    return "".join(f"def f{n}(a):\n    b = [a]\n    return b\n\n\n" for n in range(count))


def typed(document: Document, found: Outline, line: int, character: int, chars: str) -> tuple[Document, Outline]:
    """A character at a time, as an editor sends it."""
    for char in chars:
        at = Position(line, character)
        document = document.edit([Edit(at, at, char)], document.version + 1, "utf-16")
        found = found.follow(document)
        check(found, document)
        line, character = (line + 1, 0) if char == "\n" else (line, character + 1)
    return document, found


@pytest.mark.parametrize("path", sorted(CONTEXT.glob("*.py")), ids=lambda path: path.name)
def test_the_outline_of_real_code(path: Path) -> None:
    document = Document.open(path.name, path.read_text("utf-8"))
    assert Outline.of(document).file_tags == extract(document)


@pytest.mark.parametrize("line", [0, 3, 57, 120, 299])
def test_typing_among_functions(line: int) -> None:
    document = Document.open("a.py", functions(60))
    document, found = typed(document, Outline.of(document), line, 0, "def g(a):\n    return (a)\n\n\n")
    assert check(found, document) == "same"


PYTHON = (
    "import os\n\n\nclass A:\n    def m(self):\n        return 1\n\n    def n(self):\n        return 2\n\n\n"
    "def f(a):\n    return a\n"
)


@pytest.mark.parametrize(
    ("line", "names"),
    [(0, []), (3, ["A"]), (4, ["A", "m"]), (5, ["A", "m"]), (8, ["A", "n"]), (9, []), (12, ["f"]), (99, [])],
)
@pytest.mark.parametrize("branch_rows", [4, 99])
def test_what_encloses_a_line(monkeypatch: pytest.MonkeyPatch, branch_rows: int, line: int, names: list[str]) -> None:
    monkeypatch.setattr(cut, "LEAF_ROWS", 2)
    monkeypatch.setattr(cut, "BRANCH_ROWS", branch_rows)
    found = Outline.of(Document.open("a.py", PYTHON))
    assert any(isinstance(piece, Branch) for piece in found.pieces) == (branch_rows == 4)
    assert [tag.name for tag in found.enclosing(line)] == names


def test_imports_stay_the_same_object_until_they_change() -> None:
    document = Document.open("a.py", PYTHON)
    before = Outline.of(document)
    document, after = typed(document, before, 12, 0, "    b = a\n")
    assert after.imports is before.imports and len(after.imports) == 1
    document, after = typed(document, after, 1, 0, "import re\n")
    assert [found.module for found in after.imports] == ["os", "re"]


def test_a_whole_text_instead_of_edits_is_compared() -> None:
    document = Document.open("a.py", functions(100))
    before = Outline.of(document)
    after = before.follow(document.edit([Edit(None, None, document.text.replace("f50", "g"))], 1, "utf-16"))
    assert [tag.name for tag in after.definitions if tag not in before.definitions] == ["g"]
    kept = set(map(id, leaves(before.pieces))) & set(map(id, leaves(after.pieces)))
    assert len(kept) == len(list(leaves(before.pieces))) - 1


def test_what_is_half_typed_spoils_no_neighbour() -> None:
    document = Document.open("a.py", functions(100))
    before = Outline.of(document)
    at = Position(250, 0)
    after = before.follow(document.edit([Edit(at, at, 'x = f("""')], 1, "utf-16"))
    assert not after.is_settled
    missing = set(before.definitions) - set(after.definitions)
    assert missing < {tag for tag in before.definitions if abs(tag.start_line - 250) < 2 * cut.LEAF_ROWS}


def test_what_is_too_long_for_a_keystroke_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revise, "MAX_READ", 60)
    text = "def f(a):\n" + "    a += 1\n" * 9 + "    return a\ndef last(): pass\n"
    document = Document.open("a.py", text)
    document, found = typed(document, Outline.of(document), 4, 0, "    b = 1\n")
    assert not found.is_settled
    assert [(tag.name, tag.start_line, tag.end_line) for tag in found.definitions] == [("f", 0, 12), ("last", 12, 13)]
    document, found = typed(document, found, 12, 0, "def g(): pass\n")
    assert [tag.name for tag in found.definitions] == ["f", "last"]
    assert found.settled(document).definitions == extract(document).definitions


def test_the_head_of_what_is_too_long_is_put_off_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "LEAF_ROWS", 4)
    monkeypatch.setattr(cut, "BRANCH_ROWS", 9)
    monkeypatch.setattr(revise, "MAX_READ", 120)
    members = "".join(f"    def m{n}(self):\n        self.x = 1\n\n" for n in range(9))
    document = Document.open("a.py", f"class A:\n{members}")
    document, found = typed(document, Outline.of(document), 0, 7, "(B,\n        C)")
    document, found = typed(document, found, 3, 0, "        y = 2\n    def added(self): pass\n")
    names = ["A", "m0", "added", "x", *(f"m{n}" for n in range(1, 9))]
    assert [(tag.name, tag.start_line) for tag in found.definitions if tag.name in names] == [
        (tag.name, tag.start_line) for tag in extract(document).definitions
    ]
    assert not found.is_settled
    assert found.settled(document).file_tags == extract(document)


def test_a_paste_that_is_no_keystroke_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revise, "MAX_READ", 60)
    document = Document.open("a.py", "import a\n")
    after = document.edit([Edit(None, None, PYTHON)], 1, "utf-16")
    assert Outline.of(document).follow(after).definitions == extract(after).definitions


@pytest.mark.parametrize(
    ("path", "text"), [("a.unknown", "def f(): pass\n"), ("a.py", "x = 1\n" * (1 << 18)), ("a.py", "(" * 300_000)]
)
def test_a_document_without_a_tree_has_an_empty_outline(path: str, text: str) -> None:
    document = Document.open(path, text)
    found = Outline.of(document)
    document = document.edit([Edit(Position(0, 0), Position(0, 1), "import b\n")], 1, "utf-16")
    found = found.follow(document)
    assert (found.definitions, found.imports, found.enclosing(0), found.document) == ((), (), (), document)
    assert found.file_tags.words == extract(document).words


def test_a_late_parse_puts_off(monkeypatch: pytest.MonkeyPatch) -> None:
    document = Document.open("a.py", functions(9))
    found = Outline.of(document)
    monkeypatch.setattr(revise, "KEYSTROKE_SECONDS", -1.0)
    document = document.edit([Edit(Position(0, 0), Position(0, 0), "\n")], 1, "utf-16")
    after = found.follow(document)
    assert [tag.start_line for tag in after.definitions] == [tag.start_line + 1 for tag in found.definitions]
    monkeypatch.setattr(outline, "PARSE_SECONDS", -1.0)
    assert Outline.of(document).definitions == ()


def test_a_leaf_is_a_value() -> None:
    document = Document.open("a.py", PYTHON)
    found = Outline.of(document)
    assert found == Outline.of(document)
    assert found.follow(document) == found
    assert all(isinstance(piece, Leaf) for piece in found.pieces)
