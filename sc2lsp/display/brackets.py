"""Brackets around a cursor: which are open before it, and which of those are closed after it.

A bracket that is never closed is told by indentation: where a line begins no deeper than the line that opened it, it is
over. Knows no model and no tree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sc2lsp.display.indentation import columns, leading
from sc2lsp.display.lexer import OPENER_OF, Token, tokens

_NO_LIMIT = 1 << 30  # columns
Closed = Literal["line", "below", "missing"]  # on the cursor's line, on one below, nowhere


@dataclass(frozen=True, slots=True)
class Open:
    """A bracket open at the cursor; `indent`: columns of the line that it stands in."""

    char: str
    indent: int
    closed: Closed = "missing"


@dataclass(frozen=True, slots=True)
class Around:
    """The brackets open at a cursor, outermost first, and the closers after it that close none of them."""

    open: tuple[Open, ...]
    surplus: tuple[Open, ...]  # as the brackets that they would close

    @property
    def below(self) -> int:
        return sum(bracket.closed == "below" for bracket in self.open)


def around(family: str, before: Sequence[Token], text: str, after: str, is_whole: bool, lead: str) -> Around:
    """`before`: the tokens of the `text` before the cursor; `after` may end early, where it is not the whole rest.

    `lead` opens the string or comment that the cursor is in, "" for none.
    """
    waiting = _opened(before, text)
    own = columns(leading(text[text.rfind("\n") + 1 :]))
    found: list[Open] = []
    surplus: list[Open] = []
    for event in _events(family, lead + after, len(lead)):
        if event.char:
            while waiting and not _fits(waiting, event):
                found.append(waiting.pop())
            if waiting:
                found.append(_with(waiting.pop(), "line" if event.is_first_line else "below"))
            else:
                surplus.append(Open(event.char, event.indent))
        else:
            while waiting and waiting[-1].indent >= event.indent:
                found.append(waiting.pop())
        if not waiting and not event.char and (event.indent < own or not own):
            break  # out of all that the cursor is in
    # Nothing that was read closes these; what was not read may.
    found += reversed([bracket if is_whole else _with(bracket, "below") for bracket in waiting])
    return Around(_shifted(found[::-1]), tuple(surplus))


@dataclass(frozen=True, slots=True)
class _Event:
    """A closer that nothing after the cursor opened, or with char "" a line that begins outside of all brackets."""

    char: str  # what it closes
    indent: int
    starts_line: bool
    is_first_line: bool


def _opened(before: Sequence[Token], text: str) -> list[Open]:
    """Each with the columns of the line that its statement begins in, as far as brackets tell, and of its body."""
    stack: list[Open] = []
    line, indent = -1, 0
    for token in before:
        if token.kind not in ("open", "close"):
            continue
        start = text.rfind("\n", 0, token.start) + 1
        if start != line:
            line, indent = start, columns(leading(text[start : token.start + 1]))
        if token.kind == "open":
            stack.append(Open(text[token.start], indent))
        elif (closed := _close(stack, text[token.start])) is not None:
            indent = min(indent, closed.indent)
    return _nested(stack, text, line)


def _nested(stack: Sequence[Open], text: str, last: int) -> list[Open]:
    """Brackets of which none begins deeper than one inside of it, nor than the cursor's line; `last` was one's line."""
    start = text.rfind("\n") + 1
    own = columns(leading(text[start:]))
    least = own - 1 if own and start != last else _NO_LIMIT
    out: list[Open] = []
    for bracket in reversed(stack):
        least = min(bracket.indent, least)
        out.append(Open(bracket.char, least))
    return out[::-1]


def _close(stack: list[Open], closer: str) -> Open | None:
    """Take off what a closer closes, and what was left open inside; a closer of nothing closes nothing."""
    for number in range(len(stack) - 1, -1, -1):
        if stack[number].char == OPENER_OF[closer]:
            closed = stack[number]
            del stack[number:]
            return closed
    return None


def _events(family: str, text: str, lead: int) -> Iterator[_Event]:
    """In their order. `lead`: length of what stands before the text's own beginning."""
    found = iter(tokens(family, text))
    token = next(found, None)
    depth, start = 0, 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        indent, content = columns(leading(line)), line.lstrip()
        is_inside = token is not None and token.start < start  # of a string or a comment
        if start and not depth and not is_inside and _says_where(family, content):
            yield _Event("", indent, True, False)
        while token is not None and token.start < end:
            if token.kind == "open":
                depth += 1
            elif token.kind == "close" and depth:
                depth -= 1
            elif token.kind == "close":
                starts = bool(start) and not text[start : token.start].strip()
                yield _Event(OPENER_OF[text[token.start]], indent, starts, not start)
            if token.end > end:
                break
            token = next(found, None)
        start = end + 1


def _says_where(family: str, content: str) -> bool:
    """Whether the indentation of a line says what it belongs to: not that of a closer, a label, the preprocessor's."""
    if not content or content[0] in ")]}" or (content[0] == "#" and family in ("c", "csharp")):
        return False
    return family in ("", "python") or not content.rstrip().endswith(":")


def _fits(waiting: Sequence[Open], closer: _Event) -> bool:
    """Whether a closer is that of the innermost bracket: one that begins a line left of it may be another's."""
    bracket = waiting[-1]
    if bracket.char != closer.char:
        return False
    if not closer.starts_line or closer.indent >= bracket.indent:
        return True
    return not any(other.char == closer.char and other.indent == closer.indent for other in waiting[:-1])


def _with(bracket: Open, closed: Closed) -> Open:
    return Open(bracket.char, bracket.indent, closed)


def _shifted(found: Sequence[Open]) -> tuple[Open, ...]:
    """Of the same brackets side by side it is the innermost that are missing: which one is a matter of words."""
    out: list[Open] = list(found)
    for number in range(1, len(out)):
        place = number
        while place and out[place].closed != "missing" and _are_alike(out[place - 1], out[place]):
            out[place - 1], out[place] = (
                _with(out[place - 1], out[place].closed),
                _with(out[place], "missing"),
            )
            place -= 1
    return tuple(out)


def _are_alike(outer: Open, inner: Open) -> bool:
    return outer.char == inner.char and outer.indent == inner.indent and outer.closed == "missing"
