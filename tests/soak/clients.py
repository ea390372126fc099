"""Editors that are killed while another process holds their server's pipes open: nothing may stay behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from sc2lsp import daemon

from .home import CHARACTER, LINE, TEXT, until_gone, workspace

AT_ONCE = 5
ORPHAN_SECONDS = 10.0
IDLE_SECONDS = 2.0  # of the runtime, until it ends
SLACK_SECONDS = 5.0
ANSWER_SECONDS = 120.0  # a runtime has to load first
# An editor that starts the server with the pipes it was given and then does nothing.
EDITOR = """import subprocess, sys, time
print(subprocess.Popen(sys.argv[1:]).pid, file=sys.stderr, flush=True)
time.sleep(999)
"""


@dataclass(slots=True)
class Clients:
    """Editors that were killed; how long servers and runtimes outlived them, in seconds."""

    killed: int = 0
    answered: int = 0  # before that, so that there was a runtime
    orphans: int = 0
    orphaned_runtimes: int = 0
    longest_server: float = 0.0
    longest_runtime: float = 0.0
    pids: list[int] = field(default_factory=list)  # of what stayed

    @property
    def faults(self) -> int:
        return self.orphans + self.orphaned_runtimes + self.killed - self.answered


@dataclass(frozen=True, slots=True)
class Client:
    """An editor's process, its server, and our ends of the pipes between them."""

    process: subprocess.Popen[bytes]
    server: int
    into: int
    out: asyncio.StreamReader
    transport: asyncio.ReadTransport

    def close(self) -> None:
        os.close(self.into)
        self.transport.close()
        assert self.process.stderr is not None
        self.process.stderr.close()


async def clients(kills: int) -> AsyncIterator[Clients]:
    """Needs a `home.own_home`."""
    figures = Clients()
    with workspace() as root:
        while figures.killed < kills:
            count = min(AT_ONCE, kills - figures.killed)
            started = [await _client() for _ in range(count)]
            figures.answered += sum(await asyncio.gather(*(_complete(client, root) for client in started)))
            runtimes = [running.hello.pid for running in await daemon.running()]
            for client in started:
                client.process.send_signal(signal.SIGKILL)
                client.process.wait()
            figures.killed += count
            await _look(figures, started, runtimes)
            for client in started:
                client.close()
            yield figures


async def _look(figures: Clients, started: list[Client], runtimes: list[int]) -> None:
    servers = [client.server for client in started]
    for pid, seconds in zip(servers, await _gone(servers, ORPHAN_SECONDS), strict=True):
        figures.longest_server = max(figures.longest_server, round(seconds or 0.0, 1))
        if seconds is None:
            figures.orphans += 1
            figures.pids.append(pid)
    for pid, seconds in zip(runtimes, await _gone(runtimes, IDLE_SECONDS + SLACK_SECONDS), strict=True):
        figures.longest_runtime = max(figures.longest_runtime, round(seconds or 0.0, 1))
        if seconds is None:
            figures.orphaned_runtimes += 1
            figures.pids.append(pid)


async def _gone(pids: list[int], within: float) -> list[float | None]:
    return list(await asyncio.gather(*(until_gone(pid, within) for pid in pids)))


async def _client() -> Client:
    process, into, out = _started()
    assert process.stderr is not None
    server = int(await asyncio.to_thread(process.stderr.readline))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(out, "rb", 0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return Client(process, server, into, reader, transport)


def _started() -> tuple[subprocess.Popen[bytes], int, int]:
    """An editor, and our ends of the pipes that its server reads and writes."""
    (server_in, into), (out, server_out) = os.pipe(), os.pipe()
    command = [sys.executable, "-c", EDITOR, sys.executable, "-P", "-m", "sc2lsp", "--stdio"]
    process = subprocess.Popen(command, stdin=server_in, stdout=server_out, stderr=subprocess.PIPE)
    os.close(server_in)
    os.close(server_out)
    return process, into, out


async def _complete(client: Client, root: Path) -> bool:
    """Whether the server answered a completion."""
    path = root / "main.py"
    folders = [{"uri": root.as_uri(), "name": root.name}]
    options = {"idle_timeout": IDLE_SECONDS}
    document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": TEXT}
    everything = {"processId": client.process.pid, "capabilities": {}, "rootUri": None, "workspaceFolders": folders}
    _send(client, "initialize", {**everything, "initializationOptions": options}, 1)
    _send(client, "initialized", {})
    _send(client, "textDocument/didOpen", {"textDocument": document})
    place = {"textDocument": {"uri": path.as_uri()}, "position": {"line": LINE, "character": CHARACTER}}
    _send(client, "textDocument/inlineCompletion", {**place, "context": {"triggerKind": 1}}, 2)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                message = await _receive(client.out)
                if message.get("id") == 2 and "method" not in message:
                    return "result" in message
    except (TimeoutError, asyncio.IncompleteReadError):
        return False


def _send(client: Client, method: str, params: object, id: int | None = None) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if id is None else {"id": id})
    body = json.dumps(message).encode()
    os.write(client.into, b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


async def _receive(out: asyncio.StreamReader) -> dict[str, object]:
    header = await out.readuntil(b"\r\n\r\n")
    length = int(header.decode().lower().split("content-length:")[1].split()[0])
    message: dict[str, object] = json.loads(await out.readexactly(length))
    return message
