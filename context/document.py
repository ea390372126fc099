"""The immutable text of one file and its version; an edit gives the next document.

Positions are those of the Language Server Protocol, in any of its three encodings. The syntax tree of the whole text is
parsed when it is asked for; an edit never parses, what follows typing is `outline`. Parsing cannot fail: a file past a
limit, or in a language without a grammar, has no tree. This module knows no files and no editor.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
class Splice:
    """`text` in place of the code points [start, end) of the text before it."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Document:
    """One version of a file. `path` is POSIX and relative to the workspace's root."""

    path: str
    text: str = field(repr=False)
    version: int
    language: Language | None = field(repr=False)
    lines: LineStarts = field(repr=False)

    @staticmethod
    def open(path: str, text: str, version: int = 0, language: Language | None = None) -> "Document":
        """`language` where the path does not say it."""
        return Document(path, text, version, language_of(path) or language, LineStarts.of(text))

    def edit(self, edits: Sequence[Edit], version: int, encoding: Encoding) -> "Document":
        """The next version; each edit applies to the result of the one before it."""
        return self.spliced(edits, version, encoding)[0]

    def spliced(self, edits: Sequence[Edit], version: int, encoding: Encoding) -> tuple["Document", tuple[Splice, ...]]:
        """The next version, and what was done to the text, in order."""
        document, splices = self, list[Splice]()
        for edit in edits:
            splices.append(document.splice_of(edit, encoding))
            document = document.replaced(splices[-1], version)
        return replace(document, version=version), tuple(splices)

    def splice_of(self, edit: Edit, encoding: Encoding) -> Splice:
        if edit.start is None or edit.end is None:
            return Splice(0, len(self.text), edit.text)
        ends = (self.offset(edit.start, encoding), self.offset(edit.end, encoding))
        return Splice(min(ends), max(ends), edit.text)

    def replaced(self, splice: Splice, version: int) -> "Document":
        """The next version after one splice."""
        start, end = splice.start, splice.end
        text = "".join((self.text[:start], splice.text, self.text[end:]))
        if end - start == len(self.text):
            lines = LineStarts.of(text)
        else:
            lines = self.lines.edited(text, start, end, len(splice.text))
        return Document(self.path, text, version, self.language, lines)

    @cached_property
    def tree(self) -> tree_sitter.Tree | None:
        """The tree of the whole text, parsed at the first asking; None past a limit or without a grammar."""
        # Not from the tree of the version before: that takes time for every statement of the file, and where one is
        # half-typed up to five times as long as this (159 ms against 34 in 10,000 lines of TypeScript).
        if self.language is None or len(self.text) > MAX_PARSED_BYTES:
            return None
        return parse(self.language, encode(self.text), time.thread_time() + PARSE_SECONDS)

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


def parse(language: Language, source: bytes, deadline: float) -> tree_sitter.Tree | None:
    """The tree of a source in UTF-8; None without a grammar, for too long a source, or past the deadline.

    The deadline is of this thread's processor time: on a busy machine a file says what it says on an idle one.
    """
    syntax = grammar(language)
    if syntax is None or len(source) > MAX_PARSED_BYTES:
        return None

    def read(start: int, _: object) -> bytes:
        return source[start : start + READ_BYTES]

    def late(_offset: int, _error: bool) -> bool:
        return time.thread_time() > deadline

    try:
        return tree_sitter.Parser(syntax).parse(read, progress_callback=late)
    except ValueError:  # how the parser says that the callback stopped it
        return None


def encode(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes three bytes that no grammar knows, which keeps every later offset right."""
    return text.encode("utf-8", "surrogatepass")


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
    return len(encode(text))
