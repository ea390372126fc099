"""One completion: a cursor in, what is shown out.

Everything is read from the session before the first await, in one immutable Target. When to ask, and what is known
already, is the business of `keystroke`.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from sc2lsp.backend import Backend, BackendError, Delta, Model, Token
from sc2lsp.confidence import trusted
from sc2lsp.config import Config
from sc2lsp.context.prompt import MIN_BUDGET, Prompt, build
from sc2lsp.context.retrieve import Snippet, retrieve
from sc2lsp.display import Hidden, Place, is_finished, place_of, show, whole
from sc2lsp.runtime.api import NOTHING, FinishReason, SamplingParams, Usage
from sc2lsp.session import Ranking, Target, names_of
from sc2lsp.trace import Trace

ALTERNATIVES = 3  # drawn on an explicit request, beside the likeliest answer
ALTERNATIVE_TEMPERATURE = 0.8
NEAR_LINES = 2  # within which a ranking serves until the next one is there
UNSURE = "low confidence"  # the rule's name
STAGES = ("context", "prompt", "queue", "prefill", "decode", "display")


Watch = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Completion:
    """Text for the range from `start` to `end`, offsets in code points; natural-logarithm mean over its tokens.

    `rules` names what display changed in it.
    """

    text: str
    start: int
    end: int
    mean_logprob: float
    finish_reason: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote, and what became of it: a completion, or the rule that hides it."""

    raw: str  # behind the cursor
    tokens: tuple[Token, ...]
    outcome: Completion | Hidden


@dataclass(frozen=True, slots=True)
class Result:
    """The completions of one request, as they came, and what they cost."""

    completions: tuple[Completion, ...]
    model: str
    prompt: Prompt
    usage: Usage
    timings_ms: Mapping[str, float]
    answers: tuple[Answer, ...]
    is_block: bool  # whether several lines were asked for


async def complete(target: Target, backend: Backend, alternatives: int = 0, watch: Watch | None = None) -> Result:
    """One completion at the target's cursor, and so many `alternatives`. Cancelling it cancels the generation.

    Whoever watches is told the text whenever it has grown, and has it as soon as what follows would not be shown.
    Raises BackendError.
    """
    trace = Trace()
    with trace.span("context"):
        snippets = find_snippets(target)
    model = await backend.model()
    healed = target.unfinished if model.heals else ""
    with trace.span("prompt"):
        prompts, path = target.folder.prompts, target.document.path
        prompt = prompts[path] = build_prompt(target, snippets, model, last=prompts.get(path), healed=healed)
    with trace.span("display"):
        place = place_of(target.document, target.outline_here, target.offset, target.is_continuation)
    config = target.folder.config
    sampling = sampling_for(config, place, healed)
    reading = _Reading(place, healed, config.min_confidence if not alternatives else 0.0)
    written, said = await reading.all(_generate(backend, target, prompt, sampling), watch)
    usage = said or replace(NOTHING, prompt_tokens=len(prompt.token_ids))  # of an answer that was left early
    if alternatives:
        several = replace(sampling, n=alternatives, temperature=ALTERNATIVE_TEMPERATURE)
        written += (await reading.all(_generate(backend, target, prompt, several), None))[0]
    for stage, milliseconds in (("queue", usage.queue_ms), ("prefill", usage.prefill_ms), ("decode", usage.decode_ms)):
        trace.add(stage, milliseconds)
    with trace.span("display"):
        answers = tuple(reading.answer(one, target.offset) for one in written)
        shown = tuple(answer.outcome for answer in answers if isinstance(answer.outcome, Completion))
    timings = {stage: round(trace.ms.get(stage, 0.0), 3) for stage in STAGES} | {"total": round(trace.total_ms, 3)}
    return Result(shown, model.name, prompt, usage, timings, answers, place.is_block)


def find_snippets(target: Target) -> list[Snippet]:
    """The ranking for the cursor, or the last one of this place: only the first key there waits for one.

    Whoever types lets `rank_snippets` follow once the answer is on its way, where `is_outdated`.
    """
    if target.folder.config.context == "file":
        return []
    last = target.folder.rankings.get(target.document.path)
    if last is not None and (target.is_continuation or abs(last.sought.line - target.sought.line) <= NEAR_LINES):
        return last.snippets
    return rank_snippets(target)


def is_outdated(target: Target) -> bool:
    """Whether a ranking for the cursor would be another one than the last."""
    if target.folder.config.context == "file":
        return False
    last = target.folder.rankings.get(target.document.path)
    return last is None or last.sought != target.sought


