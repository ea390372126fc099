"""What the model wrote -> what the editor shows: where it ends, what is trimmed, what it replaces.

The rules come in this order; each has a name, which the explain view gives. Works on a Place and a text, and knows no
tokens and no editor. A text that is shown holds `\\n` alone for line breaks: the Language Server Protocol leaves it to
clients to write those of the document, and those at hand do; with `\\r\\n`, two of them would show the `\\r`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sc2lsp.display.ending import Walk, ending, walk
from sc2lsp.display.indentation import columns, in_unit, leading
from sc2lsp.display.openers import awaits
from sc2lsp.display.overlap import adds_nothing, repeats_line, replaced, without_left
from sc2lsp.display.place import NEAR, Place, place_of
from sc2lsp.display.repetition import has_word, repeats_block, without_empty_comments

__all__ = ["NEAR", "Hidden", "Place", "Shown", "is_finished", "place_of", "rest", "show", "whole"]

_PASSES = 8  # until nothing changes; texts only get shorter
_CONTROL = re.compile(
    r"<(?:fim_(?:prefix|middle|suffix|pad)|file_sep|filename|repo_?name|gh_stars|issue_\w{2,12}|jupyter_\w{2,12}"
    r"|commit_\w{2,12}|empty_output)>|<\|(?:endoftext|fim_\w{3,6}|file_sep|im_start|im_end|eot_id)\|>"
)
_CONTROL_BEGUN = re.compile(r"<[\w|]*\Z")
_TERMINATOR = re.compile(r"\r\n?")
_BLANK_ENDS = re.compile(r"(?<![ \t])[ \t]+(?=\n|\Z)")
_LEADING_LINES = re.compile(r"(?:[ \t]*\n)+")


@dataclass(frozen=True, slots=True)
class Shown:
    """`text` for the cursor, in place of the next `replaces` code points of its line; the rules that changed it."""

    text: str
    replaces: int
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """Nothing is shown, by this rule."""

    rule: str


def show(raw: str, place: Place) -> Shown | Hidden:
    """What of an answer is shown. Shown again, it is the same."""
    text, rules = raw, dict[str, None]()
    for _ in range(_PASSES):
        again, names = _trimmed(text, place)
        rules.update(dict.fromkeys(names))
        if not again.strip():
            return Hidden(next((name for name in reversed(names) if name != "indentation"), "nothing"))
        if again == text:
            break
        text = again
    length = replaced(text, place)
    if repeats_line(text, place):
        return Hidden("repeats the line")
    if adds_nothing(text, length, place):
        return Hidden("follows already")
    return Shown(text, length, (*rules, *(("overlap",) if length else ())))


def rest(shown: str, place: Place) -> Shown | Hidden:
    """What is left of a shown text once its beginning was typed: the same text, with the range that it has here."""
    if not shown.strip():
        return Hidden("nothing")
    return Shown(shown, replaced(shown, place))


def is_finished(raw: str, place: Place) -> bool:
    """Whether nothing that could be written after `raw` changes what is shown of it."""
    if _CONTROL.search(raw):
        return True
    found = ending(_begun(_spelled(raw)[0], place), place)
    return found is not None and found.is_final and not _CONTROL_BEGUN.search(raw)


def whole(raw: str, place: Place) -> str:
    """An answer that ended for want of tokens, without the line that it broke off in; of a single line all of it."""
    kept = raw[: raw.rfind("\n") + 1]
    return kept if place.is_block and kept.strip() and not is_finished(raw, place) else raw


def _trimmed(text: str, place: Place) -> tuple[str, list[str]]:
    spelled, name = _spelled(text)
    begun = _begun(spelled, place)
    found = ending(begun, place)
    text = begun if found is None else begun[: found.cut]
    names = ["" if spelled.startswith(text) else "indentation", name if found is None else found.rule]
    for rule in (_balanced, _trimmed_ends, _unrepeated):
        text, name = rule(text, place)
        names.append(name)
    return text, [name for name in names if name]


def _spelled(text: str) -> tuple[str, str]:
    """The text up to a control token that it spells, or a character that the generation ended in the middle of."""
    text = _TERMINATOR.sub("\n", text) if "\r" in text else text
    found = _CONTROL.search(text)
    if found is not None:
        return text[: found.start()].partition("\ufffd")[0], "control token"
    whole, mark, _ = text.partition("\ufffd")
    return whole, "cut character" if mark else ""


def _begun(text: str, place: Place) -> str:
    """The text from where the cursor stands: without lines and white space that are there already, in its unit."""
    if place.inside == "string":
        return text
    begun = _first_line(_without_leading_lines(text, place), place)
    return in_unit(begun, place.unit, leading(place.line_before)) if place.inside == "code" else begun


def _without_leading_lines(text: str, place: Place) -> str:
    found = _LEADING_LINES.match(text)
    if found is None or not (place.is_block or place.is_blank):
        return text
    if place.is_blank and place.line_before:
        return text[found.end() :]
    most = 1 if place.is_fresh else 2
    return "\n" * min(found[0].count("\n"), most) + text[found.end() :]


def _first_line(text: str, place: Place) -> str:
    white = leading(text)
    line = place.line_before
    if not white or not line:
        return text
    if line.strip():
        return text[len(white) :] if line[-1] in " \t" else text
    if place.inside != "code" or (place.is_outdented and columns(white.expandtabs()) <= len(place.unit)):
        return text
    return (place.unit if place.is_outdented else "") + text[len(white) :]


def _balanced(text: str, place: Place) -> tuple[str, str]:
    """Several lines without the statement at their end that nothing closes, and without a header of nothing."""
    if not place.is_block or place.inside != "code" or "\n" not in text.strip("\n"):
        return text, ""
    found = walk(text, place)
    last = next(line for line in reversed(found.lines) if line.text.strip())
    if found.left and not _is_closed_below(found, place):
        return _without(text, found, found.left[0][0], "open end")
    if not found.left and not last.is_inside and place.family and awaits(place.family, last.text):
        return _without(text, found, last.start, "nothing in it")
    return text, ""


def _is_closed_below(found: Walk, place: Place) -> bool:
    """Whether the brackets that a text leaves open are closed after the cursor, at their own depth."""
    if len(found.left) > len(place.brackets.surplus):
        return False
    for (position, char), bracket in zip(reversed(found.left), place.brackets.surplus, strict=False):
        line = next(line for line in reversed(found.lines) if line.start <= position)
        white = leading(line.text if line.start else place.line_before + line.text)
        if (char, columns(white)) != (bracket.char, bracket.indent):
            return False
    return True


def _without(text: str, found: Walk, start: int, rule: str) -> tuple[str, str]:
    """The text up to the statement that holds a position, or at least without its last branch."""
    before = [line for line in found.lines if line.start <= start]
    kept = text[: max((line.start for line in before if not line.depth), default=0)].rstrip()
    branch = before[-1].text.lstrip()
    if not kept.strip() and branch.startswith("}"):  # `} else {`
        kept = text[: before[-1].end - len(branch) + 1]
    return (kept, rule) if kept.strip() else (text, "")


def _trimmed_ends(text: str, place: Place) -> tuple[str, str]:
    """Without blanks at the ends of lines, and without comments at its end that say nothing."""
    ends = text.rstrip() if place.inside == "string" or not place.family else _BLANK_ENDS.sub("", text).rstrip()
    if place.inside != "code":
        return ends, ""
    said = without_empty_comments(ends, place.family)
    return (said, "empty comment") if said != ends else (ends, "")


def _unrepeated(text: str, place: Place) -> tuple[str, str]:
    """Without the cursor's line written again; nothing where the lines around are."""
    left = without_left(text, place)
    if left != text:
        return left, "repeats the line"
    above = _contents(place.before[-2 * len(text) - 500 :])
    lines = _contents(place.line_before + text) if not place.is_blank else _contents(text)
    if repeats_block(lines, above[:-1] if not place.is_blank else above):
        return "", "repetition"
    if len(lines) == 1 and not place.is_blank and "\n" not in text:
        return _unless_neighbour(text, place, lines[0], above)
    return text, ""


def _unless_neighbour(text: str, place: Place, line: str, above: Sequence[str]) -> tuple[str, str]:
    """A line that was begun and becomes the one above or below it."""
    if not has_word(line) or place.line_after.strip():
        return text, ""
    if above[-2:-1] == [line]:
        return "", "repetition"
    below = _contents(place.after[len(place.line_after) : len(place.line_after) + 500])
    return ("", "follows already") if below[:1] == [line] else (text, "")


def _contents(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]
