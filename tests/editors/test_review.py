"""The review bot: which places it asks at, what it makes of answers, what it writes, and what it survives."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.editors.review import CI, Repository, bot, command, stand_in
from tests.server.conftest import own_runtime, shelf

sys.path.insert(0, str(CI))

from sc2lsp_review.places import names, tree_of
from sc2lsp_review.unfinished import unfinished

__all__ = ["own_runtime", "shelf"]

EXTENDED = '''

class Renewals:
    """Loans that were extended."""

    def __init__(self, store: JsonStore) -> None:
        self.store = store

    def extend(self, isbn: str, member_id: int, today: date) -> Loan:
        member = self.store.find_book(member_id)
        book = self.store.find_book(isbn)
        return replace(member.loans[0], returned=today)

    def forget(self, isbn: str) -> None:
        pass
'''
TOTAL = "def total(prices, taxes):\n    return sum(prices) + sum(taxes)\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "checkout"
    root.mkdir()
    return Repository(root)


def check_names(path: str, marked: str) -> None:
    """The names between guillemets, and no others, are asked for."""
    text = marked.replace("«", "").replace("»", "")
    tree, rows = tree_of(path, text), text.split("\n")
    assert tree is not None
    found = names(path, tree, rows, range(1, len(rows) + 1))
    for place in reversed(found):
        row = rows[place.line - 1]
        assert row[place.start - 1 : place.end - 1] == place.written
        rows[place.line - 1] = f"{row[: place.start - 1]}«{place.written}»{row[place.end - 1 :]}"
    assert "\n".join(rows) == marked


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        ("a.py", "from b import c\nimport d as e\n"),
        ("a.py", "def f(a, b: «int» = «zero»):\n    self.x = «a».«y»(«b», key=«zero»)\n    return «f»\n"),
        ("a.py", "for i in «range»(3):\n    «print»(f'é {«i»} no' + «é»)  # comment\n"),
        ("a.py", "if «a» < «b» + «c»:\n    d = e = «f»[«g»]\n"),
        ("a.py", "@«cache»\nclass A(«B»):\n    y: «int» = 3\n"),
        ("a.ts", "const a = «b».«c»(«d», { e: «f» });\nfunction g(h: «I») { return «h»; }\n"),
        ("a.go", "package a\n\nfunc f(b «int») «int» { c := «b».«d»; return «g»(«c») }\n"),
        ("a.rs", "fn f(b: i32) -> i32 { let c = «b».«d»; «g»(«c», «Vec»::«new»()) }\n"),
        ("A.java", "class A { int f(int b) { return «g»(«b») + this.«h»; } }\n"),
    ],
)
def test_names_that_are_used(path: str, marked: str) -> None:
    check_names(path, marked)


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("a.py", "def f():\n    pass\n", 2),
        ("a.py", 'def f():\n    """What it does."""\n    ...\n', 3),
        ("a.py", "def f():\n    # TODO\n    raise NotImplementedError('later')\n", 3),
        ("a.py", "def f():\n    if a:\nb()\n", 2),
        ("a.rs", "fn f() {\n    todo!();\n}\n", 2),
        ("a.ts", 'function f() {\n  throw new Error("not implemented");\n}\n', 2),
        ("a.py", "try:\n    f()\nexcept OSError:\n    pass\n", None),
        ("a.py", "@overload\ndef f(): ...\n", None),
        ("a.py", "class A(Protocol):\n    def f(self): ...\n", None),
        ("a.py", "class A:\n    @abstractmethod\n    def f(self):\n        raise NotImplementedError\n", None),
        ("a.py", "def f():\n    a()\n    pass\n", None),
    ],
)
def test_bodies_that_are_unfinished(path: str, text: str, line: int | None) -> None:
    tree, rows = tree_of(path, text), text.split("\n")
    assert tree is not None
    found = [place.line for place in unfinished(path, tree, rows, range(1, len(rows) + 1))]
    assert found == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("text", "logprob", "suggested"),
    [
        ("taxes) + sum(", -0.1, "taxes"),  # another name of the file, and the line goes on
        ("taxes) + sum(", -2.0, None),  # not sure
        ("prices) + sum(", -0.1, None),  # what stands there
        ("costs) + sum(", -0.1, None),  # a name that the file does not have
        ("taxes)", -0.1, None),  # too little to tell
        ("taxes) * 2", -0.1, None),  # another line altogether
        ("(taxes) + sum(", -0.1, None),
        ("", -0.1, None),
    ],
)
def test_rule(repository: Repository, text: str, logprob: float, suggested: str | None) -> None:
    repository.change({"a.py": TOTAL})
    run = bot(repository.root, program=stand_in(repository.root.parent, text, logprob))
    assert run.code == 0, run.err
    found = [(one["written"], one["suggested"], one["lines"]) for one in run.report["findings"]]
    line = "    return sum(taxes) + sum(taxes)"
    assert found == ([] if suggested is None else [("prices", suggested, [line])])


def test_real_model_reviews_a_real_commit(own_runtime: Path, shelf: Path, tmp_path: Path) -> None:
    repository = Repository(shelf)
    lending = (shelf / "shelf/lending.py").read_text()
    repository.change({"shelf/lending.py": lending + EXTENDED, "shelf/old.bin": b"\0" * 9, "notes.txt": "hello\n"})
    outputs = {name: tmp_path / name for name in ("json", "sarif", "gitlab", "markdown")}
    run = bot(shelf, *(part for name, path in outputs.items() for part in (f"--{name}", path)))
    assert run.code == 0 and run.out == "", run.err
    report = json.loads(outputs["json"].read_text())
    assert report["model"] == "embedded" and report["asked"] == report["places"] > 10
    assert {one["path"]: one["reason"] for one in report["skipped"]} == {
        "notes.txt": "no grammar for its language",
        "shelf/old.bin": "binary",
    }
    first = len(lending.splitlines()) + 1
    rows = (lending + EXTENDED).splitlines()
    for finding in report["findings"]:
        assert finding["path"] == "shelf/lending.py" and finding["start_line"] >= first
        row = rows[finding["start_line"] - 1]
        assert row[finding["start_column"] - 1 : finding["end_column"] - 1] == finding["written"]
        assert finding["suggestion"] == "```suggestion\n" + "\n".join(finding["lines"]) + "\n```\n"
    check_sarif(json.loads(outputs["sarif"].read_text()), report)
    check_code_quality(json.loads(outputs["gitlab"].read_text()), report)
    assert outputs["markdown"].read_text().startswith("### sc2lsp review: ")


def check_sarif(sarif: dict[str, Any], report: dict[str, Any]) -> None:
    """What SARIF 2.1.0 requires of what we use, and that it says the same as the report."""
    assert sarif["version"] == "2.1.0" and sarif["$schema"].endswith("sarif-2.1.0.json")
    (run,) = sarif["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] and run["columnKind"] == "unicodeCodePoints"
    assert all({"id", "name", "shortDescription", "fullDescription", "help"} <= rule.keys() for rule in rules)
    assert run["invocations"][0]["executionSuccessful"] is True
    assert len(run["results"]) == len(report["findings"])
    for result, finding in zip(run["results"], report["findings"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == "note" and result["message"]["text"] == finding["message"]
        (location,) = result["locations"]
        region = location["physicalLocation"]["region"]
        where = [region[key] for key in ("startLine", "startColumn", "endLine", "endColumn")]
        assert where == [finding[key] for key in ("start_line", "start_column", "end_line", "end_column")]
        assert all(isinstance(value, int) and value >= 1 for value in where)
        ((change,),) = (fix["artifactChanges"] for fix in result["fixes"])
        (replacement,) = change["replacements"]
        assert change["artifactLocation"] == location["physicalLocation"]["artifactLocation"]
        assert replacement["insertedContent"]["text"] == "\n".join(finding["lines"])
        assert set(result["partialFingerprints"].values()) == {finding["fingerprint"]}


def check_code_quality(issues: list[dict[str, Any]], report: dict[str, Any]) -> None:
    assert [issue["fingerprint"] for issue in issues] == [one["fingerprint"] for one in report["findings"]]
    for issue, finding in zip(issues, report["findings"], strict=True):
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] == "info"
        lines = {"begin": finding["start_line"], "end": finding["end_line"]}
        assert issue["location"] == {"path": finding["path"], "lines": lines}


def test_every_form_says_the_same(repository: Repository, tmp_path: Path) -> None:
    repository.change({"odd names/a b%.py": TOTAL, "b.py": "def f():\n    pass\n"})
    program = stand_in(tmp_path, "taxes) + sum(")
    outputs = ("--sarif", tmp_path / "s", "--gitlab", tmp_path / "g")
    run = bot(repository.root, *outputs, program=program)
    assert run.code == 0 and len(run.report["findings"]) == 1, run.err
    sarif = json.loads((tmp_path / "s").read_text())
    check_sarif(sarif, run.report)
    check_code_quality(json.loads((tmp_path / "g").read_text()), run.report)
    where = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert where == {"uri": "odd%20names/a%20b%25.py", "uriBaseId": "%SRCROOT%"}


def test_draft_for_an_unfinished_body(repository: Repository, tmp_path: Path) -> None:
    repository.change({"a.py": "def f(a):\n    pass\n"})
    run = bot(repository.root, program=stand_in(tmp_path, "b = a\n    return b"))
    (finding,) = run.report["findings"]
    assert (finding["kind"], finding["start_line"]) == ("unfinished", 2)
    assert finding["lines"] == ["    b = a", "    return b"]
    assert bot(repository.root, program=stand_in(tmp_path, "return (a")).report["findings"] == []  # does not parse


def test_windows_lines_keep_their_places(repository: Repository, tmp_path: Path) -> None:
    repository.change({"a.py": "\ufeff" + TOTAL.replace("\n", "\r\n")})
    (finding,) = bot(repository.root, program=stand_in(tmp_path, "taxes) + sum(")).report["findings"]
    assert (finding["start_line"], finding["start_column"]) == (2, 16)
    assert finding["lines"] == ["    return sum(taxes) + sum(taxes)"]


def test_limits(repository: Repository, tmp_path: Path) -> None:
    repository.change({f"{name}.py": TOTAL for name in "abcdef"})
    program = stand_in(tmp_path, "taxes) + sum(")
    few = bot(repository.root, "--max-places", "6", program=program)
    assert few.report["asked"] == 6 < few.report["places"] and "--max-places" in few.err
    one = bot(repository.root, "--max-findings", "1", program=program)
    assert len(one.report["findings"]) == 1
    slow = stand_in(tmp_path, "taxes) + sum(", before="time.sleep(60 if number == 2 else 0)")
    started = time.monotonic()
    late = bot(repository.root, "--seconds", "2", program=slow)
    assert late.code == 0 and late.report["asked"] == 2, late.err
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("stand", "said"),
    [
        ({"before": "sys.exit(1)"}, "ended before it had answered"),
        ({"answer": "'nonsense'"}, "is no sc2lsp"),
        ({"answer": "{'id': 99}"}, "is no sc2lsp"),
        ({"answer": "{'id': number, 'error': 'no model; install one'}"}, "no model; install one"),
    ],
)
def test_no_answers(repository: Repository, tmp_path: Path, stand: dict[str, str], said: str) -> None:
    repository.change({"a.py": TOTAL})
    run = bot(repository.root, "--json", tmp_path / "json", program=stand_in(tmp_path, **stand))
    assert run.code == 1 and said in run.err and not (tmp_path / "json").exists()


@pytest.mark.parametrize(
    ("options", "diff", "code", "said"),
    [
        (("--base", "no-such-commit"), None, 1, "git diff no-such-commit...HEAD"),
        (("--base", "--output=stolen"), None, 1, "is not the name of a commit"),
        (("--base", "HEAD"), b"", 2, "either --base or --diff"),
        (("--base", "HEAD", "--sarif", "missing/a.sarif"), None, 2, "there is no folder missing"),
        ((), b"--- a/a.py\n+++ b/a.py\n@@ -1 +1,9 @@\n+one\n", 1, "no unified diff"),
        (("--sc2lsp", "/no/such/program"), None, 1, "is sc2lsp installed"),
    ],
)
def test_wrong_input(
    repository: Repository, options: tuple[str, ...], diff: bytes | None, code: int, said: str
) -> None:
    repository.change({"a.py": TOTAL})
    run = bot(repository.root, *options, diff=diff)
    assert run.code == code and said in run.err and run.out == "", run.err
    assert not (repository.root / "stolen").exists()


def test_interrupted_writes_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.change({"a.py": TOTAL})
    program = stand_in(tmp_path, "taxes", before="open(sys.argv[0] + '.asked', 'w').close(); time.sleep(60)")
    options = ("--base", "HEAD^1", "--sc2lsp", program, "--json", tmp_path / "json")
    process = subprocess.Popen(command(*options), cwd=repository.root, stderr=subprocess.PIPE)
    asked = Path(f"{program}.asked")
    while not asked.exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in err
    assert not list(tmp_path.glob("json*"))
