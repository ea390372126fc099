"""Clients over TCP and WebSockets: several at once, those who may not, and those who misbehave."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sc2lsp import clients
from sc2lsp.clients import listen, serve_clients
from sc2lsp.framing import MAX_BODY, encode
from sc2lsp.runtime.listen import ListenError

from .small import Small, create

TOKEN = "correct-horse-battery-staple"
ORIGIN = "https://editor.example"


class Client(Protocol):
    async def send(self, message: object) -> None: ...

    async def receive(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...


class TcpClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, message: object) -> None:
        self.writer.write(encode(json.dumps(message).encode()))
        await self.writer.drain()

    async def receive(self) -> dict[str, Any]:
        header = await self.reader.readuntil(b"\r\n\r\n")
        return json.loads(await self.reader.readexactly(int(header.split(b":")[1])))  # type: ignore[no-any-return]

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), 5) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class WebClient:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message = await self.connection.recv()
        assert isinstance(message, str)
        return json.loads(message)  # type: ignore[no-any-return]

    async def is_closed(self) -> bool:
        with suppress(ConnectionClosed):
            await asyncio.wait_for(self.connection.recv(), 5)
            return False
        return True

    async def close(self) -> None:
        await self.connection.close()


class Place:
    """What listens, and the servers it made."""

    def __init__(self) -> None:
        self.url = ""
        self.servers: list[Small] = []

    def make(self) -> Small:
        self.servers.append(create())
        return self.servers[-1]

    async def join(self, token: str = TOKEN) -> TcpClient | WebClient:
        """A client that is initialized."""
        client = await self.tcp() if self.url.startswith("tcp") else await self.web(f"?token={token}")
        assert "capabilities" in (await initialize(client, token))["result"]
        return client

    async def tcp(self) -> TcpClient:
        host, _, port = self.url.removeprefix("tcp://").rpartition(":")
        return TcpClient(*await asyncio.open_connection(host, int(port), limit=MAX_BODY))

    async def web(self, path: str = "", **settings: Any) -> WebClient:
        return WebClient(await connect(f"{self.url}/{path}", max_size=None, proxy=None, **settings))


@asynccontextmanager
async def listening(url: str, origins: tuple[str, ...] = ()) -> AsyncIterator[Place]:
    place, ready = Place(), asyncio.Event()

    def on_listening(actual: str) -> None:
        place.url = actual
        ready.set()

    task = asyncio.create_task(serve_clients(url, place.make, TOKEN, origins, on_listening))
    try:
        await asyncio.wait_for(ready.wait(), 5)
        yield place
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def initialize(client: Client, token: str | None = TOKEN) -> dict[str, Any]:
    return await ask(client, "initialize", params_of(token))


def params_of(token: str | None) -> dict[str, Any]:
    options = {"access_token": token} if token is not None else None
    return {"processId": 999_999_999, "rootUri": None, "capabilities": {}, "initializationOptions": options}


async def ask(client: Client, method: str, params: object = None) -> dict[str, Any]:
    await client.send({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    while (message := await asyncio.wait_for(client.receive(), 10)).get("id") != method:
        pass
    return message


async def tell(client: Client, method: str, params: object = None) -> None:
    await client.send({"jsonrpc": "2.0", "method": method, "params": params})


BOTH = pytest.mark.parametrize("url", ["tcp://127.0.0.1:0", "ws://127.0.0.1:0"])


@BOTH
async def test_two_at_once(url: str) -> None:
    """Each has its own server and its own documents; one leaves without a word, by `exit` or not."""
    async with listening(url) as place:
        first, second, third = [await place.join() for _ in range(3)]
        for number, client in enumerate((first, second)):
            document = {"uri": "file:///a", "languageId": "x", "version": 1, "text": f"text {number}"}
            await tell(client, "textDocument/didOpen", {"textDocument": document})
        position = {"textDocument": {"uri": "file:///a"}, "position": {"line": 0, "character": 0}}
        wanted = {**position, "context": {"triggerKind": 1}}
        for number, client in enumerate((first, second)):
            answer = await ask(client, "textDocument/inlineCompletion", wanted)
            assert answer["result"]["items"][0]["insertText"] == f"text {number}"
        await first.close()
        await tell(third, "exit")
        assert await third.is_closed()
        assert (await ask(second, "small/echo", [1]))["result"] == [1]
        await closed(place.servers[0], place.servers[2])
        assert not place.servers[1].is_closed
        fourth = await place.join()
        assert (await ask(fourth, "shutdown"))["result"] is None
        for client in (second, third, fourth):
            await client.close()


async def closed(*servers: Small) -> None:
    async with asyncio.timeout(5):
        while not all(server.is_closed for server in servers):
            await asyncio.sleep(0.01)


@BOTH
async def test_what_handlers_do_not_see(url: str) -> None:
    """The id of a process, which may be another machine's, would end the server as soon as it is gone."""
    async with listening(url) as place:
        client = await place.join()
        await tell(client, "initialized", {})
        assert (await ask(client, "small/echo", 1))["result"] == 1
        assert place.servers[0].process_id is None
        assert place.servers[0].options == {}, "nor is the token a setting"
        await client.close()


