"""The review itself: places in, those that are asked for, findings out.

Knows neither the command line nor any file format.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from sc2lsp_review.ask import Answer, AskError, ask
from sc2lsp_review.checkout import Source, sources
from sc2lsp_review.diff import Added, Skipped
from sc2lsp_review.places import Place
from sc2lsp_review.rule import Finding, judge


@dataclass(frozen=True, slots=True)
class Limits:
    places: int  # that are asked for, spread over the diff
    findings: int  # that are told, the surest ones
    seconds: float  # for everything that is asked


@dataclass(frozen=True, slots=True)
class Review:
    """What came of a diff. `places`: how many there were, of which `asked` were."""

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    places: int
    asked: int
    model: str
    seconds: float

    @property
    def is_whole(self) -> bool:
        return self.asked == self.places


Progress = Callable[[int, int], None]  # asked, of how many


@dataclass(frozen=True, slots=True)
class Asked:
    source: Source
    place: Place
    answer: Answer


async def review(
    root: Path, files: Sequence[Added | Skipped], command: Sequence[str], limits: Limits, progress: Progress
) -> Review:
    """Ask at the places of a diff. Raises AskError where no model answers."""
    started = time.monotonic()
    read = list(sources(root, files))
    places = [(one, place) for one in read if isinstance(one, Source) for place in one.places]
    asked = await _all_asked(command, spread(places, limits.places), limits.seconds, progress)
    findings = [found for one in asked if (found := judge(one.source, one.place, one.answer)) is not None]
    skipped = [one for one in read if isinstance(one, Skipped)]
    errors = {one.source.path: one.answer.error for one in asked if one.answer.error}
    skipped += [Skipped(path, error) for path, error in errors.items()]
    model = next((one.answer.model for one in asked if one.answer.model), "")
    seconds = round(time.monotonic() - started, 1)
    return Review(surest(findings, limits.findings), tuple(skipped), len(places), len(asked), model, seconds)


async def _all_asked(
    command: Sequence[str], chosen: Sequence[tuple[Source, Place]], seconds: float, progress: Progress
) -> list[Asked]:
    """What was answered in time."""
    asked = list[Asked]()
    if not chosen:
        return asked
    async with aclosing(ask(command, (source.query(place) for source, place in chosen), seconds)) as answers:
        async for answer in answers:
            source, place = chosen[len(asked)]
            if answer.error and not _is_about(answer, source) and not any(one.answer.model for one in asked):
                raise AskError(answer.error)
            asked.append(Asked(source, place, answer))
            progress(len(asked), len(chosen))
    return asked


def _is_about(answer: Answer, source: Source) -> bool:
    """Whether an error is the file's own, such as one that the user's settings exclude, and no model's."""
    return answer.error.startswith(source.path)


def spread(places: Sequence[tuple[Source, Place]], most: int) -> list[tuple[Source, Place]]:
    """At most so many, evenly over the diff, in its order."""
    count = min(most, len(places))
    return [places[index * len(places) // count] for index in range(count)]


def surest(findings: Sequence[Finding], most: int) -> tuple[Finding, ...]:
    """One a line, the model's surest ones, in the order of the diff."""
    lines: dict[tuple[str, int], Finding] = {}
    for finding in sorted(findings, key=lambda one: -one.mean_logprob):
        lines.setdefault((finding.place.path, finding.place.line), finding)
    kept = list(lines.values())[:most]
    return tuple(finding for finding in findings if any(finding is one for one in kept))
