"""What a runtime is asked and what it answers: the values that cross its edge.

Knows nothing of tensors, sockets or editors; everything here is a frozen value.
"""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "confidence", "cancelled"]
RefusalKind = Literal["bad_request", "busy", "failed"]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to choose tokens and when to end.

    `temperature` 0 is greedy; `top_k` (0: all) and `top_p` narrow what is drawn from. `n` answers are drawn to one
    prompt, and each begins with the text `forced`: see `runtime.forced`. A generation ends after `max_tokens` tokens,
    at a control token or one of `stop_ids`, as soon as the text so far contains one of the `stop` strings (the string
    stays in the answer: display cuts it), with the line break that ends its `max_lines`-th line (0: any number), before
    a line indented by less than `min_indent` columns, or before the token with which the geometric mean of the tokens'
    probabilities falls below `min_confidence`.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    max_lines: int = 0
    min_indent: int = 0  # columns; a tab reaches the next multiple of 8
    min_confidence: float = 0.0
    forced: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One completion. `document` names the KV session that consecutive prompts of one document share; drafts are found
    in the other documents of `workspace`.
    """

    id: int
    document: str
    prompt: tuple[int, ...]
    sampling: SamplingParams
    workspace: str = ""


@dataclass(frozen=True, slots=True)
class Indexed:
    """The tokens of a document of a workspace, in place of those before; none where there is no such document now."""

    workspace: str
    document: str
    tokens: tuple[int, ...]


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


NOTHING = Usage(0, 0, 0, 0, 0.0, 0.0, 0.0)  # of a request that was cancelled before it began


@dataclass(frozen=True, slots=True)
class Chunk:
    """New tokens of answer `index` to request `request_id`.

    The last chunk of an answer carries its `finish_reason`, the last one of the request `usage` as well. `logprobs[i]`
    is the natural logarithm of the probability the model gave `token_ids[i]`. Control tokens that end a generation are
    not part of it.
    """

    request_id: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    index: int = 0


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
