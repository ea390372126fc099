"""A small random checkpoint, and the engine on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sc2lsp.runtime.engine import Engine

from .checkpoints import EXACT, write_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model"), std=0.2)


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    engine = Engine(str(folder), lambda message, fraction: None, EXACT)
    yield engine
    engine.close()
