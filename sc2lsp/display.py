"""What the model wrote -> what the editor shows: where to stop, what to trim, what to replace.

Works on the text around the cursor alone; knows no tokens and no editor.
"""

import re
from dataclasses import dataclass

_OPENERS = (":", "{")  # a line that ends so has a block below it
_CLOSERS = frozenset(")]}>\"'`;:,")
_OPENER_OF = {")": "(", "]": "[", "}": "{"}
_BLANK = " \t"
_RUNAWAY = re.compile(r"(.{3,40}?)\1{4,}", re.DOTALL)  # the same again and again: a small model that lost its way


@dataclass(frozen=True, slots=True)
class Shown:
    """`text` to insert at the cursor in place of the next `replaces` characters of its line."""

    text: str
    replaces: int


def stops(prefix: str, suffix: str) -> tuple[str, ...]:
    """The strings that end a generation here: the line's end, or a blank line where a block may follow."""
    return ("\n\n",) if _multiline(prefix, suffix) else ("\n",)


def show(raw: str, prefix: str, suffix: str) -> Shown | None:
    """Trim `raw`, written between `prefix` and `suffix`; None where nothing worth showing is left."""
    text = raw.partition("\ufffd")[0]  # a character the generation ended in the middle of
    for stop in stops(prefix, suffix):
        text = text.partition(stop)[0]
    text = _without_repeated_suffix(text.rstrip(), suffix)
    if not text.strip() or _RUNAWAY.search(text):
        return None
    rest = _line_of(suffix)
    return Shown(text, len(rest) if _writes(text, rest) else 0)


def _multiline(prefix: str, suffix: str) -> bool:
    """A block may be written where nothing follows on the line, and the line is blank or has just opened one."""
    line = prefix[prefix.rfind("\n") + 1 :].strip()
    return not _line_of(suffix).strip() and (not line or line.endswith(_OPENERS))


def _line_of(suffix: str) -> str:
    """What stands between the cursor and the end of its line."""
    return suffix.partition("\n")[0].rstrip("\r")


def _writes(text: str, rest: str) -> bool:
    """Whether `text` itself ends with the brackets and quotes that follow, such as editors insert by themselves.

    A bracket that `text` opened is closed for its own sake: `print($0)` and `str(x)` make `print(str(x))`.
    """
    closers = rest.strip()
    if not closers or not _CLOSERS.issuperset(closers) or not text.endswith(closers):
        return False
    if any(text.count(quote) % 2 == 0 for quote in "\"'`" if quote in closers):
        return False
    return _unmatched_closers(text) >= sum(char in _OPENER_OF for char in closers)


def _unmatched_closers(text: str) -> int:
    opened: list[str] = []
    unmatched = 0
    for char in text:
        if char in _OPENER_OF.values():
            opened.append(char)
        elif char in _OPENER_OF and _OPENER_OF[char] in opened:
            while opened.pop() != _OPENER_OF[char]:
                pass
        elif char in _OPENER_OF:
            unmatched += 1
    return unmatched


def _without_repeated_suffix(text: str, suffix: str) -> str:
    """Cut the lines at the end of `text` that already stand below the cursor."""
    below = [line for line in suffix.splitlines()[1:] if line.strip(_BLANK)]
    lines = text.split("\n")
    for count in range(min(len(lines) - 1, len(below)), 0, -1):
        if [line.rstrip() for line in lines[-count:]] == [line.rstrip() for line in below[:count]]:
            return "\n".join(lines[:-count]).rstrip()
    return text
