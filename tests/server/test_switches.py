"""Where completion is off: by what the settings say of a file, and whether the cursor is in a comment."""

from dataclasses import replace
from pathlib import Path

import pytest

from sc2lsp.comments import in_comment
from sc2lsp.config import Config
from sc2lsp.context.document import Document
from sc2lsp.context.languages import EXTRA_LANGUAGES, LANGUAGES, language_of
from sc2lsp.switches import why_off

HOME = Path("/home/somebody")
ROOT = HOME / "work" / "shop"
# settings, the file below ROOT -> the setting that turns completion off there
SETTINGS: dict[str, tuple[Config, str, str | None]] = {
    "nothing": (Config(), "a.py", None),
    "all": (Config(enabled=False), "a.py", "enabled"),
    "its language": (Config(languages_off=("python",)), "a.py", "languages_off"),
    "one of several": (Config(languages_off=("go", "python")), "a.py", "languages_off"),
    "another language": (Config(languages_off=("go",)), "a.py", None),
    "any case": (Config(languages_off=("Python",)), "a.py", "languages_off"),
    "another suffix of it": (Config(languages_off=("python",)), "a.pyi", "languages_off"),
    "as VS Code calls it": (Config(languages_off=("shellscript",)), "a.sh", "languages_off"),
    "as VS Code calls TSX": (Config(languages_off=("typescriptreact",)), "a.tsx", "languages_off"),
    "TypeScript is not TSX": (Config(languages_off=("typescript",)), "a.tsx", None),
    "our name for TSX": (Config(languages_off=("tsx",)), "a.tsx", "languages_off"),
    "as Neovim calls it": (Config(languages_off=("cs",)), "a.cs", "languages_off"),
    "without a grammar": (Config(languages_off=("markdown",)), "README.md", "languages_off"),
    "without a grammar, another": (Config(languages_off=("markdown",)), "a.txt", None),
    "a name that nobody knows": (Config(languages_off=("klingon", "")), "a.py", None),
    "a name that nobody knows, a file so": (Config(languages_off=("klingon", "")), "LICENSE", None),
    "its folder": (Config(folders_off=(str(ROOT),)), "a.py", "folders_off"),
    "a folder around it": (Config(folders_off=("/home",)), "a.py", "folders_off"),
    "a folder at home": (Config(folders_off=("~/work",)), "a.py", "folders_off"),
    "with a slash": (Config(folders_off=("~/work/",)), "a.py", "folders_off"),
    "a folder beside it": (Config(folders_off=("~/work/sho", "~/play")), "a.py", None),
    "a folder inside it": (Config(folders_off=("~/work/shop/lib",)), "lib/a.py", "folders_off"),
    "not in that folder": (Config(folders_off=("~/work/shop/lib",)), "a.py", None),
    "nobody's home": (Config(folders_off=("~nobody_at_all_7f3a/x",)), "a.py", None),
    "its name": (Config(files_off=("a.py",)), "lib/a.py", "files_off"),
    "its kind": (Config(files_off=("*.sql", "*.py")), "lib/a.py", "files_off"),
    "a folder of files": (Config(files_off=("generated/",)), "lib/generated/a.py", "files_off"),
    "only at the root": (Config(files_off=("/a.py",)), "lib/a.py", None),
    "an exception": (Config(files_off=("*.py", "!a.py")), "a.py", None),
    "other than the exception": (Config(files_off=("*.py", "!a.py")), "b.py", "files_off"),
    "no pattern": (Config(files_off=("!",)), "a.py", "files_off"),
    "comments are another matter": (Config(comments=False), "a.py", None),
}


@pytest.mark.parametrize(("config", "path", "setting"), SETTINGS.values(), ids=SETTINGS)
def test_why_completion_is_off(config: Config, path: str, setting: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(HOME))
    monkeypatch.setenv("USERPROFILE", str(HOME))
    language = language_of(path)
    reason = why_off(config, ROOT, path, language.name if language is not None else None)
    assert (reason is None) == (setting is None)
    assert setting is None or setting in str(reason)


