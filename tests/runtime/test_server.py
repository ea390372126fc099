"""The runtime process over real sockets, with a small engine that counts instead of computing."""

import asyncio
import contextlib
import hashlib
import http.client
import itertools
import socket
import stat
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sc2lsp.runtime import connection, listen, server, wire
from sc2lsp.runtime.api import NOTHING, Chunk, Indexed, ModelFacts, Request, RequestRefused, SamplingParams
from sc2lsp.runtime.client import ConnectionLost, RuntimeClient, RuntimeFailed, RuntimeTimeout
from sc2lsp.runtime.errors import ModelError

TOKENIZER = b'{"model": "none"}' * 100_000
FACTS = ModelFacts("counting", 1, 1024, None, 100, "cpu", "float32", hashlib.sha256(TOKENIZER).hexdigest())
TOKEN = "t" * 64
LONG = SamplingParams(max_tokens=4096)


class CountingGeneration:
    def __init__(self) -> None:
        self.aborted = threading.Event()

    def abort(self) -> None:
        self.aborted.set()


class CountingEngine:
    """Answers prompt (n,) with n+1, n+2, ... (modulo the vocabulary), a token every `step` seconds."""

    facts = FACTS
    tokenizer_json = TOKENIZER

    def __init__(self, step: float = 0.002, tokens_per_chunk: int = 1) -> None:
        self.step = step
        self.tokens_per_chunk = tokens_per_chunk
        self.requests: list[Request] = []
        self.generations: list[CountingGeneration] = []
        self.closed = False
        self.documents: dict[tuple[str, str], tuple[int, ...]] = {}

    def put_document(self, indexed: Indexed) -> None:
        if max(indexed.tokens, default=0) >= FACTS.vocab_size:
            raise RequestRefused("bad_request", "token ids outside")
        self.documents[indexed.workspace, indexed.document] = indexed.tokens

    def forget_workspaces(self, names: Collection[str]) -> None:
        self.documents = {key: tokens for key, tokens in self.documents.items() if key[0] not in names}

    def submit(self, request: Request, emit: Callable[[Chunk | RequestRefused], None]) -> CountingGeneration:
        if request.document.endswith("\nfull"):
            raise RequestRefused("busy", "later")
        generation = CountingGeneration()
        self.requests.append(request)
        self.generations.append(generation)
        threading.Thread(target=self._count, args=(request, emit, generation.aborted)).start()
        return generation

    def close(self) -> None:
        self.closed = True

    def _count(
        self, request: Request, emit: Callable[[Chunk | RequestRefused], None], aborted: threading.Event
    ) -> None:
        if request.document.endswith("\nbroken"):
            emit(RequestRefused("failed", "out of memory"))
            return
        for i in range(request.sampling.max_tokens):
            if aborted.wait(self.step):
                emit(Chunk(request.id, (), (), "cancelled", NOTHING))
                return
            token = (request.prompt[-1] + 1 + i) % FACTS.vocab_size
            emit(Chunk(request.id, (token,) * self.tokens_per_chunk, (-0.5,) * self.tokens_per_chunk))
        emit(Chunk(request.id, (), (), "length", NOTHING))


@contextlib.asynccontextmanager
async def serving(
    url: str,
    engine: CountingEngine,
    token: str | None = None,
    loads: Callable[[server.Progress], None] = lambda _: None,
) -> AsyncGenerator[str]:
    """A server on this loop; yields its actual URL."""

    def load(progress: server.Progress) -> CountingEngine:
        loads(progress)
        return engine

    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    idle = 0.2
    running = asyncio.create_task(server.serve_async(url, load, token, idle, listening.set_result))
    await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    yield listening.result()
    await asyncio.wait_for(running, 5.0)  # every test ends with an idle shutdown


@pytest.fixture
def url(tmp_path: Path) -> str:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return f"unix:{folder}/s"


async def tokens(client: RuntimeClient, prompt: tuple[int, ...], count: int, document: str = "d") -> list[int]:
    sampling = SamplingParams(max_tokens=count)
    return [token async for chunk in client.generate(document, prompt, sampling) for token in chunk.token_ids]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3.0):
        while not condition():
            await asyncio.sleep(0.005)


