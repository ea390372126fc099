"""Documents against an obvious, slow implementation; incremental trees against cold ones; limits."""

import os
import random
import re
import time

import pytest
import tree_sitter

from sc2lsp.context.document import MAX_PARSED_BYTES, Document, Edit, Encoding, Position
from sc2lsp.context.languages import LANGUAGES, grammar, language_of

SESSIONS = int(os.environ.get("SC2LSP_FUZZ_SESSIONS", "300"))
EDITS = 6
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
ENDS = ["\n", "\r\n", "\r", "\f", "\v", "\x1c", "\x85", "\u2028", "\u2029"]
WIDE = ["😀", "é", "漢"]
LONE = ["\ud83d", "\ude00"]
CODE = ["def f(x):\n    return x\n", "class A:\r\n", "    ", '"""', "(", ")", "a", "x = 1\n", "#", "\t", "'"]
PIECES = [*ENDS, *WIDE, *LONE, *CODE]


def slow_lines(text: str) -> list[str]:
    return re.split(r"\r\n|\n|\r", text)


def slow_units(char: str, encoding: Encoding) -> int:
    if encoding == "utf-32":
        return 1
    return len(char.encode(encoding, "surrogatepass")) if encoding == "utf-8" else 2 if ord(char) > 0xFFFF else 1


def slow_offset(text: str, position: Position, encoding: Encoding) -> int:
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\n|\r", text))]
    if position.line >= len(starts):
        return len(text)
    offset, left = starts[position.line], position.character
    for char in slow_lines(text)[position.line]:
        left -= slow_units(char, encoding)
        if left < 0:
            break
        offset += 1
    return offset


def shape(tree: tree_sitter.Tree | None) -> list[tuple[str, int, int, object, object]]:
    assert tree is not None
    found: list[tuple[str, int, int, object, object]] = []
    cursor, done = tree.walk(), False
    while not done:
        node = cursor.node
        assert node is not None
        found.append((node.type, node.start_byte, node.end_byte, node.start_point, node.end_point))
        if not cursor.goto_first_child():
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    done = True
                    break
    return found


