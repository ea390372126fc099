"""Which files are looked at, and that reading any file whatever neither hangs nor raises."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sc2lsp.context.workspace import MAX_FILE_BYTES, Skipped, denied, is_candidate, read, walk


def plant(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")


def check(root: Path, files: dict[str, str], expected: list[str], exclude: tuple[str, ...] = ()) -> None:
    plant(root, files)
    assert list(walk(root, exclude)) == expected


def test_only_known_languages_in_a_stable_order(tmp_path: Path) -> None:
    files = dict.fromkeys(["b/z.py", "b/a.go", "a.py", "c.rs", "README.md", "x.unknown", "Makefile", "c", "d/py"], "")
    check(tmp_path, files, ["a.py", "c.rs", "b/a.go", "b/z.py"])


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        ({".gitignore": "gen/\n*.tmp.py\n"}, ["a.py", "sub/b.py", "sub/c.py"]),
        ({"sub/.gitignore": "/b.py\n"}, ["a.py", "d.tmp.py", "gen/g.py", "sub/c.py"]),
        ({".gitignore": "*.py\n", "sub/.gitignore": "!c.py\n"}, ["sub/c.py"]),
        ({".ignore": "sub\n", ".sc2lspignore": "gen\n"}, ["a.py", "d.tmp.py"]),
        ({".gitignore": "gen/\n", ".sc2lspignore": "!gen/\n"}, ["a.py", "d.tmp.py", "sub/b.py", "sub/c.py"]),
        ({".gitignore": "# all\r\n\r\ngen\r\n"}, ["a.py", "d.tmp.py", "sub/b.py", "sub/c.py"]),
    ],
)
def test_ignore_files(tmp_path: Path, ignore: dict[str, str], expected: list[str]) -> None:
    files = dict.fromkeys(["a.py", "d.tmp.py", "gen/g.py", "sub/b.py", "sub/c.py"], "")
    check(tmp_path, {**files, **ignore}, expected)


def test_the_configuration_excludes_too(tmp_path: Path) -> None:
    check(tmp_path, dict.fromkeys(["a.py", "docs/b.py", "docs/keep/c.py"], ""), ["a.py"], ("docs/",))


def test_built_in_exclusions(tmp_path: Path) -> None:
    out = ["node_modules/a.js", ".git/a.py", ".venv/a.py", "p/__pycache__/a.py", "build/a.py", "x.min.js", "dist/a.js"]
    check(tmp_path, dict.fromkeys([*out, "pip/build/a.py"], ""), ["pip/build/a.py"])


@pytest.mark.parametrize(
    "path",
    """
    .env .env.local a/.ENV x.pem k.KEY id_rsa id_ed25519.pub .npmrc .pypirc .netrc credentials.py a/credentials.json
    secrets.ts Secrets.py a/secrets/b.py .aws/x.py t.tfstate
    """.split(),
)
def test_places_of_secrets_are_neither_listed_nor_read(tmp_path: Path, path: str) -> None:
    plant(tmp_path, {path: "x = 1\n"})
    assert denied(path)
    assert list(walk(tmp_path)) == []
    assert read(tmp_path, path) == Skipped(path, "may hold secrets")


@pytest.mark.parametrize("path", ["environment.py", "monkey.py", "keys.py", "secretary.py", "credential_form.ts"])
def test_ordinary_names_are_not_denied(path: str) -> None:
    assert not denied(path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x = 1\n", "x = 1\n"),
        (b"\xef\xbb\xbfx\r\n", "x\r\n"),
        (b"", ""),
        ("é😀".encode(), "é😀"),
        (b"a\0b", "binary"),
        ("x".encode("utf-16"), "binary"),
        ("é = 1".encode("latin-1"), "not UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8"),
        (b"x" * 20_000, "minified"),
        (b"x = 1\n" * 20_000, "x = 1\n" * 20_000),
        (b"#\n" * (MAX_FILE_BYTES // 2 + 1), "too large"),
    ],
    ids=["text", "bom", "empty", "wide", "nul", "utf16", "latin1", "surrogate", "minified", "long", "huge"],
)
def test_read(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "a.py").write_bytes(data)
    found = read(tmp_path, "a.py")
    assert found == expected or found == Skipped("a.py", expected)


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs, and links need a privilege")
def test_the_zoo(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    plant(tmp_path, {"root/a/ok.py": "x\n", "outside/s.py": "outside\n"})
    os.mkfifo(root / "fifo.py")
    (root / "loop").symlink_to(root)
    (root / "self.py").symlink_to(root / "self.py")
    (root / "link.py").symlink_to(outside / "s.py")
    (root / "dirlink").symlink_to(outside)
    (root / "folder.py").mkdir()
    (Path(os.fsdecode(bytes(root) + b"/\xff.py"))).write_text("x\n")

    assert list(walk(root)) == ["a/ok.py"]
    for path, reason in {
        "fifo.py": "not a regular file",
        "self.py": "not a regular file",
        "link.py": "not a regular file",
        "folder.py": "not a regular file",
        "dirlink/s.py": "outside the workspace",
        "../outside/s.py": "outside the workspace",
        str(outside / "s.py"): "outside the workspace",
        "gone.py": "unreadable",
        "nul\0.py": "unreadable",
    }.items():
        assert read(root, path) == Skipped(path, reason)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root reads everything: be somebody whom permissions bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions; runs on Linux and macOS")
def test_an_unreadable_file() -> None:
    with TemporaryDirectory() as name:  # pytest's own folders are closed to nobody
        root = Path(name)
        root.chmod(0o755)
        plant(root, {"a.py": "x\n", "d/b.py": "x\n", "open.py": "x\n"})
        (root / "a.py").chmod(0)
        (root / "d").chmod(0)
        with as_nobody():
            assert list(walk(root)) == ["a.py", "open.py"]
            assert read(root, "a.py") == Skipped("a.py", "unreadable")
            assert read(root, "open.py") == "x\n"
        (root / "d").chmod(0o700)


def test_a_path_is_a_candidate_exactly_when_walk_gives_it(tmp_path: Path) -> None:
    paths = ["a.py", "b.txt", "build/x.py", "pkg/c.py", "pkg/gen/d.py", "pkg/keep/e.py", "node_modules/m.js", ".env"]
    plant(tmp_path, dict.fromkeys(paths, "") | {".gitignore": "gen/\n", "pkg/.ignore": "e.py\n"})
    assert [path for path in sorted(paths) if is_candidate(tmp_path, path, ("b*",))] == list(walk(tmp_path, ("b*",)))
