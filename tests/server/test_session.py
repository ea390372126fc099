"""The session: which folder a document belongs to, what a target sees, and following the disk."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from sc2lsp import server as server_module
from sc2lsp.completion import find_snippets
from sc2lsp.config import Config, ConfigError
from sc2lsp.context.cache import Cache
from sc2lsp.context.document import Edit, Position
from sc2lsp.context.retrieve import Snippet
from sc2lsp.server import create_server
from sc2lsp.session import Session


def session_over(*roots: Path, config: Config | None = None) -> Session:
    session = Session(config or Config())
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
        for _ in session.add_folder(root).scan():
            pass
    return session


def refresh(session: Session, *paths: Path) -> None:
    """What the server does when the disk changed."""
    for folder in list(session.changed(paths)):
        for _ in session.refresh(folder):
            pass


def close(session: Session, path: Path) -> None:
    for folder in list(session.close(path)):
        for _ in session.refresh(folder):
            pass


def test_the_innermost_folder_owns_a_file(tmp_path: Path) -> None:
    session = session_over(tmp_path / "a", tmp_path / "a" / "b")
    assert session.folder_of(tmp_path / "a" / "b" / "x.py").root == tmp_path / "a" / "b"
    assert session.folder_of(tmp_path / "a" / "x.py").root == tmp_path / "a"
    assert session.folder_of(tmp_path / "x.py").root == tmp_path
    assert tmp_path not in session.folders


def test_a_target_is_one_moment(tmp_path: Path) -> None:
    session, path = session_over(tmp_path), tmp_path / "x.py"
    session.open(path, "a = 1\n", 1)
    before = session.target(path, Position(0, 4), "utf-16")
    session.change(path, [Edit(Position(0, 4), Position(0, 5), "two")], 2, "utf-16")
    after = session.target(path, Position(0, 7), "utf-16")
    assert before is not None
    assert after is not None
    assert (before.prefix, before.suffix) == ("a = ", "1\n")
    assert (after.prefix, after.suffix) == ("a = two", "\n")


def test_an_older_version_is_dropped(tmp_path: Path) -> None:
    session, path = session_over(tmp_path), tmp_path / "x.py"
    session.open(path, "a", 5)
    session.change(path, [Edit(None, None, "old")], 5, "utf-16")
    session.change(tmp_path / "never_opened.py", [Edit(None, None, "x")], 9, "utf-16")
    document = session.document(path)
    assert document is not None
    assert document.text == "a"


def test_what_gets_no_target(tmp_path: Path) -> None:
    (tmp_path / ".sc2lsp.toml").write_text('languages_off = ["c"]')
    session = session_over(tmp_path)
    for name, offered in (("a.py", True), ("a.c", False), (".env", False), ("notes.txt", True)):
        session.open(tmp_path / name, "x = ", 1)
        assert (session.target(tmp_path / name, Position(0, 4), "utf-16") is not None) == offered
    assert session.target(tmp_path / "closed.py", Position(0, 0), "utf-16") is None


def test_a_workspace_that_redirects_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".sc2lsp.toml").write_text('endpoint = "tcp://10.0.0.1:1"')
    with pytest.raises(ConfigError):
        session_over(tmp_path)


def test_open_text_wins_over_the_disk_until_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def on_disk(): ...\n")
    session = session_over(tmp_path)
    index = session.folders[tmp_path].index
    session.open(path, "def in_editor(): ...\n", 1)
    refresh(session, path)
    assert (len(index.defining("in_editor")), len(index.defining("on_disk"))) == (1, 0)
    close(session, path)
    assert (len(index.defining("in_editor")), len(index.defining("on_disk"))) == (0, 1)


def test_private_folders_are_never_completed(tmp_path: Path) -> None:
    session = session_over()
    for name in (".ssh/config.py", ".aws/config", "project/secrets/db.py", ".kube/x.py"):
        session.open(tmp_path / name, "x = ", 1)
        assert session.target(tmp_path / name, Position(0, 4), "utf-16") is None, name
    workspace = session_over(tmp_path / ".aws")
    workspace.open(tmp_path / ".aws" / "a.py", "x = ", 1)
    assert workspace.target(tmp_path / ".aws" / "a.py", Position(0, 4), "utf-16") is None


def test_an_ignored_file_stays_out_of_other_prompts(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("private.py\n")
    path = tmp_path / "private.py"
    path.write_text("def hidden(): ...\n")
    session = session_over(tmp_path)
    index = session.folders[tmp_path].index
    session.open(path, "def hidden(): ...\n", 1)
    session.save(path)
    refresh(session, path)
    assert not index.defining("hidden")
    close(session, path)
    assert not index.defining("hidden")


def test_a_folder_that_cannot_be_honoured_is_not_completed(tmp_path: Path) -> None:
    session = Session(Config())
    (tmp_path / ".sc2lsp.toml").write_text('languages_of = ["python"]')
    with pytest.raises(ConfigError):
        session.add_folder(tmp_path)
    session.open(tmp_path / "a.py", "x = ", 1)
    assert session.target(tmp_path / "a.py", Position(0, 4), "utf-16") is None


def test_documents_follow_their_folder(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def helper(): ...\n")
    session, path = Session(Config()), tmp_path / "x.py"
    session.open(path, "help", 1)
    for _ in session.add_folder(tmp_path).scan():
        pass
    target = session.target(path, Position(0, 4), "utf-16")
    assert target is not None
    assert target.folder is session.folders[tmp_path]
    session.remove_folder(tmp_path)
    target = session.target(path, Position(0, 4), "utf-16")
    assert target is not None
    assert tmp_path not in session.folders


def test_an_open_file_that_vanishes_stays_the_editors(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def disk(): ...\n")
    session = session_over(tmp_path)
    index = session.folders[tmp_path].index
    session.open(path, "def editor(): ...\n", 1)
    path.unlink()
    refresh(session, path)
    path.write_text("def disk(): ...\n")
    refresh(session, path)
    assert (len(index.defining("editor")), len(index.defining("disk"))) == (1, 0)


async def test_the_disk_is_followed(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("def old(): ...\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "inner.py").write_text("def inner(): ...\n")
    server = create_server()
    server.session = session_over(tmp_path)
    index = server.session.folders[tmp_path].index
    folder = server.session.folders[tmp_path]
    watching, keeping = (asyncio.create_task(work) for work in (server.watch(folder), server.keep(folder)))
    await asyncio.sleep(0.5)

    (tmp_path / "new.py").write_text("def new(): ...\n")
    (tmp_path / "old.py").unlink()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "m.js").write_text("function ignored() {}\n")
    (tmp_path / "package" / "inner.py").unlink()
    (tmp_path / "package").rmdir()
    (tmp_path.parent / "moved" / "deep").mkdir(parents=True)
    (tmp_path.parent / "moved" / "deep" / "in.py").write_text("def moved(): ...\n")
    (tmp_path.parent / "moved").rename(tmp_path / "moved")  # announced as one folder
    async with asyncio.timeout(30):
        while set(index.files) != {"new.py", "moved/deep/in.py"}:
            await asyncio.sleep(0.05)
    assert not watching.done()
    for task in (watching, keeping):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


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
    server = create_server()
    server.session = session_over(tmp_path)
    folder = server.session.folders[tmp_path]
    tasks = [asyncio.create_task(work) for work in (server.watch(folder), server.keep(folder))]
    async with asyncio.timeout(30):
        while "meanwhile.py" not in folder.index.files:
            await asyncio.sleep(0.02)
        (tmp_path / "later.py").write_text("def later(): ...\n")
        while "later.py" not in folder.index.files:
            await asyncio.sleep(0.02)
    assert asked == [False, True]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_branch_switch_is_one_pass_that_lets_keystrokes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = create_server()
    server.session = session_over(tmp_path)
    folder = server.session.folders[tmp_path]
    passes: list[int] = []
    refresh = server.session.refresh
    monkeypatch.setattr(
        server.session, "refresh", lambda *args: (passes.append(len(folder.changed)), refresh(*args))[1]
    )
    keeping = asyncio.create_task(server.keep(folder))
    for number in range(1000):
        (tmp_path / f"m{number}.py").write_text(f"def f{number}(): ...\n")
        server.refresh(server.session.changed([tmp_path / f"m{number}.py"]))
    turns = 0
    async with asyncio.timeout(60):
        while len(folder.index.files) < 1000:
            await asyncio.sleep(0)
            turns += 1
    assert passes == [1000]
    assert turns > 50
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_folder_that_left_is_followed_no_longer(tmp_path: Path) -> None:
    server = create_server()
    server.session = session_over(tmp_path)
    folder = server.session.folders[tmp_path]
    following = [server.background(work) for work in (server.keep(folder), server.watch(folder))]
    server.following[tmp_path] = following
    await asyncio.sleep(0.1)
    server.leave(tmp_path)
    done, pending = await asyncio.wait(following, timeout=10)
    assert (len(done), pending) == (2, set())


async def test_a_pause_in_typing_shows_the_document_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SETTLE_SECONDS", 0.05)
    server = create_server()
    server.session = session_over(tmp_path)
    path, index = tmp_path / "x.py", server.session.folders[tmp_path].index
    server.session.open(path, "def before(): ...\n", 1)
    for version in (2, 3):
        server.session.change(path, [Edit(None, None, f"def typed{version}(): ...\n")], version, "utf-16")
        server.typed(path)
    assert index.defining("before")
    async with asyncio.timeout(10):
        while not index.defining("typed3"):
            await asyncio.sleep(0.01)
    assert not index.defining("before")


def test_what_was_typed_is_never_kept_on_disk(tmp_path: Path) -> None:
    root, canary = tmp_path / "w", "canary_7f3a9"
    root.mkdir()
    for number in range(5):
        (root / f"m{number}.py").write_text("def saved(): ...\n")
    session = Session(Config(), Cache(tmp_path / "cache", 100))
    folder = session.add_folder(root)
    session.open(root / "m0.py", f"def {canary}(): ...\n", 1)
    for _ in folder.scan():
        pass
    session.change(root / "m0.py", [Edit(None, None, f"class {canary}: ...\n")], 2, "utf-16")
    session.save(root / "m0.py")  # as far as the session knows
    refresh(session, *(root / f"m{number}.py" for number in range(5)))
    assert folder.index.defining(canary)
    close(session, root / "m0.py")
    assert not folder.index.defining(canary)
    written = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert any(b"saved" in path.read_bytes() for path in written)
    assert not any(canary.encode() in path.read_bytes() for path in written)


def test_a_file_of_two_folders_is_fresh_in_both(tmp_path: Path) -> None:
    outer, inner = tmp_path / "a", tmp_path / "a" / "b"
    session = session_over(outer, inner)
    (inner / "x.py").write_text("def new(): ...\n")
    refresh(session, inner / "x.py")
    assert [list(session.folders[root].index.files) for root in (outer, inner)] == [["b/x.py"], ["x.py"]]


def test_a_target_knows_what_was_worked_on_lately(tmp_path: Path) -> None:
    session, paths = session_over(tmp_path), [tmp_path / f"{name}.py" for name in "abc"]
    for path in paths:
        session.open(path, "x = 1\n", 1)
    session.change(paths[0], [Edit(Position(0, 0), Position(0, 0), "y")], 2, "utf-16")
    target = session.target(paths[1], Position(0, 0), "utf-16")
    assert target is not None
    assert target.recent == ("a.py", "c.py")


def test_context_that_is_late_is_that_of_the_keystroke_before(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("def first_helper(): pass\ndef second_helper(): pass\n")
    session, path = session_over(tmp_path, config=Config(context_timeout=1e-9)), tmp_path / "x.py"
    texts = ["from lib import first_helper\nfirst_", "from lib import second_helper\nsecond_"] * 2
    found: list[list[Snippet]] = []
    for version, text in enumerate(texts, 1):
        if version == 1:
            session.open(path, text, version)
        else:
            session.change(path, [Edit(None, None, text)], version, "utf-16")
        target = session.target(path, Position(1, 9), "utf-16")
        assert target is not None
        found.append(find_snippets(target))
    assert found[0]
    assert found[1] is found[0]  # late, and the last good one
    assert found[2] is not found[1]  # not twice in a row
    assert found[3] is found[2]
