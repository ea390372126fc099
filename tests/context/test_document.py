"""Documents: positions, limits, and what their trees are. Against a slow implementation: `test_document_fuzz`."""

import random

import pytest

from sc2lsp.context.document import MAX_PARSED_BYTES, Document, Edit, Encoding, Position
from sc2lsp.context.languages import LANGUAGES, Language, grammar, language_of
from sc2lsp.context.tags import extract

HERE = Position(0, 0)


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
    after = document.edit([Edit(HERE, HERE, "#"), Edit(None, None, "y\n"), Edit(HERE, HERE, "z")], 4, "utf-16")
    assert (after.text, after.version, document.text) == ("zy\n", 4, "x = 1\n")


def test_a_tree_is_of_its_own_version() -> None:
    before = Document.open("a.py", "x = 1\n")
    assert before.tree is before.tree  # parsed once
    after = before.edit([Edit(HERE, HERE, "def f(): pass\n")], 1, "utf-16")
    for document, kinds in (
        (before, ["expression_statement"]),
        (after, ["function_definition", "expression_statement"]),
    ):
        assert document.tree is not None
        assert [node.type for node in document.tree.root_node.children] == kinds


@pytest.mark.parametrize("text", ["x = 1\n" * (MAX_PARSED_BYTES // 6 + 1), "é" * (MAX_PARSED_BYTES // 2 + 1)])
def test_a_huge_file_has_no_tree_and_no_error(text: str) -> None:
    document = Document.open("a.py", text)
    assert document.tree is None
    assert document.edit([Edit(None, None, "x\n")], 1, "utf-16").tree is not None


def test_a_slow_parse_stops_at_the_deadline() -> None:
    text = "".join(random.Random(0).choices("({[\"'`<>=+-*/;:,.abc \n", k=MAX_PARSED_BYTES))
    assert Document.open("a.cpp", text).tree is None


@pytest.mark.parametrize("brackets", ["(" * 200_000, "{" * 300_000, "[" * 50_000 + "]" * 50_000])
def test_deep_nesting_neither_crashes_nor_raises(brackets: str) -> None:
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
    def no_grammar(language: Language) -> None:
        return None

    monkeypatch.setattr("sc2lsp.context.document.grammar", no_grammar)
    document = Document.open("a.py", "def f(): pass\n")
    assert document.tree is None
    assert document.edit([Edit(HERE, Position(0, 3), "x")], 1, "utf-16").text == "x f(): pass\n"
