"""Completions from a runtime, wherever it is: found or started on first use, found again after it died.

The prompt's token ids go out, text comes back; the tokenizer is the runtime's own, kept on disk by its hash.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import lru_cache
from pathlib import Path
from time import monotonic

from platformdirs import user_cache_path

from sc2lsp import daemon
from sc2lsp.config import Config
from sc2lsp.context.prompt import Encode, FimTokens
from sc2lsp.runtime.api import Chunk, Indexed, ModelFacts, RequestRefused, SamplingParams
from sc2lsp.runtime.client import ConnectionLost, RuntimeClient, RuntimeFailed, RuntimeTimeout
from sc2lsp.runtime.config import read_config
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json
from sc2lsp.runtime.wire import Status

REMEMBERED = 8192  # texts: a keystroke asks again for nearly all that the one before it asked for

RETRY_SECONDS = 30.0

OnStatus = Callable[[str, float | None], None]  # message, fraction done where it is known


class BackendError(Exception):
    """No completion; the message says why and what to do."""


class BackendUnavailable(BackendError):
    """There is no runtime to ask, or its model does not load."""


class BackendTimeout(BackendError):
    """The runtime did not answer in time."""


class Model:
    """What prompts are built with: the model's name and context, and its tokenizer, which remembers what it encoded."""

    def __init__(self, name: str, context_length: int, tokenizer: Tokenizer) -> None:
        self.name = name
        self.context_length = context_length
        self.decode = tokenizer.decode
        self.tokenize = tokenizer.encode  # a file, once
        self.encode: Encode = lru_cache(maxsize=REMEMBERED)(tokenizer.encode)
        ids = tokenizer.prompt_tokens
        self.fim_tokens = FimTokens(ids.prefix, ids.middle, ids.suffix, ids.repo, ids.file, ids.opening)


class Backend:
    """The runtime of one configuration; connects lazily, and again whenever the connection was lost."""

    def __init__(self, config: Config, on_status: OnStatus | None = None) -> None:
        self._config = config
        self.on_status = on_status
        self._client: RuntimeClient | None = None
        self._model: Model | None = None
        self._opening: asyncio.Task[Model] | None = None
        self._failure = ""
        self._retry_at = 0.0  # not before: a model that does not load must not cost a process a keystroke
        # Mutated by: model(), its one task, and close(), on the event loop.

    async def model(self) -> Model:
        """Wait for a runtime with its model loaded. Raises BackendUnavailable or BackendTimeout.

        A caller that is cancelled leaves the search for a runtime to the next one.
        """
        if self._client is not None and self._client.lost is None and self._model is not None:
            return self._model
        if self._opening is None:
            self._opening = asyncio.create_task(self._load())
            self._opening.add_done_callback(_retrieve)
        return await asyncio.shield(self._opening)

    async def generate(
        self, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Chunk]:
        """Stream a completion; leaving early cancels it in the runtime. Raises BackendError.

        A runtime that turns out to be gone before its first chunk is found or started again, once.
        """
        started = False
        for last_try in (False, True):
            await self.model()
            assert self._client is not None
            within = self._config.timeout
            chunks = self._client.generate(document, prompt, sampling, within, within, workspace)
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        started = True
                        yield chunk
                return
            except RuntimeTimeout:
                raise BackendTimeout(f"no answer within {self._config.timeout:g} s; see `sc2lsp status`") from None
            except RequestRefused as refusal:
                raise BackendError(str(refusal)) from None
            except ConnectionLost as lost:
                if started or last_try:
                    raise BackendError(str(lost)) from None

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
        if self._opening is not None:
            self._opening.cancel()
        await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client, self._model = self._client, None, None
        if client is not None:
            await client.close()

    def _report(self, status: Status) -> None:
        if self.on_status is not None:
            self.on_status(status.message, status.fraction)

    async def _load(self) -> Model:
        try:
            if monotonic() < self._retry_at:
                raise BackendUnavailable(self._failure)
            async with asyncio.timeout(self._config.load_timeout):
                self._model = await self._connect()
            return self._model
        except TimeoutError:
            within = f"{self._config.load_timeout:g} s"
            raise BackendTimeout(f"the model was not loaded within {within}; see `sc2lsp status`") from None
        except (ConnectionLost, RuntimeFailed, daemon.DaemonError) as failure:
            self._failure, self._retry_at = str(failure), monotonic() + RETRY_SECONDS
            raise BackendUnavailable(self._failure) from None
        finally:
            self._opening = None

    async def _connect(self) -> Model:
        await self._disconnect()
        self._client = client = await self._open()
        facts = await client.ready()
        return Model(facts.name, facts.context_length, await _tokenizer(client, facts))

    async def _open(self) -> RuntimeClient:
        config = self._config
        if config.endpoint:
            return await RuntimeClient.connect(config.endpoint, config.token or None, self._report)
        model = absolute_model(config.model)
        return await daemon.connect(model, self._report, config.idle_timeout, serve_options(config))


def _retrieve(task: asyncio.Task[Model]) -> None:
    """Everybody who waited may have been cancelled: then nobody else asks for the exception."""
    if not task.cancelled():
        task.exception()


def local_model(config: Config) -> Model | None:
    """The prompt side of a model that lies in a folder here, without any runtime; None where it does not.

    Raises BackendUnavailable when the folder is there but unusable.
    """
    folder = model_folder(config.model)
    if config.endpoint or folder is None:
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


def serve_options(config: Config) -> list[str]:
    """What `sc2lsp serve` has to be told beside the model."""
    draft = absolute_model(config.draft_model) if config.draft_model else ""
    return [f"--draft-model={draft}", f"--precision={config.precision}", f"--kv-cache-mb={config.kv_cache_mb}"]


async def _tokenizer(client: RuntimeClient, facts: ModelFacts) -> Tokenizer:
    """The runtime's tokenizer, from the cache where its hash is there already."""
    path = user_cache_path("sc2lsp") / "tokenizers" / f"{facts.tokenizer_sha256}.json"
    json = _read_verified(path, facts.tokenizer_sha256)
    if json is None:
        json = await client.tokenizer_json()
        _keep(path, json)
    return Tokenizer(json)


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
