"""Which rule says best how much of an answer to show: share shown against share right, and characters won.

    python -m tests.benchmarks.confidence ROOT... [--holes 150] [--answers FILE] [--out PICTURE]

The built-in model answers holes of repositories; the answers are kept in `--answers`, or taken from there. A rule gives
every beginning of an answer a score; what is shown ends, at a whole word or line or not at all, where the score first
falls below a threshold. What is shown is right where the hole begins with it. It is then worth its characters; if
wrong, reading it costs `price` of them. Thresholds are chosen on half of the repositories and judged on the others, in
all ways to divide them.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.answers import HOLES, Answered, Way, answered, judged, right

Floats = NDArray[np.float64]
Rule = Callable[[Floats], Floats]  # log probabilities of an answer's tokens -> the score of each beginning
Cut = Callable[[Sequence[str], int], int]  # texts of tokens, how many of them are trusted -> how many are shown

PRICES = (0.1, 0.2, 0.3, 0.5)  # of a wrong character, in right ones
THRESHOLDS = np.array(
    [0.0, 1e-6, 1e-4, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, *np.arange(0.10, 0.96, 0.05).round(2), 0.98]
)
CHOSEN = "product", "words"
SHOWN_THRESHOLDS = (0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)
RECENT = 3


def mean(logprobs: Floats) -> Floats:
    """Geometric mean of the probabilities: what `SamplingParams.min_confidence` ends a generation by."""
    return np.exp(np.cumsum(logprobs) / np.arange(1, len(logprobs) + 1))


def product(logprobs: Floats) -> Floats:
    return np.exp(np.cumsum(logprobs))


def minimum(logprobs: Floats) -> Floats:
    return np.exp(np.minimum.accumulate(logprobs))


def first(logprobs: Floats) -> Floats:
    return np.exp(np.repeat(logprobs[:1], len(logprobs)))


def first_three(logprobs: Floats) -> Floats:
    means = mean(logprobs[:RECENT])
    return np.concatenate([means, np.repeat(means[-1:], len(logprobs) - len(means))])


def last_three(logprobs: Floats) -> Floats:
    return np.exp(np.array([logprobs[max(end - RECENT, 0) : end].mean() for end in range(1, len(logprobs) + 1)]))


def mean_and_first(logprobs: Floats) -> Floats:
    return np.sqrt(mean(logprobs) * first(logprobs))


def mean_by_root(logprobs: Floats) -> Floats:
    """Between product and mean: the sum over the square root of the length."""
    return np.exp(np.cumsum(logprobs) / np.sqrt(np.arange(1, len(logprobs) + 1)))


RULES: Mapping[str, Rule] = {
    rule.__name__.replace("_", " "): rule
    for rule in (product, minimum, mean, mean_by_root, mean_and_first, first, first_three, last_three)
}


def whole(texts: Sequence[str], trusted: int) -> int:
    return trusted if trusted == len(texts) else 0


def words(texts: Sequence[str], trusted: int) -> int:
    return next(n for n in range(trusted, -1, -1) if not re.search(r"\w\0\w", _divided(texts, n)))


def lines(texts: Sequence[str], trusted: int) -> int:
    """Up to the end of a line: behind a token that breaks it, or before one."""
    ends = (n for n in range(trusted, 0, -1) if n == len(texts) or re.search(r"\n\s*\0|\0\s*\n", _divided(texts, n)))
    return next(ends, 0)


def lines_or_words(texts: Sequence[str], trusted: int) -> int:
    return lines(texts, trusted) or words(texts, trusted)


CUTS: Mapping[str, Cut] = {cut.__name__.replace("_", " "): cut for cut in (whole, words, lines, lines_or_words)}


def _divided(texts: Sequence[str], place: int) -> str:
    return "".join(texts[:place]) + "\0" + "".join(texts[place:])


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer: how much would be shown of it, and how much of that is right, for every number of trusted tokens."""

    repository: str
    logprobs: Floats
    size: Mapping[str, Floats]  # cut -> [tokens + 1] characters shown
    right: Mapping[str, Floats]  # cut -> [tokens + 1] of them, up to the first wrong one
    is_exact: bool  # all of it together is all that stood there


