"""From a cursor to ranked snippets of other files: signatures of what is likely needed, and code that resembles it.

Only the window around the cursor, the candidates and the best chunks are looked at, never the workspace. A snippet's
score is a probability: that the code at the cursor mentions what a signature defines, or that a usage chunk holds a
name that the code needs and the file lacks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from .candidates import Candidates, candidates, is_kin
from .cursor import Cursor, look
from .document import Document
from .index import Index, Place
from .lexical import Hit
from .outline import Outline
from .ranker import log_odds

MAX_HITS = 30
ASKED_HITS = 80  # some are of the file itself, of another language, or copies
COPY = 0.7  # of the words of the shorter chunk: so many in common, and one says nothing new
MAX_SIGNATURES = 500
THRESHOLD = 1e-6  # below it nothing at all speaks for a signature
OVERHEAD = 20  # code points that a snippet costs beside its text
COST_POWER = 0.5  # 1 ranks by value for each byte, 0 by value alone; measured between .3 and .7 as good as equal
USAGE_SHARE, USAGE_SHARE_LATE = 0.5, 0.35  # of a ranking, as far down as one reads: at first half of it ...
USAGE_EARLY = 2500  # ... until they take so many code points
CALLED = 8.0  # added to the log odds of what is called at the cursor: its name is written, its parameters are needed
RECENT, RECENT_FALL = 0.7, 0.8  # what the latest file adds to log odds, and each one before it of that; set by hand
USAGE_BEST, USAGE_FALL = 0.12, 20.0  # measured: .12 of the first chunks held such a name, .07 of the tenth, .04 of all


@dataclass(frozen=True, slots=True)
class Snippet:
    """Whole lines of another file, end exclusive; the text ends with `\\n`."""

    path: str
    start_line: int
    end_line: int
    kind: str  # "signature" or "usage"
    score: float
    text: str
    name: str = ""  # what a signature defines


def retrieve(index: Index, document: Document, outline: Outline, offset: int, recent: Sequence[str]) -> list[Snippet]:
    """Snippets for a cursor, best value for their length first, none of them from the document itself.

    `recent` are the files that were opened, edited or looked at last, the latest first.
    """
    cursor = look(document, outline, offset)
    hits = similar(index, document, cursor)
    found = candidates(index, document, outline.imports, cursor, hits)
    boosts = {path: RECENT * RECENT_FALL**age for age, path in enumerate(recent)}
    signatures = _signatures(found, cursor.callee, boosts)
    return list(_mixed(signatures, [_usage(rank, hit, boosts) for rank, hit in enumerate(hits)]))


def _signatures(found: Candidates, callee: str, boosts: Mapping[str, float]) -> list[Snippet]:
    """What is likely enough, in the order of value for length."""
    raised = log_odds(found) + np.array([boosts.get(path, 0.0) for path, _ in found.places])
    called = [number for number, (_, tag) in enumerate(found.places) if tag.name == callee]
    if called:
        raised[max(called, key=raised.__getitem__)] += CALLED
    scores = 1 / (1 + np.exp(-np.clip(raised, -30, 30)))
    sizes = np.array([len(tag.signature) for _, tag in found.places], dtype=np.float64)
    order = np.argsort(-scores / (sizes + OVERHEAD) ** COST_POWER, kind="stable").tolist()
    likely = [number for number in order if scores[number] >= THRESHOLD][:MAX_SIGNATURES]
    return [_signature(found.places[number], float(scores[number])) for number in likely]


def similar(index: Index, document: Document, cursor: Cursor) -> list[Hit]:
    """Chunks of other files that resemble the lines around the cursor, best first; of near copies the first."""
    chosen: list[Hit] = []
    seen: list[set[str]] = []
    for hit in index.lexical.search(cursor.terms, ASKED_HITS):
        words = set(hit.text.split())
        copied = any(len(words & others) > COPY * min(len(words), len(others)) for others in seen)
        if not copied and is_kin(document, hit.path):
            chosen.append(hit)
            seen.append(words)
            if len(chosen) == MAX_HITS:
                break
    return chosen


def _signature(place: Place, score: float) -> Snippet:
    path, tag = place
    end = max(tag.signature_end, tag.start_line + 1)
    return Snippet(path, tag.start_line, end, "signature", score, tag.signature, tag.name)


def _usage(rank: int, hit: Hit, boosts: Mapping[str, float]) -> Snippet:
    text = f"{hit.text.rstrip()}\n"
    score = USAGE_BEST * exp(-rank / USAGE_FALL) * (1 + boosts.get(hit.path, 0.0))
    return Snippet(hit.path, hit.start_line, hit.start_line + text.count("\n"), "usage", min(score, 1.0), text)


def _usage_cap(length: int) -> float:
    return max(USAGE_SHARE_LATE * length, min(USAGE_SHARE * length, USAGE_EARLY))


def _mixed(signatures: Sequence[Snippet], usages: Sequence[Snippet]) -> Iterator[Snippet]:
    """Both rankings as one, so that however much of it is shown, usages are their share of it."""
    spent = used = 0
    waiting = iter(usages)
    usage = next(waiting, None)
    for signature in signatures:
        while usage is not None and used + len(usage.text) <= _usage_cap(spent + used + len(usage.text)):
            yield usage
            used += len(usage.text)
            usage = next(waiting, None)
        yield signature
        spent += len(signature.text)
    if usage is not None:
        yield usage
        yield from waiting
