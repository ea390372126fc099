"""What tests of the review bot share: a git repository with a change, stand-ins for sc2lsp, the bot as a program."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CI = Path(__file__).parents[2] / "editors" / "ci"
SECONDS = 240.0  # that a review may take here; a runtime may have to load first

# Answers every place with the same text; ends early, hangs or talks nonsense where told to.
STAND_IN = """\
import json, sys, time
for number, line in enumerate(sys.stdin):
    query = json.loads(line)
    {before}
    answer = {answer}
    print(json.dumps(answer), flush=True)
"""
ANSWER = '{{"id": query["id"], "model": "stand-in", "completions": [{{"text": {text!r}, "mean_logprob": {logprob}}}]}}'


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Repository:
    """A git repository with one commit, in which tests write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        command = ["git", "-C", str(self.root), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")

    def change(self, files: Mapping[str, str | bytes]) -> None:
        """One commit that writes these files."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.commit()


def command(*options: str | Path) -> list[str]:
    return [sys.executable, str(CI / "review.py"), *map(str, options)]


def bot(root: Path, *options: str | Path, diff: bytes | None = None, program: Path | None = None) -> Run:
    """Run the bot in a checkout, as a job does: on its last commit, or on a diff."""
    source = ("--diff", "-") if diff is not None else ("--base", "HEAD^1") if "--base" not in options else ()
    asked = ("--sc2lsp", program) if program is not None else ()
    done = subprocess.run(
        command(*source, *asked, *options), cwd=root, input=diff or b"", capture_output=True, timeout=SECONDS
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


def stand_in(folder: Path, text: str = "", logprob: float = -0.01, before: str = "pass", answer: str = "") -> Path:
    """A program that answers as sc2lsp does, always with the same text."""
    path = folder / "sc2lsp-stand-in"
    body = STAND_IN.format(before=before, answer=answer or ANSWER.format(text=text, logprob=logprob))
    path.write_text(f"#!{sys.executable}\n{body}")
    os.chmod(path, 0o755)  # noqa: PTH101
    return path
