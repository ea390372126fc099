"""Several clients at once over TCP or WebSockets: each has a server of its own, all on one event loop.

Guards who may connect, and nothing else: what a client and its server say is theirs.
"""

import asyncio
import hmac
import ipaddress
import logging
import secrets
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from sc2lsp.framing import INVALID_REQUEST, MAX_BODY, Fault, Message, decode, encode
from sc2lsp.runtime.listen import Listener, ListenError
from sc2lsp.runtime.listen import listen as bind
from sc2lsp.transport import CHUNK, FLUSH_SECONDS, MAX_UNREAD, Bugs, LspServer, parse

MAX_CLIENTS = 32  # connected at once
ADMISSION_SECONDS = 5.0  # in which a TCP client must present the token
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MakeServer = Callable[[], LspServer]
Guard = Callable[[ServerConnection, Request], Awaitable[Response | None]]  # None lets a WebSocket in


def listen(url: str, make_server: MakeServer, token: str | None = None, origins: Collection[str] = ()) -> None:
    """Serve clients at `tcp://IP:PORT` or `ws://IP:PORT` until Ctrl-C, a new server for each.

    WebSocket clients present the token as `Authorization: Bearer` or as `?token=`, TCP clients as
    `initializationOptions.access_token`. Without one, on loopback only, one is made and told on standard error.
    `origins` are the web pages that may connect. Raises ListenError.
    """

    def tell(actual: str) -> None:
        made = "" if token is not None else f", token {shared}"
        sys.stderr.write(f"sc2lsp: listening on {actual}{made}\n")
        sys.stderr.flush()

    shared = token if token is not None else secrets.token_urlsafe(32)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve_clients(url, make_server, shared, origins, tell, only_loopback=token is None))


async def serve_clients(
    url: str,
    make_server: MakeServer,
    token: str,
    origins: Collection[str] = (),
    on_listening: Callable[[str], None] | None = None,
    only_loopback: bool = False,
) -> None:
    """`listen` on the running event loop; `on_listening` gets the URL with the actual port."""
    scheme, _, rest = url.partition(":")
    if scheme not in ("tcp", "ws"):
        raise ListenError(f"cannot listen on {url}: give tcp://127.0.0.1:PORT or ws://127.0.0.1:PORT")
    listener = bind(f"tcp:{rest}")
    if only_loopback and not listener.loopback:
        listener.socket.close()
        raise ListenError(f"cannot listen on {url} without a token: anyone who reaches the port would be let in")
    asyncio.get_running_loop().set_exception_handler(Bugs().report_event)
    clients = Clients(make_server, token)
    if on_listening is not None:
        on_listening(scheme + listener.url.removeprefix("tcp"))
    try:
        if scheme == "tcp":
            await _serve_tcp(listener, clients)
        else:
            # A client without an origin is no web page.
            await serve_websockets(listener, clients, token_guard(listener, clients), [None, *origins])
    finally:
        await clients.end()


class Clients:
    """Who is connected."""

    def __init__(self, make_server: MakeServer, token: str) -> None:
        self._make_server = make_server
        self._token = token.encode()
        self._tasks = set[asyncio.Task[Any]]()  # one for each; mutates on the event loop

    @property
    def is_full(self) -> bool:
        return len(self._tasks) >= MAX_CLIENTS

    def knows(self, token: object) -> bool:
        return isinstance(token, str) and hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    async def serve(self, wire: "TcpWire | WebSocketWire") -> None:
        """One client, from its first message to its last."""
        server, task = self._make_server(), cast(asyncio.Task[Any], asyncio.current_task())
        self._tasks.add(task)
        try:
            await server.converse(wire, wire.admit)
        finally:
            try:
                await server.finish()
            finally:
                await wire.end()
                self._tasks.discard(task)

    async def end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # connections that were aborted close in the event loop's next round


async def _serve_tcp(listener: Listener, clients: Clients) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if clients.is_full:
            writer.transport.abort()
        else:
            await clients.serve(TcpWire(reader, writer, clients.knows))

    async with await asyncio.start_server(connected, sock=listener.socket) as server:
        await server.serve_forever()


