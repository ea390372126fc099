"""What the code-review bot of `editors/ci` is worth: real diffs, and the same with one name swapped for another.

    python -m tests.benchmarks.review REPOSITORY... [--commits N] [--places N] [--json PATH]

Every commit of a repository is reviewed as it is: what the bot says of it is taken for a false alarm. Then the name at
each place is swapped for the most similar other one that is used nearby. The bot shows a model nothing of a line from
the name on: one answer serves for both. Repositories are cloned, never changed.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2] / "editors" / "ci"))

from sc2lsp_review.ask import Answer, ask, batch_command
from sc2lsp_review.bot import spread
from sc2lsp_review.checkout import Source, sources
from sc2lsp_review.diff import git_diff, parse
from sc2lsp_review.places import Place, names, tree_of
from sc2lsp_review.rule import USUAL, Threshold, judge

NEARBY = 40  # lines before a name in which another one is looked for
SECONDS = 3600.0  # for one commit
THRESHOLDS = [Threshold(logprob, agreeing) for agreeing in (0, 3) for logprob in (-0.1, -0.2, -0.3, -0.5)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one threshold makes of all places. Each is a false alarm or not, and a swapped name found or not."""

    threshold: Threshold
    alarms: int
    alarmed_diffs: int
    found: int  # the swapped name is pointed at ...
    mended: int  # ... and the right one suggested


@dataclass(frozen=True, slots=True)
class Asked:
    """A place with the model's answer, and the file with another name there."""

    diff: str
    source: Source
    place: Place
    swapped: Source
    swapped_place: Place
    answer: Answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--commits", type=int, default=20, help="the last so many with changes in Python files")
    parser.add_argument("--places", type=int, default=40, help="of each at most, spread over it")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    started = perf_counter()
    asked = [one for root in arguments.repositories for one in measure(root, arguments.commits, arguments.places)]
    outcomes = [outcome(asked, threshold) for threshold in THRESHOLDS]
    print_outcomes(asked, outcomes, (perf_counter() - started) / max(len(asked), 1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))


def measure(repository: Path, commits: int, most: int) -> Iterator[Asked]:
    """Every place of the last commits, asked."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / repository.resolve().name
        git("clone", "--quiet", "--shared", str(repository.resolve()), str(clone))
        listed = git("-C", str(clone), "log", "--no-merges", "--format=%H %P", f"-n{commits + 1}", "--", "*.py")
        for commit, *parents in (line.split() for line in listed.splitlines()[:commits]):
            if parents:
                git("-C", str(clone), "checkout", "--quiet", commit)
                yield from asyncio.run(_asked(clone, commit, parents[0], most))


def outcome(asked: Sequence[Asked], threshold: Threshold) -> Outcome:
    alarms = [one for one in asked if judge(one.source, one.place, one.answer, threshold)]
    swapped = [(one, judge(one.swapped, one.swapped_place, one.answer, threshold)) for one in asked]
    found = [(one, finding) for one, finding in swapped if finding is not None]
    mended = sum(finding.suggested == one.place.written for one, finding in found)
    return Outcome(threshold, len(alarms), len({one.diff for one in alarms}), len(found), mended)


def print_outcomes(asked: Sequence[Asked], outcomes: Sequence[Outcome], seconds: float) -> None:
    diffs = len({one.diff for one in asked})
    title = f"{len(asked)} names in {diffs} diffs, {seconds:.2f} s a name; * is what the bot uses"
    table = Table("mean log-probability", "agreeing", "false alarms", "diffs with one", "swaps found", title=title)
    table.add_column("right name")
    for one in outcomes:
        mark = "*" if one.threshold == USUAL else ""
        share = [f"{count / max(len(asked), 1):.1%}" for count in (one.alarms, one.found, one.mended)]
        said = (f"{mark}{one.threshold.mean_logprob}", f"{one.threshold.agreeing}", f"{share[0]} ({one.alarms})")
        table.add_row(*said, f"{one.alarmed_diffs} of {diffs}", share[1], share[2])
    Console(width=120).print(table)


async def _asked(clone: Path, commit: str, parent: str, most: int) -> list[Asked]:
    read = [one for one in sources(clone, parse(git_diff(clone, parent))) if isinstance(one, Source)]
    places = [(one, place) for one in read for place in one.places if place.kind == "name"]
    chosen = [(*one, *swapped) for one in spread(places, most) if (swapped := swap(*one)) is not None]
    queries = (source.query(place) for source, place, *_ in chosen)
    answers = [answer async for answer in ask(batch_command(None, clone, None), queries, SECONDS)] if chosen else []
    return [Asked(commit, *one, answer) for one, answer in zip(chosen, answers, strict=True)]


def swap(source: Source, place: Place) -> tuple[Source, Place] | None:
    """The file with the most similar other name of the same kind that is used shortly before; None without one."""
    tree = tree_of(source.path, "\n".join(source.rows))
    assert tree is not None
    near = range(max(place.line - NEARBY, 1), place.line + 1)
    used = {
        one.written for one in names(source.path, tree, source.rows, near) if _kind(source, one) == _kind(source, place)
    }
    others = sorted(used - {place.written}, key=lambda name: (SequenceMatcher(None, name, place.written).ratio(), name))
    if not others:
        return None
    row = source.row(place)
    rows = [*source.rows]
    rows[place.line - 1] = row[: place.start - 1] + others[-1] + row[place.end - 1 :]
    return replace(source, rows=rows), replace(place, written=others[-1], end=place.start + len(others[-1]))


def _kind(source: Source, place: Place) -> bool:
    """Whether a name is a member of something."""
    return source.row(place)[: place.start - 1].endswith(".")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
