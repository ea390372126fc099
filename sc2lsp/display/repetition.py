"""What a model repeats: itself, the lines above the cursor, the lines below it.

Compares lines without the white space around them. Knows no brackets and no cursor.
"""

import re
from collections.abc import Sequence

from sc2lsp.display.lexer import line_comment

_RUNAWAY = re.compile(r"(\S[^\n]{2,39}?)\1{4,}")  # the same again and again: a small model that lost its way
_ONE_CHARACTER = re.compile(r"([^\W_])\1{23,}")
_WORD = re.compile(r"\w")
_LETTER = re.compile(r"[^\W\d]")
_PERIODS = range(1, 9)  # lines
LONG_PERIOD = 3  # of so many lines, twice is once too often
_CLOSE_ENOUGH = 0.95  # of the longer line or block, the same at both ends ...
_LONG_ENOUGH = 20  # ... of this many code points at least
_PLAIN = str.maketrans("", "", " \t;,'\"`")


def runs_away(line: str) -> bool:
    """Whether a line goes in circles. Numbers and signs may: `[0, 0, 0, 0, 0, 0]`, a rule of dashes."""
    if any(_LETTER.search(found[1]) for found in _RUNAWAY.finditer(line)):
        return True
    return _ONE_CHARACTER.search(line) is not None


def has_word(line: str) -> bool:
    return _WORD.search(line) is not None


def period(lines: Sequence[str]) -> int:
    """How many of the last lines came three times over, or twice if they are many; 0 for none."""
    for size in _PERIODS:
        last, before = lines[-size:], lines[-2 * size : -size]
        if last != before or not any(map(has_word, last)):
            continue
        if size >= LONG_PERIOD or last == lines[-3 * size : -2 * size]:
            return size
    return 0


def are_same(one: str, other: str) -> bool:
    """Whether two lines say the same, or nearly: quotes and commas aside, or but for a letter or two of a long one."""
    one, other = one.strip(), other.strip()
    if not has_word(one) or not has_word(other):
        return False
    return one.translate(_PLAIN) == other.translate(_PLAIN) or _are_near(one, other)


def repeats_block(lines: Sequence[str], above: Sequence[str]) -> bool:
    """Whether two or more lines are those right above again, with nearly no change."""
    if len(lines) < 2 or len(above) < len(lines):
        return False
    one, other = "\n".join(lines), "\n".join(above[-len(lines) :])
    return has_word(one) and (one == other or _are_near(one, other))


def without_empty_comments(text: str, family: str) -> str:
    """The text without the lines at its end that are a comment's beginning and nothing else."""
    marker = line_comment(family)
    if not marker:
        return text
    lines = text.split("\n")
    while lines and lines[-1].strip() in (marker, ""):
        lines.pop()
    return "\n".join(lines)


def _are_near(one: str, other: str) -> bool:
    longer = max(len(one), len(other))
    if longer < _LONG_ENOUGH or min(len(one), len(other)) < longer * _CLOSE_ENOUGH:
        return False
    front = _agree(one, other)
    behind = min(_agree(one[::-1], other[::-1]), min(len(one), len(other)) - front)
    differing = one[front : len(one) - behind] + other[front : len(other) - behind]
    return front + behind >= longer * _CLOSE_ENOUGH and not re.search(r"\d", differing)


def _agree(one: str, other: str) -> int:
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))
