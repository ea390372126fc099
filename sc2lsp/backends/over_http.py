"""Completions from other inference servers over HTTP, each asked in its own dialect.

Token ids go out only where `tokenizer` names the model's own; else the prompt is text, and our tokens only count.
Answers cannot be made to begin with a text there, nor to end by lines, indentation or confidence: display sees to that.
No file of a workspace goes there for drafts.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from urllib.parse import urlsplit

from sc2lsp.backend import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    Delta,
    Model,
    OnStatus,
    State,
    Token,
)
from sc2lsp.backends.breaker import Backoff, Breaker, Clock, guarded
from sc2lsp.backends.dialect import ENDS, Ask, Costs, Dialect, Event
from sc2lsp.backends.http_client import Disconnected, HttpClient, Refused, of_status
from sc2lsp.backends.llama_server import LlamaServer
from sc2lsp.backends.ollama import Ollama
from sc2lsp.backends.openai import OpenAi
from sc2lsp.backends.prompt_text import PromptText
from sc2lsp.backends.standing import Standing
from sc2lsp.backends.waiting import Attempt, Deadlines, in_time
from sc2lsp.config import Config, ConfigError
from sc2lsp.runtime.api import SamplingParams, Usage
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

DIALECTS: Mapping[str, Callable[[Config], Dialect]] = {
    "openai": OpenAi,
    "llama-server": LlamaServer,
    "ollama": Ollama,
}
USUAL = {"llama-server": "http://127.0.0.1:8080", "ollama": "http://127.0.0.1:11434"}  # where they listen by default
MISUNDERSTOOD = (400, 422, 500, 501)  # statuses of a request that could be asked otherwise
RECONNECT_SECONDS = 2.0  # between two attempts to reach the server, at most
ROOTS = {"openai": "/v1", "ollama": "/api"}  # that an endpoint may end with, since their documentation shows it so


class HttpBackend(Standing):
    """The server of one configuration."""

    def __init__(self, config: Config, on_status: OnStatus | None = None, clock: Clock = monotonic) -> None:
        """Raises ConfigError for settings that cannot be used, BackendUnavailable without the packages."""
        super().__init__()
        self._config = config
        self.on_status = on_status
        self._dialect = DIALECTS[config.backend](config)
        self._http = HttpClient(config, endpoint_url(config))
        self._found: tuple[Model, PromptText] | None = None
        self._starting = Attempt(self._start)
        self._backoff = Backoff(clock, longest=RECONNECT_SECONDS)
        self._breaker = Breaker(clock, self._on_circuit)
        # Mutated by: every method, on the event loop.

    async def model(self) -> Model:
        """What the server says of its model. Raises BackendError."""
        if self._found is None:
            self._breaker.check()
        return (await self._ready())[0]

    async def generate(
        self, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Delta]:
        """Stream a completion; leaving early ends the connection, and with it the generation. Raises BackendError."""
        async with aclosing(guarded(self._breaker, self._answer(prompt, sampling), (BackendRefused,))) as deltas:
            async for delta in deltas:
                yield delta

    @property
    def may_index(self) -> bool:
        return False

    async def put_document(self, workspace: str, document: str, tokens: tuple[int, ...]) -> None:
        raise AssertionError("no file of a workspace goes to a server of another kind")

    async def close(self) -> None:
        self._starting.cancel()
        await self._http.close()

    async def _ready(self) -> tuple[Model, PromptText]:
        return self._found or await self._starting.result()

    async def _start(self) -> tuple[Model, PromptText]:
        self._backoff.check()
        self._tell_starting("asking the server for its model")
        try:
            self._found = await self._described()
        except BackendError as failure:
            self._backoff.failed(failure)
            self._tell(State("error", failure.reason, failure.fix))
            raise
        self._backoff.succeeded()
        self._tell(State("ready", self._found[0].name))
        return self._found

    async def _described(self) -> tuple[Model, PromptText]:
        try:
            async with asyncio.timeout(self._config.timeout):
                facts = await self._dialect.facts(self._http)
        except Refused as refused:
            raise await self._in_words(refused) from None
        except TimeoutError:
            reason = f"the server says nothing of its model within {self._config.timeout:g} s"
            raise BackendTimeout(reason, "is endpoint right?") from None
        if not facts.name:
            raise BackendUnavailable("the server does not name its model", "set `model` to its name")
        tokenizer = await asyncio.to_thread(tokenizer_of, self._config)
        context_length = facts.context_length or self._config.budget + self._config.max_tokens
        return Model(facts.name, context_length, tokenizer, heals=False), PromptText(tokenizer)

    async def _answer(self, prompt: tuple[int, ...], sampling: SamplingParams) -> AsyncGenerator[Delta]:
        """The server's deltas; those that end an answer are kept until it has said what all of them cost."""
        model, text = await self._ready()
        ask = Ask(prompt if self._config.tokenizer else None, partial(text.of, prompt), sampling)
        ended: dict[int, Delta] = {}
        costs, begun, first_ms = Costs(), perf_counter(), 0.0
        async with aclosing(in_time(self._events(ask, model), Deadlines.of(self._config))) as events:
            async for event in events:
                first_ms = first_ms or (perf_counter() - begun) * 1e3
                costs = event.costs or costs
                for delta in map(ended_at_control, event.deltas):
                    if delta.finish_reason is not None:
                        ended.setdefault(delta.index, delta)
                    elif delta.index not in ended and delta.tokens:
                        yield delta
        if not ended:
            raise BackendError("the server ended its answer in the middle", "its log says why")
        *others, last = ended.values()
        for delta in others:
            yield delta
        yield replace(last, usage=_usage(costs, len(prompt), first_ms, (perf_counter() - begun) * 1e3))

    async def _events(self, ask: Ask, model: Model) -> AsyncGenerator[Event]:
        """Asked again where the server wants to be asked more simply, or had closed a connection that was kept."""
        is_fresh = False
        while True:
            lines = self._http.lines(self._dialect.path, self._dialect.body(ask, model.name))
            try:
                async with aclosing(lines):
                    async for line in lines:
                        event = self._dialect.event(line)
                        if event is not None:
                            yield event
                return
            except Refused as refused:
                if refused.status not in MISUNDERSTOOD or not self._dialect.concede(refused.text):
                    raise await self._in_words(refused) from None
            except Disconnected:
                if is_fresh:
                    raise
                is_fresh = True

    async def _in_words(self, refused: Refused) -> BackendError:
        if refused.status == 404 and self._config.model != EMBEDDED:
            try:
                names = await self._dialect.names(self._http)
            except (Refused, BackendError):
                return of_status(refused)
            if self._config.model not in names:
                has = ", ".join(names[:10]) or "none"
                return BackendUnavailable(f"the server has no model {self._config.model}; it has {has}", "set `model`")
        return of_status(refused)

    def _on_circuit(self, opened_by: BackendError | None) -> None:
        self._tell_circuit(opened_by, None if self._found is None else self._found[0].name)


