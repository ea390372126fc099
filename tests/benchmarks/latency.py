"""What a keystroke costs beside the model, measured from outside through pipes as an editor does it, beside a peer.

    python -m tests.benchmarks.latency [--json] [--lines 360,5000] [--workspace DIR] [--tabby DIR]

The model is a stand-in that answers at once, or when it is told to (`instant`), in a process of its own; only `cancels`
has the built-in model behind it. What it answers never begins with what is typed next, so that every key asks anew.
Ours and the peer's take turns. Prints a table; asserts nothing about time, since machines are shared and noisy.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from . import tabby
from .crowd import generate, processor_seconds, resident_mb
from .standin import MARK, Settings
from .subject import NOTICED_SECONDS, Place, Subject, Typist, opened, ours, peer

WORKSPACE_LINES = 500_000
KEYS = 'total = store.find(name, "abc") + [1]'[:25]
ROUNDS = 4  # of 25 keys
BURST, BURSTS = 20, 5  # keys, and how often
SLOW = Settings(delay=0.2)  # a model that takes 200 ms
THROUGH = f"{MARK}_total = find(first, second)"  # what is typed through
CANCELS = 60
MINE, PEER = "sc2lsp", "tabby-agent"
Figures = dict[str, float]

GOALS: Mapping[str, str] = {
    "360 lines: key to answer, p50, ms": "<= 2",
    "5000 lines: key to answer, p50, ms": "<= 3",
    "5000 lines: processor time per key, ms": "<= 3",
    "burst, 120 ms apart: keys that reach the model": "<= 4",
    "burst, 120 ms apart: last key to suggestion, ms": "<= 330",
    "typed through: p50, ms": "<= 1",
    "typed through: tokens asked for": "0",
    "cancel to idle runtime: p50, ms": "<= a step + 5",
}


@dataclass(slots=True)
class Typed:
    """Keys that were awaited one by one; times in seconds."""

    whole: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)  # from the change to the request at the model
    after: list[float] = field(default_factory=list)  # from the model's answer to the editor's
    processor: float = 0.0  # of the server

    def figures(self) -> Figures:
        return {
            "key to answer, p50, ms": median(self.whole),
            "key to answer, p95, ms": late(self.whole),
            "change sent to request at the model, p50, ms": median(self.before),
            "model's answer to editor, p50, ms": median(self.after),
            "processor time per key, ms": self.processor / len(self.whole) * 1e3,
            "share of keys that reach the model": len(self.before) / len(self.whole),
        }


@dataclass(slots=True)
class Bursts:
    """Bursts of keys: of each, how many reached the model, and the seconds from the last one to the answer."""

    reached: list[int] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    shown: int = 0

    def figures(self) -> Figures:
        return {
            "keys that reach the model": statistics.median(self.reached),
            "last key to suggestion, ms": median(self.waited),
            "share with a suggestion": self.shown / len(self.waited),
        }


@dataclass(slots=True)
class Through:
    """A suggestion typed key by key."""

    times: list[float] = field(default_factory=list)
    requests: int = 0
    tokens: int = 0

    def figures(self) -> Figures:
        return {
            "p50, ms": median(self.times),
            "p95, ms": late(self.times),
            "requests": self.requests,
            "tokens asked for": self.tokens,
        }


def median(seconds: Sequence[float]) -> float:
    """In milliseconds."""
    return statistics.median(seconds) * 1e3 if seconds else math.nan


def late(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1] * 1e3 if len(seconds) > 1 else math.nan


async def keystrokes(typed: Typed, typist: Typist) -> None:
    """One change and one request a key, each awaited."""
    subject = typist.subject
    await subject.model.set(Settings())
    place, spans = await typist.next_line(), list[tuple[float, float]]()
    started = processor_seconds(subject.pid)
    for key in KEYS:
        sent = monotonic()
        subject.type(place, key)
        await subject.ask(place)[1]
        spans.append((sent, monotonic()))
    typed.processor += processor_seconds(subject.pid) - started
    typed.whole += [end - start for start, end in spans]
    for asked in await subject.noted():
        for start, end in spans:
            if start <= asked.at <= end:
                typed.before.append(asked.at - start)
                typed.after.append(end - asked.first)


async def bursts(found: Bursts, typist: Typist, gap: Callable[[], float]) -> None:
    """Keys some seconds apart, each with a request that ends the one before, to a model of 200 ms."""
    await typist.subject.model.set(SLOW)
    seconds, items = await burst(typist.subject, await typist.next_line(), gap)
    found.waited.append(seconds)
    found.shown += bool(items)
    found.reached.append(len(await typist.subject.noted()))


async def burst(subject: Subject, place: Place, gap: Callable[[], float]) -> tuple[float, Any]:
    """Seconds from the last key to its answer, and the answer's items. A late key is not made up for."""
    asked = list[tuple[int, asyncio.Future[Any]]]()
    sent = 0.0
    for key in KEYS[:BURST]:
        await asyncio.sleep(gap())
        if asked and not asked[-1][1].done():
            subject.window.notify("$/cancelRequest", {"id": asked[-1][0]})
        sent = monotonic()
        subject.type(place, key)
        asked.append(subject.ask(place))
    *_, last = await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)
    seconds = monotonic() - sent
    return seconds, last["items"] if isinstance(last, dict) else None


