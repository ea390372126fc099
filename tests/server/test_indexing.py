"""Following the disk and the open documents, between keystrokes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from sc2lsp import indexing as indexing_module
from sc2lsp.backend import create
from sc2lsp.config import Config
from sc2lsp.context.document import Edit
from sc2lsp.indexing import Indexing
from sc2lsp.session import Folder, Session


class Titles:
    """Progress that remembers which works have ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    @asynccontextmanager
    async def __call__(self, title: str) -> AsyncGenerator["Titles"]:
        yield self
        self.ended.append(title)

    def report(self, message: str, fraction: float | None = None) -> None: ...


@asynccontextmanager
async def following(root: Path) -> AsyncGenerator[tuple[Session, Indexing, Folder]]:
    """A session whose only folder is indexed, and followed."""
    session, titles = Session(Config()), Titles()
    indexing = Indexing(session, create(Config(endpoint="tcp://127.0.0.1:9", token="t")), titles)
    folder = session.add_folder(root)
    indexing.follow(folder)
    async with asyncio.timeout(30):
        while not titles.ended:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # the watcher says nothing of when it begins
    try:
        yield session, indexing, folder
    finally:
        indexing.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_disk_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "package").mkdir(parents=True)
    (root / "old.py").write_text("def old(): ...\n")
    (root / "package" / "inner.py").write_text("def inner(): ...\n")
    async with following(root) as (_, _, folder):
        assert set(folder.index.files) == {"old.py", "package/inner.py"}
        (root / "new.py").write_text("def new(): ...\n")
        (root / "old.py").unlink()
        (root / "node_modules").mkdir()
        (root / "node_modules" / "m.js").write_text("function ignored() {}\n")
        (root / "package" / "inner.py").unlink()
        (root / "package").rmdir()
        (tmp_path / "moved" / "deep").mkdir(parents=True)
        (tmp_path / "moved" / "deep" / "in.py").write_text("def moved(): ...\n")
        (tmp_path / "moved").rename(root / "moved")  # announced as one folder
        await until(lambda: set(folder.index.files) == {"new.py", "moved/deep/in.py"})


async def test_polling_where_the_system_has_no_watches_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    honest = watchfiles.awatch

    def awatch(*paths: Path, force_polling: bool, **options: Any) -> AsyncGenerator[Any]:
        asked.append(force_polling)
        if not force_polling:
            (tmp_path / "meanwhile.py").write_text("def meanwhile(): ...\n")
            raise OSError("OS file watch limit reached")
        return honest(*paths, force_polling=True, **{**options, "poll_delay_ms": 50})

    monkeypatch.setattr(watchfiles, "awatch", awatch)
    async with following(tmp_path) as (_, _, folder):
        await until(lambda: "meanwhile.py" in folder.index.files)
        (tmp_path / "later.py").write_text("def later(): ...\n")
        await until(lambda: "later.py" in folder.index.files)
    assert asked == [False, True]


async def test_a_branch_switch_is_one_pass_that_lets_keystrokes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchfiles, "awatch", _nothing)  # the editor tells
    async with following(tmp_path) as (session, indexing, folder):
        passes: list[int] = []
        refresh = session.refresh
        monkeypatch.setattr(session, "refresh", lambda *args: (passes.append(len(folder.changed)), refresh(*args))[1])
        for number in range(1000):
            (tmp_path / f"m{number}.py").write_text(f"def f{number}(): ...\n")
            indexing.refresh(session.changed([tmp_path / f"m{number}.py"]))
        turns = 0
        async with asyncio.timeout(60):
            while len(folder.index.files) < 1000:
                await asyncio.sleep(0)
                turns += 1
        assert passes == [1000]
        assert turns > 50


async def _nothing(*_: Path, **__: Any) -> AsyncGenerator[Any]:
    await asyncio.Event().wait()
    yield  # pragma: no cover - makes it a generator


async def test_a_folder_that_left_is_followed_no_longer(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with following(tmp_path) as (_, indexing, _):
        following_it = asyncio.all_tasks() - before
        assert following_it
        indexing.leave(tmp_path)
        done, pending = await asyncio.wait(following_it, timeout=10)
        assert (len(done), pending) == (len(following_it), set())


async def test_a_pause_in_typing_shows_the_document_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing_module, "SETTLE_SECONDS", 0.05)
    async with following(tmp_path) as (session, indexing, folder):
        path, index = tmp_path / "x.py", folder.index
        session.open(path, "def before(): ...\n", 1)
        for version in (2, 3):
            session.change(path, [Edit(None, None, f"def typed{version}(): ...\n")], version, "utf-16")
            indexing.typed(path)
        assert index.defining("before")
        await until(lambda: index.defining("typed3"))
        assert not index.defining("before")
