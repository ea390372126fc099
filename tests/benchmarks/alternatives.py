"""Which of several answers to offer first, and how to draw them for an explicit request.

    python -m tests.benchmarks.alternatives ROOT... [--holes 150] [--answers FILE]

The built-in model answers holes of repositories once greedily and N times at random, in several ways; the answers are
kept in `--answers`, or taken from there. Offered are the random ones alone, or the greedy one with all but one of them.
An answer is right where it is what stood there; `any`: whether one of those offered is, by order: whether the first is.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
from rich.console import Console
from rich.table import Table

from sc2lsp.alternatives import Flaw, flaws, rank
from sc2lsp.completion import Completion
from sc2lsp.eval.cases import Case, opened
from sc2lsp.eval.metrics import wilson
from sc2lsp.session import Target
from tests.benchmarks.answers import HOLES, Answered, Way, answered, cases_of, judged

N = 4
GREEDY = Way()
NARROWED = ((0.4, 1.0), (0.8, 1.0), (1.0, 1.0), (0.8, 0.95), (1.0, 0.9))  # temperature, top_p
WAYS = (GREEDY, *(Way(temperature, top_p, N) for temperature, top_p in NARROWED))


@dataclass(frozen=True, slots=True)
class Offer:
    """An answer, how many say the same, and what is known of it."""

    completion: Completion
    votes: int
    flaw: Flaw
    is_right: bool


@dataclass(frozen=True, slots=True)
class Hole:
    """What is offered in a hole by each way, without doubles: from the answers alone, and with the greedy one."""

    alone: Mapping[Way, Sequence[Offer]]
    with_greedy: Mapping[Way, Sequence[Offer]]
    rank_ms: Sequence[float]


ORDERS: Mapping[str, Callable[[Offer], tuple[float, ...]]] = {
    "probability": lambda offer: (-offer.completion.mean_logprob,),
    "+ syntax": lambda offer: (offer.flaw is Flaw.SYNTAX, -offer.completion.mean_logprob),
    "+ names": lambda offer: (offer.flaw is Flaw.NAME, -offer.completion.mean_logprob),
    "+ both": lambda offer: (offer.flaw, -offer.completion.mean_logprob),
    "votes": lambda offer: (-offer.votes, -offer.completion.mean_logprob),
    "votes + both": lambda offer: (offer.flaw, -offer.votes, -offer.completion.mean_logprob),
}


def holes_of(root: Path, rows: Sequence[Answered], holes: int) -> Iterator[Hole]:
    by_place: dict[tuple[str, int, str], dict[Way, Answered]] = defaultdict(dict)
    for row in rows:
        if row.repository == root.name:
            by_place[row.path, row.start, row.kind][row.way] = row
    workspace, cases = cases_of(root, holes)
    for case in cases:
        of_case = by_place[case.hole.path, case.hole.start, case.hole.kind]
        with opened(workspace, case) as shown:
            yield _hole(case, shown.at_hole.target, of_case)


def _hole(case: Case, target: Target, rows: Mapping[Way, Answered]) -> Hole:
    completions = {way: list(_completions(row, target.offset)) for way, row in rows.items()}
    greedy = completions.pop(GREEDY)
    alone, joined, spent = dict[Way, list[Offer]](), dict[Way, list[Offer]](), list[float]()
    for way, drawn in completions.items():
        started = process_time()
        rank(drawn, target)
        spent.append((process_time() - started) * 1e3)
        alone[way] = _offers(drawn, target, case)
        joined[way] = _offers(greedy + drawn[: N - 1], target, case)
    return Hole(alone, joined, spent)


def _completions(row: Answered, offset: int) -> Iterator[Completion]:
    for answer, reason in zip(row.answers, row.reasons, strict=True):
        text = judged("".join(token.text for token in answer), row.kind)
        logprobs = [token.logprob for token in answer if token.logprob is not None]
        if text.strip():
            yield Completion(text, offset, offset, sum(logprobs) / len(logprobs), reason)


def _offers(completions: Sequence[Completion], target: Target, case: Case) -> list[Offer]:
    votes = Counter("".join(completion.text.split()) for completion in completions)
    distinct = rank(completions, target)
    return [
        Offer(completion, votes["".join(completion.text.split())], flaw, completion.text == case.middle.rstrip())
        for completion, flaw in zip(distinct, flaws(distinct, target), strict=True)
    ]


def table_of(holes: Sequence[Hole], greedy: float) -> Table:
    table = Table(
        "temperature", "top_p", "offered", "distinct", "any", *ORDERS,
        title=f"share of {len(holes)} holes; the greedy answer is right in {greedy:.1%}", title_justify="left",
    )  # fmt: skip
    for way in WAYS[1:]:
        for name, offered in (
            (f"{N} drawn", [hole.alone[way] for hole in holes]),
            (f"greedy, {N - 1} drawn", [hole.with_greedy[way] for hole in holes]),
        ):
            found = wilson(sum(any(offer.is_right for offer in offers) for offers in offered), len(offered))
            table.add_row(
                f"{way.temperature:g}",
                f"{way.top_p:g}",
                name,
                f"{np.mean([len(offers) for offers in offered]):.2f}",
                f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]",
                *(f"{_first_right(offered, order):.1%}" for order in ORDERS.values()),
            )
    return table


def _first_right(offered: Sequence[Sequence[Offer]], order: Callable[[Offer], tuple[float, ...]]) -> float:
    return float(np.mean([bool(offers) and min(offers, key=order).is_right for offers in offered]))


def flaws_table(holes: Sequence[Hole]) -> Table:
    offers = [offer for hole in holes for of_way in hole.alone.values() for offer in of_way]
    table = Table("flaw", "answers", "right", title="what a flaw says of an answer", title_justify="left")
    for flaw in Flaw:
        right = [offer.is_right for offer in offers if offer.flaw is flaw]
        table.add_row(flaw.name, f"{len(right) / len(offers):.1%}", f"{np.mean(right):.1%}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument("--holes", type=int, default=HOLES, help="of each repository")
    parser.add_argument("--answers", type=Path, help="where answers are kept; taken from there if it exists")
    arguments = parser.parse_args()
    rows = answered(arguments.roots, WAYS, arguments.holes, arguments.answers)
    greedy = [row for row in rows if row.way == GREEDY]
    right = np.mean([judged("".join(t.text for t in row.answers[0]), row.kind) == row.hole.rstrip() for row in greedy])
    holes = [hole for root in arguments.roots for hole in holes_of(root.resolve(), rows, arguments.holes)]
    console = Console(width=150)
    console.print(table_of(holes, float(right)))
    console.print(flaws_table(holes))
    p50, p95 = np.percentile([ms for hole in holes for ms in hole.rank_ms], (50, 95))
    console.print(f"rank(), processor time: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


if __name__ == "__main__":
    main()