def random_position(source: random.Random, text: str) -> Position:
    return Position(source.randint(0, len(slow_lines(text)) + 1), source.randint(0, 30))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_document_never_drifts(encoding: Encoding) -> None:
    for seed in range(SESSIONS // 3):
        source = random.Random(f"{encoding}{seed}")
        text = "".join(source.choices(PIECES, k=30))
        document = Document.open("a.py", text)
        for version in range(1, EDITS + 1):
            edits = []
            for _ in range(source.randint(1, 2)):
                start, end = random_position(source, text), random_position(source, text)
                start, end = sorted((start, end), key=lambda position: slow_offset(text, position, encoding))
                inserted = "".join(source.choices(PIECES, k=source.randint(0, 4)))
                edits.append(Edit(start, end, inserted))
                text = text[: slow_offset(text, start, encoding)] + inserted + text[slow_offset(text, end, encoding) :]
            document = document.edit(edits, version, encoding)
            check(document, text, encoding)


def check(document: Document, text: str, encoding: Encoding) -> None:
    cold = Document.open(document.path, text)
    assert document.text == text
    assert [document.line(number) for number in range(document.line_count)] == slow_lines(text)
    assert [document.lines.start(n) for n in range(len(document.lines))] == cold.lines.starts
    for offset in range(0, len(text) + 1, 5):
        position = document.position(offset, encoding)
        assert cold.position(offset, encoding) == position
        inside_terminator = text[offset - 1 : offset + 1] == "\r\n"
        assert slow_offset(text, position, encoding) == offset - inside_terminator


@pytest.mark.parametrize("seed", range(25))
def test_an_incremental_tree_equals_a_cold_one(seed: int) -> None:
    source = random.Random(seed)
    document = Document.open("a.py", "".join(source.choices(PIECES, k=40)))
    for version in range(1, 8):
        ends = sorted(source.randint(0, len(document.text)) for _ in range(2))
        start, end = (document.position(offset, "utf-16") for offset in ends)
        edit = Edit(start, end, "".join(source.choices(PIECES, k=2)))
        document = document.edit([edit], version, "utf-16")
        assert shape(document.tree) == shape(Document.open("a.py", document.text).tree)


TYPED = (
    "import os\n\n\nclass A:\n    def f(self, é):\n        return [os.path, '😀']\r\n\r\n\r\ndef g():\r\n    pass\r\n"
)


@pytest.mark.parametrize("line", range(6))
def test_typing_gives_the_tree_of_a_cold_parse(line: int) -> None:
    document = Document.open("a.py", TYPED)
    for column, char in enumerate("x = f(1)\n"):
        at = Position(line, column)
        document = document.edit([Edit(at, at, char)], column, "utf-16")
        assert shape(document.tree) == shape(Document.open("a.py", document.text).tree)


@pytest.mark.parametrize(
    ("text", "encoding", "position", "offset"),
    [
        ("ab\ncd", "utf-16", (0, 9), 2),  # past the end of a line: before its terminator
        ("ab\r\ncd", "utf-16", (0, 3), 2),
        ("ab\rcd", "utf-16", (1, 0), 3),
        ("ab", "utf-16", (7, 0), 2),  # past the last line: the end
        ("a😀b", "utf-16", (0, 2), 1),  # between the halves of a surrogate pair: before it
        ("a😀b", "utf-16", (0, 3), 2),
        ("a😀b", "utf-8", (0, 4), 1),
        ("a😀b", "utf-8", (0, 5), 2),
        ("a😀b", "utf-32", (0, 2), 2),
        ("a\fb\u2028c\n", "utf-16", (0, 5), 5),  # neither ends a line
        ("a\fb\u2028c\n", "utf-16", (1, 0), 6),
        ("é" * 3000 + "😀x", "utf-16", (0, 3002), 3001),  # across the counting steps
    ],
)
def test_positions(text: str, encoding: Encoding, position: tuple[int, int], offset: int) -> None:
    assert Document.open("a.txt", text).offset(Position(*position), encoding) == offset


def test_a_full_replacement_among_edits() -> None:
    document = Document.open("a.py", "x = 1\n")
    here = Position(0, 0)
    after = document.edit([Edit(here, here, "#"), Edit(None, None, "y\n"), Edit(here, here, "z")], 4, "utf-16")
    assert (after.text, after.version, document.text) == ("zy\n", 4, "x = 1\n")
    assert shape(after.tree) == shape(Document.open("a.py", "zy\n").tree)


@pytest.mark.parametrize("text", ["x = 1\n" * (MAX_PARSED_BYTES // 6 + 1), "é" * (MAX_PARSED_BYTES // 2 + 1)])
def test_a_huge_file_has_no_tree_and_no_error(text: str) -> None:
    document = Document.open("a.py", text)
    assert document.tree is None
    assert document.edit([Edit(None, None, "x\n")], 1, "utf-16").tree is not None


def test_a_slow_parse_stops_at_the_deadline_and_is_not_tried_again() -> None:
    text = "".join(random.Random(0).choices("({[\"'`<>=+-*/;:,.abc \n", k=MAX_PARSED_BYTES))
    began = time.monotonic()
    document = Document.open("a.cpp", text)
    assert document.tree is None
    here = Position(0, 0)
    assert document.edit([Edit(here, here, "a")], 1, "utf-16").tree is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("brackets", ["(" * 200_000, "{" * 300_000, "[" * 50_000 + "]" * 50_000])
def test_deep_nesting_neither_crashes_nor_raises(brackets: str) -> None:
    from sc2lsp.context.tags import extract

    assert extract(Document.open("a.c", brackets)).imports == ()
    assert extract(Document.open("a.py", brackets)).imports == ()


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_core_language_has_its_grammar(language: object) -> None:
    found = next(item for item in LANGUAGES if item is language)
    syntax = grammar(found)
    assert syntax is not None
    known = {syntax.node_kind_for_id(number) for number in range(syntax.node_kind_count)}
    for suffix in found.suffixes:
        assert language_of(f"a/b{suffix}") is found
    # TypeScript's tables are shared with JavaScript's, where one node has another name.
    named = {*found.definitions, *found.containers, *found.imports, *found.scopes} - {"field_definition"}
    assert named - known == set()


def test_a_missing_grammar_degrades_to_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sc2lsp.context.document.grammar", lambda language: None)
    document = Document.open("a.py", "def f(): pass\n")
    assert document.tree is None
    assert document.edit([Edit(Position(0, 0), Position(0, 3), "x")], 1, "utf-16").text == "x f(): pass\n"
