"""The peer of the latency benchmark: tabby-agent, where it is installed, before a Tabby server that computes nothing.

    npm install --ignore-scripts tabby-agent      in a folder that `latency --tabby` is told

Run as a module it is that server, steered through its pipes: see `standin`.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.server.editor import Editor

from .standin import READY, Asked, StandIn, Steered, started

MODULE = "tests.benchmarks.tabby"
AGENT = Path("node_modules", "tabby-agent", "dist", "cli.js")
START_SECONDS = 20.0
TAIL = 200  # characters of a prompt that are kept
HEALTH = {"model": "none", "device": "cpu", "version": {"git_describe": "v0.30.0"}}


def app(stand_in: StandIn) -> Starlette:
    """What tabby-agent asks of a Tabby server."""

    async def completions(request: Request) -> JSONResponse:
        asked = Asked(monotonic())
        stand_in.noted.append(asked)
        asked.tail = (await request.json())["segments"]["prefix"][-TAIL:]
        async for _ in stand_in.paced([stand_in.settings.text]):
            asked.pieces += 1
        asked.first = asked.ended = monotonic()
        return JSONResponse({"id": "cmpl", "choices": [{"index": 0, "text": stand_in.settings.text}]})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse(HEALTH)

    async def nothing(_: Request) -> JSONResponse:
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/health", health, methods=["GET", "POST"]),
            Route("/{rest:path}", nothing, methods=["GET", "POST"]),
        ]
    )


async def serve(port: int) -> None:
    stand_in = StandIn()
    server = uvicorn.Server(uvicorn.Config(app(stand_in), port=port, log_level="error", access_log=False))
    stand_in.obey()
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(READY, flush=True)
    await running


def is_installed(folder: Path | None) -> bool:
    return folder is not None and (folder / AGENT).is_file()


@asynccontextmanager
async def agent(folder: Path, root: Path, is_patient: bool) -> AsyncIterator[tuple[Editor, Steered]]:
    """tabby-agent with a workspace; patient: with its own debounce, else asking at every key."""
    with TemporaryDirectory(prefix="tabby") as home, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        configure(Path(home), port, is_patient)
        async with started(MODULE, str(port)) as steered:
            window = await _initialized(folder, home, root)
            try:
                yield window, steered
            finally:
                await window.close()


def configure(home: Path, port: int, is_patient: bool) -> None:
    lines = ["[server]", f'endpoint = "http://127.0.0.1:{port}"', 'token = "x"', "[anonymousUsageTracking]"]
    lines += ["disable = true"] + ([] if is_patient else ["[completion.debounce]", 'mode = "fixed"', "interval = 0"])
    file = home / ".tabby-client" / "agent" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")


async def _initialized(folder: Path, home: str, root: Path) -> Editor:
    """On a busy machine it now and then answers nothing at all. Raises TimeoutError where it does so again."""
    for last in (False, True):
        window = Editor(await _start(folder, home))
        try:
            initialized = window.initialize(root, clientInfo={"name": "benchmark", "version": "1"})
            await asyncio.wait_for(initialized, START_SECONDS)
            break
        except TimeoutError:
            await window.close()
            if last:
                raise
    return window


async def _start(folder: Path, home: str) -> asyncio.subprocess.Process:
    environment: dict[str, Any] = {**os.environ, "HOME": home, "USERPROFILE": home}
    return await asyncio.create_subprocess_exec(
        "node", str(folder / AGENT), "--lsp", "--stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