def even(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def human() -> Callable[[], float]:
    """Gaps as people have them: log-normal, 150 ms in the middle, one in sixteen over 300."""
    source = random.Random(1)
    return lambda: source.lognormvariate(math.log(0.15), 0.45)


async def typed_through(found: Through, typist: Typist) -> None:
    """The suggestion that is shown, but for its last key."""
    subject = typist.subject
    await subject.model.set(Settings(THROUGH))
    place = await typist.next_line()
    for key in THROUGH[:-1]:
        sent = monotonic()
        subject.type(place, key)
        await subject.ask(place)[1]
        found.times.append(monotonic() - sent)
    # What is typed here ends every prompt like one that is asked ahead: all are counted.
    await asyncio.sleep(NOTICED_SECONDS)
    for asked in await subject.model.noted():
        found.requests += 1
        found.tokens += asked.pieces


async def cancels() -> Figures:
    """From `$/cancelRequest` until the runtime has ended what it computed, with the built-in model."""
    source, times, steps = random.Random(2), list[float](), list[float]()
    settings = {"max_tokens": 400, "max_wait": 0, "continuation": False}
    with TemporaryDirectory(prefix="work") as name:
        root = Path(name).resolve()
        async with ours(root, settings, "--real") as subject:
            place = await opened(subject, root, 360).next_line()
            for key in (KEYS * CANCELS)[:CANCELS]:
                subject.type(place, key)
                id, answer = subject.ask(place)
                await asyncio.sleep(source.uniform(0.005, 0.08))
                sent = monotonic()
                subject.window.notify("$/cancelRequest", {"id": id})
                await asyncio.gather(answer, return_exceptions=True)
                noted = await subject.noted()
                times += [asked.ended - sent for asked in noted if asked.ended > sent]
                steps += [gap for asked in noted for gap in asked.gaps]
    figures = {"p50, ms": median(times), "p95, ms": late(times), "requests under way then": float(len(times))}
    return figures | {"one decode step, p50, ms": median(steps), "one decode step, p95, ms": late(steps)}


async def overhead(subjects: Mapping[str, Subject], root: Path, lines: int) -> dict[str, Figures]:
    """Where every key asks at once."""
    typists = {name: opened(subject, root, lines) for name, subject in subjects.items()}
    typed = {name: Typed() for name in subjects}
    for _ in range(ROUNDS):
        for name, typist in typists.items():
            await keystrokes(typed[name], typist)
    return {name: _named(f"{lines} lines: ", each.figures()) for name, each in typed.items()}


async def rhythm(subjects: Mapping[str, Subject], root: Path, lines: int) -> dict[str, Figures]:
    """Where the server decides when to ask."""
    typists = {name: opened(subject, root, lines) for name, subject in subjects.items()}
    figures: dict[str, Figures] = {name: {} for name in subjects}
    gaps = {"120 ms apart": lambda: even(0.12), "250 ms apart": lambda: even(0.25), "as people type": human}
    for title, gap_of in gaps.items():
        found, gap = {name: Bursts() for name in subjects}, {name: gap_of() for name in subjects}
        for _ in range(BURSTS):
            for name, typist in typists.items():
                await bursts(found[name], typist, gap[name])
        for name in subjects:
            figures[name] |= _named(f"burst, {title}: ", found[name].figures())
    for name, typist in typists.items():
        through = Through()
        for _ in range(ROUNDS):
            await typed_through(through, typist)
        figures[name] |= _named("typed through: ", through.figures())
    return figures


def _named(title: str, figures: Figures) -> Figures:
    return {f"{title}{name}": value for name, value in figures.items()}


async def measure(root: Path, lines: Sequence[int], tabby_folder: Path | None) -> dict[str, Figures]:
    """Of each subject."""
    figures: dict[str, Figures] = {MINE: {}, PEER: {}}
    for is_patient in (False, True):
        async with AsyncExitStack() as stack:
            settings = {} if is_patient else {"max_wait": 0, "continuation": False}
            subjects = {MINE: await stack.enter_async_context(ours(root, settings))}
            if tabby_folder is not None and tabby.is_installed(tabby_folder):
                subjects[PEER] = await stack.enter_async_context(peer(tabby_folder, root, is_patient))
            for count in lines[:1] if is_patient else lines:
                found = await (rhythm if is_patient else overhead)(subjects, root, count)
                for name in subjects:
                    figures[name] |= found[name]
            for name, subject in subjects.items():
                figures[name]["memory, MB"] = resident_mb(subject.pid)
    figures[MINE] |= _named("cancel to idle runtime: ", await cancels())
    return figures


def show(figures: Mapping[str, Figures]) -> Table:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    machine = f"{platform.machine()}, {os.cpu_count()} processors{load}, Python {platform.python_version()}"
    table = Table("what", MINE, PEER, "ratio", "goal", title=machine)
    for name, value in figures[MINE].items():
        other = figures[PEER].get(name)
        ratio = "" if not other else f"{value / other:.2f}"
        table.add_row(name, f"{value:.1f}", "" if other is None else f"{other:.1f}", ratio, GOALS.get(name, ""))
    return table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lines", default="360,5000")
    parser.add_argument("--workspace", type=Path, help="a big one; without, one is generated")
    parser.add_argument("--tabby", type=Path, help="a folder in which tabby-agent is installed")
    asked = parser.parse_args()
    lines = [int(each) for each in asked.lines.split(",")]
    with TemporaryDirectory(prefix="crowd") as folder:
        root = asked.workspace or Path(folder)
        if asked.workspace is None:
            generate(root, WORKSPACE_LINES)
        figures = asyncio.run(measure(root.resolve(), lines, asked.tabby))
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        Console(width=120).print(show(figures))


if __name__ == "__main__":
    main()
