"""What a runtime is told of a folder's files: all of them once, then what changed, and nothing that is none of its."""

from pathlib import Path

import pytest

from sc2lsp import feed as feed_module
from sc2lsp.backend import BackendUnavailable, Model, local_model
from sc2lsp.backends.own import RuntimeBackend
from sc2lsp.config import Config
from sc2lsp.context.document import Edit, Position
from sc2lsp.feed import Feed
from sc2lsp.session import Session

from .test_session import refresh, session_over


def builtin() -> Model:
    model = local_model(Config())
    assert model is not None
    return model


class Received(RuntimeBackend):
    """Keeps what it is told, as text."""

    def __init__(self) -> None:
        super().__init__(Config())
        self.current: Model | None = builtin()
        self.files: dict[str, str] = {}
        self.told: list[str] = []

    async def model(self) -> Model:
        if self.current is None:
            raise BackendUnavailable("gone")
        return self.current

    async def put_document(self, workspace: str, document: str, tokens: tuple[int, ...]) -> None:
        assert self.current is not None and Path(workspace).is_absolute()
        path = document.removeprefix(f"{workspace}\n")
        self.told.append(path)
        self.files.pop(path, None)
        if tokens:
            self.files[path] = self.current.decode(tokens)


async def nothing() -> None:
    pass


async def caught_up(feed: Feed, session: Session, root: Path, received: Received) -> dict[str, str]:
    received.told.clear()
    await feed.catch_up(session.texts(session.folders[root]), nothing)
    return received.files


async def test_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("alpha = 1\n")
    (tmp_path / "b.py").write_text("beta = <fim_middle>\n")
    (tmp_path / ".env").write_text("KEY=1\n")
    session, received = session_over(tmp_path), Received()
    feed = Feed(session.folders[tmp_path], received)
    assert await caught_up(feed, session, tmp_path, received) == {
        "a.py": "alpha = 1\n",
        "b.py": "beta = <fim_middle>\n",
    }
    await caught_up(feed, session, tmp_path, received)
    assert received.told == []

    session.open(tmp_path / "a.py", "alpha = 1\n", 1)
    session.change(tmp_path / "a.py", [Edit(Position(0, 8), Position(0, 9), "22")], 2, "utf-16")
    session.save(tmp_path / "a.py")
    (tmp_path / "b.py").unlink()
    refresh(session, tmp_path / "b.py")
    assert await caught_up(feed, session, tmp_path, received) == {"a.py": "alpha = 22\n"}
    assert sorted(received.told) == ["a.py", "b.py"]


async def test_a_new_runtime_is_told_everything(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("alpha = 1\n")
    session, received = session_over(tmp_path), Received()
    feed = Feed(session.folders[tmp_path], received)
    await caught_up(feed, session, tmp_path, received)
    received.current, received.files = None, {}
    assert await caught_up(feed, session, tmp_path, received) == {}
    received.current = builtin()
    assert await caught_up(feed, session, tmp_path, received) == {"a.py": "alpha = 1\n"}


async def test_what_is_too_much_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MOST_TOKENS", 40)
    monkeypatch.setattr(feed_module, "LONGEST", 30)
    (tmp_path / "a.py").write_text("alpha = 1\n")
    (tmp_path / "b.py").write_text("value\n" * 100)
    session, received = session_over(tmp_path), Received()
    feed = Feed(session.folders[tmp_path], received)
    assert await caught_up(feed, session, tmp_path, received) == {"a.py": "alpha = 1\n"}
    (tmp_path / "b.py").write_text("beta = 1\n")
    refresh(session, tmp_path / "b.py")
    assert set(await caught_up(feed, session, tmp_path, received)) == {"a.py", "b.py"}


MAY = [
    ({}, True),
    ({"endpoint": "unix:/run/x.sock"}, True),
    ({"endpoint": "tcp://gpu:8600"}, False),
    ({"endpoint": "wss://gpu"}, False),
    ({"endpoint": "wss://gpu", "share_workspace": "always"}, True),
    ({"share_workspace": "never"}, False),
]


@pytest.mark.parametrize(("settings", "may"), MAY)
def test_files_go_where_the_user_lets_them(settings: dict[str, str], may: bool) -> None:
    assert RuntimeBackend(Config(**settings)).may_index is may  # type: ignore[arg-type]