def socket_file(url: str) -> Path:
    return Path(url.removeprefix("unix:"))


def raw(url: str, **options: object) -> connect:
    """A connection below RuntimeClient, to send what it never would."""
    return unix_connect(url.removeprefix("unix:"), f"ws://localhost{wire.STREAM_PATH}", compression=None, **options)


async def begun(socket: ClientConnection) -> None:
    assert isinstance(wire.decode_from_server(await socket.recv()), wire.Hello)
    while wire.decode_from_server(await socket.recv()) != wire.Status("ready", "ready", 1.0, FACTS):
        pass


# -- streaming


async def test_streams_and_shuts_down_when_idle(url: str) -> None:
    engine = CountingEngine()
    async with serving(url, engine):
        client = await RuntimeClient.connect(url)
        assert await client.ready() == FACTS
        chunks = [chunk async for chunk in client.generate("d", (7,), SamplingParams(max_tokens=5))]
        assert [token for chunk in chunks for token in chunk.token_ids] == [8, 9, 10, 11, 12]
        assert chunks[-1].finish_reason == "length"
        assert await client.tokenizer_json() == TOKENIZER
        await asyncio.sleep(0.4)  # longer than the idle timeout: an open connection keeps the server
        assert await tokens(client, (1,), 2) == [2, 3]
        await client.close()
    assert engine.closed
    assert not socket_file(url).exists()


async def test_many_requests_of_two_clients_at_once(url: str) -> None:
    engine = CountingEngine()
    async with serving(url, engine):
        clients = [await RuntimeClient.connect(url) for _ in range(2)]
        answers = await asyncio.gather(*(tokens(client, (n,), 8) for n in range(15) for client in clients))
        assert answers == [list(range(n + 1, n + 9)) for n in range(15) for _ in clients]
        assert (
            len({request.id for request in engine.requests}) == 30
        )  # clients use the same ids; the engine never sees that
        for client in clients:
            await client.close()


async def test_files_of_a_client_are_its_own_and_leave_with_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_INDEXED", 6)
    engine = CountingEngine()
    async with serving(url, engine):
        first, second = [await RuntimeClient.connect(url) for _ in range(2)]
        await first.ready()
        for client, value in ((first, 1), (second, 2)):
            await client.put_document(Indexed("w", "a", (value,) * 3))
        await first.put_document(Indexed("w", "b", (3,) * 4))  # more than a client may have: it has none of that one
        await until(lambda: sum(map(bool, engine.documents.values())) == 2 and len(engine.documents) == 3)
        await first.put_document(Indexed("w", "a", ()))
        await first.put_document(Indexed("w", "b", (3,) * 4))
        await until(lambda: sorted(filter(None, engine.documents.values())) == [(2,) * 3, (3,) * 4])
        await tokens(first, (1,), 1)
        await first.close()
        await until(lambda: list(engine.documents.values()) == [(2,) * 3])
        await second.put_document(Indexed("w", "a", (FACTS.vocab_size,)))
        await until(lambda: second.lost is not None)
        await second.close()


REFUSALS: list[tuple[str, tuple[int, ...], SamplingParams, str]] = [
    ("d", (), SamplingParams(), "bad_request"),
    ("d", (100,), SamplingParams(), "bad_request"),
    ("d", (-1,), SamplingParams(), "bad_request"),
    ("d", (1, 2**62), SamplingParams(), "bad_request"),
    ("d", (2**70,), SamplingParams(), "bad_request"),
    ("d", (1,) * 65_537, SamplingParams(), "bad_request"),
    ("\udcff", (1,), SamplingParams(), "bad_request"),
    ("d", (1,), SamplingParams(max_tokens=-1), "bad_request"),
    ("d", (1,), SamplingParams(max_tokens=0), "bad_request"),
    ("d", (1,), SamplingParams(max_tokens=4097), "bad_request"),
    ("d", (1,), SamplingParams(temperature=float("nan")), "bad_request"),
    ("d", (1,), SamplingParams(temperature=float("inf")), "bad_request"),
    ("d", (1,), SamplingParams(temperature=-0.1), "bad_request"),
    ("d", (1,), SamplingParams(top_p=0.0), "bad_request"),
    ("d", (1,), SamplingParams(top_p=float("nan")), "bad_request"),
    ("d", (1,), SamplingParams(seed=-1), "bad_request"),
    ("d", (1,), SamplingParams(stop=("",)), "bad_request"),
    ("d", (1,), SamplingParams(stop_ids=(2**70,)), "bad_request"),
    ("d", (1,), SamplingParams(min_confidence=float("nan")), "bad_request"),
    ("broken", (1,), SamplingParams(), "failed"),
    ("full", (1,), SamplingParams(), "busy"),
]


