"""Completions from our own runtime, wherever it is: found or started on first use, found again after it died.

The prompt's token ids go out, token ids come back and are made text here; the tokenizer is the runtime's own, kept on
disk by its hash.
"""

import asyncio
import codecs
import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from time import monotonic

from platformdirs import user_cache_path

from sc2lsp import daemon
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
    absolute_model,
)
from sc2lsp.backends.breaker import Backoff, Breaker, Clock, guarded
from sc2lsp.backends.standing import Standing
from sc2lsp.backends.waiting import Attempt, Deadlines, in_time
from sc2lsp.config import Config
from sc2lsp.runtime.api import Chunk, Indexed, ModelFacts, RequestRefused, SamplingParams
from sc2lsp.runtime.client import ConnectionLost, RuntimeClient, RuntimeFailed
from sc2lsp.runtime.tokenizer import Tokenizer
from sc2lsp.runtime.wire import Status

RECONNECT_SECONDS = 2.0  # between two attempts to reach a runtime elsewhere, at most
PONG_SECONDS = 2.0  # a runtime answers pings whatever its model computes


class Lost(BackendUnavailable):
    """The runtime has gone while it answered."""


# Whether a silent runtime is dead is found out behind it; one that was lost is counted where another is looked for.
_SPARED = (BackendRefused, BackendTimeout, Lost)


class RuntimeBackend(Standing):
    """The runtime of one configuration; connects lazily, and again whenever the connection was lost."""

    def __init__(self, config: Config, on_status: OnStatus | None = None, clock: Clock = monotonic) -> None:
        super().__init__()
        self._config = config
        self.on_status = on_status
        self._client: RuntimeClient | None = None
        self._model: Model | None = None
        self._starting = Attempt(self._start)
        # A model that does not load must not cost a process a keystroke; a connection that fails costs next to nothing.
        self._backoff = Backoff(clock, longest=RECONNECT_SECONDS) if config.endpoint else Backoff(clock)
        self._breaker = Breaker(clock, self._on_circuit)
        self._doubts: set[asyncio.Task[None]] = set()
        # Mutated by: every method, on the event loop.

    async def model(self) -> Model:
        """Wait for a runtime with its model loaded. Raises BackendUnavailable or BackendTimeout.

        A caller that is cancelled leaves the search for a runtime to the next one.
        """
        if not self._is_connected():
            self._breaker.check()
        return await self._found()

    async def generate(
        self, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Delta]:
        """Stream a completion; leaving early cancels it in the runtime. Raises BackendError.

        A runtime that turns out to be gone before its first token is found or started again, once.
        """
        answer = self._answer(workspace, document, prompt, sampling)
        async with aclosing(guarded(self._breaker, answer, _SPARED)) as deltas:
            async for delta in deltas:
                self._backoff.succeeded()
                yield delta

    @property
    def may_index(self) -> bool:
        """Whether a workspace's files may go there for drafts: the runtime is here, or the user allows it."""
        is_here = not self._config.endpoint or self._config.endpoint.startswith("unix:")
        return self._config.share_workspace == "always" or (is_here and self._config.share_workspace == "local")

    async def put_document(self, workspace: str, document: str, tokens: tuple[int, ...]) -> None:
        """Let drafts for requests of `workspace` be found in a file. Raises BackendError."""
        assert self.may_index
        if self._client is None:
            raise BackendUnavailable("no runtime")
        try:
            await self._client.put_document(Indexed(workspace, document, tokens))
        except (ConnectionLost, RequestRefused) as failure:
            raise BackendUnavailable(str(failure)) from None

    async def close(self) -> None:
        self._starting.cancel()
        for doubt in list(self._doubts):
            doubt.cancel()
        await self._disconnect()

    def _is_connected(self) -> bool:
        return self._client is not None and self._client.lost is None and self._model is not None

    async def _found(self) -> Model:
        if self._is_connected():
            assert self._model is not None
            return self._model
        return await self._starting.result()

    async def _answer(
        self, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Delta]:
        started = False
        for last_try in (False, True):
            model = await self._found()
            client = self._client
            assert client is not None
            to_delta = decoder(model.bytes_of)
            try:
                async with aclosing(self._chunks(client, workspace, document, prompt, sampling)) as chunks:
                    async for chunk in chunks:
                        started = True
                        yield to_delta(chunk)
                return
            except RequestRefused as refusal:
                raise _refusal(refusal) from None
            except BackendTimeout:
                self._doubt(client)
                raise
            except ConnectionLost as lost:
                failure = Lost(*self._why(lost))
                self._breaker.failed(failure)
                if not self._breaker.is_open:
                    self._starting.begin()  # whoever asks next finds it started, or starting
                if started or last_try or self._breaker.is_open:
                    raise failure from None

    def _chunks(
        self, client: RuntimeClient, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Chunk]:
        """The client's own deadlines are the longest; `in_time` keeps the others."""
        total = self._config.timeout
        chunks = client.generate(document, prompt, sampling, total, total, workspace)
        return in_time(chunks, Deadlines.of(self._config))

    def _doubt(self, client: RuntimeClient) -> None:
        """In the background: one that computes a long prompt is alive, and costs its suggestion only."""
        task = asyncio.create_task(self._probe(client))
        self._doubts.add(task)
        task.add_done_callback(self._doubts.discard)

    async def _probe(self, client: RuntimeClient) -> None:
        if client.lost is not None or await client.is_alive(PONG_SECONDS) or client.lost is not None:
            return
        fix = "is it reachable?" if self._config.endpoint else "`sc2lsp stop` ends it"
        self._breaker.trip(BackendUnavailable("the runtime does not respond", fix))
        if self._client is client:
            await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client, self._model = self._client, None, None
        if client is not None:
            await client.close()

    def _report(self, status: Status) -> None:
        if self.on_status is not None:
            self.on_status(status.message, status.fraction)

    def _on_circuit(self, opened_by: BackendError | None) -> None:
        self._tell_circuit(opened_by, None if self._model is None else self._model.name)

    async def _start(self) -> Model:
        self._backoff.check()
        self._tell_starting("connecting" if self._config.endpoint else "starting the runtime")
        try:
            self._model = await self._connect()
        except (ConnectionLost, RuntimeFailed, daemon.DaemonError) as wrong:
            raise self._not_started(BackendUnavailable(*self._why(wrong))) from None
        except TimeoutError:
            reason = f"the model was not loaded within {self._config.load_timeout:g} s"
            raise self._not_started(BackendTimeout(reason, "see `sc2lsp status`")) from None
        self._tell(State("ready", self._model.name))
        return self._model

    def _not_started(self, failure: BackendError) -> BackendError:
        self._backoff.failed(failure)
        self._tell(State("error", failure.reason, failure.fix))
        return failure

    def _why(self, wrong: Exception) -> tuple[str, str]:
        """The reason and the fix."""
        here = "`sc2lsp doctor` finds what is missing"
        return str(wrong), "are endpoint and token right?" if self._config.endpoint else here

    async def _connect(self) -> Model:
        await self._disconnect()
        async with asyncio.timeout(self._config.load_timeout):
            self._client = client = await self._open()
            facts = await client.ready()
            return Model(facts.name, facts.context_length, await _tokenizer(client, facts))

    async def _open(self) -> RuntimeClient:
        config = self._config
        if config.endpoint:
            return await RuntimeClient.connect(config.endpoint, config.token or None, self._report, config.ca_file)
        model = absolute_model(config.model)
        return await daemon.connect(model, self._report, config.idle_timeout, serve_options(config))