def endpoint_url(config: Config) -> str:
    """The configured server, without what its dialect puts behind it. Raises ConfigError."""
    url = (config.endpoint or USUAL.get(config.backend, "")).rstrip("/").removesuffix(ROOTS.get(config.backend, "\n"))
    advice = "give http://HOST:PORT or https://HOST"
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigError(f"endpoint is no address: {advice}") from None
    if not is_server:
        raise ConfigError(f"backend = {config.backend!r} needs an endpoint: {advice}")
    if parts.username or parts.password:
        raise ConfigError("endpoint holds a name or a password: put the secret into `token`")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ConfigError(f"endpoint holds more than an address: {advice}")
    return url


def tokenizer_of(config: Config) -> Tokenizer:
    """The configured tokenizer, downloaded on first use where it is a hub's; else the built-in model's, to count with.

    Raises BackendUnavailable.
    """
    folder = model_folder(config.tokenizer or EMBEDDED)
    try:
        return Tokenizer(read_tokenizer_json(folder or _from_hub(config.tokenizer)))
    except ModelError as wrong:
        raise BackendUnavailable(str(wrong), "set `tokenizer` to a folder with the model's tokenizer.json") from None


def ended_at_control(delta: Delta) -> Delta:
    """A delta up to the first control token that is spelled in it, which ends the answer."""
    for number, token in enumerate(delta.tokens):
        found = [place for place in map(token.text.find, ENDS) if place >= 0]
        if found:
            before = (Token(token.text[: min(found)], token.logprob),) if min(found) else ()
            return replace(delta, tokens=(*delta.tokens[:number], *before), finish_reason="stop")
    return delta


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise ModelError(f"{name} is no folder, and huggingface_hub is not installed") from None
    try:
        return Path(hf_hub_download(name, "tokenizer.json")).parent
    except (HfHubHTTPError, HFValidationError, OSError) as wrong:
        raise ModelError(f"the tokenizer of {name} cannot be downloaded ({type(wrong).__name__})") from None


def _usage(costs: Costs, prompt_tokens: int, first_ms: float, total_ms: float) -> Usage:
    """What the server did not say is taken from the clock; what it did not compute in, it waited or travelled."""
    prefill = first_ms if costs.prefill_ms is None else costs.prefill_ms
    return Usage(
        prompt_tokens=prompt_tokens if costs.prompt_tokens is None else costs.prompt_tokens,
        cached_tokens=costs.cached_tokens or 0,
        drafted_tokens=0,
        accepted_tokens=0,
        queue_ms=max(first_ms - prefill, 0.0),
        prefill_ms=prefill,
        decode_ms=total_ms - first_ms if costs.decode_ms is None else costs.decode_ms,
    )