NAN = float("nan")
OUTSIDE: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n outside 1..16"),
    ({"n": 17}, "n outside 1..16"),
    ({"top_k": -1}, "top_k outside 0..100"),
    ({"top_k": 101}, "top_k outside 0..100"),
    ({"top_p": NAN}, "top_p outside (0, 1]"),
    ({"temperature": NAN}, "temperature is negative or not finite"),
    ({"seed": 2**63}, "seed outside 0..2^63-1"),
    ({"stop_ids": (5, 100)}, "a stop id outside 0..99"),
    ({"stop_ids": (-1, 5)}, "a stop id outside 0..99"),
    ({"max_lines": -1}, "max_lines is negative"),
    ({"min_indent": -1}, "min_indent outside 0..1000"),
    ({"min_indent": 1001}, "min_indent outside 0..1000"),
    ({"min_confidence": -0.1}, "min_confidence outside [0, 1]"),
    ({"stop": ("a",) * 40, "stop_ids": (0,) * 25}, "more than 64 stop strings and ids"),
    ({"forced": "x" * 257}, "more than 256 characters in forced"),
    ({"min_confidence": 1.1}, "min_confidence outside [0, 1]"),
    ({"min_confidence": NAN}, "min_confidence outside [0, 1]"),
]
INSIDE: list[dict[str, Any]] = [
    {"n": 1, "top_k": 0, "stop_ids": (), "max_lines": 0, "min_indent": 0, "min_confidence": 0.0, "seed": None},
    {"n": 16, "top_k": 100, "stop_ids": (0, 99), "max_lines": 9999, "min_indent": 1000, "min_confidence": 1.0},
    {"max_tokens": 4096, "temperature": 1e300, "top_p": 1e-300, "seed": 2**63 - 1, "stop": ("\n",)},
]


@pytest.mark.parametrize(("sampling", "message"), OUTSIDE)
def test_each_limit_is_named(sampling: dict[str, Any], message: str) -> None:
    wrong = connection.what_is_wrong(Request(1, "d", (1,), SamplingParams(**sampling)), FACTS)
    assert wrong is not None
    assert wrong.startswith(message)


@pytest.mark.parametrize("sampling", INSIDE)
def test_what_is_at_a_limit_is_served(sampling: dict[str, Any]) -> None:
    assert connection.what_is_wrong(Request(1, "d", (99,), SamplingParams(**sampling)), FACTS) is None


async def test_refusals(url: str) -> None:
    async with serving(url, CountingEngine()):
        client = await RuntimeClient.connect(url)
        for document, prompt, sampling, kind in REFUSALS:
            with pytest.raises(RequestRefused) as refusal:
                await anext(client.generate(document, prompt, sampling))
            assert refusal.value.kind == kind, (document, prompt[:3], sampling)
        assert await tokens(client, (1,), 1) == [2]  # the connection lives on
        await client.close()