def test_a_file_whose_name_says_no_language_is_off_by_its_language() -> None:
    config = Config(languages_off=("shellscript",))
    assert "languages_off" in str(why_off(config, ROOT, "Untitled-1", "bash"))
    assert why_off(config, ROOT, "Untitled-1", "python") is None
    assert why_off(config, ROOT, "Untitled-1", None) is None


def test_a_folder_is_off_by_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "real" / "shop").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for off in ("real", "link"):
        config = Config(folders_off=(str(tmp_path / off),))
        for root in ("real", "link"):
            assert "folders_off" in str(why_off(config, tmp_path / root / "shop", "a.py", "python"))


# For each language, code with cursors: $1 is in a comment, $0 is not.
COMMENTS = {
    "python": "$0x = 1  $0#$1 one$1\n$0# two$1\ns$0 = 'a # b$0'\n'''\n# doc$0\n'''$0\n#$1\nf'{x}$0' # '$1\n$0",
    "javascript": "$0f('http://$0') //$1 one$1\n$0/*$1 a\n * b$1\n*/$0 x\nlet s = '/* $0'\n`//$0\n/*$0` //$1 /* $1\n$0",
    "typescript": "type A = B$0 //$1\n/** $1\n * @see$1 */$0\nlet a: 'x//$0' = /*$1*/$0 1\n// \"/admin/*\" $1\n$0x\n",
    "tsx": "const a = <b>$0{/*$1 c */}$0</b> //$1\n/*$1\n\n$1*/$0",
    "go": 's := "/*$0"\nt := `//$0`\n// "/*" $1\n$0x //$1\n/*$1\n// $1\n*/$0 y\n$0',
    "java": "/**$1\n * {@code x}$1\n */$0\nclass A { $0 String s = \"//$0\"; // $1 '\n$0 char c = '\"'; /*$1*/ }$0",
    "rust": "fn f<'a>($0x: &'a str) {$0 //$1 it's\n  /// doc$1\n  let s = \"/*$0\"; /*$1 \" */ $0}\n",
    "c": '#define A 1 $0//$1\n/*$1 a\n /*$1 b */$0\nchar *s = "/*$0"; int x = 4 / *p$0; //$1\n$0',
    "cpp": 'auto s = R"(x)"$0; //$1\n/*$1\n*/$0 int a = 1\'000$0; // $1\n$0',
    "csharp": '/// <summary>$1\nvar s = @"c:\\"$0; //$1\nvar t = """\n//$0\n"""; /*$1 */$0\n',
    "ruby": "x = 'a#b$0' #$1 one\n=begin\n$1 a\n=end\n$0 y = \"#{z}$0\" # $1\nputs$0\n",
    "php": "<p>// $0</p>\n<?php $0 $a = '#$0'; #$1 it's\n// $1\n/*$1\n*/$0 $b = \"//$0\";\n?>\n# $0\n",
    "kotlin": 'val s = "//$0" //$1\nval t = """\n/*$0\n// $0"""\n/*$1\n*/$0 fun f() {}$0 // $1\n',
    "scala": 'val s = "//$0" //$1\nval t = """\n// $0"""\n/**$1\n */$0 def f = 1$0 // $1\n',
    "lua": "local x = 1$0 --$1 one\n--[[ a$1\nb$1 ]]$0 local s = '--$0'\n$0y = #t$0 --$1\n",
    "bash": "x=a#b$0 #$1 one\n$0echo '# $0' \"# $0\" ${#x}$0 $# $0\n  # two$1\n$0",
}
OTHERS = {
    "x.sql": "select '--$0' $0--$1 one\n/*$1 a\n*/$0 from b$0",
    "x.yml": "a: b#c$0 $0#$1 one\nurl: 'x # $0'\n# $1\n$0",
    "x.r": "x <- 1 $0#$1 it's\n'# $0'\n",
    "x.hs": "f x = x$0 --$1\n{- $1\n$1 -}$0 g",
    "x.html": "<a>$0 // $0<!-- $1\n$1 --> # $0",
    "x.css": "a { $0 } /* $1\n $1*/ // $0",
    "x.ini": "a=b$0\n# $1\n;$1\n",
    "Makefile": "all: $0 # $1\n",
    "x.swift": 'let u = "http://$0" //$1\nf(x);//$1\n/*$1*/$0',
    "x.json": "// $0\n# $0\n",
    "x": "# $0\n// $0",
    "x.vim": "let a = 'b$0 \" $0'\n\" $1\n  \" it's $1",
    "x.toml": "a = 'it''s # $0' $0# $1 it's\n#$1",
}


