"""The local runtime killed while it answers: the server lives, answers, and finds another."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from sc2lsp import daemon
from tests.server.editor import Editor, ResponseError, editor

from .home import CHARACTER, LINE, workspace

ANSWER_SECONDS = 60.0
HEALTHY_SECONDS = 120.0
LOOK_SECONDS = 0.05  # between two looks whether there is a runtime
OPTIONS = {"max_tokens": 400, "temperature": 1.5, "max_wait": 0, "continuation": False}  # long answers


@dataclass(slots=True)
class Runtimes:
    """Runtimes killed before they had answered; seconds until that was answered all the same, and the next request."""

    killed: int = 0
    requests: int = 0
    answered: int = 0
    errors: int = 0
    server_exits: int = 0
    slowest_answer: float = 0.0
    slowest_recovery: float = 0.0
    not_recovered: int = 0

    @property
    def faults(self) -> int:
        return self.requests - self.answered + self.errors + self.server_exits + self.not_recovered


async def runtimes(kills: int) -> AsyncIterator[Runtimes]:
    """Needs a `home.own_home`."""
    figures, source = Runtimes(), random.Random(0)
    with workspace() as root:
        path = root / "main.py"
        async with editor() as window:
            await window.initialize(root, initializationOptions=OPTIONS)
            window.open(path)
            character = CHARACTER
            while figures.killed < kills and window.process.returncode is None:
                pid = await _healthy(figures)
                if pid is None:
                    break
                window.type(path, LINE, character, source.choice("abcdefgh"))
                character += 1
                _, answer = window.ask(path, LINE, character)
                await asyncio.sleep(source.uniform(0.0, 0.06))
                if answer.done():  # too late
                    await _answered(figures, window, answer)
                    continue
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                figures.killed += 1
                killed_at = monotonic()
                seconds = await _answered(figures, window, answer)
                figures.slowest_answer = max(figures.slowest_answer, seconds)
                window.type(path, LINE, character, "x")  # what somebody does who goes on typing
                character += 1
                await _answered(figures, window, window.ask(path, LINE, character)[1])
                figures.slowest_recovery = max(figures.slowest_recovery, monotonic() - killed_at)
                yield figures


async def _healthy(figures: Runtimes) -> int | None:
    """The process of a runtime that has loaded its model; None where there is none for long."""
    started = monotonic()
    while monotonic() < started + HEALTHY_SECONDS:
        for running in await daemon.running():
            if running.status.state == "ready":
                return running.hello.pid
        await asyncio.sleep(LOOK_SECONDS)
    figures.not_recovered += 1
    return None


async def _answered(figures: Runtimes, window: Editor, answer: asyncio.Future[object]) -> float:
    """Seconds until it is."""
    figures.requests += 1
    started = monotonic()
    # A server that ends answers nothing: the editor of the tests would wait.
    while not answer.done() and window.process.returncode is None and monotonic() < started + ANSWER_SECONDS:
        await asyncio.sleep(0.005)
    figures.server_exits += window.process.returncode is not None
    figures.answered += answer.done()
    figures.errors += answer.done() and isinstance(answer.exception(), ResponseError)
    return monotonic() - started
