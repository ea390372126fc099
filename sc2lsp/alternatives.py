"""Several answers to one request: which of them say something of their own, and which is offered first.

Each is put into the lines around the cursor and parsed there, never in the whole file. Knows no model and no editor.
"""

import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import tree_sitter

from sc2lsp.context.document import Document, encode, parse
from sc2lsp.names import unknown
from sc2lsp.session import Target

if TYPE_CHECKING:
    from sc2lsp.completion import Completion

# Measured with the built-in model on 600 holes of httpx, flask, trio and rich, the greedy answer and three drawn
# (`python -m tests.benchmarks.alternatives ROOTS`, two shared AMD EPYC cores, 2026-11-21). The greedy one is right in
# 10.7 %; any of the four, and the first one in this order or by probability alone:
#
#     temperature   top_p   different   any      first    by probability
#     0.4           1       2.3         12.5 %   11.5 %   11.3 %
#     0.8           1       3.3         12.8 %   11.2 %   11.0 %
#     1.0           1       3.6         12.7 %   11.2 %   11.0 %
#     1.0           0.9     3.4         13.0 %   11.2 %   10.8 %
#
# Of all answers 26 % bring errors, 6 % use a name that is nowhere: none of these is right. To order four takes 0.8 ms.

LINES_BEFORE, LINES_AFTER = 40, 10  # that a completion is judged in: see `_outermost`
MAX_AROUND = 1 << 12  # code points of them on either side
PARSE_SECONDS = 0.005  # of processor time, for one completion: many times what it takes
START = re.compile(r"([ \t]*)[^\s)\]}#\"']")  # of a line that may begin something: no closing bracket, no comment
CUT_OFF = frozenset({"length", "confidence"})  # why an answer ended before the model ended it


class Flaw(IntEnum):
    """What speaks against an answer, the worst last."""

    NONE = 0
    NAME = 1  # it uses one that is nowhere
    SYNTAX = 2  # it brings errors


@dataclass(frozen=True, slots=True)
class _Code:
    """The lines around a cursor with a text in them, at the bytes [start, end)."""

    source: bytes
    start: int
    end: int
    root: tree_sitter.Node


def rank(completions: Sequence["Completion"], target: Target) -> tuple["Completion", ...]:
    """What differs by more than white space, best first: by flaws, then by the mean log probability of the tokens.

    An answer that was cut off and that another begins with is left out.
    """
    distinct = _distinct(sorted(completions, key=lambda completion: -completion.mean_logprob))
    judged = zip(flaws(distinct, target), distinct, strict=True)
    return tuple(completion for _, completion in sorted(judged, key=lambda pair: pair[0]))


def flaws(completions: Sequence["Completion"], target: Target) -> list[Flaw]:
    """Of each completion; none is found where there is no grammar."""
    bare = _code(target, "", target.offset, target.offset)
    if bare is None:
        return [Flaw.NONE] * len(completions)
    errors = _errors(bare.root)
    return [_flaw(completion, target, errors) for completion in completions]


def _distinct(completions: Sequence["Completion"]) -> list["Completion"]:
    """The first of those that say the same, whatever the white space."""
    first: dict[str, Completion] = {}
    for completion in completions:
        first.setdefault("".join(completion.text.split()), completion)
    return [completion for said, completion in first.items() if not _is_part(said, completion, first)]


def _is_part(said: str, completion: "Completion", others: Collection[str]) -> bool:
    return completion.finish_reason in CUT_OFF and any(other != said and other.startswith(said) for other in others)


def _flaw(completion: "Completion", target: Target, errors: int) -> Flaw:
    """`errors`: how many there are without it."""
    code = _code(target, completion.text, completion.start, completion.end)
    if code is None:
        return Flaw.NONE
    if _errors(code.root) > errors:
        return Flaw.SYNTAX
    return Flaw.NAME if unknown(code.root, code.source, code.start, code.end, target) else Flaw.NONE


def _code(target: Target, text: str, start: int, end: int) -> _Code | None:
    """`text` in place of the code points [start, end); None without a grammar."""
    document = target.document
    if document.language is None:
        return None
    first, last = _around(target)
    before, inside = encode(document.text[first:start]), encode(text)
    source = before + inside + encode(document.text[end : max(last, end)])
    tree = parse(document.language, source, time.thread_time() + PARSE_SECONDS)
    return None if tree is None else _Code(source, len(before), len(before) + len(inside), tree.root_node)


def _around(target: Target) -> tuple[int, int]:
    """Code points [first, last) of whole lines near the cursor, unless these are very long."""
    document, offset = target.document, target.offset
    here = document.lines.line_of(offset)
    above = range(max(here - LINES_BEFORE, 0), here + 1)
    first = max(document.lines.start(_outermost(document, above)), offset - MAX_AROUND)
    end = here + LINES_AFTER
    last = document.lines.start(end) if end < document.line_count else len(document.text)
    return first, min(last, offset + MAX_AROUND)


def _outermost(document: Document, numbers: range) -> int:
    """The last of the lines indented least that may begin something; the first of all where none does.

    Code that begins within something is full of errors: of 240 wrong middles of holes in httpx, flask, rich and zod,
    with a bracket too many, 212 are found so, and one right middle is taken for wrong. From the first of the lines on
    it is 183 and four, in twice the time.
    """
    found = ((number, START.match(document.line(number))) for number in numbers)
    starts = [(len(start[1].expandtabs()), -number) for number, start in found if start]
    return -min(starts)[1] if starts else numbers.start


def _errors(root: tree_sitter.Node) -> int:
    """How many nodes stand for what the grammar does not know, or misses."""
    count = 0
    stack = [root]
    while stack:
        node = stack.pop()
        count += node.is_error or node.is_missing
        stack += [child for child in node.children if child.has_error or child.is_missing]
    return count
