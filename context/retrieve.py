"""From a cursor to ranked snippets of other files: signatures of what the code at the cursor is likely to use next.

Candidates are the definitions of related files (imported, open, same folder), and definitions anywhere whose name
stands near the cursor. Only the window around the cursor and the candidates are looked at, never the workspace.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from itertools import islice
from math import log, log1p
from operator import itemgetter

from .document import Document
from .index import Index
from .languages import Language, language_of
from .tags import WORD, Import, Tag, imports

SUBWORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

LINES_BEFORE, LINES_AFTER = 80, 20
HALF_LINES = 6.0  # at this distance from the cursor an occurrence is worth half
MAX_LINE = 400  # code points of a line that are looked at
MAX_SIBLINGS, MAX_SIBLING_TAGS, MAX_FILE_TAGS, MAX_OWNERS, MAX_SNIPPETS = 20, 50, 300, 8, 200
THRESHOLD = 0.5  # below it a snippet is noise: fewer snippets beat more

# Worth of each sign, set by hand.
NAME_NEAR, SUBWORDS_NEAR, SCOPE_NEAR = 3.0, 0.8, 1.0
NAME_IMPORTED, FILE_IMPORTED, FILE_REEXPORTED, FILE_OPEN, FILE_SIBLING = 1.5, 1.0, 0.8, 0.4, 0.3
POPULARITY = 0.08
PRIVATE, FIELD = 0.5, 0.7  # factors


@dataclass(frozen=True, slots=True)
class Snippet:
    """Whole lines of another file, end exclusive; the text ends with `\\n`."""

    path: str
    start_line: int
    end_line: int
    kind: str  # "signature" so far
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class _Near:
    """What stands around the cursor, by closeness: 1 at the cursor, falling with the distance in lines."""

    names: Mapping[str, float]
    subwords: Mapping[str, float]


def retrieve(index: Index, document: Document, offset: int, open_paths: Sequence[str]) -> list[Snippet]:
    """Snippets for a cursor, best first, none of them from the document itself."""
    near = _near(document, offset)
    found = imports(document)
    relation, imported_names = _related(index, document, found, open_paths)
    scored: dict[tuple[str, str, int], tuple[float, Tag]] = {}
    for path, tag in _candidates(index, document, near, relation):
        taken = NAME_IMPORTED if tag.name in imported_names else 0.0
        scored[path, tag.name, tag.start_line] = (_score(index, tag, near, relation.get(path, 0.0) + taken), tag)
    kept = [
        (-score, path, line, tag)
        for (path, _, line), (score, tag) in _with_owners(scored).items()
        if score >= THRESHOLD
    ]
    return [
        _snippet(path, tag, -worth) for worth, path, _, tag in nsmallest(MAX_SNIPPETS, kept, key=itemgetter(0, 1, 2))
    ]


def _near(document: Document, offset: int) -> _Near:
    here = document.lines.line_of(min(offset, len(document.text)))
    names: dict[str, float] = {}
    subwords: dict[str, float] = {}
    for number in range(max(here - LINES_BEFORE, 0), min(here + LINES_AFTER, document.line_count)):
        worth = 1 / (1 + abs(number - here) / HALF_LINES)
        for name in set(WORD.findall(document.line(number)[:MAX_LINE])):
            names[name] = max(names.get(name, 0.0), worth) + 0.1 * worth
            for part in _subwords(name):
                subwords[part] = max(subwords.get(part, 0.0), worth)
    return _Near(names, subwords)


@lru_cache(maxsize=1 << 16)
def _subwords(name: str) -> frozenset[str]:
    return frozenset(part.lower() for part in SUBWORD.findall(name) if len(part) > 2)


def _related(
    index: Index, document: Document, found: Sequence[Import], open_paths: Sequence[str]
) -> tuple[dict[str, float], set[str]]:
    """How much each related file is worth, and the names that the document imports by name."""
    relation: dict[str, float] = {}
    siblings = (path for path in index.siblings(document.path) if _is_kin(document, path))
    for path in islice(siblings, MAX_SIBLINGS):
        relation[path] = FILE_SIBLING
    for path in open_paths:
        relation[path] = relation.get(path, 0.0) + FILE_OPEN
    targets = [(item, index.resolve_import(document.path, item)) for item in found]
    for path in set(_reexported(index, targets)):
        relation[path] = relation.get(path, 0.0) + FILE_REEXPORTED
    for path in {path for _, paths in targets for path in paths}:
        relation[path] = relation.get(path, 0.0) + FILE_IMPORTED
    relation.pop(document.path, None)
    return relation, {name for item in found for pair in item.names for name in pair}


def _reexported(index: Index, targets: Sequence[tuple[Import, Sequence[str]]]) -> Iterator[str]:
    """Files from which an imported file, such as a package's `__init__`, takes the very names that are imported."""
    for item, paths in targets:
        for path in paths:
            for inner in index.files[path].tags.imports:
                taken = {"*", *(there for there, _ in item.names)}
                if not taken.isdisjoint(here for _, here in inner.names):
                    yield from index.resolve_import(path, inner)


def _candidates(
    index: Index, document: Document, near: _Near, relation: Mapping[str, float]
) -> Iterator[tuple[str, Tag]]:
    for path, worth in relation.items():
        entry = index.files.get(path)
        if entry is not None:
            most = MAX_FILE_TAGS if worth > FILE_SIBLING else MAX_SIBLING_TAGS
            yield from ((path, tag) for tag in entry.tags.definitions[:most])
    for name in near.names:
        if index.owners(name) <= MAX_OWNERS:
            yield from (place for place in index.defining(name) if _is_kin(document, place[0]))


def _score(index: Index, tag: Tag, near: _Near, relation: float) -> float:
    score = relation + NAME_NEAR * near.names.get(tag.name, 0.0) / (1 + log(index.owners(tag.name)))
    parts = _subwords(tag.name)
    if not near.subwords.keys().isdisjoint(parts):
        score += SUBWORDS_NEAR * sum(near.subwords.get(part, 0.0) for part in parts) / len(parts)
    if tag.scope:
        score += SCOPE_NEAR * near.names.get(tag.scope.rpartition(".")[2], 0.0)
    score += POPULARITY * log1p(index.mentions(tag.name))
    if tag.name.startswith("_"):
        score *= PRIVATE
    return score * FIELD if tag.kind == "field" else score


def _with_owners(
    scored: Mapping[tuple[str, str, int], tuple[float, Tag]],
) -> dict[tuple[str, str, int], tuple[float, Tag]]:
    """The same, with every class at least as good as its best member: a method alone does not say whose it is."""
    best: dict[tuple[str, str], float] = {}
    for (path, _, _), (score, tag) in scored.items():
        if tag.scope:
            best[path, tag.scope] = max(best.get((path, tag.scope), 0.0), score)
    raised = dict(scored)
    for (path, name, line), (score, tag) in scored.items():
        scope = f"{tag.scope}.{name}" if tag.scope else name
        raised[path, name, line] = (max(score, best.get((path, scope), 0.0)), tag)
    return raised


def _snippet(path: str, tag: Tag, score: float) -> Snippet:
    return Snippet(path, tag.start_line, max(tag.signature_end, tag.start_line + 1), "signature", score, tag.signature)


def _is_kin(document: Document, path: str) -> bool:
    """Whether a path is another file that the document's code could use."""
    own, other = document.language, language_of(path)
    return path != document.path and own is not None and other is not None and _family(own) == _family(other)


def _family(language: Language) -> str:
    # Languages that import each other's files.
    return {"tsx": "javascript", "typescript": "javascript", "cpp": "c"}.get(language.name, language.name)
