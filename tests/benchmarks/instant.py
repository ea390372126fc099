"""A runtime that answers at once: the real socket, protocol and connections, with an engine that computes nothing.

    python -m tests.benchmarks.instant unix:/PATH [--real]

Steered through its pipes: see `standin`. With --real the engine is the real one with the built-in model, and what it is
asked is noted all the same; without, torch is not needed.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Protocol, cast

from sc2lsp.runtime.api import NOTHING, Chunk, Indexed, ModelFacts, Request, RequestRefused
from sc2lsp.runtime.config import read_config
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.server import Progress, serve_async
from sc2lsp.runtime.tokenizer import Tokenizer

from .standin import READY, Asked, StandIn, Steered, started

MODULE = "tests.benchmarks.instant"
CONTEXT = 16_384  # tokens
TAIL = 64  # tokens of a prompt that are kept
READ_SECONDS = 0.1  # after a request, when its answer has left
Emit = Callable[[Chunk | RequestRefused], None]


class Generation(Protocol):
    def abort(self) -> None: ...


class Engine(Protocol):
    """What connections ask of an engine."""

    facts: ModelFacts
    tokenizer_json: bytes

    def submit(self, request: Request, emit: Emit) -> Generation: ...
    def put_document(self, indexed: Indexed) -> None: ...
    def forget_workspaces(self, names: Collection[str]) -> None: ...
    def close(self) -> None: ...


class Instant:
    """An engine on the server's own event loop; an older request of a document ends when a newer one comes."""

    def __init__(self, stand_in: StandIn, loop: asyncio.AbstractEventLoop) -> None:
        folder = model_folder(EMBEDDED)
        assert folder is not None
        self.tokenizer_json = (folder / "tokenizer.json").read_bytes()
        self._tokenizer = Tokenizer(self.tokenizer_json)
        digest = hashlib.sha256(self.tokenizer_json).hexdigest()
        shape = read_config(folder)
        self.facts = ModelFacts("instant", 0, CONTEXT, None, shape.vocab_size, "cpu", "float32", digest)
        self._stand_in = stand_in
        self._loop = loop
        self._running: dict[str, Running] = {}
        # Mutated by: submit() and the tasks it starts, on the event loop.

    def submit(self, request: Request, emit: Emit) -> "Running":
        older = self._running.get(request.document)
        if older is not None:
            older.abort()
        task = self._loop.create_task(self._answer(request, emit))
        running = self._running[request.document] = Running(task)
        task.add_done_callback(partial(self._ended, running, request, emit))
        return running

    def put_document(self, indexed: Indexed) -> None:
        """Nothing is drafted."""

    def forget_workspaces(self, names: Collection[str]) -> None:
        """Nothing was kept."""

    def close(self) -> None:
        """Nothing holds anything."""

    async def _answer(self, request: Request, emit: Emit) -> None:
        ids = self._tokenizer.encode(request.sampling.forced + self._stand_in.settings.text)
        tokens = tuple(ids[: request.sampling.max_tokens])
        async for token in self._stand_in.paced(tokens):
            emit(Chunk(request.id, (token,), (-0.1,)))
        for index in range(1, request.sampling.n):
            emit(Chunk(request.id, tokens, (-0.2,) * len(tokens), "stop", None, index))

    def _ended(self, running: "Running", request: Request, emit: Emit, task: "asyncio.Task[None]") -> None:
        """A task that is cancelled before it began runs nothing of its own."""
        if self._running.get(request.document) is running:
            del self._running[request.document]
        usage = replace(NOTHING, prompt_tokens=len(request.prompt))
        emit(Chunk(request.id, (), (), "cancelled" if task.cancelled() else "stop", usage))


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    task: "asyncio.Task[None]"

    def abort(self) -> None:
        self.task.cancel()


class Noting:
    """An engine, and what it was asked."""

    def __init__(self, engine: Engine, stand_in: StandIn, loop: asyncio.AbstractEventLoop) -> None:
        self.facts, self.tokenizer_json = engine.facts, engine.tokenizer_json
        self.put_document, self.forget_workspaces = engine.put_document, engine.forget_workspaces
        self.close = engine.close
        self._engine = engine
        self._stand_in = stand_in
        self._loop = loop

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self.tokenizer_json)

    def submit(self, request: Request, emit: Emit) -> "Watched":
        asked = Asked(monotonic())
        self._stand_in.noted.append(asked)
        # After the answer has left: reading the prompt must not hold it up.
        self._loop.call_later(READ_SECONDS, partial(self._read, asked, request))
        watched = Watched(asked, emit)
        watched.generation = self._engine.submit(request, watched.take)
        return watched

    def _read(self, asked: Asked, request: Request) -> None:
        asked.tail = self._tokenizer.decode(request.prompt[-TAIL:])


@dataclass(slots=True, eq=False)
class Watched:
    """A generation on its way through `Noting`; `take` is called on the engine's thread."""

    asked: Asked
    emit: Emit
    generation: Generation | None = None
    _last: float = field(default=0.0)

    def take(self, answer: Chunk | RequestRefused) -> None:
        now = monotonic()
        if isinstance(answer, RequestRefused) or answer.usage is not None:
            self.asked.ended = now
        elif self._last:
            self.asked.gaps += (now - self._last,)
        self._last = now
        self.asked.first = self.asked.first or now
        self.asked.pieces += 0 if isinstance(answer, RequestRefused) else len(answer.token_ids)
        self.emit(answer)

    def abort(self) -> None:
        self.asked.cancelled = self.asked.cancelled or monotonic()
        assert self.generation is not None
        self.generation.abort()


async def serve(url: str, is_real: bool) -> None:
    stand_in, loop = StandIn(), asyncio.get_running_loop()

    def load(progress: Progress) -> Any:
        if is_real:
            from sc2lsp.runtime.engine import Engine as Real

            return Noting(cast(Engine, Real(EMBEDDED, progress)), stand_in, loop)
        return Noting(Instant(stand_in, loop), stand_in, loop)

    stand_in.obey()
    await serve_async(url, load, on_listening=lambda _: print(READY, flush=True))


@asynccontextmanager
async def runtime(*options: str) -> AsyncIterator[tuple[str, Steered]]:
    """Such a runtime in a process of its own: where it listens, and how it is steered."""
    with TemporaryDirectory(prefix="sc2") as folder:
        url = f"unix:{Path(folder) / 's'}"
        async with started(MODULE, url, *options) as steered:
            yield url, steered


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], "--real" in sys.argv[2:]))
