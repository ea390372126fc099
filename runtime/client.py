"""A runtime at the other end of a socket, used as if it were here.

Needs neither torch nor the server's packages. Knows nothing of who starts runtimes, of text or of editors.
"""

import asyncio
import contextlib
import hashlib
import itertools
import socket as sockets
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from . import wire
from .api import Chunk, Indexed, ModelFacts, Request, RequestRefused, SamplingParams

OPEN_TIMEOUT = 5.0  # seconds for connection, handshake and the server's first two frames
PING_INTERVAL, PING_TIMEOUT = 5.0, 20.0  # a half-open connection ends after their sum; a busy server lives on
CLOSE_TIMEOUT = 1.0
# When the system gives up a connection whose other end says nothing, where it lets one choose: seconds until it asks,
# seconds between two questions, questions; milliseconds for what was sent. Its own defaults are hours. (The first is
# called TCP_KEEPALIVE on macOS.)
KEEPALIVE = {"TCP_KEEPIDLE": 2, "TCP_KEEPALIVE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 3000}


class ConnectionLost(Exception):
    """No runtime at the other end, or none any more; the message says why. Connecting again may help."""


class RuntimeFailed(Exception):
    """The runtime runs but could not load its model; the message is its own."""


class RuntimeTimeout(TimeoutError):
    """The runtime did not answer in time; the connection stays usable."""


Answer = Chunk | RequestRefused | ConnectionLost
Opening = TypeVar("Opening", wire.Hello, wire.Status)


class RuntimeClient:
    """One connection to a runtime; all methods belong to the event loop that connected it."""

    def __init__(
        self,
        socket: ClientConnection,
        hello: wire.Hello,
        status: wire.Status,
        on_status: Callable[[wire.Status], None] | None,
    ) -> None:
        """Use `connect`."""
        self.hello = hello
        self._socket = socket
        self._on_status = on_status
        self._ids = itertools.count(1)
        # Mutated by the reader task; the maps also by whoever waits, all on one event loop.
        self.status = status
        self.lost: ConnectionLost | None = None
        self._settled = asyncio.Event()  # ready, failed or lost
        self._answers: dict[int, asyncio.Queue[Answer]] = {}
        self._tokenizers: set[asyncio.Future[bytes]] = set()
        self._cancels: set[asyncio.Task[None]] = set()
        self._take_status(status)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(
        cls,
        url: str,
        token: str | None = None,
        on_status: Callable[[wire.Status], None] | None = None,
        ca_file: str = "",
    ) -> "RuntimeClient":
        """Connect to `unix:/PATH`, `tcp://HOST:PORT` or, behind TLS, `wss://HOST[:PORT]`. Raises ConnectionLost.

        The certificates in `ca_file` are trusted beside the system's.
        """
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                socket = await _open(url, token, ca_file)
                try:
                    hello = _expect(wire.Hello, await socket.recv())
                    if hello.protocol != wire.PROTOCOL:
                        other = f"runtime {hello.version} speaks protocol {hello.protocol}, this client {wire.PROTOCOL}"
                        raise wire.WireError(f"{other}; update the older of the two")
                    status = _expect(wire.Status, await socket.recv())
                except (ConnectionClosed, wire.WireError, asyncio.CancelledError):
                    socket.transport.abort()
                    raise
        except InvalidStatus as refusal:
            reason = "wrong token" if refusal.response.status_code == 401 else f"HTTP {refusal.response.status_code}"
            raise ConnectionLost(f"{url} refused the connection: {reason}") from None
        except TimeoutError:
            raise ConnectionLost(f"{url} accepts connections but does not answer") from None
        except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed, wire.WireError) as wrong:
            raise ConnectionLost(f"no runtime at {url}: {wrong}") from None
        return cls(socket, hello, status, on_status)

    async def ready(self) -> ModelFacts:
        """Wait until the model is loaded. Raises RuntimeFailed or ConnectionLost."""
        await self._settled.wait()
        if self.status.model is not None and self.lost is None:
            return self.status.model
        if self.status.state == "failed":
            raise RuntimeFailed(self.status.message)
        assert self.lost is not None
        raise self.lost

    async def tokenizer_json(self) -> bytes:
        """The model's tokenizer.json, checked against the model's facts. Raises RuntimeFailed or ConnectionLost."""
        facts = await self.ready()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._tokenizers.add(answer)
        try:
            await self._send(wire.TokenizerWanted())
            json = await answer
        finally:
            self._tokenizers.discard(answer)
        if hashlib.sha256(json).hexdigest() != facts.tokenizer_sha256:
            raise ConnectionLost("the runtime sent a tokenizer that is not its model's; restart it")
        return json

    async def generate(
        self,
        document: str,
        prompt: Sequence[int],
        sampling: SamplingParams,
        first_chunk_within: float = 30.0,
        next_chunk_within: float = 10.0,
        workspace: str = "",
    ) -> AsyncGenerator[Chunk, None]:
        """Stream one completion; leaving the stream early cancels it in the runtime. Deadlines in seconds.

        Nothing is sent before the first step. Raises RequestRefused, RuntimeTimeout or ConnectionLost.
        """
        id = next(self._ids)
        answers = self._answers[id] = asyncio.Queue()
        come: deque[Answer] = deque()  # and not been yielded yet
        under_way = True
        within = first_chunk_within
        try:
            await self._request(Request(id, document, tuple(prompt), sampling, workspace))
            while under_way:
                answer = come.popleft() if come else await _next(answers, within)
                if not isinstance(answer, Chunk):
                    under_way = False
                    raise answer
                while not answers.empty():
                    come.append(answers.get_nowait())
                answer = _joined(answer, come)
                under_way = answer.usage is None
                within = next_chunk_within
                yield answer
        finally:
            del self._answers[id]
            if under_way:
                self._cancel(id)

    async def put_document(self, indexed: Indexed) -> None:
        """Let drafts be found in a document. Raises ConnectionLost, or RequestRefused for one that is too long."""
        try:
            await self._send(indexed)
        except wire.WireError as wrong:
            raise RequestRefused("bad_request", str(wrong)) from None

    async def is_alive(self, within: float) -> bool:
        """Whether the other end answers a ping within so many seconds, as it does whatever its engine computes."""
        try:
            async with asyncio.timeout(within):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def close(self) -> None:
        await self._socket.close()
        await self._reader

    async def _request(self, request: Request) -> None:
        try:
            await self._send(request)
        except wire.WireError as wrong:
            raise RequestRefused("bad_request", str(wrong)) from None

    async def _send(self, frame: wire.FromClient) -> None:
        data = wire.encode(frame)
        if self.lost is not None:
            raise self.lost
        try:
            await self._socket.send(data)
        except ConnectionClosed as closed:
            raise ConnectionLost(f"the runtime has gone: {closed}") from None

    def _cancel(self, id: int) -> None:
        """In the background: whoever drops a completion must not wait for a runtime that may be stuck."""
        if self.lost is None:
            task = asyncio.create_task(self._send_cancel(id))
            self._cancels.add(task)
            task.add_done_callback(self._cancels.discard)

    async def _send_cancel(self, id: int) -> None:
        try:
            await self._send(wire.Cancel(id))
        except ConnectionLost:
            return  # what was to be cancelled has ended with the connection

    async def _read(self) -> None:
        reason = "closed"
        try:
            while True:
                self._take(wire.decode_from_server(await self._socket.recv()))
        except ConnectionClosed as closed:
            reason = str(closed)
        except wire.WireError as wrong:
            reason = str(wrong)
            self._socket.transport.abort()
        finally:
            self._lose(ConnectionLost(f"the runtime has gone: {reason}"))

    def _take(self, frame: wire.FromServer) -> None:
        match frame:
            case Chunk(request_id=id):
                self._answer(id, frame)
            case wire.Refused(id, kind, message):
                self._answer(id, RequestRefused(kind, message))
            case wire.Status():
                self._take_status(frame)
            case wire.TokenizerJson(json):
                for waiter in self._tokenizers:
                    if not waiter.done():
                        waiter.set_result(json)
            case wire.Hello():
                raise wire.WireError("a second hello")

    def _answer(self, id: int, answer: Chunk | RequestRefused) -> None:
        if id in self._answers:  # else cancelled here before it ended there
            self._answers[id].put_nowait(answer)

    def _take_status(self, status: wire.Status) -> None:
        self.status = status
        if status.state != "loading":
            self._settled.set()
        if self._on_status is not None:
            self._on_status(status)

    def _lose(self, lost: ConnectionLost) -> None:
        self.lost = lost
        self._settled.set()
        for answers in self._answers.values():
            answers.put_nowait(lost)
        for waiter in self._tokenizers:
            if not waiter.done():
                waiter.set_exception(lost)


