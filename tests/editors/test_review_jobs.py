"""The GitHub Action and the GitLab job: what their files say, and their own commands run here.

`python3` is a stand-in that makes a virtual environment out of this one and takes down what pip is told; all else is
what the files say, to the letter.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.editors.review import CI, SECONDS, Repository
from tests.server.conftest import own_runtime, shelf

__all__ = ["own_runtime", "shelf"]

PINNED = re.compile(r"[\w-]+/[\w/-]+@[0-9a-f]{40}")
OURS = "OWNER/sc2lsp/editors/ci@COMMIT"
PYTHON3 = """\
#!/bin/bash
# python3 -I -m venv DIR
[ "$1 $2 $3" = "-I -m venv" ] || exit 9
mkdir -p "$4/bin"
cat > "$4/bin/python" <<'END'
#!/bin/bash
if [[ " $* " == *" -m pip "* ]]; then printf '%s\\n' "$*" >> {log}; exit; fi
exec {python} "$@"
END
chmod +x "$4/bin/python"
"""
# A change that brings modules along which must never be imported, and a place where the model is asked.
TRAP = "open({pwned!r}, 'w').close()\n"
MODULES = ("sc2lsp/__init__.py", "pip.py", "venv.py", "click.py", "json.py", "sitecustomize.py", "sc2lsp_review.py")

OWES = """
    def owes(self, member_id: int, today: date) -> float:
        member = self.store.find_member(member_id)
        return member.total_fees(today)
"""


@pytest.fixture
def change(shelf: Path, tmp_path: Path) -> Repository:
    repository = Repository(shelf)
    trap = TRAP.format(pwned=str(tmp_path / "pwned"))
    lending = (shelf / "shelf/lending.py").read_text()
    repository.change({"shelf/lending.py": lending + OWES} | dict.fromkeys(MODULES, trap))
    return repository


@pytest.fixture
def environment(own_runtime: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of a job, with a stand-in for python3 first on the path. Its runtimes end with it, whatever happens."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").write_text(PYTHON3.format(log=tmp_path / "pip.log", python=sys.executable))
    os.chmod(tools / "python3", 0o755)  # noqa: PTH101
    yield {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(own_runtime)}
    for folder in (*own_runtime.glob("*/run"), own_runtime / "sc2lsp-run"):
        ended = {**os.environ, "SC2LSP_RUNTIME_DIR": str(folder)}
        subprocess.run([sys.executable, "-P", "-m", "sc2lsp", "stop"], env=ended, check=True, capture_output=True)


def load(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((CI / name).read_text())
    return found


def check_ran(script: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr.decode()


def check_report(path: Path) -> None:
    report = json.loads(path.read_text())
    assert report["model"] == "embedded" and report["asked"] > 5
    assert {finding["path"] for finding in report["findings"]} <= {"shelf/lending.py", *MODULES}


def check_installed(tmp_path: Path) -> None:
    """What pip was told: everything pinned, from the checkout of sc2lsp alone."""
    torch, package = (tmp_path / "pip.log").read_text().splitlines()
    assert all(line.startswith("-P -m pip install --quiet --constraint /") for line in (torch, package))
    assert torch.endswith(" torch==2.13.0") and package.endswith("[runtime] unidiff")


def test_action_runs(change: Repository, environment: dict[str, str], own_runtime: Path, tmp_path: Path) -> None:
    action = load("action.yml")
    inputs = {f"inputs.{name}": value["default"] for name, value in action["inputs"].items()}
    contexts = {**inputs, "github.action_path": str(CI), "runner.temp": str(own_runtime)}
    files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    runner = {**environment, "RUNNER_TEMP": str(own_runtime), **{name: str(path) for name, path in files.items()}}
    for step in action["runs"]["steps"]:
        given = {
            name: re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: contexts[match[1]], value)
            for name, value in step.get("env", {}).items()
        }
        check_ran(step["run"], change.root, runner | given)
    check_installed(tmp_path)
    assert files["GITHUB_STEP_SUMMARY"].read_text().startswith("### sc2lsp review: ")
    report = files["GITHUB_OUTPUT"].read_text().strip().removeprefix("report=")
    check_report(Path(report) / "review.json")
    assert (Path(report) / "review.sarif").exists()
    assert change.git("status", "--porcelain") == "" and not (tmp_path / "pwned").exists()


def test_gitlab_job_runs(change: Repository, environment: dict[str, str], tmp_path: Path) -> None:
    job = load("gitlab-ci.yml")["sc2lsp review"]
    (tmp_path / "ours").mkdir()
    ours = Repository(tmp_path / "ours")
    sources = {f"editors/ci/{path.relative_to(CI)}": path.read_bytes() for path in CI.rglob("*.py")}
    ours.change(sources | {"constraints.txt": "torch==2.13.0\n"})
    given = {
        **job["variables"],
        "SC2LSP_REPOSITORY": str(ours.root),
        "SC2LSP_REVISION": ours.git("rev-parse", "HEAD"),
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": change.git("rev-parse", "HEAD^1"),
    }
    check_ran("\n".join(job["script"]), change.root, environment | given)
    check_installed(tmp_path)
    reports = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["codequality"]]
    assert change.git("status", "--porcelain").splitlines() == [f"?? {name}" for name in sorted(reports)]
    check_report(change.root / "review.json")
    assert not (tmp_path / "pwned").exists()


def test_workflow_asks_for_little() -> None:
    workflow = load("github-workflow.yml")
    assert workflow[True] == "pull_request"  # YAML 1.1 reads the key `on` so
    assert workflow["permissions"] == {"contents": "read"}
    review, scanning = workflow["jobs"]["review"], workflow["jobs"]["code-scanning"]
    assert "permissions" not in review and scanning["permissions"] == {"security-events": "write"}
    assert "head.repo.full_name == github.repository" in scanning["if"]
    assert review["steps"][0]["with"]["persist-credentials"] is False
    assert all("run" not in step for step in (*review["steps"], *scanning["steps"]))


@pytest.mark.parametrize("name", ["action.yml", "github-workflow.yml", "gitlab-ci.yml"])
def test_nothing_is_interpolated_and_everything_pinned(name: str) -> None:
    text = (CI / name).read_text()
    assert "secrets." not in text and not re.search(r"^\s*(- )?pull_request_target", text, re.MULTILINE)
    used = re.findall(r"uses: (\S+)", text)
    assert all(PINNED.fullmatch(one) or one == OURS for one in used)
    loaded = load(name)
    scripts = [step.get("run", "") for step in loaded.get("runs", {}).get("steps", [])]
    assert not any("${{" in script for script in scripts)