# What WebSocket clients present, and the status that they are answered with.
KNOCKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "in the URL": (f"?token={TOKEN}", {}, 101),
    "in a header": ("", {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}}, 101),
    "in lower case": ("", {"additional_headers": {"Authorization": f"bearer {TOKEN}"}}, 101),
    "an allowed page": (f"?token={TOKEN}", {"origin": ORIGIN}, 101),
    "nothing": ("", {}, 401),
    "an empty one": ("?token=", {}, 401),
    "a wrong one": ("?token=guess", {}, 401),
    "the beginning": (f"?token={TOKEN[:-1]}", {}, 401),
    "more": (f"?token={TOKEN}x", {}, 401),
    "not ASCII": ("?token=%C3%A9%FF", {}, 401),
    "another scheme": ("", {"additional_headers": {"Authorization": f"Basic {TOKEN}"}}, 401),
    "a wrong header, the right URL": (
        f"?token={TOKEN}", {"additional_headers": {"Authorization": "Bearer guess"}}, 401,
    ),
    "an evil page": (f"?token={TOKEN}", {"origin": "https://evil.example"}, 403),
    "a page in a sandbox": (f"?token={TOKEN}", {"origin": "null"}, 403),
    "a page like an allowed one": (f"?token={TOKEN}", {"origin": f"{ORIGIN}.evil.example"}, 403),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOCKS)
