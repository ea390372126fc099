"""When an answer is worth a reviewer's look: the rule, its thresholds and what they were chosen by.

Knows the text at a place and what the model said there; asks nobody, writes nothing.
"""

import re
from dataclasses import dataclass

from sc2lsp_review.ask import Answer
from sc2lsp_review.checkout import Source, indent_below, is_plain
from sc2lsp_review.places import NOT_ASKED, Place, tree_of
from sc2lsp_review.unfinished import PLACEHOLDER

NAME = re.compile(r"[^\W\d][\w$]*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """How sure the model has to be of a name: natural logarithm, and characters written on as the line goes on."""

    mean_logprob: float
    agreeing: int


# Chosen on this repository's history, measured on releases of httpx, flask, trio and rich: 1,016 names in 13 diffs and
# the built-in model (`python -m tests.benchmarks.review ROOTS --commits 4 --places 80`, 2026-11-22):
#
#     mean log-probability, agreeing   names falsely reported   swapped names found   and the right one told
#     -0.1, 0                          0.9 %                    11.5 %                11.0 %
#     -0.3, 0                          4.9 %                    29.5 %                25.3 %
#     -0.1, 3                          0.3 %                     7.2 %                 7.0 %
#     -0.3, 3                          0.6 %                    14.4 %                13.9 %
#     -0.5, 3                          0.9 %                    15.3 %                14.5 %
#
# What tells is that the answer goes on as the line does: a mistake in one word leaves the rest of the line right.
USUAL = Threshold(-0.3, 3)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: what the model would have written at a place. `lines` would replace the place's line."""

    place: Place
    suggested: str
    lines: tuple[str, ...]
    mean_logprob: float

    @property
    def message(self) -> str:
        """Plain words. Of the code it holds names only: nothing in it can be markup."""
        if self.place.kind == "unfinished":
            return "Nothing is written here yet. The model would begin like this: a draft that nobody has checked."
        said = f"{self.place.written} stands here; the model would have written {self.suggested}"
        return f"{said} and gone on as the line does. Is it the name that was meant?"


def judge(source: Source, place: Place, answer: Answer, threshold: Threshold = USUAL) -> Finding | None:
    """What an answer of the batch is worth."""
    if not answer.completions:
        return None
    text, mean_logprob = answer.completions[0].text, answer.completions[0].mean_logprob
    if place.kind == "unfinished":
        return _draft(source, place, text, mean_logprob)
    if mean_logprob < threshold.mean_logprob:
        return None
    return _other_name(source, place, text, mean_logprob, threshold.agreeing)


def _other_name(source: Source, place: Place, text: str, mean_logprob: float, least: int) -> Finding | None:
    """Another name that the file has, after which the model writes on as the line does."""
    match, row = NAME.match(text), source.row(place)
    if match is None or match[0] in {place.written, *NOT_ASKED} or not source.has_name(match[0]):
        return None
    before, after = row[: place.start - 1], row[place.end - 1 :]
    agreeing = text[match.end() :].split("\n")[0].rstrip()
    if len(agreeing.strip()) < least or not after.startswith(agreeing):
        return None
    return Finding(place, match[0], (before + match[0] + after,), mean_logprob)


def _draft(source: Source, place: Place, text: str, mean_logprob: float) -> Finding | None:
    """Something other than a placeholder in place of it, which the parser makes sense of."""
    written, row = text.rstrip().split("\n"), source.row(place)
    if not text.strip() or PLACEHOLDER.fullmatch(text.strip()) or not all(map(is_plain, written)):
        return None
    lines = [row[: place.start - 1] + written[0]] if place.written else [row, indent_below(row) + written[0].lstrip()]
    lines += written[1:]
    tree = tree_of(place.path, "\n".join((*source.rows[: place.line - 1], *lines, *source.rows[place.line :])))
    if tree is None or tree.root_node.has_error:
        return None
    return Finding(place, "\n".join(written), tuple(lines), mean_logprob)
