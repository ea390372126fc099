"""Where a cursor stands, and what is missing there: (start, end) of a hole in a text.

Most completions are asked for behind an indentation, a dot, an opening bracket or a name, and fill the rest of the line
or whole statements below. Knows text and indentation, no language.
"""

import random
import re

Hole = tuple[int, int]

MAX_LINES = 12
_RATES = {"line": 0.6, "block": 0.22, "characters": 0.18}
_STARTS = {"indentation": 0.4, "opener": 0.2, "name": 0.2, "anywhere": 0.2}
_OPENER = re.compile(r"[.(]")
_NAME = re.compile(r"\w+")
_CLOSER = re.compile(r"\s*[)\]}]")


def hole(rng: random.Random, text: str) -> Hole:
    kind = rng.choices(list(_RATES), list(_RATES.values()))[0]
    if kind == "characters":
        return _characters(rng, text)
    start = _line_with_code(rng, text)
    return _block(rng, text, start) if kind == "block" else (_start(rng, text, start), _line_end(text, start))


def _characters(rng: random.Random, text: str) -> Hole:
    """StarCoder2's own: two cuts at characters drawn uniformly; half of them near each other."""
    first = rng.randint(0, len(text))
    second = rng.randint(0, len(text)) if rng.random() < 0.5 else min(len(text), first + rng.randint(0, 200))
    return min(first, second), max(first, second)


def _block(rng: random.Random, text: str, start: int) -> Hole:
    """From a line to the end of its statement, with what is indented deeper, or of its whole indentation block."""
    depth, end = _depth(text, start), _line_end(text, start)
    statement = rng.random() < 0.5
    line, lines = end + 1, 1
    while line < len(text) and lines < MAX_LINES:
        line_end = _line_end(text, line)
        if text[line:line_end].strip():
            deeper = _depth(text, line) - depth
            closes = deeper == 0 and _CLOSER.match(text, line, line_end) is not None
            if deeper < 0 or (statement and deeper == 0 and not closes):
                break
            end = line_end
        line, lines = line_end + 1, lines + 1
    first = start + depth if rng.random() < 0.8 else _start(rng, text, start)
    return first, end


def _start(rng: random.Random, text: str, line: int) -> int:
    """A place in the line at `line` where somebody would wait for a completion."""
    end, code = _line_end(text, line), line + _depth(text, line)
    kind = rng.choices(list(_STARTS), list(_STARTS.values()))[0]
    if kind == "anywhere":
        return rng.randint(code, end)
    if kind == "indentation":
        return code
    found = [match.end() for match in (_OPENER if kind == "opener" else _NAME).finditer(text, code, end)]
    return rng.choice(found) if found else code


def _line_with_code(rng: random.Random, text: str) -> int:
    """The start of a line that is not blank, or of any line where several tries find none."""
    start = 0
    for _ in range(8):
        start = line_start(text, rng.randint(0, len(text)))
        if text[start : _line_end(text, start)].strip():
            break
    return start


def _depth(text: str, line: int) -> int:
    """Characters of white space that the line at `line` begins with."""
    code = text[line : _line_end(text, line)]
    return len(code) - len(code.lstrip())


def line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end
