"""The index as one road for every change."""

from pathlib import Path

from sc2lsp.context.document import Document
from sc2lsp.context.index import Index
from sc2lsp.context.tags import Import
from sc2lsp.context.workspace import Change

from .test_workspace import plant


def index_of(files: dict[str, str]) -> Index:
    index = Index(Path("/nowhere"))
    for path, text in files.items():
        index.apply(Change(path, text))
    return index


def places(index: Index, name: str) -> list[tuple[str, int]]:
    return sorted((path, tag.start_line) for path, tag in index.defining(name))


def test_a_change_replaces_what_the_file_said_before() -> None:
    index = index_of({"a.py": "def f(): pass\ndef f(): pass\n", "b.py": "x\ndef f(): pass\n"})
    assert places(index, "f") == [("a.py", 0), ("a.py", 1), ("b.py", 1)]
    assert (index.owners("f"), index.mentions("f"), index.mentions("x")) == (2, 2, 1)
    index.apply(Change("a.py", "def g(): pass\n"))
    index.apply(Change("b.py", None))
    assert places(index, "f") == []
    assert places(index, "g") == [("a.py", 0)]
    assert (list(index.files), index.mentions("f"), index.mentions("x")) == (["a.py"], 0, 0)


def test_any_order_of_changes_ends_where_a_fresh_index_does() -> None:
    texts = ["def f(): pass\n", "class A:\n    def f(self): g()\n", "def g(): pass\n"]
    index, held = Index(Path("/nowhere")), dict[str, str]()
    for step in range(30):
        path, text = f"{step * 7 % 4}.py", texts[step % 3]
        if step % 5 == 0:
            index.apply(Change(path, None))
            held.pop(path, None)
        else:
            index.apply(Change(path, text))
            held[path] = text
    fresh = index_of(held)
    assert held
    assert fresh.stats() == index.stats()
    assert [places(fresh, name) for name in "fgA"] == [places(index, name) for name in "fgA"]
    assert [fresh.mentions(name) for name in "fgA"] == [index.mentions(name) for name in "fgA"]


def test_the_disk_has_no_say_in_an_open_document(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "def disk(): pass\n", "b.py": "def b(): pass\n"})
    index = Index(tmp_path)
    index.apply_document(Document.open("a.py", "def typed(): pass\n", 3))
    index.load("a.py")
    index.load("b.py")
    assert places(index, "b") == [("b.py", 0)]
    index.apply(Change("a.py", "def watcher(): pass\n"))
    index.apply(Change("a.py", None))
    assert places(index, "typed") == [("a.py", 0)]
    assert index.open_paths == {"a.py"}
    index.release("a.py")
    index.load("a.py")
    assert places(index, "typed") == []
    assert places(index, "disk") == [("a.py", 0)]


def test_an_index_says_what_it_skipped(tmp_path: Path) -> None:
    files = {"a.py": "def a(): pass\n", "b.py": "x\0", "c.js": "x" * 20_000}
    plant(tmp_path, files)
    index = Index(tmp_path)
    for path in files:
        index.load(path)
    stats = index.stats()
    assert (stats.files, stats.skipped, stats.definitions) == (1, {"binary": 1, "minified": 1}, 1)
    assert (stats.bytes, stats.references) == (14, 3)
    index.remove("a.py")
    index.remove("b.py")
    assert (dict(index.files), index.stats().skipped) == ({}, {"minified": 1})


def test_an_open_file_of_secrets_informs_nobody() -> None:
    index = Index(Path("/nowhere"))
    index.apply_document(Document.open("secrets.py", "TOKEN = 'hunter2'\n"))
    assert places(index, "TOKEN") == []
    assert index.stats().skipped == {"may hold secrets": 1}


def test_imports_mean_what_is_indexed_at_the_time() -> None:
    index = index_of({"main.go": "", "lib/maps/m.go": "", "w/a.ts": "", "w/b.tsx": ""})
    here, there = Import("x/lib/maps", (), "maps", 0), Import("./b", (), "", 0)
    assert index.resolve_import("main.go", here) == ("lib/maps/m.go",)
    assert index.resolve_import("w/a.ts", there) == ("w/b.tsx",)
    index.apply(Change("lib/maps/n.go", ""))
    index.remove("lib/maps/m.go")
    index.remove("w/b.tsx")
    assert index.resolve_import("main.go", here) == ("lib/maps/n.go",)
    assert index.resolve_import("w/a.ts", there) == ()
