"""Mutated frames through the pipes of the real server, each followed by a good request that must be answered.

python -m tests.soak.frames [--frames 200000] [--seed 0]
"""

import argparse
import asyncio
import copy
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc2lsp.framing import Fault, FrameParser, encode
from tests.benchmarks.crowd import resident_mb
from tests.benchmarks.instant import runtime
from tests.server.test_framing import mutate

from .home import CHARACTER, LINE, TEXT, own_home, workspace

HANG_SECONDS = 1.0
LOST_SECONDS = 30.0  # without the answer: the server is ended and another one started
WARM = 2_000  # frames, after which memory counts
SAY = 500  # frames between two figures
COMPLETE = 50  # one good request in so many is for a completion, the others for nothing
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**64, 1.5, 1e308, "", "x" * 1000, "\ud83d", "file:///", "\x00", [], {}, [[[]]]),
    *([None] * 100, {"": {"": {}}}, {"start": {"line": 5, "character": 0}, "end": {"line": 1, "character": 9}}),
)


@dataclass(slots=True)
class Frames:
    """Mutated frames, and how the good request after each was answered."""

    frames: int = 0
    answered: int = 0
    hangs: int = 0  # answers that took more than a second
    crashes: int = 0
    clean_ends: int = 0  # with exit status 1
    slowest_ms: float = 0.0
    grown_mb: float = 0.0
    logged_bytes: int = 0

    @property
    def faults(self) -> int:
        return self.frames - self.answered - self.clean_ends + self.hangs + self.crashes


