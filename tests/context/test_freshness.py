"""After any sequence of creates, edits, renames and deletes, the index is the one built from nothing.

    SC2LSP_FRESHNESS_OPS=10000 pytest tests/context/test_freshness.py     the full size

Files and folders change at random, editors open, type and close, ignore files come and go; what a watcher would say of
it reaches the session late, twice and in any order, as the server would pass it on. At checkpoints both are compared.
"""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from sc2lsp.config import Config
from sc2lsp.context import cache as cache_module
from sc2lsp.context import scan as scan_module
from sc2lsp.context.cache import Cache
from sc2lsp.context.document import Edit, Position
from sc2lsp.context.scan import Step
from sc2lsp.session import Folder, Session

OPERATIONS = int(os.environ.get("SC2LSP_FRESHNESS_OPS", "1500"))
CHECK_EVERY = 40
FOLDERS = ["", "a", "a/b", "a/b/c", "d", "d/e", "x.py", "build", "a/build", "node_modules", "secrets"]
NAMES = ["m.py", "n.py", "o.ts", "x.py", "k.go", "notes.txt", "secrets.py", "w.min.js", "odd", "é.py"]
RULES = ["*.ts", "m.py", "!m.py", "b/", "/a/b", "d/**/o.ts", "é.py", "# none", "n.*", "!n.py", "*.py", "a/b/c/"]
IGNORE = [".gitignore", ".ignore", ".sc2lspignore"]
TEXTS = [
    "def f{}(): pass\n",
    "import m{}\nclass C:\n    def g(self): pass\n",
    "x{} = 1\n",
    "\0{}",
    "",
    "const a = {}\n",
]


class World:
    """A disk, an editor, and a session that hears of both."""

    def __init__(self, root: Path, cache: Cache | None, seed: int) -> None:
        self.root = root
        self.cache = cache
        self.random = Random(seed)
        self.session, self.folder = self.indexed()
        self.news: list[Path] = []  # what the watcher has yet to say
        self.passing: Generator[Step] | None = None
        self.opened: dict[Path, int] = {}  # document -> version

    def indexed(self) -> tuple[Session, Folder]:
        session = Session(Config(exclude=("odd/",)), self.cache)
        folder = session.add_folder(self.root)
        for _ in folder.scan():
            pass
        return session, folder

    def somewhere(self) -> Path:
        return self.root / self.random.choice(FOLDERS) / self.random.choice(NAMES)

    def text(self) -> str:
        return self.random.choice(TEXTS).format(self.random.randrange(9))

    def tell(self, *paths: Path) -> None:
        """A watcher speaks of places, not of the links that lead there."""
        places = [path.parent.resolve() / path.name for path in paths]
        self.news += [place for place in places for _ in range(self.random.choice((1, 1, 2)))]

    def write(self) -> None:
        self.put(self.somewhere(), self.text())

    def ignore(self) -> None:
        lines = "\n".join(self.random.choices(RULES, k=2))
        places = [self.root / self.random.choice(FOLDERS) / self.random.choice(IGNORE), self.root / ".git/info/exclude"]
        path = self.random.choice(places)
        if self.random.random() < 0.4:
            self.discard(path)
        else:
            self.put(path, lines)

    def put(self, path: Path, text: str) -> None:
        """The folders on the way may be new, and a watcher may miss what is in a new folder."""
        with suppress(OSError):  # something else stands there
            new = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()  # as editors do: writing through a link would change another place
            path.write_text(text, "utf-8")
            self.tell(*(new or [path]))

    def delete(self) -> None:
        self.discard(self.somewhere())

    def discard(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()
            self.tell(path)

    def delete_folder(self) -> None:
        path = self.root / self.random.choice(FOLDERS[1:])
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            self.tell(path)

    def rename(self) -> None:
        self.move(self.somewhere(), self.somewhere())

    def rename_folder(self) -> None:
        self.move(*(self.root / self.random.choice(FOLDERS[1:]) for _ in range(2)))

    def move(self, old: Path, new: Path) -> None:
        with suppress(OSError):
            if os.path.lexists(old) and new.parent.is_dir():
                old.rename(new)
                self.tell(old, new)

    def link(self) -> None:
        path = self.somewhere()
        with suppress(OSError):
            path.symlink_to(self.root / self.random.choice(FOLDERS))
            self.tell(path)

    def open(self) -> None:
        path = self.somewhere()
        if path not in self.opened:
            self.opened[path] = 1
            self.session.open(path, self.text(), 1)

    def type(self) -> None:
        for path in self.opened:
            self.opened[path] += 1
            edit = Edit(Position(0, 0), Position(0, 0), self.random.choice("ab \n"))
            self.session.change(path, [edit], self.opened[path], "utf-16")

    def save(self) -> None:
        for path in self.opened:
            document = self.session.document(path)
            assert document is not None
            if self.random.random() < 0.5:
                self.put(path, document.text)
            self.session.save(path)

    def close(self) -> None:
        if self.opened:
            path = self.random.choice(list(self.opened))
            del self.opened[path]
            self.session.close(path)

    def hear(self) -> None:
        """Some of the news arrives."""
        self.random.shuffle(self.news)
        count = self.random.randrange(len(self.news) + 1)
        self.session.changed(self.news[:count])
        del self.news[:count]

    def work(self) -> None:
        """The server's one pass at a time goes a few steps further, or the next one begins."""
        if self.passing is None:
            self.passing = self.session.refresh(self.folder)
        for _ in range(self.random.choice((1, 3, 50))):
            if next(self.passing, None) is None:
                self.passing = None
                break

    def settle(self) -> None:
        """Everything is heard, saved and done."""
        self.session.changed(self.news)
        self.news.clear()
        for path in self.opened:
            self.session.save(path)
        while self.passing is not None or self.folder.changed:
            self.work()

    def check(self) -> None:
        fresh, folder = self.indexed()
        for path, version in self.opened.items():
            document = self.session.document(path)
            assert document is not None
            fresh.open(path, document.text, version)
        kept, built = self.folder.index, folder.index
        assert kept.known == built.known
        assert dict(kept.files) == dict(built.files)
        assert kept.open_paths == built.open_paths
        assert kept.stats() == built.stats()


OPERATIONS_BY_WEIGHT: list[tuple[int, Callable[[World], None]]] = [
    (24, World.write), (6, World.delete), (3, World.delete_folder), (6, World.rename), (5, World.rename_folder),
    (5, World.ignore), (3, World.link), (6, World.open), (8, World.type), (4, World.save), (5, World.close),
    (14, World.hear), (20, World.work),
]  # fmt: skip


@pytest.fixture
def few_is_much(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So that small worlds use the shelf, and its stamps, as large ones do."""
    monkeypatch.setattr(scan_module, "SHELF_FILES", 3)
    monkeypatch.setattr(cache_module, "RACY_NS", 20_000_000)  # file systems of this decade tick every 10 ms or faster
    yield


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.usefixtures("few_is_much")
def test_the_index_is_the_one_built_from_nothing(tmp_path: Path, seed: int) -> None:
    (tmp_path / "w").mkdir()
    world = World(tmp_path / "w", Cache(tmp_path / "cache", 100) if seed == 1 else None, seed)
    weights, operations = zip(*OPERATIONS_BY_WEIGHT, strict=True)
    for number in range(1, OPERATIONS // 2 + 1):
        world.random.choices(operations, weights)[0](world)
        if number % CHECK_EVERY == 0:
            world.settle()
            world.check()
    world.settle()
    world.check()
