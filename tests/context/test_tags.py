"""What each language's files define, and what of it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc2lsp.context.document import Document
from sc2lsp.context.source import Source
from sc2lsp.context.tags import WORD, extract, extract_nodes
from sc2lsp.context.words import identifiers

DEFINITIONS = {
    "python": (
        "a.py",
        "X, Y = 1, 2\nP = Q = 3\nif X:\n    Z: int\ntry:\n    import j\nexcept E:\n    j = None\n@deco\nclass A(B):\n"
        "    f: int = 1\n    async def g(self): pass\n    class C:\n        def h(self): def_ = 1\ntype T[U] = int\n"
        "x.y = 1\nz[0] = 1\n",
        "value X; value Y; value P; value Q; value Z; value j; class A; field A.f; function A.g; class A.C;"
        " function A.C.h; type T",
    ),
    "python fields": (
        "a.py",
        "class A:\n    declared: int\n    def __init__(self, a):\n        '''self.doc = 1'''\n"
        "        self.declared = 1\n"
        "        self.x: int = 1\n        if a:\n            self.y = self.z = 2\n        self.u, self.v = a, a\n"
        "        self.w.no = 1\n        a[self.no:self.no] = self.no == 1\n        self.no += f(self.no)\n"
        "        s = 'self.no = 1'\n    def m(self):\n        self.x = 2\n        self.late = 1\ndef f(self):\n"
        "    self.no = 1\n",
        "class A; field A.declared; function A.__init__; field A.x; field A.y; field A.z; field A.u; field A.v;"
        " function A.m; field A.late; function f",
    ),
    "javascript": (
        "a.js",
        "export class K extends L { x = 1; #p = 2; constructor(a) { this.y = a; this.x = 2; this.z == a }\n"
        "  go(a) {} }\n"
        "const f = async (x) => {}, g = function () {}, h = 1;\nfunction* i() {}\nexport const { u, v: w } = h;\n"
        "var C = class { m() {} };\nexport default function d() {}\n",
        "class K; field K.x; function K.constructor; field K.y; function K.go; function f; function g; value h;"
        " function i; value u; value w; class C; function C.m; function d",
    ),
    "objects": (
        "a.js",
        "export const api = { get() {}, post: (x) => 1, n: 1, short, deep: { no() {} } };\n"
        "export default { m() {} };\n",
        "value api; function api.get; function api.post; function m",
    ),
    "commonjs": (
        "a.js",
        "module.exports = { a, b: c, d() {} };\nmodule.exports = class Foo { x() {} };\nexports.e = exports.f = 1;\n"
        "module.exports.g = async () => {};\nexports.known = a;\nFoo.prototype.bar = function () {};\nFoo.no = 1;\n"
        "f().no = function () {};\n",
        "function d; class Foo; function Foo.x; value e; value f; function g; function Foo.bar",
    ),
    "typescript": (
        "a.ts",
        "export interface I { m(a: T): void; p: string }\ntype U = { q: number };\nenum E { V = 1, W, 'X' }\n"
        "abstract class C { private y = 1; abstract z(): void; h = (e: T) => { e }\n"
        "  constructor(private a: T, public readonly b?: T, c: T) {} }\n"
        "declare function dd(): string;\nnamespace NS { export function n() {} }\ndeclare module 'm' { let o: T }\n"
        "export const cfg = { run() {} } as const;\nfunction over(a: T): T;\nfunction over(a: U): U;\n",
        "interface I; function I.m; field I.p; type U; field U.q; enum E; field E.V; field E.W; class C; field C.y;"
        " function C.z; function C.h; function C.constructor; field C.a; field C.b; function dd; module NS;"
        " function NS.n; value o; value cfg; function cfg.run; function over; function over",
    ),
    "tsx": ("a.tsx", "export const V = () => <b/>;\n", "function V"),
    "go": (
        "a.go",
        "package x\ntype T struct {\n  A, B int\n  *pkg.Base\n  Other\n  G[int]\n}\n"
        "type I interface { M(a int); Other }\n"
        "func (t *T[K]) Do(a int) error {\n  return nil\n}\nfunc F() {}\nconst (\n  K Kind = iota\n  L\n)\n"
        "var v, w = 1, 2\n"
        "type (\n  N = string\n)\n",
        "type T; field T.A; field T.B; field T.Base; field T.Other; field T.G; type I; function I.M; function T.Do;"
        " function F; value K; value L; value v; value w; type N",
    ),
    "java": (
        "A.java",
        "public class A {\n  private int x = 1, y[];\n  @Override\n  public String go(int a) { return b(); }\n"
        "  enum E { P(1), Q; void r() {} }\n}\ninterface J { void j(); }\nrecord R(int c, T... d) { R {} }\n"
        "@interface N { int value() default 1; }\n",
        "class A; field A.x; field A.y; function A.go; enum A.E; field A.E.P; field A.E.Q; function A.E.r; interface J;"
        " function J.j; class R; field R.c; function R.R; interface N; function N.value",
    ),
    "rust": (
        "a.rs",
        "pub struct S { a: i32 }\nstruct P(pub i32, f64);\nimpl<'a, T> fmt::Display for m::S<T> { pub fn new() {} }\n"
        "impl D for &'a mut S { const C: i32 = 1; }\ntrait T { fn x(&self); }\nenum E { V(i32), W { x: i32 }, X }\n"
        'macro_rules! mm { () => {} }\nmod inner { pub fn f() {} }\nmod file;\nextern "C" { fn c(a: i32); }\n',
        "struct S; field S.a; struct P; function S.new; value S.C; trait T; function T.x; enum E; field E.V; field E.W;"
        " field E.X; macro mm; module inner; function inner.f; function c",
    ),
    "c": (
        "a.h",
        "#ifndef A_H\n#define A_H\n#define M 1\nint *f(int a), *p, q[3], z = 1;\nstatic int (*fp)(int);\n"
        "typedef struct foo { int a, *b; int (*cb)(int); } foo_t, *foo_p;\ntypedef int (*cb_t)(int);\n"
        "typedef struct { int q; } tt;\nstruct s { struct { int x; } in; union { int u; }; } v1;\n"
        "struct s use(struct s);\n"
        "enum { A, B = 2 };\nint *g(int a)\n{\n  struct s x;\n  return 0;\n}\n#endif\n",
        "macro M; function f; value p; value q; value z; value fp; type foo_t; type foo_p; struct foo; field foo.a;"
        " field foo.b; field foo.cb; type cb_t; type tt; field tt.q; value v1; struct s; field s.in; field s.in.x;"
        " field s.u; function use; field A; field B; function g",
    ),
    "c++": (
        "a.cpp",
        "namespace a::b { class C : public D { C(int); ~C(); int m() const; static int s, t; T& r();\n"
        "  enum class K { A }; template <class U> void u(U); int i() { return 1; } }; }\n"
        "int ns::C<T>::m(int a) const { return 1; }\ntemplate <typename T>\nT biggest(T a) { return a; }\n"
        "using Q = int;\n"
        'template <> struct vec<bool> { int x; };\nextern "C" { int j(); }\nfriend_t C::k = 1;\n',
        "class a.b.C; function a.b.C.C; function a.b.C.m; field a.b.C.s; field a.b.C.t; function a.b.C.r; enum a.b.C.K;"
        " field a.b.C.K.A; function a.b.C.u; function a.b.C.i; function ns.C.m; function biggest; type Q; struct vec;"
        " field vec.x; function j; value C.k",
    ),
}


def check(path: str, text: str, expected: str) -> None:
    definitions = extract(Document.open(path, text)).definitions
    found = [f"{tag.kind} {tag.scope}.{tag.name}".replace(" .", " ") for tag in definitions]
    assert found == expected.split("; ")


@pytest.mark.parametrize("case", DEFINITIONS)
def test_definitions(case: str) -> None:
    check(*DEFINITIONS[case])


PARAMETERS = "".join(f"  a{number}: T,\n" for number in range(9))
SIGNATURES = {
    "decorators and docstring": (
        "a.py",
        "@a\n@b(1)\ndef $f(x,\n      y):\n    '''Does.\n\n    More.'''\n    pass\n",
        "@a\n@b(1)\ndef f(x,\n      y):\n    '''Does.'''\n",
    ),
    "short": ("a.py", "def $f(x):\n    return x\n", "def f(x):\n    return x\n"),
    "class": ("a.py", "class $A:\n    x = 1\n", "class A:\n"),
    "class over lines": (
        "a.py",
        "class $A(B,\n        C):\n    'Doc.'\n    x = 1\n",
        "class A(B,\n        C):\n    'Doc.'\n",
    ),
    "comment below": ("a.py", "def $f(x):  # why\n    # how\n    a\n    b\n    c\n", "def f(x):  # why\n"),
    "value": ("a.py", "$D = {\n  1: 2,\n  3: 4,\n  5: 6,\n}\n", "D = {\n"),
    "field": ("a.py", "class A:\n    def f(self):\n        self.$x: int = 1\n", "        self.x: int = 1\n"),
    "carriage returns": (
        "a.js",
        "/* é */\rexport function $f(a) {\n  b;\r\n  c;\n  d;\n}\n",
        "export function f(a) {\n",
    ),
    "arrow": (
        "a.ts",
        "export const $f = async (\n  a: T,\n): P<T> => {\n  x;\n};\n",
        "export const f = async (\n  a: T,\n): P<T> => {\n",
    ),
    "arrow without braces": ("a.ts", "const $f = (a) =>\n  a\n    .b()\n    .c();\n", "const f = (a) =>\n"),
    "overload": ("a.ts", f"export function $f(\n{PARAMETERS}): T;\n", f"export function f(\n{PARAMETERS}): T;\n"),
    "decorated class": (
        "a.ts",
        "@C({\n  a: 1\n})\nexport class $D<T>\n  extends E\n  implements I\n{\n  x = 1;\n}\n",
        "@C({\n  a: 1\n})\nexport class D<T>\n  extends E\n  implements I\n",
    ),
    "brace on the next line": ("a.c", "int $f(void)\n{\n  a();\n  b();\n}\n", "int f(void)\n"),
    "prototype": ("a.c", "int $f(\n  int a,\n  int b,\n  int c);\n", "int f(\n  int a,\n  int b,\n  int c);\n"),
    "typedef": ("a.c", "typedef struct {\n  int a;\n  int b;\n} $t;\n", "typedef struct {\n  int a;\n  int b;\n} t;\n"),
    "macro": ("a.c", "#define $F(x) \\\n  a \\\n  b \\\n  c\n", "#define F(x) \\\n"),
    "tuple": ("a.rs", "struct $P(\n  i32,\n  u8,\n);\n", "struct P(\n  i32,\n  u8,\n);\n"),
    "record": ("A.java", "record $R(\n  int a,\n  int b) {\n}\n", "record R(\n  int a,\n  int b) {\n"),
    "decorators past the limit": ("a.py", f"@a('{'x' * 2000}')\ndef $f(): pass\n", "def f(): pass\n"),
    "docstring past the limit": (
        "a.py",
        f"class $A({'B' * 980}):\n    'Much too long.'\n    x = 1\n    y = 2\n",
        f"class A({'B' * 980}):\n",
    ),
    "a long line": ("a.py", f"$x = '{'y' * 2000}'\n", f"x = '{'y' * 994}\n"),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_signatures(case: str) -> None:
    path, marked, expected = SIGNATURES[case]
    document, name = Document.open(path, marked.replace("$", "")), WORD.findall(marked[marked.index("$") :])[0]
    tag = next(tag for tag in extract(document).definitions if tag.name == name)
    assert tag.signature == expected
    assert document.line(tag.start_line).startswith(expected.split("\n")[0])


def test_lines_are_the_editors_where_a_lone_return_ends_one() -> None:
    found = extract(Document.open("a.js", "const a = 1;\rvar b = 2;\r\nclass C {\r  x = 1;}\r"))
    assert [(tag.name, tag.start_line, tag.end_line) for tag in found.definitions] == [
        ("a", 0, 1),
        ("b", 1, 2),
        ("C", 2, 4),
        ("x", 3, 4),
    ]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "a.py",
            "def before(): pass\nx = foo.\ndef after(a):\n    return a\nclass B:\n    def m(self): pass\n",
            "before B m",
        ),
        ("a.ts", "class A { m() {}\n  half(\n}\nexport function after() {}\nconst x = {\n", "m after"),
        ("a.go", "package x\nfunc before() {}\nfunc half(\ntype T struct {\n  A int\n}\n", "before"),
        ("A.java", "class A { void m() {}\n void half( {\n void after() {} }\n", "A m"),
        ("a.rs", "fn before() {}\nfn half() {\n    foo.\n}\nfn after() {}\n", "before after"),
        ("a.c", "int before(void);\nint half(\nint after(void);\n", "before"),
    ],
)
def test_half_typed_code_hides_no_neighbours(path: str, text: str, expected: str) -> None:
    assert set(expected.split()) <= {tag.name for tag in extract(Document.open(path, text)).definitions}


@pytest.mark.parametrize("case", DEFINITIONS)
def test_the_roots_children_say_alone_what_they_say_together(case: str) -> None:
    path, text, _ = DEFINITIONS[case]
    document = Document.open(path, text)
    assert document.language is not None
    assert document.tree is not None
    source, children = Source.of(text), document.tree.root_node.children
    alone = [extract_nodes(document.language, source, [child]) for child in children]
    whole = extract(document)
    assert [tag for tags, _ in alone for tag in tags] == list(whole.definitions)
    assert [each for _, found in alone for each in found] == list(whole.imports)


DEEP = {
    "a.py": ("(" * 200_000, "x = " + "[" * 50_000 + "]" * 50_000, "if x:\n " * 2 + "y = 1\n"),
    "a.ts": ("{" * 100_000, "const a = " + "{b: " * 50_000 + "1" + "}" * 50_000, "a." * 100_000 + "b = 1"),
    "a.cpp": ("{" * 300_000, "int " + "(" * 100_000 + "x" + ")" * 100_000 + ";", "namespace a {" * 20_000),
    "a.rs": ("mod a {" * 20_000, "use " + "a::{" * 20_000 + "b" + "}" * 20_000 + ";"),
    "A.java": ("class A {" * 20_000,),
    "a.go": ("func (" * 50_000, "type T struct {" * 20_000),
}


@pytest.mark.parametrize("path", DEEP)
def test_deep_nesting_is_walked(path: str) -> None:
    for text in DEEP[path]:
        found = extract(Document.open(path, text))
        assert found.occurrences == len(WORD.findall(text))


def test_words_are_counted_without_a_tree() -> None:
    found = extract(Document.open("a.unknown", "é1 b b 2c _d"))
    assert (found.definitions, found.words, found.occurrences) == ((), ("é1", "b", "_d"), 4)


@given(st.text(st.sampled_from("aZ_9 é“.\n\r\t\ud800\u2028٣字 \x1f"), max_size=40) | st.text())
def test_words_are_those_of_the_expression(text: str) -> None:
    words = WORD.findall(text)
    assert identifiers(text.encode("utf-8", "surrogatepass")) == (tuple(dict.fromkeys(words)), len(words))


@pytest.mark.parametrize(
    ("path", "text"),
    [("a.rs", "use \n}*mod type "), ("a.py", 'class A:\n#x = 1\n\n    """@d\n#\''), ("a.py", "class A:\n    \\\n")],
)
def test_broken_code_breaks_nothing(path: str, text: str) -> None:
    assert extract(Document.open(path, text)).words
