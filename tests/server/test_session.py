"""The session: which folder a document belongs to, what a target sees, and following the disk."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sc2lsp.completion import find_snippets, is_outdated, rank_snippets
from sc2lsp.config import Config, ConfigError
from sc2lsp.context.cache import Cache
from sc2lsp.context.document import Edit, Position
from sc2lsp.session import Session, Target


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
    session.change(path, [Edit(None, None, "old")], 4, "utf-16")
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


def test_context_is_that_of_the_place_until_it_is_looked_for_again(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("def helper(): pass\nclass Store:\n    def find(self): pass\n")
    session, path = session_over(tmp_path), tmp_path / "x.py"
    session.open(path, "from lib import helper, Store\n" + "\n" * 20 + "store = Store()\n", 1)

    def type_at(line: int, text: str, version: int) -> Target:
        place = Position(line, 99)
        session.change(path, [Edit(place, place, text)], version, "utf-16")
        target = session.target(path, place, "utf-16")
        assert target is not None
        return target

    first = type_at(21, "x = hel", 2)
    found = find_snippets(first)
    assert found
    assert not is_outdated(first)
    assert not is_outdated(type_at(21, "per", 3))  # within a word
    member = type_at(21, "(store.", 4)
    assert is_outdated(member)
    assert find_snippets(member) is found  # nobody waits for it
    anew = rank_snippets(member)
    assert not is_outdated(member)
    assert find_snippets(member) is anew is not found
    assert find_snippets(type_at(1, "y = ", 5)) is not anew  # far away: that is waited for


@pytest.mark.parametrize(
    ("versions", "texts"),
    [
        ((1, 2, 3), ["a", "ab", "abc"]),
        ((1, 3, 7), ["a", "ab", "abc"]),
        ((0, 0, 0), ["a", "ab", "abc"]),  # a client that does not count
        ((1, 3, 2), ["a", "ab", None]),  # our text lacks what came late: nothing may be completed in it
        ((1, 2, 2), ["a", "ab", None]),
        ((1, 2, 1), ["a", "ab", None]),
    ],
)
def test_changes_out_of_order_end_completion(tmp_path: Path, versions: Sequence[int], texts: list[str | None]) -> None:
    session, path = session_over(tmp_path), tmp_path / "x.py"
    session.open(path, "a", versions[0])
    seen: list[str | None] = ["a"]
    for version, letter in zip(versions[1:], "bc", strict=True):
        end = Position(0, 9)
        session.change(path, [Edit(end, end, letter)], version, "utf-16")
        target = session.target(path, end, "utf-16")
        seen.append(None if target is None else target.document.text)
    assert seen == texts
    session.change(path, [Edit(None, None, "whole")], 9, "utf-16")
    target = session.target(path, Position(0, 0), "utf-16")
    assert target is not None
    assert target.document.text == "whole"
