"""A big workspace for benchmarks, and when a server has come to rest in it. Judges nothing."""

import asyncio
import os
import re
import sysconfig
from itertools import count
from pathlib import Path
from time import monotonic

DEFINED = re.compile(r"\b(class|def) (\w+)")
MAX_BYTES = 200_000  # of a file
LOOK_SECONDS, AT_REST = 1.0, 0.03  # processor time of so long, and what of it is none


def generate(root: Path, lines: int) -> None:
    """Write at least so many lines of the standard library below `root`, its definitions renamed in every copy."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in sorted(library.rglob("*.py")) if _is_written(path, library)]
    written = 0
    for copy in count():
        for path in paths:
            text = DEFINED.sub(rf"\1 \2_{copy}", path.read_text("utf-8", "replace"))
            target = root / f"copy{copy}" / path.relative_to(library)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
            written += text.count("\n")
            if written >= lines:
                return


def _is_written(path: Path, library: Path) -> bool:
    folders = {"site-packages", "test", "tests", "idlelib"}
    return not folders & set(path.relative_to(library).parts) and 0 < path.stat().st_size < MAX_BYTES


def processor_seconds(pid: int) -> float:
    """What a process has used so far, in all of its threads; Linux only, in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


async def at_rest(pid: int, within: float) -> float:
    """Wait until a process computes nothing any more; how long it took, in seconds. Raises TimeoutError."""
    started, last = monotonic(), processor_seconds(pid)
    async with asyncio.timeout(within):
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = processor_seconds(pid)
            if now - last < AT_REST:
                return monotonic() - started
            last = now
