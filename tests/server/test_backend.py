"""The backend's promises to whoever types: no process a keystroke, no tokenizer that is not the model's."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from sc2lsp import daemon
from sc2lsp.backend import BackendUnavailable, Model, create, local_model
from sc2lsp.config import Config
from sc2lsp.runtime.api import SamplingParams

from ..runtime.checkpoints import write_checkpoint

pytestmark = pytest.mark.usefixtures("own_runtime")


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that a runtime was started for."""
    models: list[str] = []
    command = daemon.serve_command

    def counted(model: str, place: daemon.Endpoint, idle_timeout: float, options: Sequence[str]) -> list[str]:
        models.append(model)
        return command(model, place, idle_timeout, options)

    monkeypatch.setattr(daemon, "serve_command", counted)
    return models


async def test_a_failure_is_remembered_for_a_while(tmp_path: Path, starts: list[str]) -> None:
    backend = create(Config(model=str(tmp_path / "none")))
    for _ in range(3):
        with pytest.raises(BackendUnavailable, match="no such model"):
            await backend.model()
    assert len(starts) == 1
    await backend.close()


async def test_cancelled_keystrokes_share_one_start(tmp_path: Path, starts: list[str]) -> None:
    backend = create(Config(model=str(write_checkpoint(tmp_path))))
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.model(), 0.05)
    assert (await backend.model()).context_length == 512
    assert len(starts) == 1
    await backend.close()


async def test_the_tokenizer_is_fetched_once_and_checked(tmp_path: Path, own_runtime: Path) -> None:
    folder = write_checkpoint(tmp_path)
    config = Config(model=str(folder))

    async def encoded() -> list[int]:
        backend = create(config)
        model = await backend.model()
        await backend.close()
        return list(model.encode("def add(a, b):"))

    expected = local_model(config)
    assert isinstance(expected, Model)
    assert await encoded() == list(expected.encode("def add(a, b):"))
    (kept,) = (own_runtime / "cache").rglob("*.json")
    assert kept.read_bytes() == (folder / "tokenizer.json").read_bytes()
    kept.write_bytes(kept.read_bytes().replace(b"def", b"fed"))  # damage is a miss, never a wrong tokenizer
    assert await encoded() == list(expected.encode("def add(a, b):"))
    assert kept.read_bytes() == (folder / "tokenizer.json").read_bytes()


async def test_leaving_early_cancels_in_the_runtime(tmp_path: Path) -> None:
    backend = create(Config(model=str(write_checkpoint(tmp_path))))
    model = await backend.model()
    prompt = tuple(model.encode("def add(a, b):\n"))
    stream = backend.generate("w", "a", prompt, SamplingParams(max_tokens=400, temperature=2.0, seed=1))
    await anext(stream)
    await stream.aclose()
    last = [chunk async for chunk in backend.generate("w", "b", prompt, SamplingParams(max_tokens=1))][-1]
    assert last.usage is not None
    assert last.usage.queue_ms < 1000  # the abandoned one does not run on
    await backend.close()
