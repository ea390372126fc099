"""Where a completion goes: whether a line or a block may be written there, and what around it says where that ends.

The syntax tree of the few statements around the cursor says what the cursor is in; where there is none, or what is
half-typed spoils it, lexical rules do. Never reads more than a bounded window. Knows nothing of what a model writes.
"""

import re
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

import tree_sitter

from sc2lsp.context.document import Document, encode, parse
from sc2lsp.context.languages import Language
from sc2lsp.context.outline import Outline
from sc2lsp.context.pieces import Leaf
from sc2lsp.display.brackets import Around, around
from sc2lsp.display.indentation import columns, leading, unit_of
from sc2lsp.display.lexer import Token, line_comment, tokens
from sc2lsp.display.openers import has_end_words, opens

NEAR = 1 << 14  # code points: many times what a completion is long
REACH = 8192  # code points before the cursor in which the statement may begin that it is in
LEXED = 4096  # code points before the cursor in which brackets are looked for where no statement begins ...
LEXED_AFTER = 2048  # ... and after it
SAMPLED = 1024  # code points before the cursor, and as many after it, that say what a file indents by
PARSED = 2048  # code points before the cursor that are parsed at most ...
PARSED_AFTER = 256  # ... and after it
SECONDS = 0.0005  # of parsing; what takes longer is half-typed, and more errors than tree

Inside = Literal["code", "string", "comment"]

_TERMINATOR = re.compile(r"\r\n?")
_QUOTE = re.compile(r"[A-Za-z@$]{0,3}#?(\"\"\"|'''|\"|'|`|\[\[)")
_DOCSTRING = re.compile(r"""(?<=:)\s*\n[ \t]*[rRuU]?(\"{3}|'{3})(?:(?!\1)[\s\S])*+\1\Z""")
_PROSE = re.compile(r"comment|string|char_|character|heredoc|regex")  # in the names of nodes, in any grammar
_INDENTED = frozenset({"", "python"})  # families whose blocks are indented, or are none


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor, with what decides which part of an answer is shown there.

    `before` and `after` end their lines with `\\n` alone and hold at most NEAR code points. `max_lines`, `min_indent`
    and `stop` end a generation as `runtime.api.SamplingParams` says.
    """

    before: str
    after: str
    family: str  # of the document's language, "" where none is known
    inside: Inside
    lead: str  # what opens the string or comment that the cursor is in
    is_block: bool
    is_fresh: bool  # whether the block is a body with nothing in it so far
    is_outdented: bool  # whether the cursor's line belongs a step deeper than it is
    indent: int  # columns that the block's lines have at least
    unit: str  # what the document indents by, "" where nothing is indented
    brackets: Around
    max_lines: int
    min_indent: int
    stop: tuple[str, ...]

    @property
    def line_before(self) -> str:
        return self.before[self.before.rfind("\n") + 1 :]

    @property
    def line_after(self) -> str:
        return self.after.partition("\n")[0]

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands before the cursor on its line."""
        return not self.line_before.strip()


def place_of(document: Document, outline: Outline, offset: int, is_continuation: bool = False) -> Place:
    """The place of a cursor. `is_continuation`: right behind an accepted suggestion, at the end of a complete line."""
    text = document.text
    offset = min(max(offset, 0), len(text))
    before, after = _lines(text[max(offset - NEAR, 0) : offset]), _lines(text[offset : offset + NEAR])
    family = document.language.family if document.language is not None else ""
    start, is_border = _start(document, outline, offset)
    near, far = _lines(text[start:offset]), after[:LEXED_AFTER]
    found = list(tokens(family, near))
    if not is_border and found and found[-1].is_open and "\n" in near[found[-1].start :]:
        # Begun in the middle of a string, most likely: then every other one is code.
        near = near[near.rfind("\n") + 1 :]
        found = list(tokens(family, near))
    inside, lead = _inside(document.language, near, far, found, is_border)
    is_whole = len(after) == len(far) and offset + NEAR >= len(text)
    around_it = around(family, found, near, far, is_whole, lead if _is_closed(lead, far) else "")
    return _place(before, after, family, inside, lead, around_it, is_continuation)


def _place(
    before: str, after: str, family: str, inside: Inside, lead: str, brackets: Around, is_continuation: bool
) -> Place:
    line = before[before.rfind("\n") + 1 :]
    above = _header(before[: len(before) - len(line)], family)
    own, is_blank = columns(leading(line)), not line.strip()
    # A colon within brackets separates; what braces open is a block wherever they stand.
    is_within = bool(brackets.open) and brackets.open[-1].char != "{" if family else False
    may_open = not is_within and not (brackets.open and family == "python")
    is_opener = may_open and inside == "code" and opens(family, line)
    is_below_opener = is_blank and may_open and bool(above) and opens(family, above)
    is_block = _is_block(line, after, inside, lead, is_opener, is_within, is_continuation)
    header = columns(leading(above)) if is_below_opener else own
    is_outdented = is_below_opener and own <= header
    indent = header + 1 if (is_opener or is_outdented) and family in _INDENTED else own
    is_fresh = (is_opener or is_below_opener) and _next_indent(after) <= header
    return Place(
        before,
        after,
        family,
        inside,
        lead,
        is_block,
        is_fresh,
        is_outdented,
        indent,
        unit_of(f"{before[-SAMPLED:]}.{after[:SAMPLED]}"),
        brackets,
        max_lines=0 if is_block else 1,
        min_indent=_least(family, indent, header, is_fresh, brackets) if is_block and inside == "code" else 0,
        stop=("\n\n\n",) if is_block else ("\n",),
    )


