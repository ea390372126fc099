"""One model behind a socket: the ASGI app that streams completions to many clients.

Listens at once and reports the loading of the model to whoever is connected. Everything here runs on one event loop;
the loading thread and the engine's thread enter it through `call_soon_threadsafe` only. Knows neither tensors nor
who starts and stops it, and never logs what travels.
"""

import asyncio
import contextlib
import hmac
import importlib.metadata
import ipaddress
import itertools
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
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
from starlette.websockets import WebSocket

from . import wire
from .connection import Connection
from .errors import ModelError
from .listen import Listener, ListenError, listen

if TYPE_CHECKING:
    from .engine import Engine

Progress = Callable[[str, float], None]
Load = Callable[[Progress], "Engine"]

REPORT_EVERY = 0.1  # seconds between two reports of the same loading step
FAILED_GRACE = 2.0  # seconds in which clients can still learn why the model failed to load
# What loading a checkpoint can raise on a machine that lacks something; anything else is our bug and gets a traceback.
LOAD_ERRORS = (ModelError, ImportError, MemoryError, OSError, RuntimeError, ValueError)


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
    if token is None and url.startswith("tcp:"):
        raise ListenError(f"cannot listen on {url} without a token: anyone who reaches the port could use the model")
    listener = listen(url)
    server: uvicorn.Server

    def stop() -> None:
        server.should_exit = True

    def stopping() -> bool:
        return server.should_exit

    service = Service(load, idle_timeout, stop)
    server = uvicorn.Server(_uvicorn_config(build_app(service, listener, token, stopping)))
    if on_listening is not None:
        on_listening(listener.url)
    await server.serve(sockets=[listener.socket])
    if service.status.state == "failed":
        raise ModelError(service.status.message)


def build_app(service: "Service", listener: Listener, token: str | None, stopping: Callable[[], bool]) -> Starlette:
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
        if stopping():  # uvicorn would let a late comer hold up the end, and then drop it
            await socket.close(1012)
            return
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
        self.names = itertools.count()  # of connections
        self._load = load
        self._idle_timeout = idle_timeout
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        # On the event loop; status and engine change together, once.
        self.status = wire.Status("loading", "starting", 0.0)
        self.engine: Engine | None = None
        self.tokenizer_frame = b""
        self._connections: set[Connection] = set()
        self._idle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start loading, on a daemon thread: a long download must not delay the end of the process."""
        self._connected_changed()
        threading.Thread(target=self._run_load, name="load", daemon=True).start()

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self.engine is not None:
            await asyncio.to_thread(self.engine.close)

    def join(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._connected_changed()

    def leave(self, connection: Connection) -> None:
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
