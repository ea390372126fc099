"""All long runs in turn at their full size, or those that are named, and one table of what they counted.

    python -m tests.soak [NAME ...] [--scale 0.01]

Ctrl-C ends them and prints what there is.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table

from . import canary, cancels, clients, drift, frames, runtimes
from .home import own_home

SECONDS_WITHOUT_READING = 10.0
SAY_SECONDS = 5.0  # between two lines of progress

# Name -> full size, and the run of a size.
RUNS: Mapping[str, tuple[int, Callable[[int], AsyncIterator[Any]]]] = {
    "frames": (200_000, frames.frames),
    "drift": (20_000, drift.drift),
    "disorder": (10_000, drift.disorder),
    "cancels": (5_000, cancels.cancels),
    "deaf": (5_000, lambda size: cancels.deaf(size, SECONDS_WITHOUT_READING)),
    "interleavings": (5_000, cancels.interleavings),
    "clients": (50, clients.clients),
    "runtimes": (100, runtimes.runtimes),
    "canary": (3, lambda size: canary.canary(size, is_real=False)),
    "canary-real": (3, lambda size: canary.canary(size, is_real=True)),
}


async def run(name: str, size: int, kept: dict[str, Any]) -> None:
    """Leave the last figures in `kept`, however it ends."""
    said = time.monotonic()
    async with aclosing(RUNS[name][1](size)) as figures:  # type: ignore[type-var]  # they are all generators
        async for now in figures:
            kept[name] = now
            if time.monotonic() > said + SAY_SECONDS:
                said = time.monotonic()
                print(f"{name}: {now}", file=sys.stderr, flush=True)


def show(kept: Mapping[str, Any]) -> Table:
    table = Table("run", "counted", "faults")
    for name, figures in kept.items():
        said = ", ".join(
            f"{field.name.replace('_', ' ')} {said_of(getattr(figures, field.name))}" for field in fields(figures)
        )
        table.add_row(name, said, str(figures.faults))
    return table


def said_of(value: object) -> str:
    if isinstance(value, Counter):
        return "(" + ", ".join(f"{count} {what}" for what, count in value.most_common()) + ")"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--scale", type=float, default=1.0, help="of the full sizes")
    asked = parser.parse_args()
    kept: dict[str, Any] = {}
    try:
        for name in asked.names or RUNS:
            with own_home():
                asyncio.run(run(name, max(1, round(RUNS[name][0] * asked.scale)), kept))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    Console(width=120).print(show(kept))
    sys.exit(any(figures.faults for figures in kept.values()))


if __name__ == "__main__":
    main()
