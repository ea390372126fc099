"""What the dialects of other inference servers have in common: what is asked, and what an event of an answer says.

Knows no server and no connection.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from sc2lsp.backend import BackendError, Delta, Token
from sc2lsp.backends.http_client import WRONG_SERVER, HttpClient
from sc2lsp.runtime.api import FinishReason, SamplingParams

Parsed = TypeVar("Parsed")

# Where a StarCoder model begins something else than the answer: servers that do not end there are told to.
ENDS = ("<|endoftext|>", "<file_sep>", "<repo_name>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>")


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt in the forms it can be sent in (`ids` only where they are the model's own), and how to answer it."""

    ids: tuple[int, ...] | None
    text: Callable[[], str]
    sampling: SamplingParams


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of its model; a context of 0 tokens: nothing."""

    name: str
    context_length: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What a server says an answer cost; None where it does not."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an answer: new tokens, of one answer or of several, and at the end the costs."""

    deltas: tuple[Delta, ...] = ()
    costs: Costs | None = None


class Scored(msgspec.Struct, frozen=True):
    """A token of an answer, as llama.cpp and Ollama write it."""

    token: str = ""
    logprob: float | None = None


class Dialect(Protocol):
    """One server's way of being asked."""

    @property
    def path(self) -> str:
        """Where completions are asked for."""
        ...

    async def facts(self, http: HttpClient) -> Facts:
        """The model it serves. Raises Refused or BackendError."""
        ...

    async def names(self, http: HttpClient) -> list[str]:
        """The models that it could serve. Raises Refused or BackendError."""
        ...

    def body(self, ask: Ask, model: str) -> Mapping[str, object]:
        """What is posted, as JSON."""
        ...

    def event(self, line: bytes) -> Event | None:
        """What a line of an answer says; None: nothing. Raises BackendError."""
        ...

    def concede(self, text: str) -> bool:
        """Whether what the server says of a refused request means that it has to be asked more simply, as it now is."""
        ...


def tokens_of(text: str, pieces: Sequence[tuple[str, float | None]]) -> tuple[Token, ...]:
    """An event's text, divided among its tokens with their log probabilities.

    Where they do not add up to the text, as within a character, it belongs to the last one.
    """
    if not pieces:
        return (Token(text, None),) if text else ()
    if "".join(piece for piece, _ in pieces) == text:
        return tuple(Token(piece, logprob) for piece, logprob in pieces)
    before = tuple(Token("", logprob) for _, logprob in pieces[:-1])
    return (*before, Token(text, pieces[-1][1]))


def data_of(line: bytes) -> bytes | None:
    """What a line of server-sent events carries (html.spec.whatwg.org, 9.2); None: nothing, or that it was the last."""
    if not line.startswith(b"data:"):
        return None
    data = line.removeprefix(b"data:").strip()
    return None if data == b"[DONE]" else data


def parse(data: bytes, form: type[Parsed]) -> Parsed:
    """JSON of a certain form. Raises BackendError, which does not quote it."""
    try:
        return msgspec.json.decode(data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BackendError("the server's answer is not of the form that was expected", WRONG_SERVER) from None


def stops_of(sampling: SamplingParams) -> list[str]:
    """The texts at which an answer ends, those that are the user's first; a line break where it has one line."""
    line = ("\n",) if sampling.max_lines == 1 else ()
    asked = (stop for stop in (*line, *sampling.stop) if _is_unicode(stop))
    return [*dict.fromkeys((*asked, *ENDS))]


def reason_of(reason: str | None) -> FinishReason | None:
    """A server's word for why it ended, in ours; None where it has not."""
    if not reason:
        return None
    return "length" if reason in ("length", "limit") else "stop"


def failed() -> BackendError:
    """What a server writes of its own failures may quote the prompt."""
    return BackendError("the server failed while it answered", "its log says why")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
