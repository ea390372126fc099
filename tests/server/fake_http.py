"""An HTTP/1.1 server for tests: keeps what it is sent, answers byte for byte what a test wants, or not at all."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What is written, in which pieces; `pause` seconds before each, and no end where it is held."""

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pause: float = 0.0
    held: bool = False

    @staticmethod
    def json(value: object, status: int = 200) -> "Reply":
        return Reply([json.dumps(value).encode()], status, {"Content-Type": "application/json"})

    @staticmethod
    def lines(lines: Sequence[str], size: int = 7) -> "Reply":
        """In pieces of `size` bytes, so that characters and lines are split over them."""
        data = "".join(f"{line}\n" for line in lines).encode()
        return Reply([data[start : start + size] for start in range(0, len(data), size)])


SILENT = Reply(held=True)  # no status line either
CLOSED = Reply()  # nor then
Answer = Callable[[Request], Reply]


class FakeServer:
    """Who asked what, and whether somebody left before an answer ended."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Request] = []
        self.left = asyncio.Event()
        self.connections = 0
        self.url = ""
        self.served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}  # connections
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.served[task] = writer
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader)
        self.requests.append(request)
        reply = self._answer(request)
        if reply is CLOSED:
            return False
        if reply is not SILENT:
            writer.write(_head(reply))
        for piece in reply.pieces:
            await asyncio.sleep(reply.pause)
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if reply.held:
            await reader.readexactly(1)
        writer.write(b"0\r\n\r\n")
        return True


def _head(reply: Reply) -> bytes:
    headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(body) if body else None)


@contextlib.asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeServer]:
    fake = FakeServer(answer)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    fake.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        for writer in fake.served.values():
            writer.transport.abort()
        await asyncio.gather(*fake.served)
