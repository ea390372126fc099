"""A language server of a few lines, for tests of what is beneath the handlers.

python -m tests.server.small stdio [PID] | URL TOKEN [ORIGIN]
"""

import asyncio
import logging
import signal
import sys
import time
from typing import Any

from lsprotocol import types

from sc2lsp.clients import listen
from sc2lsp.transport import LspServer

CANARY = "canary_51c8e"  # must never be told


class Small(LspServer):
    def __init__(self) -> None:
        super().__init__("small", "1")
        self.texts: dict[str, str] = {}
        self.seen: list[str] = []
        self.options: Any = None
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


def create(parent: int | None = None) -> Small:
    server = Small()
    watching: list[asyncio.Task[None]] = []

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.options = params.initialization_options

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        server.seen.append("initialized")
        if (process_id := server.process_id or parent) is not None:
            watching.append(asyncio.ensure_future(server.end_with_parent(process_id)))

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        server.texts[params.text_document.uri] = params.text_document.text

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        for change in params.content_changes:
            server.texts[params.text_document.uri] += change.text

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def complete(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        text = server.texts.get(params.text_document.uri, "")
        await asyncio.sleep(0.01)
        return types.InlineCompletionList([types.InlineCompletionItem(text[-100:])])

    @server.feature("small/echo")
    def echo(params: Any) -> Any:
        server.seen.append("small/echo")
        return params

    @server.feature("small/flood")
    def flood(params: Any) -> None:
        for _ in range(params["count"]):
            server.protocol.notify("small/drop", "x" * params["size"])

    @server.feature("small/wait")
    async def wait(_: Any) -> None:
        await asyncio.sleep(60)

    @server.feature("small/sleep")
    def sleep(_: Any) -> None:
        time.sleep(0.3)

    @server.feature("small/fail")
    def fail(_: Any) -> None:
        raise ValueError(CANARY)

    @server.feature("small/failLater")
    async def fail_later(_: Any) -> None:
        await asyncio.sleep(0)
        raise ValueError(CANARY)

    @server.feature("small/forget")
    def forget(_: Any) -> None:
        watching.append(asyncio.ensure_future(fail_later(None)))
        watching[-1].add_done_callback(watching.remove)

    @server.feature("small/unsendable")
    def unsendable(_: Any) -> Any:
        return {1: object}

    @server.feature("small/ask")
    async def ask(params: Any) -> Any:
        return await asyncio.wait_for(server.protocol.send_request_async("small/question", params), 5)

    @server.feature("small/print")
    def say(params: Any) -> None:
        print(params["text"], flush=True)

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: None) -> None:
        await asyncio.sleep(0.05)

    @server.command("small.wait")
    async def command(*_: Any) -> None:
        await asyncio.sleep(60)

    return server


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born ignoring it
    if sys.argv[1] == "stdio":
        sys.exit(create(int(sys.argv[2]) if len(sys.argv) > 2 else None).serve())
    listen(sys.argv[1], create, sys.argv[2] or None, sys.argv[3:])
