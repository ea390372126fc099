"""Where a long run lives: folders of its own, a server in them, and what the system says of processes.

Runtimes, caches, statistics and configuration are those that the environment names while `own_home` lasts.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from sc2lsp import daemon
from tests.benchmarks.instant import runtime
from tests.benchmarks.standin import Steered
from tests.server.editor import Editor, editor

TEXT = "import os\n\n\ndef main():\n    total = 0\n    \n    return total\n"
LINE, CHARACTER = 5, 4  # of the empty line in it


@contextmanager
def own_home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sc2") as name:
        places = {
            "SC2LSP_RUNTIME_DIR": f"{name}/r",
            "SC2LSP_CONFIG": f"{name}/config.toml",
            "XDG_CACHE_HOME": f"{name}/cache",
            "XDG_DATA_HOME": f"{name}/data",
            "XDG_STATE_HOME": f"{name}/state",
        }
        with mock.patch.dict(os.environ, places):
            try:
                yield Path(name)
            finally:
                asyncio.run(stop_runtimes())


async def stop_runtimes() -> None:
    for running in await daemon.running():
        await daemon.stop(running)


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder with one file, `main.py`, that says TEXT."""
    with TemporaryDirectory(prefix="work") as name:
        root = Path(name).resolve() / "work"
        root.mkdir()
        (root / "main.py").write_text(TEXT)
        yield root


@asynccontextmanager
async def before_stand_in(settings: Mapping[str, Any]) -> AsyncIterator[tuple[Editor, Steered, Path]]:
    """A server before a runtime that answers at once, and its open document."""
    with workspace() as root:
        path = root / "main.py"
        async with runtime() as (url, model), editor(SC2LSP_ENDPOINT=url) as window:
            await window.initialize(root, initializationOptions=dict(settings))
            window.open(path)
            await window.complete(path, LINE, CHARACTER)
            yield window, model, path


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()


async def until_gone(pid: int, within: float) -> float | None:
    """Seconds until a process has ended; None where it has not."""
    started = time.monotonic()
    while time.monotonic() < started + within:
        if not is_alive(pid):
            return time.monotonic() - started
        await asyncio.sleep(0.05)
    return None