class _Direct(connect):
    """Never follows a redirect: prompts go where the user said, or nowhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def _open(url: str, token: str | None, ca_file: str) -> ClientConnection:
    scheme, _, rest = url.partition(":")
    local: dict[str, Any] = {}
    tls: dict[str, Any] = {}
    if scheme == "unix":
        uri, local = "ws://localhost", {"unix": True, "path": rest}
    elif scheme in ("tcp", "wss"):
        uri = f"{'ws' if scheme == 'tcp' else 'wss'}:{rest.rstrip('/')}"
        tls = {} if scheme == "tcp" else {"ssl": _trusting(ca_file)}
    else:
        raise InvalidURI(url, "give unix:/PATH, tcp://HOST:PORT or wss://HOST")
    connection = await _Direct(
        uri + wire.STREAM_PATH,
        additional_headers={} if token is None else {"Authorization": f"Bearer {token}"},
        proxy=None,
        compression=None,
        max_size=wire.MAX_TO_CLIENT,
        open_timeout=OPEN_TIMEOUT,
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        close_timeout=CLOSE_TIMEOUT,
        **local,
        **tls,
    )
    if not local:
        _keep_alive(connection.transport.get_extra_info("socket"))
    return connection


def _trusting(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _keep_alive(socket: sockets.socket) -> None:
    with contextlib.suppress(OSError):  # older systems know a name and refuse the value
        socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(sockets, name):
                socket.setsockopt(sockets.IPPROTO_TCP, getattr(sockets, name), value)


def _expect(cls: type[Opening], data: bytes | str) -> Opening:
    frame = wire.decode_from_server(data)
    if not isinstance(frame, cls):
        raise wire.WireError(f"the runtime did not begin with {cls.__name__}")
    return frame


def _joined(chunk: Chunk, come: deque[Answer]) -> Chunk:
    """The chunk and those behind it that have come already, as one: each costs its way to whoever reads it."""
    while come and isinstance(more := come[0], Chunk) and more.index == chunk.index:
        come.popleft()
        ids, logprobs = chunk.token_ids + more.token_ids, chunk.logprobs + more.logprobs
        chunk = Chunk(chunk.request_id, ids, logprobs, more.finish_reason, more.usage, chunk.index)
    return chunk


async def _next(answers: asyncio.Queue[Answer], within: float) -> Answer:
    try:
        async with asyncio.timeout(within):
            return await answers.get()
    except TimeoutError:
        raise RuntimeTimeout(f"the runtime did not answer within {within:g} s") from None
