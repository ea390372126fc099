"""What each language's import statements take from where, and what it is called here."""

import pytest

from sc2lsp.context.document import Document
from sc2lsp.context.tags import Import, extract, imports

# What is written -> "module: name there > name here, ... / alias ^ level"
PYTHON = {
    "import os, a.b, a.c as d": "os: / os; a.b: / a; a.c: / d",
    "from . import x": ": x ^ 1",
    "from ..p.q import (y as z,\n  w)": "p.q: y > z, w ^ 2",
    "from m import *": "m: *",
    "from __future__ import annotations": "",
    "if TYPE_CHECKING:\n    from a import B\nelse:\n    import c": "a: B; c: / c",
    "try:\n    import a\nexcept ImportError:\n    import b": "a: / a; b: / b",
    "def f():\n    '''\n    import no\n    '''\n    import a.b  # import no\n    from c import (\n      d, e)\n": (
        "a.b: / a; c: d, e"
    ),
    "class A:\n    def f(self):\n        if self: import a\n        from .b import c": "a: / a; b: c ^ 1",
}
SCRIPT = {
    "import D, {a, b as c, type Q} from './m'": "./m: default > D, a, b > c, Q",
    "import * as ns from 'n'": "n: / ns",
    "import D, * as ns from 'n'": "n: default > D / ns",
    "import type { T } from '../t'": "../t: T",
    "import './side'": "./side:",
    "import fs = require('fs')": "fs: / fs",
    "export {a as b, default as X, c} from './x'": "./x: a > b, default > X, c",
    "export * from './y'": "./y: *",
    "export * as ns from './z'": "./z: / ns",
    "export {a}; export default a; export const b = 1": "",
    "const {a, b: c, d = 1} = require('./x'), e = require('y')": "./x: a, b > c, d; y: / e",
    "const w = require('./z').v": "./z: v > w",
    "require('./bare'); other('x'); const p = import('q'), q = require(r)": "./bare:",
}
CASES: dict[str, dict[str, str]] = {
    "a.py": PYTHON,
    "a.ts": SCRIPT,
    "a.js": {text: found for text, found in SCRIPT.items() if " type " not in text and "fs =" not in text},
    "a.go": {
        'import (\n  "fmt"\n  q "a/b"\n  . "dot"\n  _ "blank"\n)': "fmt: / fmt; a/b: / q; dot: *; blank:",
        'import "c/d/v2"\nimport "gopkg.in/yaml.v3"\nimport "m/go-isatty"\nimport `raw`': (
            "c/d/v2: / d; gopkg.in/yaml.v3: / yaml; m/go-isatty: / isatty; raw: / raw"
        ),
    },
    "A.java": {
        "import a.b.C;\nimport a.b.*;": "a.b: C; a.b: *",
        "import static a.B.m;\nimport static a.B.*;": "a.B: m; a.B: *",
        "import /* why */ a.b.C.Inner;": "a.b.C: Inner",
    },
    "a.rs": {
        "use a::b::{c, d as e, self, f::*, g::{h, i}};": "a::b: c, d > e; a: b; a::b::f: *; a::b::g: h, i",
        "pub use crate::x::y as z;": "crate::x: y > z",
        "use foo;\nuse foo as bar;\nuse ::std::io;": "foo: / foo; foo: / bar; std: io",
        "use foo::{self, X};": "foo: X / foo",
        "use {a::b, c};": "a: b; c: / c",
        "use super::*;\nuse super::super::a::B;": "super: *; super::super::a: B",
        "mod tests { use super::*; use super::super::q::R; use self::w::V; use crate::K; mod inner; }": (
            "self: *; super::q: R; self::tests::w: V; crate: K; self::tests::inner: / inner"
        ),
        "mod x;\nmod y {}\nextern crate abc as d;": "self::x: / x; abc: / d",
    },
    "a.c": {'#include <a/b.h>\n#ifdef X\n#include "c.h"\n#endif\n#include MACRO': "a/b.h:; c.h:"},
    "a.cpp": {'#include <vector>\nextern "C" {\n#include "c.h"\n}': "vector:; c.h:"},
}


def read(case: str) -> Import:
    """An import out of its short form."""
    case, _, level = case.partition(" ^ ")
    case, _, alias = case.partition(" / ")
    module, _, taken = case.rpartition(":")
    pairs = [each.strip().partition(" > ") for each in taken.split(",") if each.strip()]
    return Import(module, tuple((there, here or there) for there, _, here in pairs), alias, int(level or 0))


@pytest.mark.parametrize(("path", "text"), [(path, text) for path, cases in CASES.items() for text in cases])
def test_imports(path: str, text: str) -> None:
    expected = tuple(read(each) for each in CASES[path][text].split("; ") if each)
    document = Document.open(path, f"{text}\n")
    assert extract(document).imports == expected
    assert imports(document) == expected
