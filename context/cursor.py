"""What stands around a cursor: names by closeness, what variables are declared as, and what the line asks for.

Only a window of lines is looked at, by regular expressions that mean the same in every language we know. This module
knows no other file.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from .document import Document
from .languages import SCOPE_KINDS
from .lexical import parts, subwords
from .outline import Outline
from .symbols import Tag
from .words import word_pattern

LINES_BEFORE, LINES_AFTER = 80, 20  # that count as near
FAR_BEFORE, FAR_AFTER = 400, 200  # that count as this file
QUERY_BEFORE, QUERY_AFTER = 15, 6  # that similar code is searched with
HALF_LINES = 6.0  # at this distance from the cursor an occurrence is worth half
AFTER, HEADER = 0.8, 0.9  # worth of what follows the cursor, and of the headers around it
NEAR_QUERY, NEAR_VARIABLE = 0.25, 0.15
MAX_LINE = 400  # code points of a line that are looked at
REMEMBERED = 1 << 12  # lines

IMPORTING = ("import ", "from ", "use ", "#include", "package ")
ASSIGNED = re.compile(
    r"(\w+)\s*(?::=|[:=])\s*(?:(?:await|new|yield|&|\*|Optional\[|type\[|list\[)\s*)*([A-Za-z_][\w.]*)"
)
TYPED_BEFORE = re.compile(r"\b([A-Z]\w*)(?:<[^<>]*>)?(?:\[\])?[ \t*&]+([a-z_]\w*)\b")  # Java, C, C++
TYPED_AFTER = re.compile(r"\b([a-z_]\w*)[ \t]+[*\[\]]*(?:\w+\.)?([A-Z]\w*)\b")  # Go
RECEIVER = re.compile(r"([A-Za-z_]\w*)(?:\(\))?\s*(?:\.|->|::)\s*$")
RAISING = re.compile(r"\b(?:raise|except|throw|catch|instanceof|errors?)\W*$")
CLASSING = re.compile(r"\b(?:new|extends|implements|class|struct|isinstance)\W*$")
NAME_BEFORE = re.compile(r"[A-Za-z_]\w*\Z")
TYPED_WORD = re.compile(r"\w*$")
SELF = frozenset({"self", "this", "cls", "super"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """Worths are 1 at the cursor and fall with the distance in lines."""

    near: Mapping[str, float]  # name -> its closest occurrence
    near_sum: Mapping[str, float]  # name -> all its occurrences
    counts: Mapping[str, int]  # name -> occurrences in the file, as far as one looks
    subwords: Mapping[str, float]  # of the names that are near
    terms: Mapping[str, float]  # to search similar code with
    declared: Mapping[str, frozenset[str]]  # variable -> the types or functions it is declared or assigned with
    enclosing: Sequence[Tag]
    receiver: str  # what the name under the cursor is asked of, "" for nothing
    callee: str  # what the arguments at the cursor are for, "" for nothing
    supers: frozenset[str]  # names in the headers of the classes around: the classes, and what they build on
    is_raising: bool
    is_classing: bool


def look(document: Document, outline: Outline, offset: int) -> Cursor:
    """Everything about a cursor that does not depend on other files."""
    here = document.lines.line_of(min(offset, len(document.text)))
    # The line before counts too: what is typed behind a body may still belong to it.
    enclosing = list(dict.fromkeys((*outline.enclosing(here - 1), *outline.enclosing(here))))
    near, near_sum = _near(document, here, enclosing)
    before = TYPED_WORD.sub("", document.text[document.lines.start(here) : offset][-MAX_LINE:])
    receiver = RECEIVER.search(before)
    return Cursor(
        near=near,
        near_sum=near_sum,
        counts=Counter(chain.from_iterable(_far(document, here))),
        subwords=_subwords(near),
        terms=_terms(document, here, enclosing),
        declared=_declared(document, here, outline.definitions),
        enclosing=enclosing,
        receiver=receiver[1] if receiver else "",
        callee=_callee(document.text[max(offset - MAX_LINE, 0) : offset]),
        supers=frozenset(
            name for tag in enclosing if tag.kind in SCOPE_KINDS for name in word_of(document).findall(tag.signature)
        ),
        is_raising=RAISING.search(before) is not None,
        is_classing=CLASSING.search(before) is not None,
    )


def word_of(document: Document) -> re.Pattern[str]:
    """What an identifier is in the document's language."""
    return word_pattern(_letters(document))


