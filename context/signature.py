"""A definition's header as source lines: what another file needs to know of it.

Whole lines, so that a prompt shows code as it stands. Where a header ends is said in bytes by whoever found the
definition; this module knows of languages only what a Python docstring looks like.
"""

import tree_sitter

from .languages import SCOPE_KINDS
from .source import Source, named_child

WHOLE_LINES = 3  # a definition of up to so many lines is its own signature
HEADER_LINES = 8  # where a header does not say where it ends
MAX_SIGNATURE = 1000  # code points
MOST_BYTES = 4 * MAX_SIGNATURE
OPENERS = (b"{", b"(", b"[", b"`", b'"""', b"'''")  # a value that goes on after these is not looked into


def signature(source: Source, kind: str, lines: int, start: int, end: int, stop: int | None) -> str:
    """The header of what takes so many lines in the bytes [start, end); `stop` is where its body starts, if known."""
    if lines <= WHOLE_LINES and kind not in SCOPE_KINDS:
        text = source.lines(start, min(end, start + MOST_BYTES))
    elif stop is not None:
        # Spaces and line ends between header and body are neither's.
        text = source.lines(start, start + len(source.encoded[start : min(stop, start + MOST_BYTES)].rstrip()))
    else:
        text = source.lines(start, _header_end(source, start, end))
    return text if len(text) <= MAX_SIGNATURE else text[: MAX_SIGNATURE - 1] + "\n"


def _header_end(source: Source, start: int, end: int) -> int:
    stop = start
    for _ in range(HEADER_LINES):
        line_end = source.line_end(stop)
        if line_end >= end or source.encoded[stop:line_end].rstrip().endswith(OPENERS):
            return min(line_end, end)
        stop = line_end + 1
    return stop - 1


def docstring(source: Source, body: tree_sitter.Node | None) -> str:
    """The first line of a Python docstring with its `\\n`, closed where the line leaves it open; "" without one."""
    first = named_child(body, 0) if body is not None and body.type == "block" else None
    string = named_child(first, 0) if first is not None and first.type == "expression_statement" else None
    if string is None or string.type != "string":
        return ""
    line = source.lines(string.start_byte, string.start_byte + 1)[: MAX_SIGNATURE - 1].rstrip()
    if not line.strip().strip("rRuUbB\"'"):  # what it says begins on the next line, which would need this one too
        return ""
    if source.last_line(string) == source.first_line(string):
        return f"{line}\n"
    return line + ('"""' if '"""' in line else "'''") + "\n"
