"""White space at the start of lines: columns, the unit of a document, and a text written in another unit.

Knows no syntax.
"""

import re
from collections.abc import Sequence

TAB = 8  # columns to the next multiple of which a tab reaches, as in `runtime.api.SamplingParams`
USUAL = 4  # spaces for a tab where nothing says otherwise
_MOST = 0.8  # of the indented lines
_LEADING = re.compile(r"^[ \t]+(?=\S)", re.MULTILINE)


def leading(line: str) -> str:
    """The blanks and tabs that a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def columns(white: str) -> int:
    """How far blanks and tabs reach from the start of a line."""
    reach = 0
    for char in white:
        reach += TAB - reach % TAB if char == "\t" else 1
    return reach


def unit_of(text: str) -> str:
    """What a text indents by: a tab, or so many spaces; "" where nothing is indented, or by both."""
    found = [white for white in _LEADING.findall(text) if len(white) > 1 or white == "\t"]
    tabs = sum("\t" in white for white in found)
    if tabs:
        return "\t" if tabs >= len(found) * _MOST else ""
    for width in (4, 2, 3):
        if found and sum(len(white) % width == 0 for white in found) >= len(found) * _MOST:
            return " " * width
    return ""


def in_unit(text: str, unit: str, base_white: str) -> str:
    """The text, whose first line begins at a cursor, with the further lines indented in `unit`.

    `base_white`: what the cursor's line begins with. What follows a line never changes it.
    """
    if not unit or "\n" not in text:
        return text
    first, *others = text.split("\n")
    wide = USUAL if unit == "\t" else len(unit)
    base = len(base_white.expandtabs(wide))
    step = 0 if first.strip() else _step(others, wide, base)
    return "\n".join((first, *(_in_unit(line, unit, wide, base, step) for line in others)))


def _step(lines: Sequence[str], wide: int, base: int) -> int:
    """How much deeper the first line is that holds something: a body's, right below its header."""
    line = next((line for line in lines if line.strip()), "")
    return len(leading(line).expandtabs(wide)) - base


def _in_unit(line: str, unit: str, wide: int, base: int, step: int) -> str:
    white = leading(line)
    if not white or (white.startswith("\t") == (unit == "\t") and step != 2 * wide):
        return line
    width = len(white.expandtabs(wide))
    if step == 2 * wide == USUAL and width > base:  # four spaces in a file that has two
        levels, more = divmod(width - base, step)
        width = base + levels * wide + more
    if unit != "\t":
        return " " * width + line[len(white) :]
    levels, more = divmod(width, wide)
    return "\t" * levels + " " * more + line[len(white) :]
