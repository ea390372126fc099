"""The languages behind `sc2lsp[languages]`: what their files define and import, and what is left without wheels."""

from collections.abc import Iterator

import pytest

from sc2lsp.context.document import Document
from sc2lsp.context.folders import Folders
from sc2lsp.context.languages import EXTRA_LANGUAGES, LANGUAGES, grammar, language_of
from sc2lsp.context.resolve import resolve
from sc2lsp.context.roles import FINDERS, IMPORTERS, SCOPES
from sc2lsp.context.tags import extract

from .test_imports import read
from .test_tags import check

CASES = {
    "a.cs": (
        "using System;\nusing static A.B;\nusing X = B.C.D;\nglobal using E.F;\nnamespace N.M {\nclass C : D {\n"
        "  int x = 1, y; public string P { get; set; } public C(int a) {} public int M() => 1; event E Ev;\n"
        "  enum K { A, B = 1 } delegate void Del(int x); }\ninterface I { void J(); }\nrecord R(int A);\n"
        "struct S {} }\n",
        "class C; field C.x; field C.y; field C.P; function C.C; function C.M; field C.Ev; enum C.K; field C.K.A;"
        " field C.K.B; function C.Del; interface I; function I.J; class R; field R.A; struct S",
        "System: *; A.B: *; B.C: D > X; E.F: *",
    ),
    "a.rb": (
        "require 'json'\nrequire_relative '../a/b'\nautoload :Foo, 'foo/bar'\nmodule M\n  class A::Q < B\n    X = 1\n"
        "    attr_accessor :foo, :bar\n    has_many :posts, :x\n    def go?(a) = 1\n    def self.cls; end\n"
        "    class << self\n      def q; end\n    end\n    private def z; end\n    Y, Z = 1, 2\n    W ||= 1\n"
        "    alias ok? bar\n    local = 1\n  end\nend\n",
        "module M; class M.A.Q; value M.A.Q.X; field M.A.Q.foo; field M.A.Q.bar; field M.A.Q.posts; function M.A.Q.go;"
        " function M.A.Q.cls; function M.A.Q.q; function M.A.Q.z; value M.A.Q.Y; value M.A.Q.Z; value M.A.Q.W;"
        " function M.A.Q.ok",
        "json:; ../a/b: ^ 1; foo/bar:",
    ),
    "a.php": (
        "<?php\nnamespace A\\B;\nuse C\\D;\nuse C\\E as F;\nuse C\\{G, H\\J as I};\nuse function J\\k;\n"
        "require_once __DIR__ . '/x.php';\ninclude 'y.php';\ninclude $z;\n"
        "class K extends L { use T; const X = 1, Z = 2; public int $y = 1, $w;\n"
        "  function __construct(private int $p, $q) {} abstract function a(); }\ninterface N { function b(); }\n"
        "trait O {}\nenum P: string { case A = 'a'; }\nfunction f($x) {}\nconst CC = 1;\nif (!X) { function g() {} }\n",
        "class K; field K.X; field K.Z; field K.y; field K.w; function K.__construct; field K.p; function K.a;"
        " interface N; function N.b; trait O; enum P; field P.A; function f; value CC; function g",
        "C: D; C: E > F; C: G; C\\H: J > I; J: k; x.php: ^ 1; y.php:",
    ),
    "a.kt": (
        "import c.d.E\nimport c.d.F as G\nimport c.d.*\nclass A(val x: Int, y: String) : B() {\n  val z = 1\n"
        "  fun f(a: Int): Int = 1\n  companion object {\n    const val Q = 1\n  }\n  enum class K { U, V }\n}\n"
        "interface I {\n  fun j()\n}\nobject O {\n}\nfun String.ext() { }\ntypealias T = Int\nval (aa, bb) = pair\n",
        "class A; field A.x; field A.z; function A.f; field A.Q; enum A.K; field A.K.U; field A.K.V; interface I;"
        " function I.j; class O; function ext; type T; value aa; value bb",
        "c.d: E; c.d: F > G; c.d: *",
    ),
    "a.scala": (
        "import c.d.E\nimport c.d.{F => G, H, I as J, _}\nimport c.e.*\nimport x.y, z.w\n"
        "class A(val x: Int, y: T) extends B { val z = 1; def f(a: Int): Int = 1; type U = Int }\n"
        "trait I { def j(): Unit; var k: Int }\nobject O { case class P(a: Int) }\nenum C { case R, G }\n"
        "val (a, b) = (1, 2)\nextension (s: String) def ext = 1\n",
        "class A; field A.x; field A.z; function A.f; type A.U; trait I; function I.j; field I.k; module O; class O.P;"
        " field O.P.a; enum C; field C.R; field C.G; value a; value b; function ext",
        "c.d: E; c.d: F > G, H, I > J, *; c.e: *; x: y; z: w",
    ),
    "a.lua": (
        "local m = require('a.b')\nlocal x, y = 1, require 'c.d'\nrequire \"side\"\n"
        "local M = { foo = function(a) end, bar = 1 }\nfunction M.f(a) end\nfunction M:g() end\n"
        "local function h() end\n"
        "M.q = function (x) end\nM.v = 1\nlocal a, b = 1\nreturn { r = function() end }\n",
        "value x; value M; function M.foo; function M.f; function M.g; function h; function M.q; field M.v; value a;"
        " value b; function r",
        "a.b: / m; c.d: / y; side:",
    ),
    "a.sh": (
        'source ./a.sh\n. "$DIR/b.sh"\n. "$(dirname "$0")/lib/c.sh"\nsource "$x"\nfoo() { echo; }\n'
        "function bar { :; }\n"
        "X=1\nexport Y=2\nif true; then V=1; fi\n",
        "function foo; function bar; value X; value Y; value V",
        "./a.sh: ^ 1; b.sh: ^ 1; lib/c.sh: ^ 1",
    ),
}


