"""The keystroke path: a cursor in, what the editor shows out.

Everything is read from the session before the first await, in one immutable Target.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter

from sc2lsp.backend import Backend, BackendError, Model
from sc2lsp.context.prompt import MIN_BUDGET, Prompt, build
from sc2lsp.context.retrieve import Snippet, retrieve_in_time
from sc2lsp.display import show, stops
from sc2lsp.runtime.api import Chunk, SamplingParams, Usage
from sc2lsp.session import Ranking, Target, names_of
from sc2lsp.trace import Trace

NEAR = 1 << 14  # code points: many times what a completion is long
STAGES = ("context", "prompt", "queue", "prefill", "decode", "display")


@dataclass(frozen=True, slots=True)
class Completion:
    """Text for the range from `start` to `end`, offsets in code points; natural-logarithm mean over its tokens."""

    text: str
    start: int
    end: int
    mean_logprob: float
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """The completions of one request, and what they cost."""

    completions: tuple[Completion, ...]
    model: str
    prompt: Prompt
    usage: Usage
    timings_ms: Mapping[str, float]


async def complete(target: Target, backend: Backend) -> Result:
    """One completion at the target's cursor. Cancelling it cancels the generation. Raises BackendError."""
    trace = Trace()
    with trace.span("context"):
        snippets = find_snippets(target)
    model = await backend.model()
    with trace.span("prompt"):
        prompts, path = target.folder.prompts, target.document.path
        last = prompts.get(path)
        prompt = prompts[path] = build_prompt(target, snippets, model, last=last, healed=target.unfinished)
    sampling = sampling_for(target)
    workspace, document = names_of(target.folder, target.document.path)
    chunks = await _generate(backend, workspace, document, prompt.token_ids, sampling)
    usage = chunks[-1].usage
    assert usage is not None  # the last chunk of every generation carries it
    for stage, milliseconds in (("queue", usage.queue_ms), ("prefill", usage.prefill_ms), ("decode", usage.decode_ms)):
        trace.add(stage, milliseconds)
    with trace.span("display"):
        completions = _shown(target, chunks, model)
    timings = {stage: round(trace.ms.get(stage, 0.0), 3) for stage in STAGES} | {"total": round(trace.total_ms, 3)}
    return Result(completions, model.name, prompt, usage, timings)


def find_snippets(target: Target) -> list[Snippet]:
    """The ranking for the target's cursor; the last good one where finding it takes too long.

    Never twice in a row, so that the context is a keystroke old at most.
    """
    folder, document = target.folder, target.document
    last = folder.rankings.get(document.path)
    deadline = perf_counter() + folder.config.context_timeout
    is_patient = last is None or last.is_old
    found = retrieve_in_time(
        folder.index,
        document,
        target.outline,
        target.offset,
        target.recent,
        lambda: not is_patient and perf_counter() > deadline,
    )
    if found is not None:
        ranking = Ranking(found, is_old=False)
    else:
        assert last is not None  # or it would have been waited for
        ranking = Ranking(last.snippets, is_old=True)
    folder.rankings[document.path] = ranking
    return ranking.snippets


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


def _near(target: Target) -> tuple[str, str]:
    """The text before and after the cursor, as far as it decides where a completion ends and what is shown of it."""
    text, offset = target.document.text, target.offset
    return text[max(offset - NEAR, 0) : offset], text[offset : offset + NEAR]


async def _generate(
    backend: Backend, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
) -> list[Chunk]:
    async with aclosing(backend.generate(workspace, document, prompt, sampling)) as stream:
        return [chunk async for chunk in stream]


def sampling_for(target: Target) -> SamplingParams:
    """How to answer at the target's cursor, to a prompt without the word there."""
    config = target.folder.config
    return SamplingParams(config.max_tokens, config.temperature, stop=stops(*_near(target)), forced=target.unfinished)


def written(text: str, healed: str) -> str:
    """What an answer adds to the text before the cursor; nothing where it ended before that was written again."""
    return text[len(healed) :] if text.startswith(healed) else ""


def _shown(target: Target, chunks: list[Chunk], model: Model) -> tuple[Completion, ...]:
    ids = [token for chunk in chunks for token in chunk.token_ids]
    logprobs = [logprob for chunk in chunks for logprob in chunk.logprobs]
    shown = show(written(model.decode(ids), target.unfinished), *_near(target))
    if shown is None or chunks[-1].finish_reason == "cancelled":
        return ()
    mean = sum(logprobs) / len(logprobs)
    reason = chunks[-1].finish_reason or "length"
    return (Completion(shown.text, target.offset, target.offset + shown.replaces, round(mean, 4), reason),)
