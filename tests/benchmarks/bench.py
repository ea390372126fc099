"""What the README says of the language server: start, memory, keystrokes.

    python -m tests.benchmarks.bench

Prints a table; asserts nothing about time, since machines are shared and noisy.
"""

import asyncio
import os
import platform
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.server.editor import editor

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
TYPED = "    for member in store.members.values():\n        total = member.total_fees(today)\n"
STARTS = 7


def quantiles(milliseconds: list[float]) -> str:
    p95 = statistics.quantiles(milliseconds, n=20)[-1]
    return f"p50 {statistics.median(milliseconds):.0f} ms, p95 {p95:.0f} ms, n={len(milliseconds)}"


async def starts() -> list[tuple[str, str]]:
    """From spawning the process to the reply to `initialize`."""
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        async with editor(PYTHONDONTWRITEBYTECODE="") as window:  # with cached bytecode, as installed
            await window.initialize(SHELF, initializationOptions={"statistics": False})
            times.append((time.perf_counter() - started) * 1e3)
    return [("server start to initialize reply", quantiles(times[1:]))]


async def keystrokes() -> list[tuple[str, str]]:
    """One change and one request per character, each awaited as an editor would; then the server's memory."""
    path = SHELF / "shelf" / "report.py"
    times: list[float] = []
    shown = 0
    async with editor() as window:
        await window.initialize(SHELF, initializationOptions={"statistics": False})
        window.open(path)
        lines = path.read_text("utf-8").split("\n")
        line, character = len(lines) - 1, 0
        await window.complete(path, line, character)
        for char in TYPED:
            started = time.perf_counter()
            window.type(path, line, character, char)
            line, character = (line + 1, 0) if char == "\n" else (line, character + 1)
            shown += bool(await window.complete(path, line, character))
            times.append((time.perf_counter() - started) * 1e3)
        resident = int(Path(f"/proc/{window.process.pid}/status").read_text().split("VmRSS:")[1].split()[0])
    return [
        ("keystroke to suggestion, warm", quantiles(times)),
        ("of these with a suggestion", f"{shown}"),
        ("language server's memory after that", f"{resident / 1024:.0f} MB"),
    ]


def main() -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    table = Table("what", "measured", title=machine)
    for row in [*asyncio.run(starts()), *asyncio.run(keystrokes())]:
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
