"""Whether a cursor is in a comment: for most, a search for what begins one says no; for others a stretch is lexed.

No grammar is asked: a stretch that begins in the middle, or is half-typed, parses slowly and wrongly. Docstrings are no
comments; comments within comments are not looked for. Knows no settings.
"""

import re
from collections import deque
from functools import cache

from sc2lsp.context.document import Document
from sc2lsp.display.lexer import tokens
from sc2lsp.language_ids import Comments, comments_of

WINDOW = 4096  # code points before the cursor that are lexed, at most
# What begins and ends strings over many lines, of which a window may begin in the middle.
_TRIPLE = re.compile('"""')
_LONG_QUOTES = {"python": re.compile("\"\"\"|'''"), **dict.fromkeys(("java", "kotlin", "scala", "csharp"), _TRIPLE)}


def in_comment(document: Document, offset: int) -> bool:
    """Whether what is typed at `offset`, code points, goes on with a comment."""
    return _in_block(document, offset) or _in_line(document, offset)


def _marks(document: Document) -> Comments:
    """By the language, for a notebook or a new file has no name that says it."""
    return comments_of(document.path if document.language is None else f"x{document.language.suffixes[0]}")


def _in_block(document: Document, offset: int) -> bool:
    text, marks = document.text, _marks(document).block
    if marks is None:
        return False
    opening, closing = marks
    opened = text.rfind(opening, 0, offset)
    if opened < 0 or text.find(closing, opened + len(opening), offset) >= 0:
        return False
    # Nothing closes it; but it may stand in a string, or in a comment that its line ended.
    if document.language is None:
        return True
    if document.language.family == "ruby":
        return text[opened - 1 : opened] in ("", "\n")
    return _is_block(document, _code_start(document, opened), opened, opening)


def _in_line(document: Document, offset: int) -> bool:
    marks = _marks(document).line
    start = max(document.lines.start(document.lines.line_of(offset)), offset - WINDOW)
    line = document.text[start:offset]
    if not any(mark in line for mark in marks):
        return False
    if document.language is None:
        quoted, beginning = _patterns(marks)
        return beginning.search(quoted.sub("", line)) is not None
    return _comment_start(document, _code_start(document, offset), offset) >= 0


def _is_block(document: Document, start: int, opened: int, opening: str) -> bool:
    """Whether `opening` at `opened` is in a comment that this or another of its kind began; code begins at `start`."""
    begun = _comment_start(document, start, opened + len(opening))
    return begun >= 0 and document.text.startswith(opening, begun)


def _comment_start(document: Document, start: int, offset: int) -> int:
    """Where the comment begins that code from `start` up to an offset ends within; -1 where that is no comment."""
    assert document.language is not None
    last = deque(tokens(document.language.family, document.text[start:offset]), maxlen=1)
    return start + last[0].start if last and last[0].kind == "comment" and last[0].is_open else -1


def _code_start(document: Document, offset: int) -> int:
    """A place before an offset, not far, where code begins: not within a string, a comment, or a page of HTML."""
    text, family = document.text, document.language.family if document.language is not None else ""
    start = 0 if offset <= WINDOW else text.find("\n", offset - WINDOW, offset) + 1 or offset - WINDOW
    if family == "php":
        opened, closed = text.rfind("<?", 0, offset), text.rfind("?>", 0, offset)
        return offset if opened <= closed else max(start, opened)
    if family in _LONG_QUOTES:
        inside = _open_quote(_LONG_QUOTES[family], text, start)
        return _behind(text, inside, start, offset) if inside else start
    marks = _marks(document).block
    if marks is None or (opened := text.rfind(marks[0], 0, start)) <= text.rfind(marks[1], 0, start):
        return start
    line_start = document.lines.start(document.lines.line_of(opened))
    is_comment = _is_block(document, max(line_start, opened - WINDOW), opened, marks[0])
    return _behind(text, marks[1], start, offset) if is_comment else start


def _open_quote(quotes: re.Pattern[str], text: str, offset: int) -> str:
    """The quotes of the long string that an offset is in, "" outside of any."""
    inside = ""
    for found in quotes.finditer(text, 0, offset):
        if not inside:
            inside = found[0]
        elif found[0] == inside:
            inside = ""
    return inside


def _behind(text: str, end: str, start: int, offset: int) -> int:
    """Behind the next `end`, or at the offset where that comes first."""
    place = text.find(end, start, offset)
    return place + len(end) if place >= 0 else offset


@cache
def _patterns(marks: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What is between quotes, or behind one; and a mark where something can begin."""
    quotes = "".join(quote for quote in "\"'`" if quote not in marks)
    beginning = rf"(?:^|[\s;,(){{}}\[\]])(?:{'|'.join(map(re.escape, marks))})"
    return re.compile(rf"(?<!\w)([{quotes}])(?:\\.|(?!\1).)*(?:\1|$)"), re.compile(beginning)
