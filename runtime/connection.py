"""One client of the runtime: what waits to be sent to it, and its requests.

Runs on the server's event loop; the engine's thread enters it through `soon` only. Never logs what travels.
"""

import asyncio
import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket, WebSocketDisconnect

from . import wire
from .api import NOTHING, Chunk, Indexed, ModelFacts, Request, RequestRefused, SamplingParams

if TYPE_CHECKING:
    from .scheduler import Generation
    from .server import Service

MAX_TOKENS = 4096  # of one answer
MAX_ANSWERS = 16  # to one prompt
MAX_INDENT = 1000  # columns
MAX_STOPS = 64  # each is looked for at every token
MAX_FORCED = 256  # characters
MAX_INDEXED = 4 << 20  # tokens of one client in which drafts are looked for
MAX_RUNNING = 64  # requests of one connection, waiting or running
OUTBOX = 4096  # frames that wait for a slow reader before its connection is dropped


class Connection:
    """One client: what waits to be sent to it, and its requests."""

    def __init__(self, socket: WebSocket, service: "Service") -> None:
        self._socket = socket
        self._service = service
        self._name = next(service.names)  # two clients may have documents of one name
        # On the event loop. A request is in at most one of the two maps, under the id its client gave it.
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX)
        self._waiting: dict[int, Request] = {}  # for the model
        self._running: dict[int, Generation] = {}
        self._indexed: dict[tuple[str, str], int] = {}  # workspace and document -> tokens
        self._indexed_tokens = 0
        self._workspaces: set[str] = set()  # that were named, as the engine knows them
        self._tokenizer_wanted = False
        self._writer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the client leaves, breaks the protocol or stops reading; then all its generations are aborted."""
        self._send(self._service.hello)
        self._send(self._service.status)
        self._service.join(self)
        self._writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        try:
            ended, _ = await asyncio.wait({reader, self._writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._service.leave(self)
            for generation in self._running.values():
                generation.abort()
            self._running.clear()
            if self._service.engine is not None:
                self._service.engine.forget_workspaces(self._workspaces)
            reader.cancel()
            self._writer.cancel()
        for task in ended:
            if not task.cancelled():
                task.result()

    def on_status(self, status: wire.Status) -> None:
        self._send(status)
        if status.state == "loading":
            return
        waiting, self._waiting = self._waiting, {}
        for request in waiting.values():
            self._submit(request)
        if self._tokenizer_wanted:
            self._send_tokenizer()

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            try:
                while True:
                    message = await self._socket.receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    data: bytes | str | None = message.get("bytes")
                    self._take(wire.decode_from_client(message["text"] if data is None else data))
            except wire.WireError as wrong:
                await self._socket.close(1008, str(wrong)[:100])

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._socket.send_bytes(await self._outbox.get())

    def _take(self, frame: wire.FromClient) -> None:
        match frame:
            case Request():
                self._generate(frame)
            case wire.Cancel(id):
                self._cancel(id)
            case wire.TokenizerWanted():
                self._send_tokenizer()
            case Indexed():
                self._index(frame)

    def _generate(self, request: Request) -> None:
        if request.id in self._running or request.id in self._waiting:
            raise wire.WireError(f"request id {request.id} is in use")
        if len(self._running) + len(self._waiting) >= MAX_RUNNING:
            self._send(wire.Refused(request.id, "busy", f"{MAX_RUNNING} requests of this client are unfinished"))
        elif self._service.status.state == "loading":
            self._waiting[request.id] = request
        else:
            self._submit(request)

    def _index(self, indexed: Indexed) -> None:
        """For drafts alone: what comes too early or is too much is dropped, and nobody is told."""
        engine, name = self._service.engine, f"{self._name}\n{indexed.workspace}"
        if engine is None:
            return
        self._workspaces.add(name)
        self._indexed_tokens -= self._indexed.pop((name, indexed.document), 0)
        tokens = indexed.tokens if self._indexed_tokens + len(indexed.tokens) <= MAX_INDEXED else ()
        try:
            engine.put_document(Indexed(name, f"{self._name}\n{indexed.document}", tokens))
        except RequestRefused as refusal:
            raise wire.WireError(str(refusal)) from None
        self._indexed[name, indexed.document] = len(tokens)
        self._indexed_tokens += len(tokens)

    def _submit(self, request: Request) -> None:
        engine = self._service.engine
        if engine is None:
            self._send(wire.Refused(request.id, "failed", self._service.status.message))
            return
        if wrong := what_is_wrong(request, engine.facts):
            self._send(wire.Refused(request.id, "bad_request", wrong))
            return

        def emit(answer: Chunk | RequestRefused) -> None:  # on the engine's thread
            self._service.soon(self._deliver, request.id, answer)

        try:
            document, workspace = f"{self._name}\n{request.document}", f"{self._name}\n{request.workspace}"
            mine = replace(request, id=next(self._service.ids), document=document, workspace=workspace)
            self._workspaces.add(workspace)
            self._running[request.id] = engine.submit(mine, emit)
        except RequestRefused as refusal:
            self._send(wire.Refused(request.id, refusal.kind, str(refusal)))

    def _deliver(self, id: int, answer: Chunk | RequestRefused) -> None:
        if id not in self._running:  # the client has left
            return
        if isinstance(answer, RequestRefused):
            del self._running[id]
            self._send(wire.Refused(id, answer.kind, str(answer)))
            return
        if answer.usage is not None:
            del self._running[id]
        self._send(replace(answer, request_id=id))

    def _cancel(self, id: int) -> None:
        if id in self._running:
            self._running[id].abort()
        elif self._waiting.pop(id, None) is not None:
            self._send(Chunk(id, (), (), "cancelled", NOTHING))

    def _send_tokenizer(self) -> None:
        self._tokenizer_wanted = self._service.status.state == "loading"
        if self._service.engine is not None:
            self._put(self._service.tokenizer_frame)

    def _send(self, frame: wire.FromServer) -> None:
        self._put(wire.encode(frame))

    def _put(self, data: bytes) -> None:
        try:
            self._outbox.put_nowait(data)
        except asyncio.QueueFull:  # the client has stopped reading: end `run`
            if self._writer is not None:
                self._writer.cancel()


def what_is_wrong(request: Request, facts: ModelFacts) -> str | None:
    """Why no model could answer a well-formed request, and what it would take; or None."""
    if not request.prompt:
        return "the prompt is empty"
    if min(request.prompt) < 0 or max(request.prompt) >= facts.vocab_size:
        return f"a token id outside 0..{facts.vocab_size - 1}"
    return next((wrong for holds, wrong in _limits(request.sampling, facts.vocab_size) if not holds), None)


def _limits(sampling: SamplingParams, vocab_size: int) -> tuple[tuple[bool, str], ...]:
    """Whether each limit holds, and what is wrong where it does not; NaN is within none."""
    ids = (0, *sampling.stop_ids)
    seed = sampling.seed or 0
    return (
        (1 <= sampling.max_tokens <= MAX_TOKENS, f"max_tokens outside 1..{MAX_TOKENS}"),
        (0.0 <= sampling.temperature < math.inf, "temperature is negative or not finite; 0 takes the likeliest token"),
        (0.0 < sampling.top_p <= 1.0, "top_p outside (0, 1]; 1 cuts nothing off"),
        (0 <= sampling.top_k <= vocab_size, f"top_k outside 0..{vocab_size}; 0 cuts nothing off"),
        (0 <= seed < 1 << 63, "seed outside 0..2^63-1"),
        (1 <= sampling.n <= MAX_ANSWERS, f"n outside 1..{MAX_ANSWERS}"),
        ("" not in sampling.stop, "an empty stop string"),
        (len(sampling.stop) + len(sampling.stop_ids) <= MAX_STOPS, f"more than {MAX_STOPS} stop strings and ids"),
        (len(sampling.forced) <= MAX_FORCED, f"more than {MAX_FORCED} characters in forced"),
        (0 <= min(ids) <= max(ids) < vocab_size, f"a stop id outside 0..{vocab_size - 1}"),
        (sampling.max_lines >= 0, "max_lines is negative; 0 sets no limit"),
        (0 <= sampling.min_indent <= MAX_INDENT, f"min_indent outside 0..{MAX_INDENT}"),
        (0.0 <= sampling.min_confidence <= 1.0, "min_confidence outside [0, 1]; 0 sets no limit"),
    )