def decoder(bytes_of: Callable[[int], bytes]) -> Callable[[Chunk], Delta]:
    """Turns the chunks of one request into text, in their order; what ends within a character loses that character."""
    utf8 = codecs.getincrementaldecoder("utf-8")
    pending: defaultdict[int, codecs.IncrementalDecoder] = defaultdict(lambda: utf8("replace"))  # of each answer

    def to_delta(chunk: Chunk) -> Delta:
        texts = [pending[chunk.index].decode(bytes_of(token)) for token in chunk.token_ids]
        tokens = tuple(Token(text, logprob) for text, logprob in zip(texts, chunk.logprobs, strict=True))
        return Delta(tokens, chunk.index, chunk.finish_reason, chunk.usage)

    return to_delta


def serve_options(config: Config) -> list[str]:
    """What `sc2lsp serve` has to be told beside the model."""
    draft = absolute_model(config.draft_model) if config.draft_model else ""
    return [f"--draft-model={draft}", f"--precision={config.precision}", f"--kv-cache-mb={config.kv_cache_mb}"]


def _refusal(refusal: RequestRefused) -> BackendError:
    """What is wrong with a request says nothing of the next one; a model that fails may fail again."""
    return BackendError(str(refusal)) if refusal.kind == "failed" else BackendRefused(str(refusal))


async def _tokenizer(client: RuntimeClient, facts: ModelFacts) -> Tokenizer:
    """The runtime's tokenizer, from the cache where its hash is there already."""
    path = user_cache_path("sc2lsp") / "tokenizers" / f"{facts.tokenizer_sha256}.json"
    json = _read_verified(path, facts.tokenizer_sha256)
    if json is None:
        json = await client.tokenizer_json()
        _keep(path, json)
    return await asyncio.to_thread(_made, json)  # tens of milliseconds, in which the loop has others to serve


def _made(json: bytes) -> Tokenizer:
    """A tokenizer that has its table of bytes, and not only from the first answer on."""
    tokenizer = Tokenizer(json)
    tokenizer.bytes_of(0)
    return tokenizer


def _read_verified(path: Path, sha256: str) -> bytes | None:
    try:
        json = path.read_bytes()
    except OSError:
        return None
    return json if hashlib.sha256(json).hexdigest() == sha256 else None


def _keep(path: Path, json: bytes) -> None:
    """Best effort: without a cache the tokenizer is fetched every time."""
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(json)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
