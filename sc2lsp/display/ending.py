"""Where a text written at a place ends: the first position at which one of the rules stops it.

Reads from the start and decides at the first line that it can, so that what comes later never changes a decision. Knows
nothing of what is replaced behind the cursor, and trims nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sc2lsp.display.brackets import Open
from sc2lsp.display.indentation import columns, leading
from sc2lsp.display.lexer import OPENER_OF, tokens
from sc2lsp.display.openers import ENDS_ALL, end_word, has_end_words
from sc2lsp.display.overlap import closers_at, words_again
from sc2lsp.display.place import Place
from sc2lsp.display.repetition import LONG_PERIOD, are_same, has_word, period, runs_away

_FAR = 2000  # code points in which the next line is that holds something
_MIN_PREFIX = 3  # code points of a line below, with which a text broke off


@dataclass(frozen=True, slots=True)
class Ending:
    """The text ends at `cut`. `is_final`: whatever else is written, it ends there and by this rule."""

    cut: int
    rule: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text; `depth`: brackets that the text has open at its start."""

    start: int
    text: str
    depth: int
    is_inside: bool  # begins in a string or a comment of more than one line
    is_complete: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Walk:
    """A text's lines and brackets. `refused`: the closer that may not be shown, `closing`: where the line ends with
    which the brackets around the cursor are closed.
    """

    lines: Sequence[Line]
    refused: int | None
    closing: int | None
    left: tuple[tuple[int, str], ...]  # brackets, and a string, that the text leaves open, and where


def ending(text: str, place: Place) -> Ending | None:
    """Where a text ends by a rule; None where it is good to its end."""
    if place.is_block and place.inside == "comment":
        return _of_comment(text, place)
    found = walk(text, place)
    return _Block(found, place).ending() if place.is_block else _of_line(found)


def walk(text: str, place: Place) -> Walk:
    """The lines and the brackets of a text written at a place."""
    around, shift = list(place.brackets.open), len(place.lead)
    local: list[tuple[int, str]] = []
    depths: list[tuple[int, int]] = []
    inside: list[tuple[int, int]] = []
    refused: int | None = None
    closing: int | None = None
    replaceable = list(closers_at(place.line_after))
    is_past = False  # the brackets around the cursor
    for token in tokens(place.family, place.lead + text):
        start, end = token.start - shift, token.end - shift
        if closing is not None and "\n" in text[closing:start]:
            break
        if token.kind in ("string", "comment"):
            inside.append((start, end))
            if token.is_open and token.kind == "string" and start >= 0:
                local.append((start, text[start]))
            continue
        char = text[start]
        if token.kind == "open":
            local.append((start, char))
        elif local:
            if local[-1][1] != OPENER_OF[char]:
                refused = start
                break
            local.pop()
        elif _may_close(char, around, replaceable, place.family) or words_again(text[:end], place.line_after):
            is_past = True
        else:
            refused = start
            break
        depths.append((start, len(local)))
        closing = None if local or not is_past else start  # `} else {` goes on
    lines = _lines(text, depths, inside)
    return Walk(lines, refused, _line_end(lines, closing), tuple(local))


def _may_close(closer: str, around: list[Open], replaceable: list[str], family: str) -> bool:
    """Whether a closer belongs to a bracket before the cursor and is missing, or retypes one behind the cursor."""
    if not around:
        return not family and closer == ")"  # prose: a), b), c)
    bracket = around[-1]
    if bracket.char != OPENER_OF[closer]:
        return False
    if bracket.closed == "line":
        if closer not in replaceable:
            return False
        del replaceable[: replaceable.index(closer) + 1]
    around.pop()
    return bracket.closed != "below"


def _lines(text: str, depths: Sequence[tuple[int, int]], inside: Sequence[tuple[int, int]]) -> list[Line]:
    found: list[Line] = []
    start, depth, nth, span = 0, 0, 0, 0
    texts = text.split("\n")
    for number, line in enumerate(texts):
        while nth < len(depths) and depths[nth][0] < start:
            depth, nth = depths[nth][1], nth + 1
        while span < len(inside) and inside[span][1] < start:
            span += 1
        is_inside = span < len(inside) and inside[span][0] < start <= inside[span][1] and start > 0
        found.append(Line(start, line, depth, is_inside, number + 1 < len(texts)))
        start += len(line) + 1
    return found


def _line_end(lines: Sequence[Line], position: int | None) -> int | None:
    return None if position is None else next(line.end for line in lines if position <= line.end)


def _of_line(found: Walk) -> Ending | None:
    line = found.lines[0]
    if runs_away(line.text):
        return Ending(0, "repetition", line.is_complete)
    if found.refused is not None and found.refused < line.end:
        return Ending(found.refused, "closing bracket", line.is_complete)
    return Ending(line.end, "single line", True) if line.is_complete else None


