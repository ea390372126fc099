"""How good an answer is, and how sure a figure: plain functions of texts and numbers.

Knows no model, no file and no case.
"""

import keyword
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from sc2lsp.context.words import WORD

Z = 1.959964  # standard normal, two-sided 95 %
RESAMPLES = 2000

# Of every language that holes are cut into: what two texts share because the language says so. Names that a program may
# define in one of them (`type`, `range`) are left out.
KEYWORDS = frozenset(keyword.kwlist) | frozenset(
    "abstract async await boolean break byte case catch char class const continue debugger default defer delete do"
    " double dyn else enum export extends fallthrough false final finally fn for func function go goto if impl"
    " implements import in instanceof interface let long loop mod move mut new nil null package private"
    " protected pub public readonly ref return select short sizeof static struct super switch this throw throws"
    " trait true try typedef typeof undefined unsafe use using var void volatile where while with yield".split()
)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def exact_line(answer: str, hole: str) -> bool:
    """Whether the answer's first line is the hole, white space at its end aside."""
    return answer.partition("\n")[0].rstrip() == hole.rstrip()


def exact_lines(answer: str, hole: str) -> bool:
    """Whether the answer is the hole, white space at the ends of lines aside."""
    return _right_stripped(answer) == _right_stripped(hole)


def edit_similarity(answer: str, hole: str) -> float:
    """1 - Levenshtein distance / the longer length; 1 for two empty texts."""
    return Levenshtein.normalized_similarity(answer.strip(), hole.strip())


def identifier_f1(answer: str, hole: str) -> float | None:
    """F1 of the identifiers as multisets, keywords aside; None where the hole has none."""
    written, wanted = _identifiers(answer), _identifiers(hole)
    if not wanted:
        return None
    common = (written & wanted).total()
    return 2 * common / (written.total() + wanted.total())


def bits_per_byte(nats: Sequence[float], sizes: Sequence[int]) -> float:
    """Of several texts together: nats of each, and its bytes."""
    return sum(nats) / math.log(2) / sum(sizes)


def wilson(hits: int, count: int) -> Interval:
    """A share and its Wilson score interval (E. B. Wilson, 1927)."""
    if not count:
        return Interval(math.nan, math.nan, math.nan)
    share = hits / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    # Rounded, an end may come to lie on the wrong side of a share of 0 or 1.
    return Interval(share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))


def mean(values: Sequence[float]) -> Interval:
    """A mean and its bootstrap interval; always the same for the same values."""
    if not values:
        return Interval(math.nan, math.nan, math.nan)
    sample = np.array(values)
    means = sample[_drawn(len(sample))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(sample.mean()), float(low), float(high))


def relative_gain(better: Sequence[bool], base: Sequence[bool]) -> Interval | None:
    """(mean of `better` - mean of `base`) / mean of `base`, on the same cases; None where `base` never hits.

    The interval is a bootstrap's over cases, of the draws in which `base` hits.
    """
    if not any(base):
        return None
    drawn = _drawn(len(base))
    one, other = np.array(better)[drawn].mean(axis=1), np.array(base)[drawn].mean(axis=1)
    gains = (one[other > 0] - other[other > 0]) / other[other > 0]
    low, high = np.quantile(gains, (0.025, 0.975))
    return Interval(sum(better) / sum(base) - 1, float(low), float(high))


def percentile(values: Sequence[float], percent: float) -> float:
    """NaN of nothing."""
    return float(np.percentile(values, percent)) if len(values) else math.nan


def _right_stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _identifiers(text: str) -> Counter[str]:
    return Counter(word for word in WORD.findall(text) if word not in KEYWORDS)


def _drawn(count: int) -> "np.ndarray[tuple[int, int], np.dtype[np.intp]]":
    """[RESAMPLES, count] numbers of cases, drawn with replacement."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