def _is_block(
    line: str, after: str, inside: Inside, lead: str, is_opener: bool, is_within: bool, is_continuation: bool
) -> bool:
    if after.partition("\n")[0].strip() or inside == "string":
        return False
    if inside == "comment":
        return lead.startswith("/**") or lead in ("///", "//!")
    if is_within:
        return False
    return is_opener or not line.strip() or is_continuation


def _least(family: str, indent: int, header: int, is_fresh: bool, brackets: Around) -> int:
    """Columns below which no line can belong to the block, nor close it where nothing below does."""
    if brackets.open and brackets.open[-1].closed == "missing":
        return min(indent, brackets.open[-1].indent)
    if has_end_words(family):
        return min(indent, header) if is_fresh else max(indent - 1, 0)
    return indent


def _is_closed(lead: str, after: str) -> bool:
    """Whether the string or comment that the cursor is in ends after it, before another begins."""
    if lead.startswith("/*"):
        return "*/" in after.partition("/*")[0]
    quote = lead.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@$#")
    end = {"[[": "]]", "--[[": "]]"}.get(quote, quote)
    return end in (after if len(end) > 1 or end == "`" else after.partition("\n")[0])


def _header(before: str, family: str) -> str:
    """The line above a body's place: what says what the body does stands between the two."""
    above = before[-LEXED:].rstrip()
    if family == "python" and above.endswith(('"""', "'''")) and (found := _DOCSTRING.search(above)) is not None:
        above = above[: found.start()]
    marker = line_comment(family)
    while marker and (last := above[above.rfind("\n") + 1 :]).lstrip().startswith(marker):
        above = above[: len(above) - len(last)].rstrip()
    return above[above.rfind("\n") + 1 :]


def _next_indent(after: str) -> int:
    """Columns of the next line that holds something; none below the last one."""
    for line in after.split("\n", 8)[1:8]:
        if line.strip():
            return columns(leading(line))
    return 0


def _start(document: Document, outline: Outline, offset: int) -> tuple[int, bool]:
    """Where to begin reading before a cursor, and whether a statement begins there."""
    line = document.lines.line_of(offset)
    last = bisect_right(outline.places, line, key=lambda place: place.line)
    for place in reversed(outline.places[max(last - 2, 0) : last]):
        start = document.lines.start(min(place.line, document.line_count - 1))
        if isinstance(place.piece, Leaf) and line <= place.line + place.piece.lines and offset - start <= REACH:
            return start, True
    for tag in reversed(outline.enclosing(line)):
        start = document.lines.start(min(tag.start_line, document.line_count - 1))
        if start <= offset <= start + REACH:
            return start, True
    least = max(offset - LEXED, 0)
    start = document.lines.start(document.lines.line_of(least))
    return (start, start == 0) if offset - start <= 2 * LEXED else (least, False)


def _inside(language: Language | None, near: str, far: str, found: list[Token], is_border: bool) -> tuple[Inside, str]:
    """What the cursor is in, and what opens that."""
    last = found[-1] if found and found[-1].is_open else None
    # What is not closed yet is no comment to a grammar: some take it for a regular expression.
    is_begun = last is not None and near.startswith("/*", last.start)
    if language is not None and is_border and len(near) <= PARSED and not is_begun:
        node = _node(language, near, far)
        if node is not None:
            return node
    if last is None or last.kind not in ("string", "comment"):
        return "code", ""
    begun = near[last.start : last.start + 8]
    return ("comment", _comment_lead(begun)) if last.kind == "comment" else ("string", _string_lead(begun))


def _node(language: Language, near: str, far: str) -> tuple[Inside, str] | None:
    """As the syntax tree has it; None where there is none, or an error is in it at the cursor."""
    byte = len(encode(near))
    ahead = far[: max(far.find("\n", PARSED_AFTER) + 1, 0) or None] if len(far) > PARSED_AFTER else far
    tree = parse(language, encode(near + ahead[: 4 * PARSED_AFTER]), time.thread_time() + SECONDS)
    if tree is None:
        return None
    node = tree.root_node.descendant_for_byte_range(max(byte - 1, 0), byte)
    outermost: tree_sitter.Node | None = None
    while node is not None and node.parent is not None:
        if node.is_error:
            return None
        if _PROSE.search(node.type) and node.start_byte < byte and _holds(node, byte):
            outermost = node
        node = node.parent
    if outermost is None or outermost.text is None:
        return "code", ""
    begun = outermost.text[:8].decode("utf-8", "replace")
    if "comment" in outermost.type:
        return "comment", _comment_lead(begun)
    return "string", _string_lead(begun)


def _holds(node: tree_sitter.Node, byte: int) -> bool:
    """Whether a string or comment goes on at a byte that is not before its start."""
    if byte < node.end_byte:
        return True
    text = node.text or b""
    return byte == node.end_byte and "comment" in node.type and not text.startswith((b"/*", b"--[["))


def _comment_lead(begun: str) -> str:
    for lead in ("/**", "/*", "///", "//!", "//", "--[[", "--", "#"):
        if begun.startswith(lead):
            return lead
    return ""


def _string_lead(begun: str) -> str:
    found = _QUOTE.match(begun)
    return found[0] if found is not None else '"'


def _lines(text: str) -> str:
    return _TERMINATOR.sub("\n", text) if "\r" in text else text
