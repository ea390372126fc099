"""The one dependency rule (ARCHITECTURE.md), checked on every import statement of the source tree."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "sc2lsp": ROOT / "sc2lsp",
    "context": ROOT / "context",
    "runtime": ROOT / "runtime",
    "kernels": ROOT / "kernels",
    "playground": ROOT / "editors" / "playground",
}
# package -> our packages it may import besides itself
MAY_IMPORT = {
    "sc2lsp": {"context", "runtime", "playground"},
    "context": set(),
    "runtime": {"kernels"},
    "kernels": set(),
    "playground": {"sc2lsp", "context", "runtime"},
}
TORCH = {"torch", "triton", "flash_attn"}
TORCH_FREE_RUNTIME = {"__init__", "api", "client", "config", "errors", "listen", "locate", "tokenizer", "wire"}
FORBIDDEN = {"pickle", "cloudpickle", "marshal", "shelve", "dill", "transformers"}


def source_files() -> list[tuple[str, Path]]:
    files = []
    for package, folder in PACKAGES.items():
        inside = sorted(
            p for p in folder.rglob("*.py") if package != "sc2lsp" or p.relative_to(folder).parts[0] not in MAY_IMPORT
        )
        files += [(package, path) for path in inside]
    return files


def imported_modules(path: Path, package: str) -> set[str]:
    """Absolute dotted names of everything a file imports, at any depth of nesting."""
    here = path.relative_to(PACKAGES[package]).parent.parts
    base = ("sc2lsp",) if package == "sc2lsp" else ("sc2lsp", package)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full = (*base, *here)
            parent = ".".join(full[: len(full) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [parent, node.module or ""]))
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def our_package(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "sc2lsp":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "sc2lsp"


@pytest.mark.parametrize(("package", "path"), source_files(), ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_imports_follow_the_rule(package: str, path: Path) -> None:
    names = imported_modules(path, package)
    ours = {our_package(name) for name in names if name != "sc2lsp"} - {None, package}
    assert ours <= MAY_IMPORT[package], f"{package} may not import {ours - MAY_IMPORT[package]}"
    top_level = {name.split(".")[0] for name in names}
    assert not top_level & FORBIDDEN
    if package in ("sc2lsp", "context", "playground") or (package == "runtime" and path.stem in TORCH_FREE_RUNTIME):
        assert not top_level & TORCH
    if package in ("context", "runtime", "kernels"):
        assert not top_level & {"pygls", "lsprotocol"}


def test_the_rule_sees_a_violation(tmp_path: Path) -> None:
    offender = ROOT / "context" / "offender.py"  # never written: only its place matters to the resolver
    source = tmp_path / "offender.py"
    source.write_text("def f():\n    from ..runtime import engine\n    import torch\n")
    tree_path = PACKAGES["context"]
    PACKAGES["context"] = tmp_path
    try:
        names = imported_modules(source, "context")
    finally:
        PACKAGES["context"] = tree_path
    assert our_package("sc2lsp.runtime.engine") == "runtime"
    assert {"sc2lsp.runtime.engine", "torch"} <= names
    assert not offender.exists()


def test_top_level_packages_are_installed_under_one_name() -> None:
    for package, folder in PACKAGES.items():
        link = ROOT / "sc2lsp" / package
        assert package == "sc2lsp" or link.is_symlink()
        assert package == "sc2lsp" or link.readlink() == Path("..") / folder.relative_to(ROOT)
