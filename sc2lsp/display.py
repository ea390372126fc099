"""What the model wrote -> what the editor shows: where to stop, what to trim, what to replace.

Works on the text around the cursor alone; knows no tokens and no editor.
"""

import re
from dataclasses import dataclass

_OPENERS = (":", "{")  # a line that ends so has a block below it
_CLOSERS = frozenset(")]}>\"'`;:,")
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
    return Shown(text, len(rest) if _closes(rest) and text.endswith(rest.strip()) else 0)


def _multiline(prefix: str, suffix: str) -> bool:
    """A block may be written where nothing follows on the line, and the line is blank or has just opened one."""
    line = prefix[prefix.rfind("\n") + 1 :].strip()
    return not _line_of(suffix).strip() and (not line or line.endswith(_OPENERS))


def _line_of(suffix: str) -> str:
    """What stands between the cursor and the end of its line."""
    return suffix.partition("\n")[0].rstrip("\r")


def _closes(rest: str) -> bool:
    """Only brackets and the like, such as editors insert by themselves."""
    return bool(rest.strip()) and _CLOSERS.issuperset(rest.strip())


def _without_repeated_suffix(text: str, suffix: str) -> str:
    """Cut the lines at the end of `text` that already stand below the cursor."""
    below = [line for line in suffix.splitlines()[1:] if line.strip(_BLANK)]
    lines = text.split("\n")
    for count in range(min(len(lines) - 1, len(below)), 0, -1):
        if [line.rstrip() for line in lines[-count:]] == [line.rstrip() for line in below[:count]]:
            return "\n".join(lines[:-count]).rstrip()
    return text
