"""What answers prompts, as the rest of sc2lsp sees it: the protocol, the values that cross it, and its errors.

Token ids of a prompt go out, pieces of text with their probabilities come back. Which server answers, and how it is
found, is known to the rooms that `create` imports.
"""

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from sc2lsp.config import Config, ConfigError
from sc2lsp.context.prompt import Encode, FimTokens
from sc2lsp.runtime.api import FinishReason, SamplingParams, Usage
from sc2lsp.runtime.config import read_config
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

REMEMBERED = 8192  # texts: a keystroke asks again for nearly all that the one before it asked for
_OUR_RUNTIME = re.compile(r"unix:/.+|(tcp|wss)://[^/@?#\s]+/?")  # an endpoint where one may listen


class BackendError(Exception):
    """No completion: `reason` says why, and `fix` what to do where the reason does not say it already."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(f"{reason}; {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix


class BackendUnavailable(BackendError):
    """There is nothing to ask, or its model does not load."""


class BackendTimeout(BackendError):
    """It did not answer in time."""


class BackendRefused(BackendError):
    """This request cannot be answered; another one may well be."""


@dataclass(frozen=True, slots=True)
class Token:
    """The text that one token adds, and the natural logarithm of its probability where the server gives it."""

    text: str
    logprob: float | None


@dataclass(frozen=True, slots=True)
class Delta:
    """New tokens of answer `index`.

    The last delta of an answer carries its `finish_reason`, the last one of all `usage` as well. A character whose
    bytes are spread over tokens belongs to the token that completes it.
    """

    tokens: tuple[Token, ...]
    index: int = 0
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class State:
    """How a backend stands, for people: what happens, or what is wrong and what to do."""

    kind: Literal["starting", "ready", "error"]
    message: str
    fix: str = ""

    @property
    def text(self) -> str:
        """As `BackendError` says it."""
        return f"{self.message}; {self.fix}" if self.fix else self.message


OnStatus = Callable[[str, float | None], None]  # message, fraction done where it is known
OnState = Callable[[State], None]


class Model:
    """What prompts are built with: the model's name and context, and its tokenizer, which remembers what it encoded.

    `heals`: whether answers can be made to begin with a text (`SamplingParams.forced`). Where not, the prompt has to
    hold the word at the cursor.
    """

    def __init__(self, name: str, context_length: int, tokenizer: Tokenizer, heals: bool = True) -> None:
        self.name = name
        self.context_length = context_length
        self.heals = heals
        self.decode = tokenizer.decode
        self.bytes_of = tokenizer.bytes_of
        self.tokenize = tokenizer.encode  # a file, once
        self.encode: Encode = lru_cache(maxsize=REMEMBERED)(tokenizer.encode)
        ids = tokenizer.prompt_tokens
        self.fim_tokens = FimTokens(ids.prefix, ids.middle, ids.suffix, ids.repo, ids.file, ids.opening)


class Backend(Protocol):
    """A server of one model. All of it belongs to one event loop."""

    on_status: OnStatus | None  # how far starting has come
    on_state: OnState | None  # told whenever the state changes

    async def model(self) -> Model:
        """Wait until prompts can be built. Raises BackendError. Cancelling it leaves the search to the next caller."""
        ...

    def generate(
        self, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Delta]:
        """Stream a completion; leaving early ends it where it is computed. Raises BackendError."""
        ...

    @property
    def may_index(self) -> bool:
        """Whether a workspace's files may go there for drafts."""
        ...

    async def put_document(self, workspace: str, document: str, tokens: tuple[int, ...]) -> None:
        """Let drafts for requests of `workspace` be found in a file. Raises BackendError."""
        ...

    async def close(self) -> None: ...


def create(config: Config, on_status: OnStatus | None = None) -> Backend:
    """The configured backend; it connects when it is first asked.

    Raises ConfigError for settings that cannot be used, BackendUnavailable where its packages are not installed.
    """
    if config.backend != "runtime":
        from sc2lsp.backends.over_http import HttpBackend

        return HttpBackend(config, on_status)
    from sc2lsp.backends.own import RuntimeBackend

    if config.endpoint and not _OUR_RUNTIME.fullmatch(config.endpoint):
        known = "unix:/PATH, tcp://HOST:PORT or wss://HOST"
        raise ConfigError(f"endpoint is no runtime's: give {known}, or set `backend` to what kind of server it is")
    return RuntimeBackend(config, on_status)


def runs_here(config: Config) -> bool:
    """Whether a runtime of this user's is started on this machine."""
    return config.backend == "runtime" and not config.endpoint


def local_model(config: Config) -> Model | None:
    """The prompt side of a model that lies in a folder here, without any runtime; None where it does not.

    Raises BackendUnavailable when the folder is there but unusable.
    """
    folder = model_folder(config.model)
    if config.endpoint or config.backend != "runtime" or folder is None:
        return None
    try:
        shape = read_config(folder)
        return Model(config.model, shape.context_length, Tokenizer(read_tokenizer_json(folder)))
    except ModelError as wrong:
        raise BackendUnavailable(str(wrong)) from None


def absolute_model(model: str) -> str:
    """A model's folder as an absolute path; hub ids and "embedded" as they are. The runtime has another directory."""
    folder = None if model == EMBEDDED else model_folder(model)
    return model if folder is None else str(folder)
