"""What the search for similar code finds, and that it follows the files."""

import pytest

from sc2lsp.context.lexical import CHUNK_LINES, Lexical, chunks, parts, subwords

FILES = {
    "a.py": "def parse_header(line):\n    return line.split(':')\n",
    "b.py": "class HeaderParser:\n    pass\n",
    "c.py": "x = 1\n" * CHUNK_LINES + "def unparsed(rows):\n    return rows\n",
}


def caught_up(lexical: Lexical, files: dict[str, str]) -> Lexical:
    for path in files:
        lexical.touch(path)
    assert list(lexical.catch_up(files.get)) == list(files)
    lexical.commit()
    return lexical


def found(lexical: Lexical, *terms: str) -> list[tuple[str, int]]:
    return [(hit.path, hit.start_line) for hit in lexical.search(dict.fromkeys(terms, 1.0), 10)]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (["header"], {("a.py", 0), ("b.py", 0)}),  # snake_case and CamelCase alike
        (["split"], {("a.py", 0)}),
        (["unparsed"], {("c.py", CHUNK_LINES)}),
        (["nowhere"], set()),
        ([], set()),
    ],
)
def test_chunks_are_found_by_their_sub_words(terms: list[str], expected: set[tuple[str, int]]) -> None:
    assert set(found(caught_up(Lexical(), FILES), *terms)) == expected


def test_the_chunk_with_more_of_the_terms_comes_first() -> None:
    assert found(caught_up(Lexical(), FILES), "header", "split")[0] == ("a.py", 0)


def test_a_file_is_found_as_it_was_when_caught_up() -> None:
    lexical = caught_up(Lexical(), FILES)
    lexical.touch("a.py")
    assert lexical.is_stale
    assert ("a.py", 0) in found(lexical, "header")
    assert list(lexical.catch_up({"a.py": "other = 1\n"}.get)) == ["a.py"]
    assert ("a.py", 0) in found(lexical, "header")
    lexical.commit()
    assert not lexical.is_stale
    assert found(lexical, "header") == [("b.py", 0)]
    assert found(lexical, "other") == [("a.py", 0)]
    lexical.touch("b.py")
    list(lexical.catch_up(lambda path: None))
    lexical.commit()
    assert found(lexical, "header") == []


def test_chunks_are_whole_lines_and_skip_what_says_nothing() -> None:
    text = "a\r\n" * CHUNK_LINES + "\n" * CHUNK_LINES + "b\rc\x0cd\u2028e"
    assert list(chunks(text)) == [(0, "a\r\n" * CHUNK_LINES), (2 * CHUNK_LINES, "b\rc\x0cd\u2028e")]
    assert list(chunks("")) == []


def test_sub_words() -> None:
    assert list(subwords("HTTPServer2 get_x\u00e9Y")) == ["httpserver", "2", "get", "x", "y"]
    assert parts("HTTPServer_the_server_x1") == ("http", "server", "the")