def rank_snippets(target: Target) -> list[Snippet]:
    """The ranking for the cursor, which is kept for the next keystrokes."""
    folder, document = target.folder, target.document
    found = retrieve(folder.index, document, target.outline, target.offset, target.recent)
    folder.rankings[document.path] = Ranking(found, target.sought)
    return found


def build_prompt(
    target: Target,
    snippets: list[Snippet],
    model: Model,
    budget: int | None = None,
    last: Prompt | None = None,
    healed: str = "",
) -> Prompt:
    """The prompt within `budget`, by default the configured one or what the model's context leaves.

    With the document's `last` prompt, snippets keep their places; what is `healed` is left out at its end. Raises
    BackendError where that is nothing.
    """
    config, files = target.folder.config, target.folder.index.files
    room = model.context_length - config.max_tokens
    if budget is None and room < MIN_BUDGET:
        raise BackendError(
            f"max_tokens = {config.max_tokens} leaves no room in a context of {model.context_length} tokens"
        )
    return build(
        target.document,
        target.offset,
        snippets,
        repo=target.folder.name,
        budget=budget or min(config.budget, room),
        encode=model.encode,
        control=model.fim_tokens,
        order=config.order,
        last=last,
        version_of=lambda path: None if (entry := files.get(path)) is None else entry.digest,
        healed=healed,
    )


def sampling_for(config: Config, place: Place, forced: str) -> SamplingParams:
    """How to answer at a place, to a prompt that lacks the `forced` word there."""
    return SamplingParams(
        config.max_tokens,
        config.temperature,
        stop=place.stop,
        max_lines=place.max_lines,
        min_indent=place.min_indent,
        forced=forced,
    )


def written(text: str, healed: str) -> str:
    """What an answer adds to the text before the cursor; nothing where it ended before that was written again."""
    return text[len(healed) :] if text.startswith(healed) else ""


@dataclass(slots=True)
class _Written:
    """One answer as it comes."""

    tokens: list[Token] = field(default_factory=list)
    finish_reason: FinishReason = "stop"


def _generate(backend: Backend, target: Target, prompt: Prompt, sampling: SamplingParams) -> AsyncGenerator[Delta]:
    workspace, document = names_of(target.folder, target.document.path)
    return backend.generate(workspace, document, prompt.token_ids, sampling)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How answers are read: what they begin with that is in the text already, and how much of them is trusted."""

    place: Place
    healed: str
    min_confidence: float

    async def all(self, deltas: AsyncGenerator[Delta], watch: Watch | None) -> tuple[list[_Written], Usage | None]:
        """All answers; of one that is watched as much as will be shown."""
        answers: defaultdict[int, _Written] = defaultdict(_Written)
        usage: Usage | None = None
        async with aclosing(deltas):
            async for delta in deltas:
                answer = answers[delta.index]
                answer.tokens += delta.tokens
                answer.finish_reason = delta.finish_reason or "stop"
                usage = delta.usage or usage
                if watch is not None:
                    text = self.text(answer.tokens)
                    watch(text)
                    if self._trusted(answer.tokens) < len(answer.tokens) or is_finished(text, self.place):
                        break  # tokens to come cannot change what is shown
        return [answers[index] for index in sorted(answers)], usage

    def text(self, tokens: Sequence[Token]) -> str:
        return written("".join(token.text for token in tokens), self.healed)

    def _trusted(self, tokens: Sequence[Token]) -> int:
        """How many of the tokens are shown; those that only repeat what the user typed are no guess."""
        repeated = length = 0
        while repeated < len(tokens) and (length := length + len(tokens[repeated].text)) <= len(self.healed):
            repeated += 1
        return repeated + trusted(tokens[repeated:], self.min_confidence)

    def answer(self, one: _Written, offset: int) -> Answer:
        """What becomes of an answer at the cursor."""
        tokens, raw = tuple(one.tokens), self.text(one.tokens)
        if one.finish_reason == "cancelled":
            return Answer(raw, tokens, Hidden("cancelled"))
        kept = self._trusted(tokens)
        text = self.text(tokens[:kept])
        broke_off = one.finish_reason == "length" and kept == len(tokens)
        shown = show(whole(text, self.place) if broke_off else text, self.place)
        if isinstance(shown, Hidden):
            return Answer(raw, tokens, Hidden(UNSURE) if kept < len(tokens) else shown)
        logprobs = [token.logprob for token in tokens[:kept] if token.logprob is not None]
        mean = round(sum(logprobs) / max(len(logprobs), 1), 4)
        rules = (UNSURE, *shown.rules) if kept < len(tokens) else shown.rules
        completion = Completion(shown.text, offset, offset + shown.replaces, mean, one.finish_reason, rules)
        return Answer(raw, tokens, completion)
