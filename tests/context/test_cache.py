"""What is kept on disk comes back as it was, or not at all: whatever happens to the files, the disk or the clock."""

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from sc2lsp.context import cache as cache_module
from sc2lsp.context.bulk import Outcome, analyse_file, answer
from sc2lsp.context.cache import RACY_NS, Cache, Row, Shelf
from sc2lsp.context.entry import FileEntry
from sc2lsp.context.index import Index
from sc2lsp.context.records import RecordError, decode, encode
from sc2lsp.context.scan import Pass
from sc2lsp.context.workspace import Reader

from .test_workspace import plant

FLIPS, TRUNCATIONS = 1000, 200
FILES = {
    f"pkg/m{number}.py": f"import os\nfrom .m{number + 1} import f as g, h\n\n\nclass C{number}:\n"
    f'    def method(self, x: int) -> str:\n        """Doc {number}."""\n        return g(x) + "é{number}"\n'
    for number in range(24)
} | {"s.ts": "import {a} from './b';\nexport function area(w: number) { return w * w }\n", "empty.go": ""}


def outcomes_in(root: Path) -> list[Outcome]:
    plant(root, FILES)
    return [analyse_file(Reader(root), path) for path in FILES]


def rows_of(outcomes: list[Outcome]) -> dict[str, Row]:
    """As they would be of files that nobody has touched for a while."""
    rows = {}
    for each in outcomes:
        assert each.stamp is not None
        long_ago = time.time_ns() - 10 * RACY_NS
        rows[each.path] = Row(each.path, replace(each.stamp, mtime_ns=long_ago, ctime_ns=long_ago), each.key, "")
    return rows | {"bad.py": Row("bad.py", next(iter(rows.values())).stamp, b"", "binary")}


def written(cache: Cache, root: Path, outcomes: list[Outcome]) -> dict[str, Row]:
    shelf, rows = cache.shelf(root), rows_of(outcomes)
    for start in range(0, len(outcomes), 6):
        shelf.add(answer(outcomes[start : start + 6]).record)
    for _ in shelf.write(list(rows.values())):
        pass
    return rows


def loaded(cache: Cache, root: Path) -> Shelf:
    shelf = cache.shelf(root)
    for _ in shelf.load():
        pass
    return shelf


def entries(shelf: Shelf, keys: list[bytes]) -> dict[bytes, FileEntry]:
    return {key: entry for some in shelf.entries(keys) for key, entry in some.items()}


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    cache, root = Cache(tmp_path / "cache", 100), tmp_path / "w"
    outcomes = outcomes_in(root)
    rows = written(cache, root, outcomes)
    shelf = loaded(cache, root)
    assert shelf.rows == rows
    assert entries(shelf, [each.key for each in outcomes]) == {each.key: each.entry for each in outcomes}
    assert cache.failures == 0
    assert loaded(cache, tmp_path / "other").is_empty


@pytest.mark.skipif(os.name == "nt", reason="no such permissions on Windows")
def test_only_the_user_can_look(tmp_path: Path) -> None:
    cache, root = Cache(tmp_path / "cache", 100), tmp_path / "w"
    (tmp_path / "cache").mkdir(mode=0o755)
    written(cache, root, outcomes_in(root))
    for path in (tmp_path / "cache", *(tmp_path / "cache").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700), path


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_damage_is_a_miss_and_never_a_wrong_answer(tmp_path: Path, damage: str) -> None:
    random = Random(7)
    cache, root = Cache(tmp_path / "cache", 100), tmp_path / "w"
    outcomes = outcomes_in(root)
    rows = written(cache, root, outcomes)
    truth = {each.key: each.entry for each in outcomes}
    missing = 0
    for _ in range(FLIPS if damage == "flip" else TRUNCATIONS):
        path = random.choice(files_below(tmp_path / "cache"))
        data = path.read_bytes()
        place = random.randrange(len(data))
        bent = bytearray(data)
        bent[place] ^= 1 << random.randrange(8)
        path.write_bytes(bent if damage == "flip" else data[:place])
        shelf = loaded(cache, root)
        found = entries(shelf, list(truth))
        assert found.items() <= truth.items()
        assert shelf.rows.items() <= rows.items()
        missing += found != truth or shelf.rows != rows
        path.write_bytes(data)
    assert missing == (FLIPS if damage == "flip" else TRUNCATIONS)


def test_a_record_of_anything_else_is_refused() -> None:
    random = Random(3)
    for length in range(200):
        with pytest.raises(RecordError):
            decode(FileEntry, random.randbytes(length))
    with pytest.raises(RecordError):
        decode(FileEntry, encode(Row, [Row("a", rows_stamp(), b"", "")]))


def rows_stamp() -> cache_module.Stamp:
    return cache_module.Stamp(1, 2, 3, 4)


@dataclass(frozen=True)
class _Everything:
    numbers: tuple[int, ...]
    pairs: tuple[tuple[str, float], ...]
    maybe: str | None
    table: dict[str, int]
    names: frozenset[str]
    choice: Literal["a", "b"]
    raw: bytes
    flag: bool


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_kind_of_field(count: int) -> None:
    value = _Everything((1, 2), (("x", 0.5), ("y" * 99, 1.0)), None, {"k": 3}, frozenset("pq"), "a", b"\0", flag=True)
    other = _Everything((), (), "line\nbreak", {}, frozenset(), "b", b"", flag=False)
    values = [value, other, value][:count]
    assert list(decode(_Everything, encode(_Everything, values))) == values


