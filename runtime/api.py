"""What a runtime is asked and what it answers: the values that cross its edge.

Knows nothing of tensors, sockets or editors; everything here is a frozen value.
"""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "cancelled"]
RefusalKind = Literal["bad_request", "busy", "failed"]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to choose tokens and when to end.

    `temperature` 0 is greedy. Generation ends after `max_tokens` tokens, at any control token, or as soon as the
    text generated so far contains one of the `stop` strings (the stop string stays in the answer: display cuts it).
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One completion. `document` names the KV session that consecutive prompts of one document share."""

    id: int
    document: str
    prompt: tuple[int, ...]
    sampling: SamplingParams


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request cost. Times in milliseconds; `cached_tokens` of the prompt needed no prefill."""

    prompt_tokens: int
    cached_tokens: int
    drafted_tokens: int
    accepted_tokens: int
    queue_ms: float
    prefill_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """New tokens of request `request_id`; the last chunk carries `finish_reason` and `usage`.

    `logprobs[i]` is the natural logarithm of the probability the model gave `token_ids[i]`. Control tokens that end
    a generation are not part of it.
    """

    request_id: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a client needs to know of the model behind a runtime."""

    name: str
    parameters: int
    context_length: int  # positions the model was trained for
    window: int | None  # sliding attention window, tokens
    vocab_size: int
    device: str
    dtype: str
    tokenizer_sha256: str


class RequestRefused(Exception):
    """A runtime will not or cannot finish a request: `kind` says whose fault it is, the message what to do."""

    def __init__(self, kind: RefusalKind, message: str) -> None:
        super().__init__(message)
        self.kind: RefusalKind = kind
