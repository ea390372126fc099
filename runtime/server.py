"""One model behind a socket: the ASGI app that streams completions to many clients.

Listens at once and reports the loading of the model to whoever is connected. Everything here runs on one event loop;
the loading thread and the engine's thread enter it through `call_soon_threadsafe` only. Knows neither tensors nor
who starts and stops it, and never logs what travels.
"""

import asyncio
import contextlib
import errno
import hmac
import importlib.metadata
import ipaddress
import itertools
import math
import os
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from . import wire
from .api import Chunk, ModelFacts, Request, RequestRefused
from .errors import ModelError

if TYPE_CHECKING:
    from .engine import Engine, Generation

Progress = Callable[[str, float], None]
Load = Callable[[Progress], "Engine"]

MAX_TOKENS = 4096  # of one answer
MAX_RUNNING = 64  # requests of one connection, waiting or running
OUTBOX = 4096  # frames that wait for a slow reader before its connection is dropped
REPORT_EVERY = 0.1  # seconds between two reports of the same loading step
FAILED_GRACE = 2.0  # seconds in which clients can still learn why the model failed to load
# What loading a checkpoint can raise on a machine that lacks something; anything else is our bug and gets a traceback.
LOAD_ERRORS = (ModelError, ImportError, MemoryError, OSError, RuntimeError, ValueError)


class ListenError(Exception):
    """The runtime cannot listen there; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, its actual URL, the file of a Unix socket, and whether only loopback can reach it."""

    socket: socket.socket
    url: str
    path: Path | None
    loopback: bool


def listen(url: str) -> Listener:
    """Bind `unix:/PATH` (owner only, in an owner-only folder) or `tcp://IP:PORT` (0: any free port).

    Raises ListenError.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "unix" and hasattr(socket, "AF_UNIX"):
        return _listen_unix(Path(rest))
    if scheme == "tcp":
        return _listen_tcp(url)
    raise ListenError(f"cannot listen on {url}: give unix:/PATH or tcp://127.0.0.1:PORT")


def serve(
    url: str,
    load: Load,
    token: str | None = None,
    idle_timeout: float | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve the model that `load` returns until a signal, or until no client was connected for `idle_timeout` seconds.

    `load` runs on its own thread and reports (what it does, fraction done). `on_listening` gets the URL with the actual
    port. Raises ListenError, and ModelError where loading failed.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_async(url, load, token, idle_timeout, on_listening))


async def serve_async(
    url: str,
    load: Load,
    token: str | None = None,
    idle_timeout: float | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """`serve` on the running event loop."""
    if token is None and not url.startswith("unix:"):
        raise ListenError(f"cannot listen on {url} without a token: anyone who reaches the port could use the model")
    listener = listen(url)
    server: uvicorn.Server

    def stop() -> None:
        server.should_exit = True

    service = Service(load, idle_timeout, stop)
    server = uvicorn.Server(_uvicorn_config(build_app(service, listener, token)))
    if on_listening is not None:
        on_listening(listener.url)
    await server.serve(sockets=[listener.socket])
    if service.status.state == "failed":
        raise ModelError(service.status.message)


def build_app(service: "Service", listener: Listener, token: str | None) -> Starlette:
    """The routes, behind one guard that no route can be exempt from."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        service.start()
        yield
        # Here and not after `serve`: uvicorn raises the signal that stopped it again, which ends the process.
        await service.close()
        if listener.path is not None:
            listener.path.unlink(missing_ok=True)

    async def health(_: HttpRequest) -> JSONResponse:
        model = service.status.model
        facts = {"state": service.status.state, "model": model.name if model else None}
        return JSONResponse(facts | {"pid": service.hello.pid, "version": service.hello.version})

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await Connection(socket, service).run()

    return Starlette(
        routes=[Route("/health", health), WebSocketRoute(wire.STREAM_PATH, stream)],
        middleware=[Middleware(Guard, token=token, check_host=listener.loopback)],
        lifespan=lifespan,
    )


class Guard:
    """Refuses browsers (any Origin; a Host that DNS rebinding brought to loopback) and whoever lacks the token."""

    def __init__(self, app: ASGIApp, token: str | None, check_host: bool) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._check_host = check_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = self._refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        answer = self._app if status is None else PlainTextResponse("refused", status)
        await answer(scope, receive, send)

    def _refusal(self, headers: Headers) -> int | None:
        if "origin" in headers or (self._check_host and not _is_loopback(_host_name(headers.get("host", "")))):
            return 403
        given = headers.get("authorization", "").encode("latin-1")
        if self._expected is not None and not hmac.compare_digest(given, self._expected):
            return 401
        return None