def _letters(document: Document) -> str:
    return document.language.letters if document.language is not None else ""


# Between two keystrokes one line changes: what the others say is remembered.
@lru_cache(maxsize=REMEMBERED)
def _names(text: str, letters: str) -> tuple[str, ...]:
    return tuple(word_pattern(letters).findall(text))


@lru_cache(maxsize=REMEMBERED)
def _said(line: str) -> tuple[tuple[str, str], ...]:
    """Variables of a line, and what they are declared or assigned with."""
    assigned = ((name, said.rpartition(".")[2]) for name, said in ASSIGNED.findall(line))
    before = ((name, said) for said, name in TYPED_BEFORE.findall(line))
    return (*assigned, *before, *TYPED_AFTER.findall(line))


def _callee(before: str) -> str:
    """The name in front of the innermost bracket that is open at the end of a text."""
    depth = 0
    for place in range(len(before) - 1, -1, -1):
        if before[place] in ")]}":
            depth += 1
        elif before[place] in "([{":
            depth -= 1
            if depth < 0:
                name = NAME_BEFORE.search(before, 0, place) if before[place] == "(" else None
                return name[0] if name else ""
    return ""


def _lines(document: Document, here: int, before: int, after: int) -> range:
    return range(max(here - before, 0), min(here + after, document.line_count))


def _near(document: Document, here: int, enclosing: Sequence[Tag]) -> tuple[dict[str, float], dict[str, float]]:
    near: dict[str, float] = {}
    near_sum: dict[str, float] = {}
    letters = _letters(document)

    def feed(line: str, worth: float) -> None:
        for name in _names(line[:MAX_LINE], letters):
            near_sum[name] = near_sum.get(name, 0.0) + worth
            if near.get(name, 0.0) < worth:
                near[name] = worth

    for number in _lines(document, here, LINES_BEFORE, LINES_AFTER):
        line = document.line(number)
        if not line.startswith(IMPORTING):
            feed(line, (1.0 if number <= here else AFTER) / (1 + abs(number - here) / HALF_LINES))
    for tag in enclosing:
        feed(tag.signature, HEADER)
    return near, near_sum


def _far(document: Document, here: int) -> Iterator[tuple[str, ...]]:
    """The names of each line of this file."""
    letters = _letters(document)
    for number in _lines(document, here, FAR_BEFORE, FAR_AFTER):
        yield _names(document.line(number), letters)


def _subwords(near: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, worth in near.items():
        if worth > NEAR_QUERY:
            for part in parts(name):
                if found.get(part, 0.0) < worth:
                    found[part] = worth
    return found


def _terms(document: Document, here: int, enclosing: Sequence[Tag]) -> dict[str, float]:
    terms: dict[str, float] = {}

    def feed(text: str, worth: float) -> None:
        for part in set(subwords(text)):
            if len(part) > 1:
                terms[part] = terms.get(part, 0.0) + worth

    for number in _lines(document, here, QUERY_BEFORE, QUERY_AFTER):
        feed(document.line(number)[:MAX_LINE], 1 / (1 + abs(number - here) / HALF_LINES))
    for tag in enclosing[-1:]:  # finds its callers and its tests
        feed(tag.name, 1.0)
    return terms


def _declared(document: Document, here: int, definitions: Sequence[Tag]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    near = _lines(document, here, FAR_BEFORE, LINES_AFTER)
    lines = [document.line(number)[:MAX_LINE] for number in near]
    lines += [tag.signature[:MAX_LINE] for tag in definitions if tag.scope and tag.kind in ("field", "value")]
    for line in lines:
        for name, said in _said(line):
            found.setdefault(name, set()).add(said)
    return {name: frozenset(said) for name, said in found.items()}
