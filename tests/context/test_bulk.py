"""Worker processes: the same entries as here, and a file that kills or stops one costs only itself."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sc2lsp.context import bulk as bulk_module
from sc2lsp.context import scan as scan_module
from sc2lsp.context.bulk import COMMAND, FAILED, Outcome, Pool, analyse_file
from sc2lsp.context.cache import Cache
from sc2lsp.context.document import Document
from sc2lsp.context.index import Index
from sc2lsp.context.scan import Pass, Step
from sc2lsp.context.workspace import MAX_FILE_BYTES, Reader

from .test_workspace import as_nobody, plant

# A worker that dies, hangs and works for ever on the files that say so.
SABOTEUR = """
import os, time
from sc2lsp.context import bulk
honest = bulk.analyse
def analyse(document):
    if "DIE" in document.text: os._exit(9)
    if "HANG" in document.text: time.sleep(1000)
    while "LOOP" in document.text: pass
    if "DEEP" in document.text: raise RecursionError
    return honest(document)
bulk.analyse = analyse
bulk.main()
"""
FILES = {f"p{number % 3}/m{number}.py": f"def f{number}(): pass\n" for number in range(30)} | {"nul.py": "\0"}


def results(pool: Pool, batches: Sequence[Sequence[str]]) -> dict[str, Outcome]:
    for batch in batches:
        pool.give(batch)
    found: list[Outcome] = []
    give_up = time.monotonic() + 120
    while not pool.is_done and time.monotonic() < give_up:
        found += [outcome for answer in pool.take() for outcome in answer.outcomes]
        time.sleep(0.002)
    pool.close()
    assert len(found) == len({outcome.path for outcome in found})
    return {outcome.path: outcome for outcome in found}


def test_workers_say_what_we_would_say(tmp_path: Path) -> None:
    plant(tmp_path, FILES)
    paths = [*FILES, "gone.py"]
    found = results(pool := Pool(tmp_path, 2), [paths[start : start + 4] for start in range(0, len(paths), 4)])
    assert found == {path: analyse_file(Reader(tmp_path), path) for path in paths}
    assert (found["nul.py"].reason, found["gone.py"].reason) == ("binary", "unreadable")
    assert 2 * (10 << 20) < pool.peak_rss < 2 * (200 << 20) or sys.platform != "linux"


@pytest.mark.parametrize("fate", ["DIE", "HANG", "LOOP", "DEEP"])
def test_a_file_that_takes_a_worker_with_it_costs_only_itself(
    tmp_path: Path, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fate == "LOOP" and os.name == "nt":
        pytest.skip("no timer of processor time on Windows; the wait for an answer ends it")
    monkeypatch.setattr(bulk_module, "HANG_SECONDS", 3.0)
    plant(tmp_path, FILES | {"p1/bad.py": f"x = '{fate}'\n"})
    paths = ["p1/bad.py", *FILES]
    pool = Pool(tmp_path, 2, [sys.executable, "-P", "-c", SABOTEUR])
    found = results(pool, [paths[:10], paths[10:20], paths[20:]])
    assert found.keys() == set(paths)
    assert [path for path, outcome in found.items() if outcome.reason == FAILED] == ["p1/bad.py"]
    assert not found["p1/bad.py"].lasting


@pytest.mark.parametrize("command", [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(3)"]])
def test_without_workers_the_work_is_done_here(tmp_path: Path, command: list[str]) -> None:
    plant(tmp_path, FILES)
    found = results(Pool(tmp_path, 2, command), [list(FILES)])
    assert found == {path: analyse_file(Reader(tmp_path), path) for path in FILES}


def test_a_worker_ends_with_whoever_started_it() -> None:
    with subprocess.Popen([*COMMAND, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.read(4) == b"\0\0\0\0"
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(30) == 0


def scanned(root: Path, cache: Cache | None = None) -> tuple[Index, Pass]:
    index = Index(root)
    survey = Pass(index, (), cache.shelf(root) if cache is not None else None)
    for step in survey.scan():
        time.sleep(0.002 if step.is_idle else 0)
    return index, survey


def test_much_goes_to_workers_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "w", FILES)
    here, _ = scanned(tmp_path / "w")
    monkeypatch.setattr(scan_module, "FEW_FILES", 5)
    cache = Cache(tmp_path / "cache", 100)
    cold, first = scanned(tmp_path / "w", cache)
    warm, second = scanned(tmp_path / "w", cache)
    assert dict(here.files) == dict(cold.files) == dict(warm.files)
    assert here.stats() == cold.stats() == warm.stats()
    assert (first.parsed, second.parsed, first.peak_rss > 0, second.peak_rss) == (len(FILES) - 1, 0, True, 0)


def test_what_is_near_the_open_files_comes_first(tmp_path: Path) -> None:
    near = {
        "app/open.py": "from lib.shapes import area\nimport app.beside\n",
        "app/beside.py": "",
        "lib/shapes.py": "from .round import circle\n",
        "lib/round.py": "",
    }
    plant(tmp_path, near | {f"far/away/m{number}.py": "x = 1\n" for number in range(100)})
    index = Index(tmp_path)
    index.apply_document(Document.open("app/open.py", near["app/open.py"], 1))
    ready: Step | None = None
    for step in Pass(index).scan():
        if step.is_ready and ready is None:
            ready = step
            assert index.files.keys() == near.keys()
    assert ready is not None
    assert len(index.files) == 104


def test_what_is_opened_during_a_pass_comes_first(tmp_path: Path) -> None:
    plant(
        tmp_path, {f"far/m{number}.py": "x = 1\n" for number in range(100)} | {"z/a.py": "import z.b\n", "z/b.py": ""}
    )
    index = Index(tmp_path)
    steps = Pass(index).scan()
    for _ in range(20):
        next(steps)
    assert "z/b.py" not in index.files
    index.apply_document(Document.open("z/a.py", "import z.b\n", 1))
    assert next(step for step in steps if step.is_ready).done < 100
    assert "z/b.py" in index.files
    steps.close()


ZOO_REASONS = {
    "not a regular file": 7,  # two FIFOs, a socket, four links
    "name is not UTF-8": 1,
    "unreadable": 2,
    "minified": 1,
    "too large": 1,
    "binary": 1,
    "not UTF-8": 1,
}


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs, and links need a privilege")
def test_the_zoo() -> None:
    """Everything that a workspace should not hold, in one scan: nothing hangs, nothing enters from outside."""
    with TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as listener:
        root, outside = Path(name) / "root", Path(name) / "outside"
        Path(name).chmod(0o755)
        plant(outside, {"secret.py": "def from_outside(): pass\n"})
        plant(root, {"ok.py": "def ok(): pass\n", "closed.py": "x\n", "locked/in.py": "x\n"})
        plant(root, {"deep.py": "x = " + "[\n" * 150_000 + "]\n" * 150_000, "deep.js": "x = " + "{a:\n" * 200_000})
        plant(root, {"line.js": "x = '" + "a" * 500_000 + "'\n", "huge.py": "x = 1\n" * (MAX_FILE_BYTES // 5)})
        plant(root, {"nul.c": "int x;\0", "notes.txt": "no source\n"})
        (root / "latin.py").write_bytes(b"x = '\xe9'\n")
        for fifo in ("fifo.py", "fifo.ts"):
            os.mkfifo(root / fifo)
        listener.bind(str(root / "socket.py"))
        (root / "loop").symlink_to(root)
        (root / "self.py").symlink_to(root / "self.py")  # not a folder, and a source file by name
        (root / "link.py").symlink_to(outside / "secret.py")
        (root / "linked").symlink_to(outside)
        Path(os.fsdecode(bytes(root) + b"/\xff.py")).write_text("x\n")
        (root / "closed.py").chmod(0)
        (root / "locked").chmod(0)
        try:
            with as_nobody():
                index, _ = scanned(root)
        finally:
            (root / "locked").chmod(0o700)
    assert index.stats().skipped == ZOO_REASONS
    assert index.files.keys() == {"ok.py", "deep.py", "deep.js"}
    assert not index.defining("from_outside")


def test_a_file_that_grows_or_vanishes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, {"grows.py": "x = 1\n" * 100, "vanishes.py": "x = 1\n"})
    read, path = os.read, tmp_path / "grows.py"

    def growing(descriptor: int, size: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"y = 2\n" * 50_000)
        return read(descriptor, size)

    steps = Pass(index := Index(tmp_path)).scan()
    next(steps)
    monkeypatch.setattr(os, "read", growing)
    for _ in steps:
        (tmp_path / "vanishes.py").unlink(missing_ok=True)
    assert index.stats().skipped == {"too large": 1, "unreadable": 1}