def _of_comment(text: str, place: Place) -> Ending | None:
    if place.lead == "/**":
        end = text.find("*/")
        is_closed = "*/" in place.after.partition("/*")[0]
        return None if end < 0 else Ending(end + 2 * (not is_closed), "end of comment", True)
    for line in _lines(text, (), ())[1:]:
        if not line.text.lstrip().startswith(place.lead):
            return Ending(line.start, "end of comment", line.is_complete)
    return None


class _Block:
    """One reading of a block's lines."""

    def __init__(self, found: Walk, place: Place) -> None:
        self._walk, self._place = found, place
        self._below = _first(place.after[:_FAR].split("\n")[1:])
        self._above = _first(reversed(place.before[-_FAR:].split("\n")))
        self._seen: list[Line] = []  # that hold something, outside of strings ...
        self._contents: list[str] = []  # ... and what they hold
        self._base = place.indent
        self._blank: int | None = None  # where the blank lines before the current one begin
        # Mutated by: ending() and what it calls, once.

    def ending(self) -> Ending | None:
        for number, line in enumerate(self._walk.lines):
            found = self._blank_line(line) if not line.text.strip() else self._line(number, line)
            if found is not None:
                return found
        return None

    def _blank_line(self, line: Line) -> Ending | None:
        if line.is_inside or not self._seen:
            return None
        if self._blank is not None:
            return Ending(self._blank, "blank lines", line.is_complete)
        self._blank = line.start
        return None

    def _line(self, number: int, line: Line) -> Ending | None:
        begins = number > 0 or self._place.is_blank
        refused = self._walk.refused
        if begins and refused is not None and refused == line.start + len(leading(line.text)):
            return Ending(line.start, "closing bracket", True)
        reach = self._reach(number, line)
        if begins and not line.is_inside and not line.depth and line.text.lstrip()[0] not in ")]}":
            found = self._at_start(line, reach)
            if found is not None:
                return found
        if runs_away(line.text):
            return Ending(line.start, "repetition", line.is_complete)
        if not line.is_inside:
            self._seen.append(line)
            self._contents.append(line.text.strip())
            found = self._repeated(line, reach)
            if found is not None:
                return found
        self._blank = None
        return self._closed(line)

    def _reach(self, number: int, line: Line) -> int:
        """The columns at which a line begins."""
        white = leading(line.text)
        return columns(white if number else self._place.line_before + white)

    def _at_start(self, line: Line, reach: int) -> Ending | None:
        place = self._place
        word = end_word(place.family, line.text)
        if word and reach < max(self._base, 1):
            return self._end_word(line, word, reach)
        if reach < self._base and not (line.text[:1] == "#" and place.family in ("c", "csharp")):
            return Ending(line.start, "dedent", line.is_complete or not has_end_words(place.family))
        if not self._seen or (len(self._seen) == 1 and not self._seen[0].start and not place.is_blank):
            self._base = max(self._base, reach)
        elif self._blank is not None and reach <= self._base and not place.is_fresh:
            return Ending(line.start, "end of block", line.is_complete or not has_end_words(place.family))
        if self._follows(line, reach):
            return Ending(line.start, "follows already", line.is_complete)
        return None

    def _end_word(self, line: Line, word: str, reach: int) -> Ending:
        """A word that ends the block around the cursor is shown where it is missing, and then ends the text."""
        below = self._below
        is_there = end_word(self._place.family, below) != "" and columns(leading(below)) >= reach
        is_missing = word in ENDS_ALL and not is_there and columns(leading(below)) <= reach
        return Ending(line.end if is_missing else line.start, "end of block", line.is_complete)

    def _follows(self, line: Line, reach: int) -> bool:
        below = self._below
        if not below or columns(leading(below)) != reach:
            return False
        content, other = line.text.strip(), below.strip()
        if are_same(content, other):
            return True
        broke_off = not line.is_complete and line.start > 0 and len(content) >= _MIN_PREFIX
        return broke_off and has_word(content) and other.startswith(content)

    def _repeated(self, line: Line, reach: int) -> Ending | None:
        contents = self._contents
        if len(contents) == 1 and (line.start or self._place.is_blank):
            above = self._above
            is_same = above.strip() == contents[0] and columns(leading(above)) == reach
            if is_same and len(contents[0]) >= _MIN_PREFIX and has_word(contents[0]):
                return Ending(0, "repetition", line.is_complete)
        size = period(contents)
        times = 2 if size < LONG_PERIOD else 1
        return Ending(self._seen[-times * size].start, "repetition", line.is_complete) if size else None

    def _closed(self, line: Line) -> Ending | None:
        refused, closing = self._walk.refused, self._walk.closing
        if refused is not None and refused <= line.end:
            return Ending(refused, "closing bracket", line.is_complete)
        if closing is not None and closing == line.end and line.is_complete:
            return Ending(line.end, "end of block", True)
        return None


def _first(lines: Iterable[str]) -> str:
    """The first of some lines that holds something, "" for none."""
    return next((line for line in lines if line.strip()), "")