class Service:
    """The model and everyone connected to it."""

    def __init__(self, load: Load, idle_timeout: float | None, stop: Callable[[], None]) -> None:
        self.hello = wire.Hello(wire.PROTOCOL, importlib.metadata.version("sc2lsp"), os.getpid())
        self.ids = itertools.count()  # the engine's request ids: clients choose theirs, and two may choose alike
        self._load = load
        self._idle_timeout = idle_timeout
        self._stop = stop
        # On the event loop; status and engine change together, once.
        self.status = wire.Status("loading", "starting", 0.0)
        self.engine: Engine | None = None
        self.tokenizer_frame = b""
        self._connections: set[Connection] = set()
        self._idle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start loading, on a daemon thread: a long download must not delay the end of the process."""
        self._loop = asyncio.get_running_loop()
        self._connected_changed()
        threading.Thread(target=self._run_load, name="load", daemon=True).start()

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self.engine is not None:
            await asyncio.to_thread(self.engine.close)

    def join(self, connection: "Connection") -> None:
        self._connections.add(connection)
        self._connected_changed()

    def leave(self, connection: "Connection") -> None:
        self._connections.discard(connection)
        self._connected_changed()

    def _connected_changed(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self._connections and self._idle_timeout is not None:
            self._idle = self._loop.call_later(self._idle_timeout, self._stop)

    def _run_load(self) -> None:  # on the loading thread
        status, engine = wire.Status("failed", "the loader crashed: its log has the traceback", 0.0), None
        try:
            engine = self._load(self._reporter())
            status = wire.Status("ready", "ready", 1.0, engine.facts)
        except LOAD_ERRORS as wrong:
            status = wire.Status("failed", str(wrong) or type(wrong).__name__, 0.0)
        finally:
            self.soon(self._settle, status, engine)

    def _reporter(self) -> Progress:
        last = ("", 0.0)

        def report(message: str, fraction: float) -> None:
            nonlocal last
            now = time.monotonic()
            if message != last[0] or now >= last[1] + REPORT_EVERY:
                last = (message, now)
                self.soon(self._announce, wire.Status("loading", message, fraction))

        return report

    def soon(self, call: Callable[..., None], *arguments: object) -> None:
        """Call on the event loop; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)

    def _settle(self, status: wire.Status, engine: "Engine | None") -> None:
        self.engine = engine
        if engine is None:
            self._loop.call_later(FAILED_GRACE, self._stop)
        else:
            self.tokenizer_frame = wire.encode(wire.TokenizerJson(engine.tokenizer_json))
        self._announce(status)

    def _announce(self, status: wire.Status) -> None:
        self.status = status
        for connection in list(self._connections):
            connection.on_status(status)


class Connection:
    """One client: what waits to be sent to it, and its requests."""

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket = socket
        self._service = service
        # On the event loop. A request is in at most one of the two maps, under the id its client gave it.
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX)
        self._waiting: dict[int, Request] = {}  # for the model
        self._running: dict[int, Generation] = {}
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

    def _generate(self, request: Request) -> None:
        if request.id in self._running or request.id in self._waiting:
            raise wire.WireError(f"request id {request.id} is in use")
        if len(self._running) + len(self._waiting) >= MAX_RUNNING:
            self._send(wire.Refused(request.id, "busy", f"{MAX_RUNNING} requests of this client are unfinished"))
        elif self._service.status.state == "loading":
            self._waiting[request.id] = request
        else:
            self._submit(request)

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
            self._running[request.id] = engine.submit(replace(request, id=next(self._service.ids)), emit)
        except RequestRefused as refusal:
            self._send(wire.Refused(request.id, refusal.kind, str(refusal)))

    def _deliver(self, id: int, answer: Chunk | RequestRefused) -> None:
        if id not in self._running:  # the client has left
            return
        if isinstance(answer, RequestRefused):
            del self._running[id]
            self._send(wire.Refused(id, answer.kind, str(answer)))
            return
        if answer.finish_reason is not None:
            del self._running[id]
        self._send(replace(answer, request_id=id))

    def _cancel(self, id: int) -> None:
        if id in self._running:
            self._running[id].abort()
        elif self._waiting.pop(id, None) is not None:
            self._send(Chunk(id, (), (), "cancelled"))

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
    """Why no model could answer a well-formed request, or None."""
    sampling, prompt = request.sampling, request.prompt
    if not prompt:
        return "the prompt is empty"
    if min(prompt) < 0 or max(prompt) >= facts.vocab_size:
        return f"a token id outside 0..{facts.vocab_size - 1}"
    if not 1 <= sampling.max_tokens <= MAX_TOKENS:
        return f"max_tokens outside 1..{MAX_TOKENS}"
    if not 0.0 <= sampling.temperature < math.inf:
        return "temperature is negative or not finite"
    if not 0.0 < sampling.top_p <= 1.0:
        return "top_p outside (0, 1]"
    if sampling.seed is not None and not 0 <= sampling.seed < 1 << 63:
        return "seed outside 0..2^63-1"
    if "" in sampling.stop:
        return "an empty stop string"
    return None


def _listen_unix(path: Path) -> Listener:
    url = f"unix:{path}"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)  # never open to others, not even between bind and chmod
    try:
        if not wire.is_private(path.parent):
            raise PermissionError(errno.EPERM, f"{path.parent} must be a folder of yours with mode 0700")
        server.bind(str(path))
        server.listen()
    except OSError as wrong:
        server.close()
        raise _listen_error(url, wrong, f"stop the runtime there, or delete {path}") from None
    finally:
        os.umask(umask)
    return Listener(server, url, path, loopback=False)


def _listen_tcp(url: str) -> Listener:
    try:
        parts = urlsplit(url)
        host, port = ipaddress.ip_address(parts.hostname or ""), parts.port
    except ValueError:
        raise ListenError(f"cannot listen on {url}: give an address and a port, as in tcp://127.0.0.1:8600") from None
    family, shown = (socket.AF_INET6, f"[{host}]") if host.version == 6 else (socket.AF_INET, str(host))
    try:
        server = socket.create_server((str(host), port or 0), family=family)
    except OSError as wrong:
        raise _listen_error(url, wrong, "choose another port, or stop what uses this one") from None
    return Listener(server, f"tcp://{shown}:{server.getsockname()[1]}", None, host.is_loopback)


def _listen_error(url: str, wrong: OSError, if_in_use: str) -> ListenError:
    advice = f"; {if_in_use}" if wrong.errno == errno.EADDRINUSE else ""
    return ListenError(f"cannot listen on {url}: {wrong.strerror or wrong}{advice}")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _uvicorn_config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=wire.MAX_TO_SERVER,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
