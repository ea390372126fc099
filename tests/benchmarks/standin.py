"""What stands where a model would: it answers when and what it is told to, and notes what it was asked.

The process of such a stand-in is steered through its own pipes: a line of settings in, a line with what was noted since
the last one out. Times are those of `time.monotonic`, which all processes of a machine share. Knows no protocol.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

READY = "ready"
MARK = "qqz"  # begins every text that a stand-in answers with; nobody types it
Piece = TypeVar("Piece")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is answered: a text, `delay` seconds after the request, then a piece each `gap` seconds."""

    text: str = f"{MARK}_answer(1)"
    delay: float = 0.0
    gap: float = 0.0


@dataclass(slots=True)
class Asked:
    """One request. `tail` is the end of its prompt; times in seconds, 0 where it has not come to that."""

    at: float
    tail: str = ""
    first: float = 0.0  # when the first piece of the answer was sent
    cancelled: float = 0.0  # when the word came that nobody waits any more
    ended: float = 0.0  # when nothing was computed for it any more
    pieces: int = 0
    gaps: tuple[float, ...] = ()  # between two pieces

    @property
    def is_ahead(self) -> bool:
        """Whether it was asked for what may follow an answer that nobody has accepted yet."""
        return MARK in self.tail


class StandIn:
    """The state of a stand-in's process."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.noted: list[Asked] = []
        # Mutated by: whoever answers, and the lines on standard input, on one event loop.

    async def paced(self, pieces: Sequence[Piece]) -> AsyncGenerator[Piece]:
        """The pieces of an answer, when they are told to come."""
        await asyncio.sleep(self.settings.delay)
        for number, piece in enumerate(pieces):
            if number and self.settings.gap:
                await asyncio.sleep(self.settings.gap)
            yield piece

    def obey(self) -> None:
        """Take lines from standard input on a thread of their own; the end of it ends the process."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(self._take, line)
            os._exit(0)

        threading.Thread(target=read, daemon=True).start()

    def _take(self, line: str) -> None:
        noted, self.noted = self.noted, []
        self.settings = Settings(**json.loads(line))
        print(json.dumps([asdict(asked) for asked in noted]), flush=True)


class Steered:
    """The other end of the pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._settings = Settings()

    async def set(self, settings: Settings) -> None:
        """Answer like this from now on; what was noted so far is dropped."""
        self._settings = settings
        await self.noted()

    async def noted(self) -> list[Asked]:
        """The requests since the last call, in the order in which they came."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(self._settings)).encode() + b"\n")
        requests = json.loads(await self.process.stdout.readline())
        return [Asked(**request) for request in requests]


@asynccontextmanager
async def started(module: str, *arguments: str) -> AsyncIterator[Steered]:
    """A stand-in that listens: `python -m module arguments`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        said = await process.stdout.readline()
        if said.decode().strip() != READY:
            raise RuntimeError(f"{module} did not start")
        yield Steered(process)
    finally:
        process.stdin.close()
        await process.wait()