class TcpWire:
    """A connection that must present the token in `initialize`, soon, and nothing unreadable before."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, knows: Callable[[object], bool]
    ) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._reader = reader
        self._writer = writer
        self._knows = knows
        self._is_admitted = False  # mutates on the event loop, once
        self._deadline = asyncio.get_running_loop().call_later(ADMISSION_SECONDS, writer.transport.abort)

    def admit(self, params: dict[str, Any]) -> Fault | None:
        if not self._knows(_take_token(params)):
            return Fault(INVALID_REQUEST, "initialize needs the right initializationOptions.access_token")
        self._is_admitted = True
        self._deadline.cancel()
        return None

    async def messages(self) -> AsyncGenerator[Message | Fault]:
        async with aclosing(parse(self._next)) as messages:
            async for message in messages:
                yield message
                if isinstance(message, Fault) and not self._is_admitted:
                    return  # a web page can make a browser send something like a message within HTTP

    async def _next(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except ConnectionError:
            return b""

    def write(self, body: bytes) -> None:
        if self._writer.transport.is_closing():
            return
        self._writer.write(encode(body))
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self._writer.transport.abort()

    async def end(self) -> None:
        self._deadline.cancel()
        self._writer.close()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # the client is gone, or does not read
        finally:
            self._writer.transport.abort()


def token_guard(listener: Listener, clients: Clients) -> Guard:
    """Lets in who presents the token, at an address that is this machine's."""
    address = ipaddress.ip_address(listener.socket.getsockname()[0])

    async def guard(connection: ServerConnection, request: Request) -> Response | None:
        status = _refusal(request, address, clients)
        return None if status is None else connection.respond(status, f"{status.phrase}\n")

    return guard


async def serve_websockets(listener: Listener, clients: Clients, guard: Guard, origins: Collection[str | None]) -> None:
    """Serve clients until cancelled; `guard` sees every HTTP request first, and may answer it instead."""

    async def connected(connection: ServerConnection) -> None:
        await clients.serve(WebSocketWire(connection))

    silent = logging.getLogger("sc2lsp.websockets")
    silent.setLevel(logging.CRITICAL + 1)  # it would log tracebacks, and frames: file text
    allowed = [None if origin is None else Origin(origin) for origin in origins]
    # Compression would let a small frame become a large one.
    async with serve(
        connected, sock=listener.socket, process_request=guard, origins=allowed, compression=None,
        max_size=MAX_BODY, max_queue=1, server_header=None, close_timeout=FLUSH_SECONDS, logger=silent,
    ) as server:  # fmt: skip
        await server.serve_forever()


def _refusal(request: Request, address: IPAddress, clients: Clients) -> HTTPStatus | None:
    if not _is_ours(request.headers.get_all("Host"), address):
        return HTTPStatus.FORBIDDEN
    if not clients.knows(token_in(request)):
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.SERVICE_UNAVAILABLE if clients.is_full else None


def token_in(request: Request) -> str:
    """What a client presents as `Authorization: Bearer`, or else as `?token=`; "" where it does neither."""
    scheme, _, bearer = (request.headers.get_all("Authorization") or [""])[0].partition(" ")
    query = parse_qs(urlsplit(request.path).query).get("token", [""])
    return bearer if scheme.lower() == "bearer" else query[0]


def _is_ours(hosts: list[str], address: IPAddress) -> bool:
    """Whether the Host is this machine: a name that an attacker's DNS leads here is not."""
    try:
        name = urlsplit(f"//{hosts[0]}").hostname if len(hosts) == 1 else None
        host = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name or "")
    except ValueError:
        return False
    return host.is_loopback or host == address or address.is_unspecified


class WebSocketWire:
    """A connection whose client has presented the token; frames go out in order from a task of their own."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._unsent = asyncio.Queue[bytes | None]()  # None is the end
        self._waiting = 0  # bytes; like the queue, mutates on the event loop
        self._sender = asyncio.create_task(self._send())

    def admit(self, params: dict[str, Any]) -> None:
        _take_token(params)

    async def messages(self) -> AsyncGenerator[Message | Fault]:
        with suppress(ConnectionClosed):
            while True:
                yield decode(await self._connection.recv(decode=False))

    def write(self, body: bytes) -> None:
        if self._sender.done() or self._waiting > MAX_UNREAD:
            return
        self._waiting += len(body)
        self._unsent.put_nowait(body)
        if self._waiting > MAX_UNREAD:
            self._connection.transport.abort()

    async def end(self) -> None:
        self._unsent.put_nowait(None)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._sender, FLUSH_SECONDS)
        await self._connection.close()

    async def _send(self) -> None:
        with suppress(ConnectionClosed):
            while (body := await self._unsent.get()) is not None:
                await self._connection.send(body, text=True)
                self._waiting -= len(body)


def _take_token(params: dict[str, Any]) -> object:
    """Out of `initialize`, and with it the process id: it may be another machine's, and a connection tells its end."""
    params["processId"] = None
    options = params.get("initializationOptions")
    return options.pop("access_token", None) if isinstance(options, dict) else None