def judge(row: Answered) -> Iterator[Judged]:
    hole = row.hole.rstrip()
    for answer in row.answers:
        texts = [token.text for token in answer]
        shown = {
            name: [judged("".join(texts[: cut(texts, n)]), row.kind) for n in range(len(texts) + 1)]
            for name, cut in CUTS.items()
        }
        yield Judged(
            row.repository,
            np.array([token.logprob for token in answer]),
            {name: np.array([len(text) for text in of]) for name, of in shown.items()},
            {name: np.array([len(right(text, hole)) for text in of]) for name, of in shown.items()},
            judged("".join(texts), row.kind) == hole,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a rule with a cut at each threshold: [thresholds, answers] characters shown, and right ones among them."""

    size: Floats
    right: Floats

    @property
    def is_right(self) -> NDArray[np.bool_]:
        return (self.size > 0) & (self.right == self.size)

    def worth(self, price: float) -> Floats:
        """[thresholds, answers] characters."""
        return np.where(self.is_right, self.size, -price * self.size)


def outcome(answers: Sequence[Judged], rule: Rule, cut: str) -> Outcome:
    places = [_trusted(rule(answer.logprobs)) for answer in answers]
    size = [answer.size[cut][place] for answer, place in zip(answers, places, strict=True)]
    right = [answer.right[cut][place] for answer, place in zip(answers, places, strict=True)]
    return Outcome(np.array(size).T, np.array(right).T)


def _trusted(scores: Floats) -> NDArray[np.intp]:
    """At each threshold, how many tokens stand before the first score below it."""
    below = scores[None, :] < THRESHOLDS[:, None]  # [thresholds, tokens]
    return np.where(below.any(axis=1), below.argmax(axis=1), len(scores)) if len(scores) else below.sum(axis=1)


def cross_validated(answers: Sequence[Judged], worth: Floats) -> tuple[float, float]:
    """Characters an answer on repositories that the threshold was not chosen on, and the median threshold."""
    of = np.array([answer.repository for answer in answers])
    names = sorted(set(of.tolist()))
    gained: list[float] = []
    chosen: list[float] = []
    for known in combinations(names, len(names) // 2):
        is_known = np.isin(of, known)
        best = int(worth[:, is_known].mean(axis=1).argmax())
        gained.append(float(worth[best, ~is_known].mean()))
        chosen.append(float(THRESHOLDS[best]))
    return float(np.mean(gained)), float(np.median(chosen))


def precision(answers: Sequence[Judged], rule: Rule) -> Floats:
    """Share right of the best 1, 2, ... answers by their final score, shown in whole."""
    scores = np.array([rule(answer.logprobs)[-1] if len(answer.logprobs) else 0.0 for answer in answers])
    is_right = np.array([0 < answer.size["whole"][-1] == answer.right["whole"][-1] for answer in answers])
    ordered = is_right[np.argsort(-scores, kind="stable")]
    return np.cumsum(ordered) / np.arange(1, len(ordered) + 1)


def rules_table(answers: Sequence[Judged]) -> Table:
    table = Table(
        "rule", "cut at", "area", *(f"price {price}" for price in PRICES),
        title="characters an answer on unseen repositories (threshold); area under precision by coverage",
        title_justify="left",
    )  # fmt: skip
    for name, rule in RULES.items():
        area = f"{precision(answers, rule).mean():.3f}"
        for cut in CUTS:
            found = outcome(answers, rule, cut)
            worth = (cross_validated(answers, found.worth(price)) for price in PRICES)
            table.add_row(name, cut, area, *(f"{gain:5.2f} ({at:g})" for gain, at in worth))
    everything = outcome(answers, product, "whole")
    table.add_row("all shown", "", "", *(f"{everything.worth(price)[0].mean():5.2f}" for price in PRICES))
    return table


def thresholds_table(answers: Sequence[Judged]) -> Table:
    rule, cut = CHOSEN
    table = Table(
        "threshold", "shown", "right of these", "exact ones shown", "right characters", "wrong", "length",
        *(f"price {price}" for price in PRICES),
        title=f"{rule}, cut at {cut}; characters an answer", title_justify="left",
    )  # fmt: skip
    found = outcome(answers, RULES[rule], cut)
    is_exact = np.array([answer.is_exact for answer in answers])
    for number, threshold in enumerate(THRESHOLDS):
        if threshold not in SHOWN_THRESHOLDS:
            continue
        size, good = found.size[number], found.right[number]
        is_shown, is_right = size > 0, found.is_right[number]
        is_all_shown = size == np.array([answer.size[cut][-1] for answer in answers])
        table.add_row(
            f"{threshold:g}",
            f"{is_shown.mean():.0%}",
            f"{is_right.sum() / is_shown.sum():.0%}",
            f"{(is_all_shown & is_exact).sum() / is_exact.sum():.0%}",
            f"{good.mean():.2f}",
            f"{(size - good).mean():.2f}",
            f"{size[is_shown].mean():.1f}",
            *(f"{found.worth(price)[number].mean():5.2f}" for price in PRICES),
        )
    return table


def calibration_table(answers: Sequence[Judged]) -> Table:
    """Of all beginnings that end with a word: how often they are right, beside what the product says."""
    table = Table("product", "beginnings", "right", title="what the product means", title_justify="left")
    said = np.concatenate([product(answer.logprobs) for answer in answers])
    grows = np.concatenate([np.diff(answer.size["words"]) > 0 for answer in answers])  # or it ends within a word
    good = np.concatenate([(answer.size["words"] == answer.right["words"])[1:] for answer in answers])
    edges = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.01)
    for low, high in pairwise(edges):
        inside = grows & (said >= low) & (said < high)
        table.add_row(f"{low:g} to {min(high, 1):g}", f"{inside.sum()}", f"{good[inside].mean():.0%}")
    return table


def draw(answers: Sequence[Judged], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, gain) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for name, rule in RULES.items():
        curve = precision(answers, rule)
        left.plot(np.arange(1, len(curve) + 1) / len(curve), curve, label=name, linewidth=1)
    left.set(xlabel="share of answers shown, in whole", ylabel="share right of these", ylim=(0, 1))
    left.legend()
    rule, cut = CHOSEN
    found = outcome(answers, RULES[rule], cut)
    for price in PRICES:
        gain.plot(THRESHOLDS, found.worth(price).mean(axis=1), label=f"price {price}", linewidth=1)
    gain.set(xlabel=f"threshold of the {rule}, cut at {cut}", ylabel="characters an answer", ylim=(-4, None))
    gain.axhline(0, color="grey", linewidth=0.5)
    gain.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="*", type=Path)
    parser.add_argument("--holes", type=int, default=HOLES, help="of each repository")
    parser.add_argument("--answers", type=Path, help="where answers are kept; taken from there if it exists")
    parser.add_argument("--out", type=Path, help="a picture: .svg or .png")
    arguments = parser.parse_args()
    rows = answered(arguments.roots, (Way(),), arguments.holes, arguments.answers)
    console = Console(width=150)
    for kinds in (("line", "tail", "block"), ("line", "tail"), ("block",)):
        answers = [each for row in rows if row.kind in kinds for each in judge(row)]
        console.print(f"\n{', '.join(kinds)}: {len(answers)} answers, {sum(a.is_exact for a in answers)} exactly right")
        for table in (rules_table(answers), thresholds_table(answers), calibration_table(answers)):
            console.print(table)
    if arguments.out is not None:
        draw([each for row in rows for each in judge(row)], arguments.out)


if __name__ == "__main__":
    main()