async def test_who_may_connect(name: str) -> None:
    path, settings, status = KNOCKS[name]
    async with listening("ws://127.0.0.1:0", (ORIGIN,)) as place:
        if status == 101:
            client = await place.web(path, **settings)
            assert "capabilities" in (await initialize(client, None))["result"]
            await client.close()
        else:
            with pytest.raises(InvalidStatus) as refused:
                await place.web(path, **settings)
            assert refused.value.response.status_code == status
            assert not place.servers


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 101), ("localhost:1", 101), ("[::1]", 101), ("127.0.0.2", 101), ("evil.example", 403),
     ("localhost.evil.example", 403), ("192.0.2.1", 403), ("", 403), ("[", 403), ("127.0.0.1.evil.example", 403)],
)  # fmt: skip
async def test_which_names_the_place_has(host: str, status: int) -> None:
    """A page whose own name leads to this machine has that name in Host."""
    async with listening("ws://127.0.0.1:0") as place:
        port = int(place.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"GET /?token={TOKEN} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]  # fmt: skip
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == str(status).encode()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("token", [None, "", "guess", TOKEN[:-1], 5, [TOKEN], "é", "\ud800"])
async def test_tcp_without_the_token(token: Any) -> None:
    async with listening("tcp://127.0.0.1:0") as place:
        stranger, friend = await place.tcp(), await place.join()
        assert (await initialize(stranger, token))["error"]["code"] == -32600
        assert (await ask(stranger, "small/echo"))["error"]["code"] == -32002
        assert (await ask(friend, "small/echo", 1))["result"] == 1
        assert "capabilities" in (await initialize(stranger))["result"], "another try"
        await friend.close()
        await stranger.close()


async def test_tcp_without_the_token_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few seconds of silence, or of guesses; that one which is admitted stays."""
    monkeypatch.setattr(clients, "ADMISSION_SECONDS", 0.5)
    async with listening("tcp://127.0.0.1:0") as place:
        silent, guessing, friend = await place.tcp(), await place.tcp(), await place.tcp()
        await friend.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params_of(TOKEN)})
        await guessing.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params_of("guess")})
        assert await silent.is_closed()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            while True:
                await asyncio.wait_for(guessing.receive(), 5)
        assert (await ask(friend, "small/echo", 1))["result"] == 1
        for client in (silent, guessing, friend):
            await client.close()


async def test_what_a_browser_can_send() -> None:
    """A web page can have a body posted to any port."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params_of(TOKEN)}).encode()
    http = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with listening("tcp://127.0.0.1:0") as place:
        browser = await place.tcp()
        browser.writer.write(http)
        assert (await browser.receive())["error"]["code"] == -32700
        assert await browser.is_closed()
        assert not place.servers[0].protocol._workspace
        await browser.close()


@BOTH
async def test_a_message_too_large_harms_nobody_else(url: str) -> None:
    async with listening(url) as place:
        greedy, other = await place.join(), await place.join()
        body = b'{"jsonrpc":"2.0","id":1,"method":"small/echo","params":"%b"}'
        large = body % (b"x" * (MAX_BODY + 1 - len(body) + 2))
        assert len(large) == MAX_BODY + 1
        if isinstance(greedy, TcpClient):
            greedy.writer.write(encode(large))
            assert (await asyncio.wait_for(greedy.receive(), 20))["error"]["code"] == -32600
            assert (await ask(greedy, "small/echo", 1))["result"] == 1  # and goes on
            await greedy.close()
        else:
            with suppress(ConnectionClosed):
                await greedy.connection.send(large, text=True)
            with pytest.raises(ConnectionClosed) as gone:
                await greedy.receive()
            assert gone.value.rcvd is not None
            assert gone.value.rcvd.code == 1009
        assert (await ask(other, "small/echo", 2))["result"] == 2
        await other.close()


@BOTH
async def test_one_that_does_not_read_is_given_up(url: str) -> None:
    async with listening(url) as place:
        deaf, other = await place.join(), await place.join()
        if isinstance(deaf, WebClient):
            deaf.connection.transport.pause_reading()
        await tell(deaf, "small/flood", {"count": 300, "size": 100_000})
        assert (await ask(other, "small/echo", 2))["result"] == 2
        await closed(place.servers[0])
        assert not place.servers[1].is_closed
        await other.close()
        if isinstance(deaf, WebClient):
            deaf.connection.transport.abort()
        await deaf.close()


@BOTH
async def test_nonsense_is_answered(url: str) -> None:
    async with listening(url) as place:
        client = await place.join()
        for nonsense, code in ((b"{", -32700), (b"[]", -32600), (b"\xff", -32700), (b"{}", -32600)):
            if isinstance(client, TcpClient):
                client.writer.write(encode(nonsense))
            else:
                await client.connection.send(nonsense)
            answer = await client.receive()
            assert (answer["id"], answer["error"]["code"]) == (None, code)
        assert (await ask(client, "small/echo", 3))["result"] == 3
        await client.close()


@BOTH
async def test_no_more_than_so_many(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_CLIENTS", 2)
    async with listening(url) as place:
        inside = [await place.join() for _ in range(2)]
        with pytest.raises((InvalidStatus, ConnectionError, asyncio.IncompleteReadError)):
            await place.join()
        await inside.pop().close()
        await closed(place.servers[1])
        await asyncio.sleep(0.05)
        inside.append(await place.join())
        for client in inside:
            await client.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [("tcp://0.0.0.0:0", "without a token"), ("ws://0.0.0.0:0", "without a token"), ("unix:/a", "give tcp://"),
     ("http://127.0.0.1:1", "give tcp://"), ("ws://localhost:0", "give an address")],
)  # fmt: skip
def test_where_it_does_not_listen(url: str, said: str) -> None:
    with pytest.raises(ListenError, match=said):
        listen(url, create)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process alone")
@pytest.mark.parametrize(("scheme", "token"), [("tcp", ""), ("ws", ""), ("ws", TOKEN)])
async def test_the_process(scheme: str, token: str) -> None:
    """A token is made and told once where none is given; Ctrl-C ends it, clients and all."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.small", f"{scheme}://127.0.0.1:0", token,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    line = b""
    while b"listening on" not in line:
        line = await asyncio.wait_for(process.stderr.readline(), 10)
    place, made = Place(), token
    place.url = line.decode().split("listening on ")[1].split(",")[0].strip()
    if not token:
        made = line.decode().split("token ")[1].strip()
        assert len(made) >= 43  # 256 bits in base 64
    client = await place.join(made)
    assert (await ask(client, "small/echo", 1))["result"] == 1
    process.send_signal(2)
    rest, out = await asyncio.wait_for(asyncio.gather(process.stderr.read(), process.wait()), 10)
    assert out == 0
    assert b"Traceback" not in rest
    assert made.encode() not in rest
    await client.close()
