"""Documents against an obvious, slow implementation of the same: text, lines, positions in three encodings, tree.

A few hundred sessions; `SC2LSP_FUZZ_SESSIONS=20000 pytest tests/context/test_document_fuzz.py` runs the full size.
"""

import os
import random
from collections.abc import Iterator

import pytest
import tree_sitter

from sc2lsp.context.document import Document, Edit, Encoding, Position
from sc2lsp.context.languages import grammar, language_of

SESSIONS = int(os.environ.get("SC2LSP_FUZZ_SESSIONS", "300"))
SHARDS = 6  # of the sessions, so that a failure is found again soon
CHANGES = 6
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
PATHS = ("a.py", "a.ts", "a.go", "A.java", "a.rs", "a.cpp")
ENDS = ["\n", "\n", "\r\n", "\r", "\f", "\v", "\x1c", "\x85", "\u2028", "\u2029"]
WIDE = ["😀", "é", "漢", "e\u0301", "\U0010ffff"]
LONE = ["\ud83d", "\ude00"]
CODE = ["def f(x):\n    return x\n", "class A:\r\n", "    ", '"""', "(", ")", "[", "}", "a", "x = 1\n", "#", "\t", "'"]
ALPHABET = [*ENDS, *WIDE, *LONE, *CODE]


def slow_lines(text: str) -> list[str]:
    """The lines with their terminators; the last has none and may be empty."""
    lines, line = list[str](), ""
    for number, char in enumerate(text):
        line += char
        if char == "\n" or (char == "\r" and text[number + 1 : number + 2] != "\n"):
            lines.append(line)
            line = ""
    return [*lines, line]


def slow_units(char: str, encoding: Encoding) -> int:
    code = ord(char)
    if encoding == "utf-32":
        return 1
    if encoding == "utf-16":
        return 2 if code >= 0x10000 else 1
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


def slow_positions(text: str, encoding: Encoding) -> list[Position]:
    """Of every offset, the end included; within a terminator it is the place before it."""
    positions, number, units = list[Position](), 0, 0
    for number, line in enumerate(slow_lines(text)):
        units, content = 0, line.rstrip("\r\n")
        for column, char in enumerate(line):
            positions.append(Position(number, units))
            units += slow_units(char, encoding) if column < len(content) else 0
    return [*positions, Position(number, units)]


def slow_offset(text: str, position: Position, encoding: Encoding) -> int:
    lines = slow_lines(text)
    if position.line >= len(lines):
        return len(text)
    offset, left = sum(map(len, lines[: position.line])), position.character
    for char in lines[position.line].rstrip("\r\n"):
        left -= slow_units(char, encoding)
        if left < 0:
            break
        offset += 1
    return offset


def random_edit(source: random.Random, text: str) -> Edit:
    inserted = "".join(source.choices(ALPHABET, k=source.choice((0, 0, 1, 1, 2, 5))))
    if source.random() < 0.04:
        return Edit(None, None, inserted * 4)
    start = random_position(source, text)
    end = start if source.random() < 0.4 else random_position(source, text)
    return Edit(start, end, inserted)  # as often as not in the wrong order


def random_position(source: random.Random, text: str) -> Position:
    """Anywhere in the text, past a line's end, past the last line; between the units of a character."""
    return Position(source.randint(0, len(slow_lines(text))), source.choice((0, source.randint(0, 12), 1000)))


def slow_edit(text: str, edit: Edit, encoding: Encoding) -> str:
    if edit.start is None or edit.end is None:
        return edit.text
    ends = (slow_offset(text, edit.start, encoding), slow_offset(text, edit.end, encoding))
    return text[: min(ends)] + edit.text + text[max(ends) :]


def check(document: Document, text: str) -> None:
    assert document.text == text
    lines = slow_lines(text)
    assert document.line_count == len(lines)
    assert [document.line(number) for number in range(len(lines))] == [line.rstrip("\r\n") for line in lines]
    assert [document.lines.start(n) for n in range(len(lines))] == [len("".join(lines[:n])) for n in range(len(lines))]
    for encoding in ENCODINGS:
        positions = slow_positions(text, encoding)
        assert [document.position(offset, encoding) for offset in range(len(text) + 1)] == positions
        for position in {*positions, *(Position(place.line, place.character + 1) for place in positions)}:
            assert document.offset(position, encoding) == slow_offset(text, position, encoding)


def nodes(tree: tree_sitter.Tree) -> Iterator[tuple[str, int, int]]:
    """Without recursion, and never as an S-expression, which crashes on a deep tree."""
    cursor = tree.walk()
    while True:
        node = cursor.node
        assert node is not None
        yield node.type, node.start_byte, node.end_byte
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def check_tree(document: Document) -> None:
    """An edit never parses from an older tree: the tree is that of its text alone."""
    language = language_of(document.path)
    syntax = grammar(language) if language is not None else None
    assert syntax is not None and document.tree is not None
    fresh = tree_sitter.Parser(syntax).parse(document.text.encode("utf-8", "surrogatepass"))
    assert list(nodes(document.tree)) == list(nodes(fresh))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_document_never_drifts(shard: int) -> None:
    for session in range(shard, SESSIONS, SHARDS):
        source = random.Random(session)
        encoding, path = source.choice(ENCODINGS), source.choice(PATHS)
        text = "".join(source.choices(ALPHABET, k=20))
        document = Document.open(path, text)
        check(document, text)
        for version in range(1, CHANGES + 1):
            edits = list[Edit]()
            for _ in range(source.choice((1, 1, 1, 2, 3))):
                edits.append(random_edit(source, text))
                text = slow_edit(text, edits[-1], encoding)
            document = document.edit(edits, version, encoding)
            check(document, text)
        check_tree(document)
