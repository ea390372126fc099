"""Which files an import means, by the paths of a workspace alone."""

import random

import pytest

from sc2lsp.context.folders import Folders
from sc2lsp.context.resolve import resolve
from sc2lsp.context.symbols import Import

from .test_imports import read

WORKSPACES = {
    "python": "__init__.py a.py pkg/__init__.py pkg/m.py pkg/sub/__init__.py pkg/sub/n.pyi src/lib/x.py t/y.py t/z.py",
    "scripts": "w/a.ts w/b.tsx w/c/index.ts w/d.js w/e.d.ts packages/core/src/index.ts packages/core/src/sub/x.ts"
    " packages/ui/index.ts packages/ui/src/deep/y.ts react.ts",
    "go": "main.go main_test.go common/maps/m.go common/maps/m_test.go common/maps/a.go errors/e.go http/h.go sub/s.go"
    " sub/README.md svc/api/handlers/h.go svc/web/handlers/h.go vendor/github.com/x/y/y.go docs/d.md",
    "java": "app/src/main/java/a/b/C.java app/src/main/java/a/b/D.java app/src/test/java/a/b/C.java"
    " app/src/main/java/a/B.java lib/src/main/java/a/b/E.java lib/src/main/java/a/b/C.java other/b/C.java",
    "rust": "src/lib.rs src/main.rs src/a.rs src/a/b.rs src/c/mod.rs src/c/d.rs src/bin/tool.rs src/bin/help.rs"
    " tests/it.rs tests/common/mod.rs crates/my-core/src/lib.rs crates/my-core/src/x.rs crates/my-core/src/a.rs",
    "c": "src/main.c src/util.h include/util.h include/lib/api.h deps/lib/deep/inner.h src/sub/x.c src/sub/util.h",
}
CASES = {
    "python": {
        "a.py": {
            "pkg.m:": "pkg/m.py",
            "pkg: m, Name": "pkg/m.py pkg/__init__.py",
            "lib.x:": "src/lib/x.py",
            "os:": "",
            ": top ^ 1": "__init__.py",
        },
        "pkg/m.py": {": sub ^ 1": "pkg/sub/__init__.py pkg/__init__.py"},
        "pkg/sub/__init__.py": {"n: ^ 1": "pkg/sub/n.pyi"},
        "pkg/sub/n.pyi": {"m: f ^ 2": "pkg/m.py", "m: f ^ 9": ""},
        "t/y.py": {": z ^ 2": "__init__.py", "z:": "t/z.py"},
    },
    "scripts": {
        "w/a.ts": {
            "./b:": "w/b.tsx",
            "./c:": "w/c/index.ts",
            "./d:": "w/d.js",
            "./e:": "w/e.d.ts",
            "./e.ts:": "w/e.d.ts",
            "./b.js:": "w/b.tsx",
            "react:": "",
            "@scope/core:": "packages/core/src/index.ts",
            "core/sub/x:": "packages/core/src/sub/x.ts",
            "@scope/ui:": "packages/ui/index.ts",
            "@scope/none:": "",
        },
        "w/c/index.ts": {"../a.js:": "w/a.ts"},
        "packages/ui/src/deep/y.ts": {"@/deep/y:": "", "~/index:": "packages/ui/index.ts"},
        "packages/core/src/index.ts": {
            "@/sub/x:": "packages/core/src/sub/x.ts",
            "src/sub/x:": "packages/core/src/sub/x.ts",
        },
    },
    "go": {
        "main.go": {
            "github.com/me/it/common/maps:": "common/maps/a.go common/maps/m.go",
            "it/common/maps:": "common/maps/a.go common/maps/m.go",
            "github.com/me/it/v2/sub:": "sub/s.go",
            "github.com/me/it/sub/v3:": "sub/s.go",
            "github.com/pkg/errors:": "",
            "net/http:": "",
            "errors:": "",
            "github.com/me/it/handlers:": "",
            "github.com/me/svc/web/handlers:": "svc/web/handlers/h.go",
            "github.com/x/y:": "vendor/github.com/x/y/y.go",
            "github.com/me/it/docs:": "",
        },
    },
    "java": {
        "app/src/main/java/a/b/D.java": {
            "a.b: C": "app/src/main/java/a/b/C.java app/src/test/java/a/b/C.java lib/src/main/java/a/b/C.java",
            "a.b.E: Inner": "lib/src/main/java/a/b/E.java",
            "a.B: member": "app/src/main/java/a/B.java",
            "a.B: *": "app/src/main/java/a/B.java",
            "java.util: List": "",
        },
        "lib/src/main/java/a/b/E.java": {
            "a.b: *": "lib/src/main/java/a/b/C.java app/src/main/java/a/b/C.java app/src/main/java/a/b/D.java"
            " app/src/test/java/a/b/C.java",
        },
    },
    "rust": {
        "src/lib.rs": {
            "self::a: / a": "src/a.rs",
            "a: b": "src/a/b.rs src/a.rs",
            "crate::c: d, E": "src/c/d.rs src/c/mod.rs",
            "my_core: X": "crates/my-core/src/lib.rs",
            "my_core::x: X": "crates/my-core/src/x.rs",
            "std: a": "",
            "serde: Serialize": "",
        },
        "src/a/b.rs": {
            "super: X": "src/a.rs",
            "super::super::c: d": "src/c/d.rs src/c/mod.rs",
            "super::super::super: X": "",
            "crate: X": "src/lib.rs src/main.rs",
            "self: *": "",
        },
        "src/a.rs": {"self::b: / b": "src/a/b.rs", "self::none: / none": ""},
        "src/c/mod.rs": {"self: d": "src/c/d.rs", "super::a: X": "src/a.rs"},
        "src/main.rs": {"me::a: b": "src/a/b.rs src/a.rs", "serde: Serialize": ""},
        "src/bin/tool.rs": {"self::help: / help": "src/bin/help.rs", "me::c: X": "src/c/mod.rs"},
        "tests/it.rs": {"self::common: / common": "tests/common/mod.rs", "me: a": "src/a.rs src/lib.rs src/main.rs"},
        "crates/my-core/src/x.rs": {"crate::a: X": "crates/my-core/src/a.rs"},
    },
    "c": {
        "src/main.c": {"util.h:": "src/util.h", "lib/api.h:": "include/lib/api.h", "stdio.h:": ""},
        "src/sub/x.c": {
            "util.h:": "src/sub/util.h",
            "../util.h:": "src/util.h",
            "deep/inner.h:": "deps/lib/deep/inner.h",
        },
    },
}


