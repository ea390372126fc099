"""A runtime of the tests' own: its sockets, caches and configuration apart from the user's, ended afterwards."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sc2lsp import daemon

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"


@pytest.fixture(scope="module")
def own_runtime() -> Iterator[Path]:
    """The folder of the runtime's sockets: short enough for a socket's path, shared by a module's tests."""
    with TemporaryDirectory(prefix="sc2") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SC2LSP_RUNTIME_DIR", f"{name}/r")
        patch.setenv("SC2LSP_CONFIG", f"{name}/config.toml")
        patch.setenv("XDG_CACHE_HOME", f"{name}/cache")
        patch.setenv("XDG_DATA_HOME", f"{name}/data")
        yield Path(name)
        asyncio.run(_stop_all())


async def _stop_all() -> None:
    for runtime in await daemon.running():
        await daemon.stop(runtime)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A copy of the real workspace that may be written to."""
    for source in SHELF.rglob("*.*"):
        if source.is_file() and "__pycache__" not in source.parts:
            target = tmp_path / "shelf" / source.relative_to(SHELF)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path / "shelf"
