"""The keystroke path: a cursor in, what the editor shows out.

Everything is read from the session before the first await, in one immutable Target.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from sc2lsp.backend import Backend, BackendError, Model
from sc2lsp.context.prompt import MIN_BUDGET, Prompt, build
from sc2lsp.context.retrieve import Snippet, retrieve
from sc2lsp.display import show, stops
from sc2lsp.runtime.api import Chunk, SamplingParams, Usage
from sc2lsp.session import Target
from sc2lsp.trace import Trace

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
        prompt = build_prompt(target, snippets, model)
    prefix, suffix = target.prefix, target.suffix
    config = target.folder.config
    sampling = SamplingParams(config.max_tokens, config.temperature, stop=stops(prefix, suffix))
    document = f"{target.folder.root}\n{target.document.path}"
    chunks = await _generate(backend, document, prompt.token_ids, sampling)
    usage = chunks[-1].usage
    assert usage is not None  # the last chunk of every generation carries it
    for stage, milliseconds in (("queue", usage.queue_ms), ("prefill", usage.prefill_ms), ("decode", usage.decode_ms)):
        trace.add(stage, milliseconds)
    with trace.span("display"):
        completions = _shown(target, chunks, model)
    timings = {stage: round(trace.ms.get(stage, 0.0), 3) for stage in STAGES} | {"total": round(trace.total_ms, 3)}
    return Result(completions, model.name, prompt, usage, timings)


def find_snippets(target: Target) -> list[Snippet]:
    index = target.folder.index
    return retrieve(index, target.document, target.offset, sorted(index.open_paths))


def build_prompt(target: Target, snippets: list[Snippet], model: Model, budget: int | None = None) -> Prompt:
    """The prompt within `budget`, by default the configured one or what the model's context leaves.

    Raises BackendError where that is nothing.
    """
    config = target.folder.config
    room = model.context_length - config.max_tokens
    if budget is None and room < MIN_BUDGET:
        raise BackendError(
            f"max_tokens = {config.max_tokens} leaves no room in a context of {model.context_length} tokens"
        )
    return build(
        target.document.path,
        target.prefix,
        target.suffix,
        snippets,
        repo=target.folder.name,
        budget=budget or min(config.budget, room),
        encode=model.encode,
        control=model.fim_tokens,
        order=config.order,
    )


async def _generate(backend: Backend, document: str, prompt: tuple[int, ...], sampling: SamplingParams) -> list[Chunk]:
    async with aclosing(backend.generate(document, prompt, sampling)) as stream:
        return [chunk async for chunk in stream]


def _shown(target: Target, chunks: list[Chunk], model: Model) -> tuple[Completion, ...]:
    ids = [token for chunk in chunks for token in chunk.token_ids]
    logprobs = [logprob for chunk in chunks for logprob in chunk.logprobs]
    shown = show(model.decode(ids), target.prefix, target.suffix)
    if shown is None:
        return ()
    mean = sum(logprobs) / len(logprobs)
    reason = chunks[-1].finish_reason or "length"
    return (Completion(shown.text, target.offset, target.offset + shown.replaces, round(mean, 4), reason),)