async def test_one_connection_cannot_queue_without_bound(url: str) -> None:
    engine = CountingEngine(step=0.05)
    async with serving(url, engine):
        client = await RuntimeClient.connect(url)
        streams = [client.generate("d", (1,), LONG) for _ in range(connection.MAX_RUNNING)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        with pytest.raises(RequestRefused, match="unfinished"):
            await anext(client.generate("d", (1,), LONG))
        await client.close()
        await until(lambda: all(generation.aborted.is_set() for generation in engine.generations))


# -- cancelling


async def test_leaving_a_stream_aborts_it_in_the_engine(url: str) -> None:
    engine = CountingEngine()
    async with serving(url, engine):
        client = await RuntimeClient.connect(url)
        async with contextlib.aclosing(client.generate("d", (1,), LONG)) as stream:
            assert (await anext(stream)).token_ids == (2,)
            assert not engine.generations[0].aborted.is_set()
        await until(engine.generations[0].aborted.is_set)
        assert await tokens(client, (1,), 2) == [2, 3]
        assert not engine.generations[1].aborted.is_set()  # nothing to cancel after the last chunk
        await client.close()


async def test_cancelling_the_waiting_task_aborts_it_in_the_engine(url: str) -> None:
    engine = CountingEngine(step=30.0)
    async with serving(url, engine):
        client = await RuntimeClient.connect(url)
        task = asyncio.create_task(tokens(client, (1,), 2))
        await until(lambda: len(engine.generations) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(engine.generations[0].aborted.is_set)
        await client.close()


async def test_deadlines_cancel(url: str) -> None:
    engine = CountingEngine(step=0.3)
    async with serving(url, engine):
        client = await RuntimeClient.connect(url)
        with pytest.raises(RuntimeTimeout):
            await anext(client.generate("d", (1,), LONG, first_chunk_within=0.05))
        await until(engine.generations[0].aborted.is_set)
        stream = client.generate("d", (1,), LONG, next_chunk_within=0.05)
        await anext(stream)
        with pytest.raises(RuntimeTimeout):
            await anext(stream)
        await until(engine.generations[1].aborted.is_set)
        await client.close()


async def test_a_disconnect_aborts_everything_of_that_connection_only(url: str) -> None:
    engine = CountingEngine()
    async with serving(url, engine):
        leaver, stayer = [await RuntimeClient.connect(url) for _ in range(2)]
        streams = [client.generate("d", (1,), LONG) for client in (leaver, leaver, stayer)]
        for stream in streams:
            await anext(stream)
        leaver._socket.transport.abort()
        await until(lambda: engine.generations[0].aborted.is_set() and engine.generations[1].aborted.is_set())
        assert not engine.generations[2].aborted.is_set()
        for stream in streams[:2]:
            with pytest.raises(ConnectionLost):
                while True:
                    await anext(stream)
        await streams[2].aclose()
        await stayer.close()


async def test_a_client_that_stops_reading_is_dropped(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OUTBOX", 64)
    engine = CountingEngine(step=0.001, tokens_per_chunk=5000)
    async with serving(url, engine), raw(url, max_queue=1) as socket:
        await begun(socket)
        for id in range(4):
            await socket.send(wire.encode(Request(id, "d", (1,), LONG)))
        await until(lambda: len(engine.generations) == 4)
        await until(lambda: all(generation.aborted.is_set() for generation in engine.generations))
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()


# -- loading


async def test_loading_is_reported_and_early_requests_wait(url: str) -> None:
    release = threading.Event()

    def loads(progress: server.Progress) -> None:
        progress("reading weights", 0.5)
        release.wait(5)
        progress("warming up", 0.9)

    seen: list[wire.Status] = []
    async with serving(url, CountingEngine(), loads=loads):
        client = await RuntimeClient.connect(url, on_status=seen.append)
        early = asyncio.create_task(tokens(client, (1,), 2))
        tokenizer = asyncio.create_task(client.tokenizer_json())
        dropped = client.generate("d", (1,), LONG, first_chunk_within=0.05)
        with pytest.raises(RuntimeTimeout):
            await anext(dropped)
        assert client.status.state == "loading"
        release.set()
        assert await early == [2, 3]
        assert await tokenizer == TOKENIZER
        await client.close()
    assert [status.message for status in seen][-3:] == ["reading weights", "warming up", "ready"]
    assert seen[-1].model == FACTS


async def test_a_failed_load_is_told_and_ends_the_server(url: str) -> None:
    def loads(progress: server.Progress) -> None:
        time.sleep(0.1)
        raise ModelError("no such folder: give --model a checkpoint")

    with pytest.raises(ModelError, match="no such folder"):
        async with serving(url, CountingEngine(), loads=loads):
            client = await RuntimeClient.connect(url)
            with pytest.raises(RuntimeFailed, match="give --model"):
                await client.ready()
            with pytest.raises(RequestRefused, match="no such folder") as refusal:
                await anext(client.generate("d", (1,), SamplingParams()))
            assert refusal.value.kind == "failed"
            late = await RuntimeClient.connect(url)
            assert late.status.state == "failed"


async def test_whoever_waits_for_the_model_learns_that_the_runtime_has_gone(url: str) -> None:
    release = threading.Event()
    async with serving(url, CountingEngine(), loads=lambda _: release.wait(5)):
        client = await RuntimeClient.connect(url)
        waiting = [asyncio.create_task(client.ready()), asyncio.create_task(client.tokenizer_json())]
        await asyncio.sleep(0.05)
        client._socket.transport.abort()
        for task in waiting:
            with pytest.raises(ConnectionLost):
                await task
        release.set()


async def test_a_tokenizer_other_than_the_models_is_refused(url: str) -> None:
    engine = CountingEngine()
    engine.tokenizer_json = b"{}"
    async with serving(url, engine):
        client = await RuntimeClient.connect(url)
        with pytest.raises(ConnectionLost, match="not its model's"):
            await client.tokenizer_json()
        await client.close()


# -- who may connect


async def test_every_route_asks_for_the_token() -> None:
    async with serving("tcp://127.0.0.1:0", CountingEngine(), TOKEN) as url:
        app = server.build_app(None, listen.Listener(None, url, None, True), TOKEN, lambda: False)
        assert [type(route) for route in app.routes] == [Route, WebSocketRoute]
        attempts = itertools.product(
            [route.path for route in app.routes] + ["/nowhere"],
            [
                {},
                {"Authorization": "Bearer "},
                {"Authorization": f"Bearer {TOKEN[1:]}"},
                {"Authorization": f"Basic {TOKEN}"},
            ],
        )
        for path, headers in attempts:
            assert await asyncio.to_thread(status_of, url, path, headers) == 401, (path, headers)
            assert await websocket_status_of(url, path, headers) == 401, (path, headers)
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert await asyncio.to_thread(status_of, url, "/health", right) == 200
        for token in (None, "wrong", "ü"):
            with pytest.raises(ConnectionLost, match="wrong token"):
                await RuntimeClient.connect(url, token)
        client = await RuntimeClient.connect(url, TOKEN)
        assert await tokens(client, (1,), 2) == [2, 3]
        await client.close()


BROWSERS: list[tuple[dict[str, str], int]] = [
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Host": "evil.example"}, 403),
    ({"Host": "127.0.0.1.evil.example:80"}, 403),
    ({"Host": "[::1"}, 403),
    ({"Host": "localhost:80"}, 200),
    ({"Host": "[::1]"}, 200),
]


async def test_browsers_are_refused() -> None:
    async with serving("tcp://127.0.0.1:0", CountingEngine(), TOKEN) as url:
        for headers, status in BROWSERS:
            right = {"Authorization": f"Bearer {TOKEN}"} | headers
            assert await asyncio.to_thread(status_of, url, "/health", right) == status, headers
            if "Origin" in headers:
                assert await websocket_status_of(url, wire.STREAM_PATH, right) == 403, headers


async def test_an_origin_is_refused_on_a_unix_socket_too(url: str) -> None:
    async with serving(url, CountingEngine()):
        with pytest.raises(InvalidStatus) as refusal:
            await raw(url, origin="http://localhost")
        assert refusal.value.response.status_code == 403


async def test_health_names_the_model() -> None:
    async with serving("tcp://127.0.0.1:0", CountingEngine(), TOKEN) as url:
        client = await RuntimeClient.connect(url, TOKEN)
        await client.ready()
        body = await asyncio.to_thread(get, url, "/health", {"Authorization": f"Bearer {TOKEN}"})
        assert b'"state":"ready"' in body[1]
        assert b'"model":"counting"' in body[1]
        await client.close()


def get(url: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("tcp://"), timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def status_of(url: str, path: str, headers: dict[str, str]) -> int:
    return get(url, path, headers)[0]


async def websocket_status_of(url: str, path: str, headers: dict[str, str]) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(url.replace("tcp:", "ws:") + path, additional_headers=headers, proxy=None)
    return refusal.value.response.status_code


# -- hostile clients


BAD_MESSAGES: dict[str, tuple[list[bytes | str], int]] = {
    "no msgpack": ([b"\xc1"], 1008),
    "empty": ([b""], 1008),
    "text": (["text"], 1008),
    "deep": ([b"\x91" * 100_000], 1008),
    "a server's frame": ([wire.encode(wire.Hello(1, "", 1))], 1008),
    "id in use": ([wire.encode(Request(1, "d", (1,), LONG))] * 2, 1008),
    "oversized": ([b"\x00" * (wire.MAX_TO_SERVER + 1)], 1009),
}


async def test_bad_messages_end_their_connection_only(url: str) -> None:
    async with serving(url, CountingEngine()):
        neighbour = await RuntimeClient.connect(url)
        for name, (messages, code) in BAD_MESSAGES.items():
            async with raw(url) as socket:
                await begun(socket)
                with pytest.raises(ConnectionClosed) as closed:
                    for message in messages:
                        await socket.send(message)
                    while True:
                        await socket.recv()
            assert closed.value.rcvd is not None, name
            assert closed.value.rcvd.code == code, name
            assert await tokens(neighbour, (1,), 2) == [2, 3]
        await neighbour.close()


async def test_a_cancel_of_nothing_is_ignored(url: str) -> None:
    async with serving(url, CountingEngine()), raw(url) as socket:
        await begun(socket)
        await socket.send(wire.encode(wire.Cancel(12)))
        await socket.send(wire.encode(Request(1, "d", (1,), SamplingParams(max_tokens=1))))
        assert wire.decode_from_server(await socket.recv()) == Chunk(1, (2,), (-0.5,))


async def test_a_server_that_speaks_nonsense_is_no_runtime(url: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        writer.close()

    async with await asyncio.start_unix_server(answer, url.removeprefix("unix:")):
        with pytest.raises(ConnectionLost):
            await RuntimeClient.connect(url)


# -- listening


async def test_the_socket_is_its_owners_only(url: str) -> None:
    async with serving(url, CountingEngine()):
        assert stat.S_IMODE(socket_file(url).stat().st_mode) == 0o600


async def test_a_socket_in_use_is_a_listen_error(url: str) -> None:
    async with serving(url, CountingEngine()):
        with pytest.raises(listen.ListenError, match=r"stop the runtime there, or delete"):
            listen.listen(url)
        await (await RuntimeClient.connect(url)).close()


async def test_a_port_in_use_is_a_listen_error() -> None:
    async with serving("tcp://127.0.0.1:0", CountingEngine(), TOKEN) as url:
        with pytest.raises(listen.ListenError, match="choose another port"):
            listen.listen(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://127.0.0.1:80",
        "tcp://example.com:80",
        "tcp://127.0.0.1:x",
        "tcp://127.0.0.1:70000",
        "unix:/missing/s",
    ],
)
def test_other_urls_are_listen_errors(url: str) -> None:
    with pytest.raises(listen.ListenError, match="cannot listen on"):
        listen.listen(url)


async def test_tcp_without_a_token_is_a_listen_error() -> None:
    with pytest.raises(listen.ListenError, match="without a token"):
        await server.serve_async("tcp://127.0.0.1:0", lambda _: CountingEngine())


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_open_to_others_is_a_listen_error(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(listen.ListenError, match="0700"):
        listen.listen(f"unix:{tmp_path}/s")
    assert not (tmp_path / "s").exists()


def test_a_path_too_long_for_a_socket_is_a_listen_error(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir(mode=0o700)
    with pytest.raises(listen.ListenError, match="too long"):
        listen.listen(f"unix:{folder}/s")


def test_ipv6_where_there_is_one() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    listener = listen.listen("tcp://[::1]:0")
    with listener.socket:
        assert listener.url.startswith("tcp://[::1]:")
        assert listener.loopback
