"""One case and one model -> rows: prompts as completion builds them, an answer to each, and its scores.

What is asked of the model goes through `Respondent`, which the runtime's scorer is; no torch here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from sc2lsp.backend import Model
from sc2lsp.completion import written
from sc2lsp.context.prompt import MIN_BUDGET, Prompt
from sc2lsp.display import Place, Shown, place_of, show
from sc2lsp.display.ending import ending
from sc2lsp.eval.cases import Case, Opened, Variant, View, build
from sc2lsp.eval.holes import Kind
from sc2lsp.eval.metrics import edit_similarity, exact_line, exact_lines, identifier_f1
from sc2lsp.eval.records import Key, Row, Timing
from sc2lsp.feed import LONGEST
from sc2lsp.headless import InputError, Workspace
from sc2lsp.runtime.api import Indexed, SamplingParams, Usage

# An editor's suggestion ends after `max_tokens` of the configuration; a block is given the room to be right.
ROOM: dict[Kind, int] = {"line": 64, "tail": 64, "block": 192}


class _Answer(Protocol):
    @property
    def token_ids(self) -> tuple[int, ...]: ...
    @property
    def usage(self) -> Usage: ...


class _Likelihood(Protocol):
    @property
    def nats(self) -> float: ...
    @property
    def end_nats(self) -> float: ...


class Respondent(Protocol):
    """What `runtime.evaluate.Scorer` offers."""

    def forget(self) -> None: ...
    def put_document(self, indexed: Indexed) -> None: ...
    def answer(self, document: str, prompt: tuple[int, ...], sampling: SamplingParams, workspace: str) -> _Answer: ...
    def likelihood(
        self, document: str, prompt: tuple[int, ...], middle: tuple[int, ...], workspace: str
    ) -> _Likelihood: ...


TAUGHT = "full"  # the context of the variants for which the model may look into other files, and their workspace


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under evaluation: who answers, what prompts are built with, and which weights these are."""

    respondent: Respondent
    model: Model
    weights: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A prompt in its variant, with what it took to build it."""

    prompt: Prompt
    forced: str  # what the answer begins with, and the prompt lacks
    context_ms: float
    prompt_ms: float


def key_of(subject: Subject, case: Case, variant: Variant) -> Key:
    """The key that the row will have."""
    hole = case.hole
    names = subject.model.name, subject.weights
    return *names, variant.context, variant.order, hole.path, hole.start, hole.end, hole.kind


def teach_all(subject: Subject, workspace: Workspace) -> None:
    """Let the model see the workspace's files as the language server does; for answers with context alone."""
    text_of = workspace.session.texts(workspace.folder)
    for path in workspace.folder.index.files:
        teach(subject, path, text_of(path) or "")


def teach(subject: Subject, path: str, text: str) -> None:
    """What a file says from now on."""
    subject.respondent.put_document(Indexed(TAUGHT, path, tuple(subject.model.tokenize(text)[:LONGEST])))


def measure(
    subject: Subject, case: Case, opened: Opened, variants: Sequence[Variant], budget: int, is_timed_warm: bool
) -> Iterator[Row]:
    """A row for each variant. Cold is a document the model never saw; warm, where asked for, a keystroke later."""
    limit = min(budget, subject.model.context_length - ROOM[case.hole.kind])
    if limit < MIN_BUDGET:
        raise InputError(f"{subject.model.name}: a context of {subject.model.context_length} tokens is too short")
    typed = opened.after_typing() if is_timed_warm else None
    teach(subject, case.hole.path, case.prefix + case.suffix)  # nobody may find the hole in its own file
    for variant in variants:
        yield _row(subject, case, opened.at_hole, typed, variant, limit)
    teach(subject, case.hole.path, case.prefix + case.middle + case.suffix)


def _row(subject: Subject, case: Case, view: View, typed: View | None, variant: Variant, limit: int) -> Row:
    subject.respondent.forget()
    asked = _ask(subject.model, view, variant, limit, None)
    place = _place(view)
    text, cold = _generate(subject, variant, case, asked, place)
    unhealed = build(subject.model, view, variant, limit)
    likelihood, size = _likelihood(subject, variant, case, unhealed), len(case.middle.encode())
    warm = None
    if typed is not None:
        again = _ask(subject.model, typed, variant, limit, asked.prompt)
        warm = _generate(subject, variant, case, again, _place(typed))[1]
    compared = _compared(case, text, place)
    found = show(text, place)
    shown = found.text if isinstance(found, Shown) else None
    return Row(
        model=subject.model.name,
        weights=subject.weights,
        context=variant.context,
        order=variant.order,
        kind=case.hole.kind,
        path=case.hole.path,
        start=case.hole.start,
        end=case.hole.end,
        line=case.prefix.count("\n") + 1,
        hole=case.middle,
        answer=text,
        shown=shown,
        prompt_tokens=len(asked.prompt.token_ids),
        snippets=len(asked.prompt.snippets),
        exact=(exact_lines if case.hole.kind == "block" else exact_line)(compared, case.middle),
        shown_match=shown is not None and exact_lines(shown, case.middle),
        edit_similarity=round(edit_similarity(compared, case.middle), 4),
        identifier_f1=identifier_f1(compared, case.middle),
        size=size,
        tokens=len(subject.model.encode(case.middle)),
        nats=None if likelihood is None else round(likelihood.nats, 4),
        end_nats=None if likelihood is None else round(likelihood.end_nats, 4),
        cold=cold,
        warm=warm,
    )


def _ask(model: Model, view: View, variant: Variant, limit: int, last: Prompt | None) -> _Asked:
    started = perf_counter()
    forced = view.target.unfinished
    prompt = build(model, view, variant, limit, last, forced)
    prompt_ms = (perf_counter() - started) * 1e3
    return _Asked(prompt, forced, view.context_ms if variant.context == "full" else 0.0, prompt_ms)


def _place(view: View) -> Place:
    target = view.target
    return place_of(target.document, target.outline, target.offset)


def _generate(subject: Subject, variant: Variant, case: Case, asked: _Asked, place: Place) -> tuple[str, Timing]:
    """Greedy, and ended where the editor's suggestion would end."""
    sampling = SamplingParams(
        ROOM[case.hole.kind],
        stop=place.stop,
        max_lines=place.max_lines,
        min_indent=place.min_indent,
        forced=asked.forced,
    )
    answer = subject.respondent.answer(case.hole.path, asked.prompt.token_ids, sampling, variant.context)
    usage = answer.usage
    timing = Timing(
        context=round(asked.context_ms, 3),
        prompt=round(asked.prompt_ms, 3),
        prefill=round(usage.prefill_ms, 3),
        decode=round(usage.decode_ms, 3),
        tokens=len(answer.token_ids),
        cached=usage.cached_tokens,
    )
    return written(subject.model.decode(answer.token_ids), asked.forced), timing


def _likelihood(subject: Subject, variant: Variant, case: Case, prompt: Prompt) -> _Likelihood | None:
    """None for a hole that takes more tokens than its kind has room for: so it is in every variant."""
    middle = tuple(subject.model.encode(case.middle))
    if len(middle) > ROOM[case.hole.kind]:
        return None
    return subject.respondent.likelihood(case.hole.path, prompt.token_ids, middle, variant.context)


def _compared(case: Case, text: str, place: Place) -> str:
    """The part of an answer that stands for the hole."""
    if case.hole.kind != "block":
        return text.partition("\n")[0]
    found = ending(text, place)
    return text if found is None else text[: found.cut]
