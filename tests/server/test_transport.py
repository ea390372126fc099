"""JSON-RPC and the life cycle in this process, then real pipes and processes, with the server of `small`."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sc2lsp import transport
from sc2lsp.framing import Fault, Message, encode

from .editor import Editor, ResponseError
from .small import CANARY, Small, create
from .test_framing import STREAMS, mutate

INITIALIZE = {"id": 0, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}
POSITION = {"textDocument": {"uri": "file:///a"}, "position": {"line": 0, "character": 0}}
COMPLETE = {"method": "textDocument/inlineCompletion", "params": {**POSITION, "context": {"triggerKind": 1}}}
PARSE, REQUEST, METHOD, PARAMS, INTERNAL, EARLY, CANCELLED = -32700, -32600, -32601, -32602, -32603, -32002, -32800


class Line:
    """A wire within the process: bytes in, messages out."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = asyncio.Queue[bytes]()
        self.said: list[dict[str, Any]] = []
        for chunk in (*chunks, b""):
            self.chunks.put_nowait(chunk)

    async def messages(self) -> AsyncGenerator[Message | Fault]:
        async for message in transport.parse(self.chunks.get):
            yield message

    def write(self, body: bytes) -> None:
        self.said.append(json.loads(body))

    async def end(self) -> None:
        pass


def packed(*messages: dict[str, Any] | bytes) -> bytes:
    return b"".join(m if isinstance(m, bytes) else pack({"jsonrpc": "2.0", **m}) for m in messages)


def pack(message: object) -> bytes:
    return encode(json.dumps(message).encode())


async def talk(*messages: dict[str, Any] | bytes, server: Small | None = None) -> list[dict[str, Any]]:
    """What is said to all of it at once, in one write."""
    line, server = Line(packed(*messages)), server or create()
    await server.converse(line)
    for _ in range(5):  # so many steps for what is under way
        await asyncio.sleep(0)
    await server.finish()
    assert server.is_closed
    return line.said


def brief(said: list[dict[str, Any]]) -> list[object]:
    """Codes of errors, and of the rest the results."""
    return [(message["id"], message["error"]["code"] if "error" in message else message["result"]) for message in said]


def call(id: Any, method: str = "small/echo", **fields: Any) -> dict[str, Any]:
    return {"id": id, "method": method, **fields}


