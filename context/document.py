"""The immutable text of one file, its syntax tree and its version; an edit gives the next document.

Positions are those of the Language Server Protocol, in any of its three encodings. Parsing cannot fail: a file past a
limit, or in a language without a grammar, has no tree. This module knows no files and no editor.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import tree_sitter

from .languages import Language, grammar, language_of
from .lines import LineStarts

Encoding = Literal["utf-8", "utf-16", "utf-32"]

# A one-line data file of 5 MB takes 6.4 s and 937 MiB to parse; random bytes parse at 0.3 MB/s.
MAX_PARSED_BYTES = 1 << 20
PARSE_SECONDS = 0.2
READ_BYTES = 1 << 16
STEP = 1024  # code points whose units are counted at once


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two characters: 0-based line, and character in code units of an encoding."""

    line: int
    character: int


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` in place of what lies between two positions; in place of everything where both are None."""

    start: Position | None
    end: Position | None
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a file. `path` is POSIX and relative to the workspace's root."""

    path: str
    text: str = field(repr=False)
    version: int
    language: Language | None = field(repr=False)
    tree: tree_sitter.Tree | None = field(repr=False)
    lines: LineStarts = field(repr=False)

    @staticmethod
    def open(path: str, text: str, version: int = 0) -> "Document":
        language = language_of(path)
        return Document(path, text, version, language, _parse(language, text, None), LineStarts.of(text))

    def edit(self, edits: Sequence[Edit], version: int, encoding: Encoding) -> "Document":
        """The next version; each edit applies to the result of the one before it, and parsing happens once."""
        text, lines = self.text, self.lines
        old_tree = self.tree.copy() if self.tree is not None else None
        for edit in edits:
            if edit.start is None or edit.end is None:
                text, lines, old_tree = edit.text, LineStarts.of(edit.text), None
                continue
            ends = (_offset(text, lines, edit.start, encoding), _offset(text, lines, edit.end, encoding))
            start, end = min(ends), max(ends)
            after = text[:start] + edit.text + text[end:]
            if old_tree is not None:
                _edit_tree(old_tree, text, after, start, end, start + len(edit.text))
            text, lines = after, lines.edited(after, start, end, len(edit.text))
        replaced = any(edit.start is None or edit.end is None for edit in edits)
        tree = None if self._gave_up() and not replaced else _parse(self.language, text, old_tree)
        return Document(self.path, text, version, self.language, tree, lines)

    def offset(self, position: Position, encoding: Encoding) -> int:
        """Code points before a position, clamped to its line, to the text, and to before a split character."""
        return _offset(self.text, self.lines, position, encoding)

    def position(self, offset: int, encoding: Encoding) -> Position:
        """The position of a code point, clamped to the text and to before the line's terminator."""
        offset = min(max(offset, 0), len(self.text))
        line = self.lines.line_of(offset)
        start, end = _content(self.text, self.lines, line)
        return Position(line, _units(self.text[start : min(offset, end)], encoding))

    @property
    def line_count(self) -> int:
        return len(self.lines)

    def line(self, number: int) -> str:
        """The text of a line, without its terminator."""
        start, end = _content(self.text, self.lines, number)
        return self.text[start:end]

    def _gave_up(self) -> bool:
        # One lapse lasts until the whole text is replaced: the limit would be paid again with every keystroke.
        return self.tree is None and _byte_length(self.text) <= MAX_PARSED_BYTES


def _parse(language: Language | None, text: str, old_tree: tree_sitter.Tree | None) -> tree_sitter.Tree | None:
    syntax = grammar(language) if language is not None and len(text) <= MAX_PARSED_BYTES else None
    if syntax is None:
        return None
    source = _encode(text)
    if len(source) > MAX_PARSED_BYTES:
        return None
    deadline = time.monotonic() + PARSE_SECONDS

    def read(start: int, _: object) -> bytes:
        return source[start : start + READ_BYTES]

    def late(_offset: int, _error: bool) -> bool:
        return time.monotonic() > deadline

    try:
        if old_tree is None:
            return tree_sitter.Parser(syntax).parse(read, progress_callback=late)
        return tree_sitter.Parser(syntax).parse(read, old_tree=old_tree, progress_callback=late)
    except ValueError:  # how the parser says that the callback stopped it
        return None


def _edit_tree(tree: tree_sitter.Tree, before: str, after: str, start: int, old_end: int, new_end: int) -> None:
    (start_byte, start_point), (old_byte, old_point) = _place(before, start), _place(before, old_end)
    new_byte, new_point = _place(after, new_end)
    tree.edit(start_byte, old_byte, new_byte, start_point, old_point, new_point)


def _place(text: str, offset: int) -> tuple[int, tuple[int, int]]:
    """Byte offset, and the parser's own point: rows end at \\n only, columns are bytes."""
    row, row_start = text.count("\n", 0, offset), text.rfind("\n", 0, offset) + 1
    column = _byte_length(text[row_start:offset])
    return (offset if text.isascii() else _byte_length(text[:row_start]) + column), (row, column)


def _offset(text: str, lines: LineStarts, position: Position, encoding: Encoding) -> int:
    if position.line >= len(lines):
        return len(text)
    if position.line < 0:
        return 0
    start, end = _content(text, lines, position.line)
    character = max(position.character, 0)
    if encoding == "utf-32" or text.isascii():
        return min(start + character, end)
    while start < end:
        units = _units(text[start : min(start + STEP, end)], encoding)
        if units > character:
            break
        character -= units
        start = min(start + STEP, end)
    while start < end and (units := _units(text[start], encoding)) <= character:
        character -= units
        start += 1
    return start


def _content(text: str, lines: LineStarts, line: int) -> tuple[int, int]:
    """Start and end of a line's text, terminator excluded."""
    start = lines.start(line)
    if line + 1 == len(lines):
        return start, len(text)
    end = lines.start(line + 1)
    return start, end - (2 if end - start > 1 and text[end - 2 : end] == "\r\n" else 1)


def _units(text: str, encoding: Encoding) -> int:
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-16":
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(_encode(text))


def _encode(text: str) -> bytes:
    # A lone surrogate becomes three bytes that no grammar knows, which keeps every later offset right.
    return text.encode("utf-8", "surrogatepass")


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(_encode(text))
