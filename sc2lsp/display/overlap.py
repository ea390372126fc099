"""What an answer retypes: the text right behind the cursor, which it then replaces, or the text before it.

A range of the cursor's line is replaced where brackets and quotes balance better so, or where the answer ends with the
very words that follow. What is replaced is always a part of what is shown.
"""

import re

from sc2lsp.display.lexer import OPENER_OF, tokens
from sc2lsp.display.place import Place

_LONGEST = 200  # code points of a line that are compared
_MOST_CLOSERS = 16  # code points of brackets and quotes
_LEAST_WORDS = 3  # code points that an answer ends with to be called the words that follow
_LEAST_LINE = 6  # code points of a line to be called one that is written again
_WORD = re.compile(r"\w")
_CLOSERS = re.compile(r"[)\]}>\"'`;:, \t]*")


def closers_at(line: str) -> str:
    """The brackets, quotes and such that a line begins with, and the blanks between them."""
    found = _CLOSERS.match(line)
    return found[0] if found is not None else ""


def words_again(text: str, rest: str) -> int:
    """The longest beginning of the rest of a line, up to a word's end, that a text ends with; 0 for closers alone."""
    rest = rest[:_LONGEST].rstrip()
    closers = len(closers_at(rest))
    for length in range(min(len(text), len(rest)), 0, -1):
        is_whole = length == len(rest)
        if not text.endswith(rest[:length]) or not (is_whole or length >= max(_LEAST_WORDS, closers + 1)):
            continue
        if is_whole or not rest[length - 1 : length + 1].isidentifier():
            return length
    return 0


def replaced(text: str, place: Place) -> int:
    """How many code points behind the cursor a text stands for."""
    rest = place.line_after[:_LONGEST]
    words = words_again(text, rest)
    if not rest.strip():
        return 0
    costs = {length: _cost(text, rest, length, place) for length in {0, words, *_closers_again(text, rest)}}
    if words and costs[words] <= costs[0]:
        return words
    return min(costs, key=lambda length: (costs[length], length))


def without_left(text: str, place: Place) -> str:
    """The text without the line before the cursor, where it writes that again."""
    line = place.line_before.strip()
    begun = text.lstrip(" \t")
    if len(line) >= _LEAST_LINE and " " in line and begun.startswith(line):
        return begun[len(line) :]
    return text


def repeats_line(text: str, place: Place) -> bool:
    """Whether a text says only what its line, or the end of that before the cursor, says already."""
    line, content = place.line_before.strip(), text.strip()
    if not line or len(content) < _LEAST_LINE or not _WORD.search(content):
        return False
    return content == (place.line_before + place.line_after).strip() or (" " in content and line.endswith(content))


def adds_nothing(text: str, length: int, place: Place) -> bool:
    """Whether the text with its range says what is there: the same again, or closers that follow."""
    rest = place.line_after
    if text.strip() == rest[:length].strip():
        return True
    if _WORD.search(text) or not rest.strip() or not closers_at(rest).replace(" ", "").startswith(text.strip()):
        return False
    return _cost(text, rest, length, place) >= _cost("", rest, 0, place)


def _closers_again(text: str, rest: str) -> list[int]:
    """Lengths of closers at the rest's beginning that come in the text in this order."""
    lengths: list[int] = []
    place = 0
    for length, char in enumerate(closers_at(rest)[:_MOST_CLOSERS], 1):
        if char in " \t":
            if lengths and char not in text[place:]:
                break
            continue
        place = text.find(char, place) + 1
        if not place:
            break
        lengths.append(length)
    return [length for length in lengths if _is_part(rest[:length], text)]


def _is_part(part: str, text: str) -> bool:
    """Whether the characters of one text come in another in the same order."""
    rest = iter(text)
    return all(char in rest for char in part)


def _cost(text: str, rest: str, length: int, place: Place) -> int:
    """How far from balanced the cursor's line is with the text in it, and `length` code points of the rest replaced."""
    stack = [bracket.char for bracket in place.brackets.open]
    cost = 0
    whole = place.lead + text + rest[length:]
    for token in tokens(place.family, whole):
        char = whole[token.start]
        if token.kind == "open":
            stack.append(char)
        elif token.kind == "close" and stack and stack[-1] == OPENER_OF[char]:
            stack.pop()
        elif token.kind == "close":
            cost += 1
        elif token.kind == "string":
            cost += token.is_open
    last, behind = text[-1:], rest[length:].lstrip()[:1]
    return 2 * (cost + abs(len(stack) - place.brackets.below)) + (last != "" and last in ",;:" and last == behind)