@pytest.mark.parametrize(
    ("workspace", "path", "found"),
    [(name, path, found) for name, paths in CASES.items() for path, cases in paths.items() for found in cases],
)
def test_imports_resolve(workspace: str, path: str, found: str) -> None:
    check(WORKSPACES[workspace].split(), path, read(found), CASES[workspace][path][found].split())


def check(files: list[str], path: str, found: Import, expected: list[str]) -> None:
    assert path in files
    assert list(resolve(set(files), path, found, Folders(files))) == expected


def test_without_folders_only_whole_paths_are_found() -> None:
    files = set(WORKSPACES["python"].split() + WORKSPACES["go"].split())
    assert resolve(files, "a.py", read("pkg.m:")) == ("pkg/m.py",)
    assert resolve(files, "main.go", read("github.com/me/it/common/maps:")) == ()
    assert resolve(files, "README.md", read("pkg.m:")) == ()


def test_folders_are_those_of_the_files_that_are_left() -> None:
    paths = [path for files in WORKSPACES.values() for path in files.split()]
    draw, folders, held = random.Random(3), Folders(), set[str]()
    for _ in range(500):
        path = draw.choice(paths)
        if draw.random() < 0.5:
            folders.add(path)
            held.add(path)
        else:
            folders.discard(path)
            held.discard(path)
    fresh = Folders(sorted(held))
    every = {path.rpartition("/")[0] for path in paths} | {"src", "a", "b", "handlers"}
    assert held
    assert [folders.files(folder) for folder in sorted(every)] == [fresh.files(folder) for folder in sorted(every)]
    assert [folders.ending(folder) for folder in sorted(every)] == [fresh.ending(folder) for folder in sorted(every)]
    for path in held:
        folders.discard(path)
    assert not any(folder in folders for folder in every)