# What is sent between `initialize` and the end, and what is answered: (id, result or code of the error).
CALLS: dict[str, tuple[list[dict[str, Any] | bytes], list[object]]] = {
    "a request": ([call(1, params={"a": [1, None, "é"]})], [(1, {"a": [1, None, "é"]})]),
    "without parameters": ([call(1)], [(1, None)]),
    "an id that is text": ([call("x")], [("x", None)]),
    "an id that is empty": ([call("")], [("", None)]),
    "zero and negative ids": ([call(0), call(-1)], [(0, None), (-1, None)]),
    "a large id": ([call(10**30)], [(10**30, None)]),
    "the same id again": ([call(1), call(1)], [(1, None), (1, None)]),
    "an id of null": ([call(None)], [(None, REQUEST)]),
    "an id that is true": ([call(True)], [(None, REQUEST)]),
    "an id that is broken": ([call(1.5)], [(None, REQUEST)]),
    "an id that is a list": ([call([1])], [(None, REQUEST)]),
    "no version": ([pack(call(1))], [(1, REQUEST)]),
    "another version": ([call(1, jsonrpc="1.0")], [(1, REQUEST)]),
    "a method that is a number": ([call(1, 5)], [(1, REQUEST)]),  # type: ignore[arg-type]
    "a method that is a list, and no id": ([{"method": ["small/echo"]}], [(None, REQUEST)]),
    "nothing": ([pack({})], [(None, REQUEST)]),
    "only an id": ([{"id": 1}], [(1, REQUEST)]),
    "a batch": ([pack([{"jsonrpc": "2.0", **call(1)}])], [(None, REQUEST)]),
    "an unknown method": ([call(1, "small/unknown")], [(1, METHOD)]),
    "an unknown method of LSP": ([call(1, "textDocument/hover", params=5)], [(1, METHOD)]),
    "an unknown $ method": ([call(1, "$/unknown")], [(1, METHOD)]),
    "an unknown notification": ([{"method": "small/unknown"}, {"method": "$/unknown", "params": {}}], []),
    "a Python attribute": ([call(1, "__class__"), call(2, "lsp_exit")], [(1, METHOD), (2, METHOD)]),
    "a notification as a request": ([call(1, "textDocument/didOpen", params={})], [(1, REQUEST)]),
    "exit as a request": ([call(1, "exit"), call(2)], [(1, REQUEST), (2, None)]),
    "a request as a notification": ([{"method": "small/echo"}, COMPLETE], []),
    "wrong parameters": ([{**COMPLETE, "id": 1, "params": {"position": "here"}}], [(1, PARAMS)]),
    "no parameters": ([call(1, COMPLETE["method"])], [(1, PARAMS)]),
    "a list of parameters": ([call(1, COMPLETE["method"], params=[1])], [(1, PARAMS)]),
    "a number for parameters": ([call(1, COMPLETE["method"], params=7)], [(1, PARAMS)]),
    "a notification with wrong ones": ([{"method": "textDocument/didOpen", "params": {"a": 1}}, call(1)], [(1, None)]),
    "a handler that fails": ([call(1, "small/fail"), call(2)], [(1, INTERNAL), (2, None)]),
    "one that fails later": ([call(1, "small/failLater")], [(1, INTERNAL)]),
    "a result that is no JSON": ([call(1, "small/unsendable")], [(1, INTERNAL)]),
    "a failing notification": ([{"method": "small/fail"}, {"method": "small/failLater"}, call(1)], [(1, None)]),
    "an unknown command": ([call(1, "workspace/executeCommand", params={"command": CANARY})], [(1, PARAMS)]),
    "initialize again": ([{**INITIALIZE, "id": 1}], [(1, REQUEST)]),
    "cancelled": ([call(1, "small/wait"), {"method": "$/cancelRequest", "params": {"id": 1}}], [(1, CANCELLED)]),
    "a command cancelled": (
        [
            call(1, "workspace/executeCommand", params={"command": "small.wait"}),
            {"method": "$/cancelRequest", "params": {"id": 1}},
        ],
        [(1, CANCELLED)],
    ),
    "cancelled by what is no id": (
        [*[{"method": "$/cancelRequest", "params": {"id": id}} for id in ({}, [], True, 1.5)], call(1)], [(1, None)],
    ),
    "cancelled twice, and what is unknown": (
        [
            call("a", "small/wait"),
            *[{"method": "$/cancelRequest", "params": {"id": id}} for id in ("a", "a", "b", 7, None)],
            {"method": "$/cancelRequest"},
            call(2),
        ],
        [("a", CANCELLED), (2, None)],
    ),
    "left in flight": ([call(1, "small/wait"), call(2)], [(2, None), (1, CANCELLED)]),
    "answers to nothing": (
        [
            {"id": 5, "result": None},
            {"id": "6", "error": {"code": 1, "message": ""}},
            {"id": None, "error": {"code": PARSE, "message": ""}},
            {"id": [1], "result": 1},
            {"id": 1.5, "error": 5},
            call(1),
        ],
        [(1, None)],
    ),
    "an answer to a request of the client's own": (
        [call(1, "small/wait"), {"id": 1, "result": 1}, {"id": 1, "error": {}}, call(2)],
        [(2, None), (1, CANCELLED)],
    ),
    "a message in a message": ([call(1, params={"jsonrpc": "2.0", "method": "exit"})], None),  # type: ignore[dict-item]
    "keys that are no names": ([call(1, params={"class": 1, "": 2, "type_name": 3, "_": {}})], None),  # type: ignore[dict-item]
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
async def test_what_is_answered(name: str, caplog: pytest.LogCaptureFixture) -> None:
    sent, answers = CALLS[name]
    if answers is None:  # an echo
        answers = [(1, sent[0]["params"])]  # type: ignore[index]
    first, *said = await talk(INITIALIZE, *sent)
    assert first["id"] == 0
    assert brief(said) == answers
    assert all(
        message["jsonrpc"] == "2.0" and message.keys() <= {"jsonrpc", "id", "result", "error"} for message in said
    )
    assert all("data" not in message.get("error", {}) for message in said)
    assert CANARY not in json.dumps(said) + caplog.text


@pytest.mark.parametrize("name", STREAMS)
async def test_streams_are_answered(name: str) -> None:
    """The streams of test_framing before a good request: each fault has one reply, and the request its answer."""
    sent, found = STREAMS[name]
    said = await talk(INITIALIZE, sent, call(1))
    expected = [(None, code) if isinstance(code, int) else ("a", METHOD) for code in found]
    assert brief(said[1:]) == [*expected, (1, None)]


# Before `initialize` and after `shutdown`: (what is sent, what is answered, was it shut down)
SHUTDOWN, EXIT = call(8, "shutdown"), {"method": "exit"}
LIVES: dict[str, tuple[list[dict[str, Any]], list[object], bool]] = {
    "too early": ([call(1), {**COMPLETE, "id": 2}, SHUTDOWN], [(1, EARLY), (2, EARLY), (8, EARLY)], False),
    "too early, and malformed": ([{**COMPLETE, "id": 2, "params": 5}], [(2, EARLY)], False),
    "too early, and unknown": ([call(1, "small/unknown")], [(1, EARLY)], False),
    "a notification too early": ([{"method": "textDocument/didOpen", "params": {}}], [], False),
    "exit at once": ([EXIT, INITIALIZE], [], False),
    "initialize that is malformed": ([call(1, "initialize", params={"capabilities": 5})], [(1, PARAMS)], False),
    "exit alone": ([INITIALIZE, EXIT, call(1)], [0], False),
    "no exit": ([INITIALIZE, SHUTDOWN], [0, (8, None)], True),
    "both": ([INITIALIZE, SHUTDOWN, EXIT, call(1)], [0, (8, None)], True),
    "too late": ([INITIALIZE, SHUTDOWN, call(1), {**COMPLETE, "id": 2, "params": 5}, INITIALIZE],
                 [0, (1, REQUEST), (2, REQUEST), (0, REQUEST), (8, None)], True),
    "twice": ([INITIALIZE, SHUTDOWN, {**SHUTDOWN, "id": 9}, EXIT], [0, (9, REQUEST), (8, None)], True),
    "in flight": ([INITIALIZE, call(1, "small/wait"), SHUTDOWN, EXIT], [0, (1, CANCELLED), (8, None)], True),
    "a command in flight": (
        [INITIALIZE, call(1, "workspace/executeCommand", params={"command": "small.wait"}), SHUTDOWN, EXIT],
        [0, (1, CANCELLED), (8, None)], True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIVES)
async def test_life_cycle(name: str) -> None:
    sent, answers, was_shut_down = LIVES[name]
    server = create()
    said = await talk(*sent, server=server)
    assert [0 if isinstance(message.get("result"), dict) else brief([message])[0] for message in said] == answers
    assert server.protocol._shutdown is was_shut_down


async def test_initialized_counts_once() -> None:
    """It starts what works in the background."""
    server, confirmed = create(), {"method": "initialized", "params": {}}
    await talk(confirmed, INITIALIZE, confirmed, confirmed, {"method": "initialized"}, confirmed, server=server)
    assert server.seen == ["initialized"]


async def test_a_request_sees_the_document_as_it_was_sent() -> None:
    """A change, a request, the next change, all in one write."""
    uri = {"uri": "file:///a"}
    opened = {"textDocument": {**uri, "languageId": "x", "version": 1, "text": ""}}
    messages: list[dict[str, Any]] = [INITIALIZE, {"method": "textDocument/didOpen", "params": opened}]
    for number in range(20):
        change = {"textDocument": {**uri, "version": number + 2}, "contentChanges": [{"text": "x"}]}
        messages += [{"method": "textDocument/didChange", "params": change}, {**COMPLETE, "id": number + 1}]
    line = Line(packed(*messages))
    server = create()
    await server.converse(line)
    await asyncio.sleep(0.1)
    await server.finish()
    lengths = {message["id"]: len(message["result"]["items"][0]["insertText"]) for message in line.said[1:]}
    assert lengths == {number + 1: number + 1 for number in range(20)}


async def test_requests_to_the_client() -> None:
    """Its answers, right, refused, malformed and too late."""
    answers: list[dict[str, Any]] = [
        {"result": {"a": 1}},
        {"result": None},
        {"error": {"code": -1, "message": "no"}},
        {"error": 5},
        {"result": 1, "error": None},
    ]
    server, line = create(), Line()
    line.chunks.get_nowait()
    line.chunks.put_nowait(packed(INITIALIZE, *[call(number, "small/ask") for number in range(1, 7)]))
    talking = asyncio.create_task(server.converse(line))
    while len(line.said) < 7:
        await asyncio.sleep(0)
    asked = [message["id"] for message in line.said if message.get("method") == "small/question"]
    line.chunks.put_nowait(packed({"method": "$/cancelRequest", "params": {"id": 6}}))
    line.chunks.put_nowait(packed(*[{"id": id, **answer} for id, answer in zip(asked, answers, strict=False)]))
    line.chunks.put_nowait(packed({"id": asked[5], "result": 1}))  # to whoever was cancelled
    line.chunks.put_nowait(b"")
    await talking
    await asyncio.sleep(0.01)
    await server.finish()
    assert sorted(brief(line.said[7:]), key=str) == sorted(
        [(1, {"a": 1}), (2, None), (3, -1), (4, REQUEST), (5, REQUEST), (6, CANCELLED)], key=str
    )
    assert not server.protocol._request_futures


async def test_nothing_is_kept_of_what_is_over() -> None:
    server = create()
    sent = [call(number, "small/failLater") for number in range(50)]
    noise = [{"method": "small/failLater"}, {"method": "$/setTrace", "params": {"value": "off"}}] * 50
    await talk(INITIALIZE, *sent, *noise, server=server)
    assert not server.protocol._request_futures
    assert not server.protocol._result_types


@pytest.mark.parametrize("seed", range(10))
async def test_mutated_messages(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Each good request after a mutated one is answered once; nothing in flight is lost."""
    chance = random.Random(seed)
    samples = [packed(message) for sent, _ in CALLS.values() for message in sent if isinstance(message, dict)]
    samples = [sample for sample in samples if b"small/wait" not in sample]
    stream = [INITIALIZE]
    for number in range(150):
        stream += [mutate(chance, chance.choice(samples)), call(f"good {number}")]  # type: ignore[list-item]
    said = await talk(*stream)
    good = [message["id"] for message in said if str(message["id"]).startswith("good")]
    assert good == [f"good {number}" for number in range(150)]
    assert CANARY not in caplog.text


# Processes from here on.


@asynccontextmanager
async def started(*arguments: str, environment: dict[str, str] | None = None) -> AsyncIterator[Editor]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.small", "stdio", *arguments,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    running = Editor(process)
    try:
        yield running
    finally:
        await running.close()


async def ended(window: Editor) -> tuple[int, bytes]:
    """Exit status and standard error."""
    assert window.process.stderr is not None
    errors = await asyncio.wait_for(window.process.stderr.read(), 10)
    return await asyncio.wait_for(window.process.wait(), 10), errors


async def test_exit_status() -> None:
    async with started() as window:
        await window.initialize()
        assert await window.shutdown() == 0
    async with started() as window:
        await window.initialize()
        window.notify("exit", None)
        assert (await ended(window))[0] == 1
    async with started() as window:
        await window.initialize()
        assert window.process.stdin is not None
        window.process.stdin.close()
        assert (await ended(window))[0] == 1


async def test_all_is_written_before_the_end() -> None:
    """A megabyte, then the reply to `shutdown`, with `exit` already sent."""
    async with started() as window:
        await window.initialize()
        window.notify("small/flood", {"count": 100, "size": 10_000})
        _, shut_down = window.start("shutdown", None)
        window.notify("exit", None)
        assert await asyncio.wait_for(shut_down, 10) is None
        assert (await ended(window))[0] == 0
        assert [len(text) for text in window.said("small/drop")] == [10_000] * 100


async def test_what_fails_is_logged_once_and_without_text() -> None:
    async with started() as window:
        await window.initialize()
        for _ in range(50):
            for method in ("small/fail", "small/failLater"):
                with pytest.raises(ResponseError, match="internal error"):
                    await window.request(method, {"text": CANARY})
            await window.request("small/forget", None)
        with pytest.raises(ResponseError):
            await window.request(CANARY, None)
        await window.shutdown()
        _, errors = await ended(window)
        assert CANARY.encode() not in errors
        assert b"Traceback" not in errors
        assert errors.count(b"ValueError") <= 3
        assert b"ValueError in" in errors
        assert b"small.py:" in errors


async def test_asyncio_in_debug_mode_quotes_nothing() -> None:
    """It logs callbacks that take long, with what they were called with."""
    environment = {**os.environ, "PYTHONASYNCIODEBUG": "1"}
    async with started(environment=environment) as window:
        await window.initialize()
        await window.request("small/sleep", {"text": CANARY})
        await window.shutdown()
        _, errors = await ended(window)
        assert b"took" in errors
        assert CANARY.encode() not in errors


async def test_what_prints_does_not_speak() -> None:
    async with started() as window:
        await window.initialize()
        assert await window.request("small/print", {"text": "hello"}) is None
        assert await window.request("small/echo", 1) == 1
        await window.shutdown()
        assert b"hello" in (await ended(window))[1]


def test_a_client_that_does_not_read_for_a_while() -> None:
    """It sends 5000 requests and reads nothing meanwhile; then all are answered, in order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.small", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        text = "x" * 500
        sent = packed(INITIALIZE, *[call(number, params=[text]) for number in range(1, 5001)], SHUTDOWN, EXIT)
        process.stdin.write(sent)  # 3 MB: far more than a pipe holds, so a server that waited to be read would stop
        process.stdin.flush()
        time.sleep(0.5)
        received = process.stdout.read()
        assert process.wait(10) == 0
    at = [received.index(b'"id":%d,"result":["x' % number) for number in (1, 100, 2500, 5000)]
    assert at == sorted(at)
    assert received.count(text.encode()) == 5000


def test_a_client_that_never_reads_is_given_up() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.small", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin is not None
        flood = {"method": "small/flood", "params": {"count": 300, "size": 100_000}}
        process.stdin.write(packed(INITIALIZE, flood))
        process.stdin.flush()
        assert process.wait(20) == 1


async def test_noise_alone_ends_it() -> None:
    """An endless stream of what is no message; exit status 1, and no memory."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f"head -c 400000000 /dev/zero | {sys.executable} -m tests.server.small stdio; echo $?",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert out.endswith(b"1\n")
    assert out.count(b'"error"') == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows closes the pipes of a process that is gone")
def test_it_ends_with_the_editor_though_its_pipes_stay_open() -> None:
    """The editor, a shell here, is killed; this process still holds both ends. Nobody waits for the editor's end."""
    held_read, held_write = os.pipe()
    server = f"{sys.executable} -m tests.server.small stdio $$ <&3 & echo $! >&2; wait"
    editor = subprocess.Popen(
        ["bash", "-c", f"exec 3<&0; {server}"], stdin=held_read, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert editor.stderr is not None
    assert editor.stdout is not None
    server_id = int(editor.stderr.readline())
    os.write(held_write, packed(INITIALIZE, {"method": "initialized", "params": {}}))
    assert b"capabilities" in os.read(editor.stdout.fileno(), 5000)
    editor.send_signal(signal.SIGKILL)  # and not waited for: it stays as a zombie
    deadline = time.monotonic() + 10
    try:
        while is_running(server_id):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        editor.wait()
        editor.stdout.close()
        editor.stderr.close()
        os.close(held_read)
        os.close(held_write)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
