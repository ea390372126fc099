"""An editor for tests: starts the server as editors do, speaks LSP over its pipes, keeps what it is told."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TIMEOUT = 120.0  # seconds; a runtime may have to load first


class ResponseError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.error = error


class Editor:
    """One running server. Positions are UTF-16, as in VS Code, unless `encodings` says otherwise."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.notifications: list[dict[str, Any]] = []
        self.answers: dict[int | str, asyncio.Future[Any]] = {}
        self.versions: dict[str, int] = {}
        self._last_id = 0
        self._reader = asyncio.create_task(self._read())

    async def request(self, method: str, params: Any) -> Any:
        return await asyncio.wait_for(self.start(method, params)[1], TIMEOUT)

    def start(self, method: str, params: Any) -> tuple[int, asyncio.Future[Any]]:
        self._last_id += 1
        future = self.answers[self._last_id] = asyncio.get_running_loop().create_future()
        self.send({"id": self._last_id, "method": method, "params": params})
        return self._last_id, future

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def initialize(self, *roots: Path, encodings: list[str] | None = None, **params: Any) -> dict[str, Any]:
        capabilities = {
            "general": {"positionEncodings": encodings or ["utf-16"]},
            "window": {"workDoneProgress": True},
            "notebookDocument": {"synchronization": {}},
        }
        folders = [{"uri": root.as_uri(), "name": root.name} for root in roots]
        everything = {"processId": os.getpid(), "capabilities": capabilities, "workspaceFolders": folders, **params}
        result: dict[str, Any] = await self.request("initialize", {"rootUri": None, **everything})
        self.notify("initialized", {})
        return result

    def open(self, path: Path, text: str | None = None, language: str = "python") -> None:
        uri = path.as_uri()
        self.versions[uri] = 1
        text = path.read_text("utf-8") if text is None else text
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, path: Path, line: int, character: int, text: str) -> None:
        """Insert at a position."""
        uri = path.as_uri()
        self.versions[uri] += 1
        place = {"line": line, "character": character}
        change = {"range": {"start": place, "end": place}, "text": text}
        document = {"uri": uri, "version": self.versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def ask(self, path: Path, line: int, character: int) -> tuple[int, asyncio.Future[Any]]:
        document, position = {"uri": path.as_uri()}, {"line": line, "character": character}
        params = {"textDocument": document, "position": position, "context": {"triggerKind": 2}}
        return self.start("textDocument/inlineCompletion", params)

    async def complete(self, path: Path, line: int, character: int) -> list[dict[str, Any]]:
        result = await asyncio.wait_for(self.ask(path, line, character)[1], TIMEOUT)
        items: list[dict[str, Any]] = result["items"]
        return items

    def said(self, method: str) -> list[dict[str, Any]]:
        return [message["params"] for message in self.notifications if message["method"] == method]

    async def shutdown(self) -> int:
        await self.request("shutdown", None)
        self.notify("exit", None)
        return await asyncio.wait_for(self.process.wait(), 10)

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reader

    async def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := await _header(stream):
            length = int(header.decode().lower().split("content-length:")[1].split()[0])
            self._take(json.loads(await stream.readexactly(length)))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message and "id" in message:  # the server asks: progress tokens and the like
            self.send({"id": message["id"], "result": None})
        elif "method" in message:
            self.notifications.append(message)
        elif not (future := self.answers.pop(message["id"])).done():
            if "error" in message:
                future.set_exception(ResponseError(message["error"]))
            else:
                future.set_result(message["result"])


async def _header(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def editor(*arguments: str, **environment: str) -> AsyncIterator[Editor]:
    """Start `sc2lsp --stdio`; its environment is this one with `environment` over it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "sc2lsp", "--stdio", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )  # fmt: skip
    running = Editor(process)
    try:
        yield running
    finally:
        await running.close()
