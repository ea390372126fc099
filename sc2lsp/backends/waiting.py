"""How long is waited, and together with whom: the deadlines of an answer, one attempt that many wait for.

Knows neither what is waited for nor who waits.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sc2lsp.backend import BackendTimeout
from sc2lsp.config import Config

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until the first item of a stream, between two items, and for all of them."""

    first: float
    idle: float
    total: float

    @staticmethod
    def of(config: Config) -> "Deadlines":
        return Deadlines(config.first_token_timeout, config.token_timeout, config.timeout)


async def in_time(stream: AsyncGenerator[Item], deadlines: Deadlines) -> AsyncGenerator[Item]:
    """The items of `stream`, which is closed with this one. Raises BackendTimeout where they do not come in time."""
    clock = asyncio.get_running_loop().time
    ends_at, within, setting = clock() + deadlines.total, deadlines.first, "first_token_timeout"
    async with aclosing(stream):
        while True:
            left = ends_at - clock()
            try:
                item = await _within(min(within, left), stream.__anext__())
            except StopAsyncIteration:
                return
            except TimeoutError:
                late = (within, setting) if within < left else (deadlines.total, "timeout")
                raise _too_late(*late) from None
            within, setting = deadlines.idle, "token_timeout"
            yield item


class Attempt(Generic[Found]):
    """One piece of work at a time that all callers wait for; one that is cancelled leaves it to the others."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Found]]) -> None:
        self._work = work
        self._task: asyncio.Task[Found] | None = None
        # Mutated by: begin() and cancel(), and when the work ends, on one event loop.

    def begin(self) -> asyncio.Task[Found]:
        """Begin, unless it is under way."""
        if self._task is None:
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(self._ended)
        return self._task

    async def result(self) -> Found:
        return await asyncio.shield(self.begin())

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[Found]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # everybody who waited may have been cancelled: then nobody else asks for it


async def _within(seconds: float, awaited: Awaitable[Item]) -> Item:
    async with asyncio.timeout(seconds):
        return await awaited


def _too_late(seconds: float, setting: str) -> BackendTimeout:
    return BackendTimeout(f"no answer within {seconds:g} s", f"a slower model needs a larger {setting}")
