"""The session: which folder a document belongs to, what a target sees, and following the disk."""

import asyncio
from pathlib import Path

import pytest

from sc2lsp.config import Config, ConfigError
from sc2lsp.context.document import Edit, Position
from sc2lsp.server import create_server
from sc2lsp.session import Session


def session_over(*roots: Path, config: Config | None = None) -> Session:
    session = Session(config or Config())
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
        for _ in session.add_folder(root).scan():
            pass
    return session


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
    session.reload(path)
    assert (len(index.defining("in_editor")), len(index.defining("on_disk"))) == (1, 0)
    session.close(path)
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
    session.reload(path)
    assert not index.defining("hidden")
    session.close(path)
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
    session.reload(path)
    path.write_text("def disk(): ...\n")
    session.reload(path)
    assert (len(index.defining("editor")), len(index.defining("disk"))) == (1, 0)


async def test_the_disk_is_followed(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("def old(): ...\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "inner.py").write_text("def inner(): ...\n")
    server = create_server()
    server.session = session_over(tmp_path)
    index = server.session.folders[tmp_path].index
    watching = asyncio.create_task(server.watch(server.session.folders[tmp_path]))
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
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
