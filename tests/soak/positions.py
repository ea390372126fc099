"""Positions of the Language Server Protocol 3.18, written down plainly: the oracle of `drift`, made to be read.

A line ends at \\n, \\r\\n or \\r and at nothing else; a character past a line's end is its end, a line past the
text's end is its end; a place within a character is before it. Shares no code with the server.
"""

from typing import Literal

Encoding = Literal["utf-8", "utf-16", "utf-32"]
Place = tuple[int, int]  # line, character in code units


def lines_of(text: str) -> list[tuple[str, str]]:
    """Each line and what ends it."""
    lines, line, at = list[tuple[str, str]](), "", 0
    while at < len(text):
        if text[at] == "\r" and at + 1 < len(text) and text[at + 1] == "\n":
            lines.append((line, "\r\n"))
            line, at = "", at + 2
        elif text[at] in "\r\n":
            lines.append((line, text[at]))
            line, at = "", at + 1
        else:
            line, at = line + text[at], at + 1
    return [*lines, (line, "")]


def width(char: str, encoding: Encoding) -> int:
    """Code units of a character; half a surrogate pair is one of UTF-16 and three of UTF-8."""
    code = ord(char)
    if encoding == "utf-32":
        return 1
    if encoding == "utf-16":
        return 2 if code > 0xFFFF else 1
    return 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)


def offset_of(text: str, place: Place, encoding: Encoding) -> int:
    """Characters before a place."""
    line, left = place
    offset = 0
    for number, (content, end) in enumerate(lines_of(text)):
        if number < line:
            offset += len(content) + len(end)
            continue
        for char in content:
            if width(char, encoding) > left:
                return offset
            left -= width(char, encoding)
            offset += 1
        return offset
    return offset


def place_of(text: str, offset: int, encoding: Encoding) -> Place:
    """The place before a character; before its line's end for what ends the line."""
    for number, (content, end) in enumerate(lines_of(text)):
        if offset < len(content) + len(end) or not end:
            return number, sum(width(char, encoding) for char in content[:offset])
        offset -= len(content) + len(end)
    raise AssertionError("the last line has no end")


def changed(text: str, start: Place, end: Place, new: str, encoding: Encoding) -> str:
    return text[: offset_of(text, start, encoding)] + new + text[offset_of(text, end, encoding) :]