def test_equal_words_share_their_memory(tmp_path: Path) -> None:
    made = [each.entry for each in outcomes_in(tmp_path) if each.entry is not None]
    one, other = (decode(FileEntry, encode(FileEntry, [entry]))[0] for entry in made[:2])
    shared = set(map(id, one.tags.words)) & set(map(id, other.tags.words))
    assert len(shared) == len(set(one.tags.words) & set(other.tags.words)) > 3


@contextmanager
def a_full_disk() -> Iterator[None]:
    """No file may grow beyond 100 bytes: what writing sees is an OSError, as when the disk is full."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on Windows")
def test_a_full_disk_means_memory_only(tmp_path: Path) -> None:
    plant(tmp_path / "w", FILES)
    cache, index = Cache(tmp_path / "cache", 100), Index(tmp_path / "w")
    with a_full_disk():
        for _ in Pass(index, (), cache.shelf(tmp_path / "w")).scan():
            pass
    assert index.files.keys() == FILES.keys()
    assert cache.failures > 0
    assert {path.name for path in files_below(tmp_path / "cache")} <= {"table"}


def test_a_place_that_cannot_be_written_means_memory_only(tmp_path: Path) -> None:
    plant(tmp_path / "w", FILES)
    (tmp_path / "file").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for place in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link"):
        cache, index = Cache(place, 100), Index(tmp_path / "w")
        for _ in Pass(index, (), cache.shelf(tmp_path / "w")).scan():
            pass
        assert index.files.keys() == FILES.keys()
        assert cache.failures > 0
    assert files_below(tmp_path / "elsewhere") == []


def test_the_oldest_shelves_go_when_it_is_too_much(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100)
    outcomes = outcomes_in(tmp_path / "w")
    for number in range(4):
        written(cache, tmp_path / str(number), outcomes)
        for path in files_below(tmp_path / "cache"):
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))
    one = sum(path.stat().st_size for path in files_below(tmp_path / "cache")) // 4
    cache.limit = 2 * one + one // 2
    written(cache, tmp_path / "new", outcomes)
    assert [not loaded(cache, tmp_path / name).is_empty for name in ("0", "1", "2", "3", "new")] == [
        False, False, False, True, True
    ]  # fmt: skip
    cache.limit = one // 2
    written(cache, tmp_path / "new", outcomes)
    assert files_below(tmp_path / "cache") == []


def test_packs_are_merged_and_what_is_gone_is_dropped(tmp_path: Path) -> None:
    cache, root = Cache(tmp_path / "cache", 100), tmp_path / "w"
    outcomes = outcomes_in(root)
    for _ in range(cache_module.MAX_PACKS + 3):
        written(cache, root, outcomes)
        assert len(list((tmp_path / "cache").rglob("*.pack"))) <= cache_module.MAX_PACKS + 1
    few = outcomes[:6]
    shelf = loaded(cache, root)
    for _ in shelf.write(list(rows_of(few).values())):
        pass
    shelf = loaded(cache, root)
    assert [each.key in shelf for each in outcomes] == [each in few for each in outcomes]


def test_two_processes_that_write_at_once_do_no_harm(tmp_path: Path) -> None:
    cache, root = Cache(tmp_path / "cache", 100), tmp_path / "w"
    outcomes = outcomes_in(root)
    one, other = loaded(cache, root), loaded(cache, root)
    one.add(answer(outcomes[:9]).record)
    other.add(answer(outcomes[6:]).record)
    steps = [one.write(list(rows_of(outcomes[:9]).values())), other.write(list(rows_of(outcomes[6:]).values()))]
    while steps:
        steps = [step for step in steps if next(step, "end") != "end"]
    found = entries(loaded(cache, root), [each.key for each in outcomes])
    assert found == {each.key: each.entry for each in outcomes}


def test_a_stamp_of_the_same_moment_is_not_trusted(tmp_path: Path) -> None:
    """As git's "racily clean": the file may change once more without its stamp showing it."""
    plant(tmp_path / "w", FILES)
    cache = Cache(tmp_path / "cache", 100)
    first = Pass(Index(tmp_path / "w"), (), cache.shelf(tmp_path / "w"))
    assert [*first.scan()]
    assert loaded(cache, tmp_path / "w").rows == {}
    index = Index(tmp_path / "w")
    second = Pass(index, (), cache.shelf(tmp_path / "w"))
    assert [*second.scan()]
    assert (first.parsed, second.parsed, index.files.keys()) == (len(FILES), 0, FILES.keys())


def test_unchanged_files_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "RACY_NS", -(10**12))  # trust whatever has a stamp
    plant(tmp_path / "w", FILES | {"bad.py": "x\0"})
    cache, cold, warm = Cache(tmp_path / "cache", 100), Index(tmp_path / "w"), Index(tmp_path / "w")
    assert [*Pass(cold, (), cache.shelf(tmp_path / "w")).scan()]
    monkeypatch.setattr(Reader, "read_stamped", None)  # reading would raise
    again = Pass(warm, (), cache.shelf(tmp_path / "w"))
    assert [*again.scan()]
    assert (again.parsed, dict(warm.files), warm.stats()) == (0, dict(cold.files), cold.stats())


def test_another_shape_or_grammar_is_another_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, root = Cache(tmp_path / "cache", 100), tmp_path / "w"
    written(cache, root, outcomes_in(root))
    monkeypatch.setattr(cache_module, "fingerprint", lambda: "another")
    assert loaded(cache, root).is_empty