def check(path: str, marked: str, before: str = "", behind: str = "") -> None:
    pieces, expected = marked.replace("$1", "$0").split("$0"), []
    rest = marked
    for piece in pieces[:-1]:
        rest = rest[len(piece) :]
        expected.append(rest.startswith("$1"))
        rest = rest[2:]
    document, offset, found = Document.open(path, before + "".join(pieces) + behind), len(before), []
    for piece in pieces[:-1]:
        offset += len(piece)
        found.append(in_comment(document, offset))
    shown = [
        f"{''.join(pieces[: n + 1])[-40:]!r}" for n, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b
    ]
    assert not shown


@pytest.mark.parametrize("language", [*LANGUAGES, *EXTRA_LANGUAGES], ids=lambda language: language.name)
@pytest.mark.parametrize("filling", ["", "x = 1\n", "a(b, c)\n"])
def test_cursors_in_comments(language: object, filling: str) -> None:
    """At the start of a file, and far below it."""
    name, suffix = getattr(language, "name", ""), getattr(language, "suffixes", ("",))[0]
    before = filling * 2000
    if name == "php" and before:
        before = f"<?php\n{before}?>\n"
    check(f"x{suffix}", COMMENTS[name], before, "\n" + filling * 200)


@pytest.mark.parametrize(("path", "marked"), OTHERS.items(), ids=OTHERS)
def test_cursors_in_comments_of_other_files(path: str, marked: str) -> None:
    check(path, marked)


def test_cursors_in_comments_of_a_notebook() -> None:
    text = "# %%\nx = 1  # one"
    document = replace(Document.open("x.ipynb", text), language=language_of("x.py"))
    assert [in_comment(document, offset) for offset in (0, 4, 5, 10, len(text))] == [False, True, False, False, True]


LONG = {
    "in a long comment": ("x.c", "/*" + "a b\n" * 5000 + "$1 */$0 int x; $0"),
    "behind a long comment": ("x.c", "/*" + "it's\n" * 2000 + "*/ $0 //$1\n$0"),
    "in a long docstring": ("x.py", "'''" + 'a "b"\n' * 5000 + "# $0 '''$0 #$1\n"),
    "behind a long docstring": ("x.py", '"""' + "it's ''' a\n" * 1001 + '""" $0 #$1\n$0'),
    "a glob a long way up": ("x.go", 'x := "a/*"\n' + "y := 'z'\n" * 2000 + "// $1\n$0 y //$1\n"),
    "a glob in a comment a long way up": ("x.go", '// "a/*"\n' + "y := 'z'\n" * 2000 + "// $1\n$0 y //$1\n"),
    "in a long line": ("x.js", "f();" * 5000 + "$0 //$1 /* $1\n$0"),
    "in a long page": (
        "x.php",
        "<?php f(); ?>" + "<p>it's // $0</p>\n" * 1 + "<p>it's</p>\n" * 2000 + "<?php $0 //$1\n",
    ),
    "only a comment": ("x.py", "#$1"),
    "nothing": ("x.py", "$0"),
}


@pytest.mark.parametrize(("path", "marked"), LONG.values(), ids=LONG)
def test_cursors_a_long_way_down(path: str, marked: str) -> None:
    check(path, marked)
