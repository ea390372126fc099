"""Requests that are cancelled, answers that nobody reads, documents that are closed while they are completed."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from tests.benchmarks.crowd import resident_mb
from tests.benchmarks.standin import Settings, Steered
from tests.server.editor import Editor, ResponseError

from .home import CHARACTER, LINE, TEXT, before_stand_in

AT_ONCE = 50  # pairs before the editor looks whether an answer came
REACHING, REACHING_SECONDS = 5, 0.005  # one in so many is cancelled only when it has reached the runtime
CANCELLED = -32800  # RequestCancelled
SLOW = Settings(delay=0.05, gap=0.01)  # so that there is something to cancel
ANSWER_SECONDS, QUIET_SECONDS = 30.0, 1.0
DOCUMENTS = 5


@dataclass(slots=True)
class Cancels:
    """Requests that were cancelled at once, then one that was not."""

    requests: int = 0
    answered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    next_answer_ms: float = 0.0
    reached_runtime: int = 0
    still_computed: int = 0  # in the runtime, a second later
    grown_mb: float = 0.0
    server_exits: int = 0

    @property
    def faults(self) -> int:
        late = self.next_answer_ms > 500 or self.grown_mb > 32
        return self.requests - self.answered + self.still_computed + self.server_exits + late


@dataclass(slots=True)
class Interleavings:
    """Documents opened, changed, completed and closed in any order."""

    requests: int = 0
    answered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    server_exits: int = 0

    @property
    def faults(self) -> int:
        errors = sum(count for name, count in self.outcomes.items() if name.startswith("error"))
        return self.requests - self.answered + errors + self.server_exits


async def cancels(pairs: int) -> AsyncIterator[Cancels]:
    """An editor that reads what comes; every key asks, so that there is something to cancel."""
    figures = Cancels()
    async with before_stand_in({"max_wait": 0}) as (window, model, path):
        await model.set(SLOW)
        before, character = resident_mb(window.process.pid), CHARACTER
        for _ in range(-(-pairs // AT_ONCE)):
            count = min(AT_ONCE, pairs - figures.requests)
            answers = list[asyncio.Future[object]]()
            for number in range(count):
                id, answer = _request(window, path, character + number)
                answers.append(answer)
                if number % REACHING == 0:
                    await asyncio.sleep(REACHING_SECONDS)
                window.notify("$/cancelRequest", {"id": id})
            character += count
            figures.requests += count
            _count(figures.outcomes, await _all(answers))
            figures.answered = figures.outcomes.total()
            yield figures
        await _settle(figures, window, model, path, character)
        figures.grown_mb = resident_mb(window.process.pid) - before
        yield figures


async def deaf(pairs: int, seconds: float) -> AsyncIterator[Cancels]:
    """An editor that writes and does not read for some seconds: neither of the two may wait for the other for good."""
    figures = Cancels()
    async with before_stand_in({}) as (window, model, path):
        await model.set(SLOW)
        before = resident_mb(window.process.pid)
        stdout = window.process.stdout
        assert stdout is not None
        transport = stdout._transport  # type: ignore[attr-defined]  # asyncio has no public way not to read
        transport.pause_reading()
        answers = [_pair(window, path, CHARACTER + number) for number in range(pairs)]
        figures.requests = pairs
        await asyncio.sleep(seconds)
        transport.resume_reading()
        _count(figures.outcomes, await _all(answers))
        figures.answered = figures.outcomes.total()
        yield figures
        await _settle(figures, window, model, path, CHARACTER + pairs)
        figures.grown_mb = resident_mb(window.process.pid) - before
        yield figures


def _request(window: Editor, path: Path, character: int) -> tuple[int, asyncio.Future[object]]:
    window.type(path, LINE, character, "x")
    return window.ask(path, LINE, character + 1)


def _pair(window: Editor, path: Path, character: int) -> asyncio.Future[object]:
    id, answer = _request(window, path, character)
    window.notify("$/cancelRequest", {"id": id})
    return answer


async def _settle(figures: Cancels, window: Editor, model: Steered, path: Path, character: int) -> None:
    """The next request, and what the runtime still does a little later."""
    figures.server_exits += window.process.returncode is not None
    noted = await model.noted()
    figures.reached_runtime = len(noted)
    await model.set(Settings())
    sent = monotonic()
    await window.complete(path, LINE, character)
    figures.next_answer_ms = round((monotonic() - sent) * 1e3, 1)
    await asyncio.sleep(QUIET_SECONDS)
    figures.still_computed = sum(not asked.ended for asked in await model.noted())


async def interleavings(rounds: int) -> AsyncIterator[Interleavings]:
    figures, source = Interleavings(), random.Random(0)
    async with before_stand_in({}) as (window, model, path):
        await model.set(Settings(delay=0.005))
        paths = [path.with_name(f"a{number}.py") for number in range(DOCUMENTS)]
        opened, answers = set[Path](), list[asyncio.Future[object]]()
        for number in range(rounds):
            each = source.choice(paths)
            action = source.choice(("open", "change", "complete", "complete", "close", "cancel"))
            _act(window, action, each, opened, answers, source)
            if number % AT_ONCE == AT_ONCE - 1 or number == rounds - 1:
                figures.requests += len(answers)
                _count(figures.outcomes, await _all(answers))
                figures.answered = figures.outcomes.total()
                answers.clear()
                figures.server_exits = int(window.process.returncode is not None)
                yield figures
            elif source.random() < 0.3:
                await asyncio.sleep(source.uniform(0, 0.01))


def _act(
    window: Editor,
    action: str,
    path: Path,
    opened: set[Path],
    answers: list[asyncio.Future[object]],
    source: random.Random,
) -> None:
    if action == "open" and path not in opened:
        opened.add(path)
        window.open(path, TEXT)
    elif action == "change" and path in opened:
        window.type(path, LINE, source.randrange(8), source.choice(("a", "\n", "(")))
    elif action == "close" and path in opened:
        opened.discard(path)
        window.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})
    elif action in ("complete", "cancel"):  # of a document that is closed as well
        id, answer = window.ask(path, LINE, source.randrange(8))
        answers.append(answer)
        if action == "cancel":
            window.notify("$/cancelRequest", {"id": id})


async def _all(answers: list[asyncio.Future[object]]) -> list[object]:
    """What came in time."""
    await asyncio.wait(answers, timeout=ANSWER_SECONDS)
    return [answer.exception() or answer.result() for answer in answers if answer.done()]


def _count(outcomes: Counter[str], answers: list[object]) -> None:
    for answer in answers:
        match answer:
            case ResponseError(code=code):
                outcomes["cancelled" if code == CANCELLED else f"error {code}"] += 1
            case None:
                outcomes["null"] += 1
            case _:
                outcomes["a list"] += 1