class Client:
    """One server and what it says."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log
        self._parser = FrameParser()
        self._said: dict[str, dict[str, Any]] = {}
        # All of it mutates in `answer` and `send`, on the event loop.

    @classmethod
    async def start(cls, root: Path, endpoint: str) -> "Client":
        log = root.parent / "log"
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sc2lsp", "--stdio",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, "SC2LSP_ENDPOINT": endpoint},
            )  # fmt: skip
        client = cls(process, log)
        for message in opening(root):
            client.send(pack(message))
        await client.answer("0")
        return client

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def answer(self, id: str) -> dict[str, Any] | None:
        """None where the server ended."""
        assert self.process.stdout is not None
        while id not in self._said:
            data = await self.process.stdout.read(1 << 16)
            if not data:
                return None
            self._parser.feed(data)
            while (message := self._parser.take()) is not None:
                assert not isinstance(message, Fault), "the server itself sent what is no message"
                if "method" in message and "id" in message:
                    self.send(pack({"id": message["id"], "result": None}))
                elif isinstance(message.get("id"), str):
                    self._said[message["id"]] = message
        answer = self._said[id]
        self._said.clear()
        return answer

    async def end(self) -> int:
        if self.process.returncode is None:
            self.process.kill()
        return await self.process.wait()


def pack(message: dict[str, Any]) -> bytes:
    return encode(json.dumps({"jsonrpc": "2.0", **message}).encode())


def opening(root: Path) -> list[dict[str, Any]]:
    folders = [{"uri": root.as_uri(), "name": "work"}]
    params = {"processId": os.getpid(), "rootUri": None, "capabilities": {}, "workspaceFolders": folders}
    return [{"id": "0", "method": "initialize", "params": params}, {"method": "initialized", "params": {}}]


def samples(root: Path) -> list[dict[str, Any]]:
    """Good messages of each kind, but for those that end the server or add a folder to index."""
    document = {"uri": (root / "main.py").as_uri()}
    place = {"line": LINE, "character": CHARACTER}
    notebook = {"uri": (root / "a.ipynb").as_uri(), "notebookType": "jupyter-notebook", "version": 1}
    cell = {"uri": "vscode-notebook-cell:a", "languageId": "python", "version": 1, "text": "x = 1\n"}
    changes = [{"range": {"start": place, "end": place}, "text": "é\U0001f600"}]
    notifications: dict[str, Any] = {
        "textDocument/didOpen": {"textDocument": {**document, "languageId": "python", "version": 1, "text": TEXT}},
        "textDocument/didChange": {"textDocument": {**document, "version": 2}, "contentChanges": changes},
        "textDocument/didSave": {"textDocument": document},
        "textDocument/didClose": {"textDocument": document},
        "textDocument/didShowCompletion": {"item": {"insertText": "x"}},
        "textDocument/didPartiallyAcceptCompletion": {"item": {"command": {"arguments": ["x"]}}, "acceptedLength": 1},
        "notebookDocument/didOpen": {
            "notebookDocument": {**notebook, "cells": [{"kind": 2, "document": cell["uri"]}]},
            "cellTextDocuments": [cell],
        },
        "notebookDocument/didClose": {"notebookDocument": notebook, "cellTextDocuments": [{"uri": cell["uri"]}]},
        "workspace/didChangeWatchedFiles": {"changes": [{**document, "type": 2}]},
        "workspace/didChangeWorkspaceFolders": {"event": {"added": [], "removed": [{"uri": "file:///x", "name": ""}]}},
        "workspace/didChangeConfiguration": {"settings": {"sc2lsp": {"max_tokens": 8}}},
        "window/workDoneProgress/cancel": {"token": "x"},
        "$/setTrace": {"value": "verbose"},
        "$/cancelRequest": {"id": 7},
        "initialized": {},
    }
    requests: list[tuple[str, Any]] = [
        ("initialize", opening(root)[0]["params"]),
        ("textDocument/inlineCompletion", asked(root)),
        *[("workspace/executeCommand", {"command": f"sc2lsp.{name}", "arguments": ["x"]}) for name in COMMANDS],
    ]
    return [
        *({"method": method, "params": params} for method, params in notifications.items()),
        *({"id": number, "method": method, "params": params} for number, (method, params) in enumerate(requests)),
        {"id": "x", "result": None},
        {"id": 7, "error": {"code": -1, "message": ""}},
    ]


COMMANDS = ("accepted", "explain", "status", "pause", "resume", "unknown")


def asked(root: Path) -> dict[str, Any]:
    document, position = {"uri": (root / "main.py").as_uri()}, {"line": LINE, "character": CHARACTER}
    return {"textDocument": document, "position": position, "context": {"triggerKind": 1}}


def misshapen(source: random.Random, message: dict[str, Any]) -> bytes:
    """The frame is right, a value or two in it are not."""
    message = copy.deepcopy({"jsonrpc": "2.0", **message})
    for _ in range(source.randint(1, 2)):
        value: Any = message
        while True:
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            if not keys:
                break
            key = source.choice(keys)
            if isinstance(value[key], dict | list) and value[key] and source.random() < 0.8:
                value = value[key]
                continue
            value[key] = copy.deepcopy(source.choice(VALUES))
            break
    return encode(json.dumps(message).encode())


async def frames(size: int, seed: int = 0) -> AsyncIterator[Frames]:
    """Needs a `home.own_home`."""
    figures, source = Frames(), random.Random(seed)
    with workspace() as root:
        good = samples(root)
        async with runtime() as (endpoint, _):
            client, before = await Client.start(root, endpoint), 0.0
            while figures.frames < size:
                message = source.choice(good)
                client.send(misshapen(source, message) if source.random() < 0.3 else mutate(source, pack(message)))
                if not await answered(client, root, figures):
                    await client.end()
                    client, before = await Client.start(root, endpoint), 0.0
                if figures.frames % SAY == 0 or figures.frames == size:
                    before = before or (resident_mb(client.process.pid) if figures.frames >= min(WARM, size) else 0.0)
                    figures.grown_mb = resident_mb(client.process.pid) - before if before else 0.0
                    figures.logged_bytes = client.log.stat().st_size
                    yield figures
            await client.end()


async def answered(client: Client, root: Path, figures: Frames) -> bool:
    """Send a good request; whether the server still runs after it."""
    id = f"good {figures.frames}"
    figures.frames += 1
    completes = figures.frames % COMPLETE == 0
    method, params = ("textDocument/inlineCompletion", asked(root)) if completes else ("sc2lsp/nothing", None)
    started = time.monotonic()
    try:
        client.send(pack({"id": id, "method": method, "params": params}))
        answer = await asyncio.wait_for(client.answer(id), LOST_SECONDS)
    except TimeoutError:
        figures.hangs += 1
        return False
    except ConnectionError:
        answer = None
    if answer is None:
        is_clean = await asyncio.wait_for(client.process.wait(), LOST_SECONDS) == 1
        figures.clean_ends += is_clean
        figures.crashes += not is_clean
        return False
    took = time.monotonic() - started
    figures.answered += 1
    figures.hangs += took > HANG_SECONDS
    figures.slowest_ms = max(figures.slowest_ms, took * 1000)
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    async def run() -> Frames:
        figures, said = Frames(), time.monotonic()
        async with aclosing(frames(asked.frames, asked.seed)) as running:  # type: ignore[type-var]  # is a generator
            async for figures in running:
                if time.monotonic() > said + 10:
                    said = time.monotonic()
                    print(figures, file=sys.stderr, flush=True)
        return figures

    with own_home():
        figures = asyncio.run(run())
    print(figures)
    sys.exit(figures.faults > 0)


if __name__ == "__main__":
    main()