def needs_wheel(path: str) -> None:
    language = language_of(path)
    assert language in EXTRA_LANGUAGES
    pytest.importorskip(language.module, reason=f"no tree for {path}: pip install 'sc2lsp[languages]'")


@pytest.mark.parametrize("path", CASES)
def test_definitions_and_imports(path: str) -> None:
    needs_wheel(path)
    text, definitions, imported = CASES[path]
    check(path, text, definitions)
    assert extract(Document.open(path, text)).imports == tuple(read(each) for each in imported.split("; "))


@pytest.mark.parametrize("language", EXTRA_LANGUAGES, ids=lambda language: language.name)
def test_the_tables_name_what_the_grammar_knows(language: object) -> None:
    found = next(item for item in EXTRA_LANGUAGES if item is language)
    needs_wheel(f"a{found.suffixes[0]}")
    syntax = grammar(found)
    assert syntax is not None
    known = {syntax.node_kind_for_id(number) for number in range(syntax.node_kind_count)}
    assert {*found.definitions, *found.containers, *found.wrappers, *found.scopes, *found.imports} - known == set()


def test_the_code_is_asked_only_for_what_the_tables_name() -> None:
    languages = (*LANGUAGES, *EXTRA_LANGUAGES)
    defining = {(each.family, node_type) for each in languages for node_type in each.definitions}
    importing = {(each.family, node_type) for each in languages for node_type in each.imports}
    containing = {(each.family, node_type) for each in languages for node_type in each.scopes} | defining
    assert (set(FINDERS) - defining, set(IMPORTERS) ^ importing, set(SCOPES) - containing) == (set(), set(), set())


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr("sc2lsp.context.languages.import_module", missing)
    grammar.cache_clear()
    yield
    grammar.cache_clear()


@pytest.mark.usefixtures("no_wheels")
@pytest.mark.parametrize("path", CASES)
def test_without_its_wheel_a_language_has_words(path: str) -> None:
    found = extract(Document.open(path, "def f(x): return x.y"))
    assert (found.definitions, found.imports) == ((), ())
    assert (found.words, found.occurrences) == (("def", "f", "x", "return", "y"), 6)


FILES = (
    "App/Services/Mail/Sender.cs App/Other.cs lib/json_x.rb lib/a/b.rb app/x.rb src/Models/User.php"
    " src/Boot.php inc/y.php"
    " core/src/main/kotlin/c/d/E.kt core/src/main/kotlin/c/d/Util.kt core/src/main/java/c/d/J.java lua/a/b.lua"
    " a/init.lua"
    " bin/run.sh bin/lib/c.sh top.sh"
)


@pytest.mark.parametrize(
    ("path", "found", "expected"),
    [
        ("App/Other.cs", "App.Services.Mail: *", "App/Services/Mail/Sender.cs"),
        ("App/Other.cs", "System.Text: *", ""),
        ("lib/json_x.rb", "a/b:", "lib/a/b.rb"),
        ("lib/json_x.rb", "../app/x: ^ 1", "app/x.rb"),
        ("lib/json_x.rb", "json:", ""),
        ("src/Boot.php", "App\\Models: User", "src/Models/User.php"),
        ("src/Boot.php", "App\\Models: None", ""),
        ("src/Boot.php", "../inc/y.php: ^ 1", "inc/y.php"),
        ("core/src/main/kotlin/c/d/Util.kt", "c.d: E", "core/src/main/kotlin/c/d/E.kt"),
        (
            "core/src/main/kotlin/c/d/E.kt",
            "c.d: helper",
            "core/src/main/kotlin/c/d/Util.kt core/src/main/java/c/d/J.java",
        ),
        ("a/init.lua", "a.b: / b", "lua/a/b.lua"),
        ("lua/a/b.lua", "a: / a", "a/init.lua"),
        ("bin/run.sh", "lib/c.sh: ^ 1", "bin/lib/c.sh"),
        ("bin/run.sh", "../top.sh: ^ 1", "top.sh"),
    ],
)
def test_imports_resolve(path: str, found: str, expected: str) -> None:
    files = FILES.split()
    assert path in files
    assert " ".join(resolve(set(files), path, read(found), Folders(files))) == expected
