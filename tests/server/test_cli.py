"""The command line as programs use it: JSON out, one line on standard error, exit status 0, 1 or 2."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sc2lsp.runtime.locate import EMBEDDED, model_folder

from ..runtime.checkpoints import write_checkpoint
from .conftest import SHELF

pytestmark = pytest.mark.usefixtures("own_runtime")
STORE, LINE, COLUMN = SHELF / "shelf" / "store.py", 49, 28  # what `make demo` completes
HOLE = f"{STORE}:{LINE}:{COLUMN}"


def sc2lsp(*arguments: str, stdin: str = "", status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "sc2lsp", *arguments]
    environ = {**os.environ, **environment}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environ, timeout=200, check=False)
    assert done.returncode == status, done.stderr
    return done


def answer(*arguments: str, **environment: str) -> Any:
    return json.loads(sc2lsp(*arguments, **environment).stdout)


def answers(*arguments: str, queries: list[Any]) -> list[Any]:
    lines = "".join(query if isinstance(query, str) else json.dumps(query) + "\n" for query in queries)
    return [json.loads(line) for line in sc2lsp(*arguments, stdin=lines).stdout.splitlines()]


def test_complete_json_is_the_contract() -> None:
    result = answer("complete", HOLE, "--json")
    assert set(result) == {
        "completions", "model", "prompt_tokens", "cached_tokens", "drafted_tokens", "accepted_tokens", "timings_ms"
    }  # fmt: skip
    assert set(result["timings_ms"]) == {"context", "prompt", "queue", "prefill", "decode", "display", "total"}
    (completion,) = result["completions"]
    assert set(completion) == {"text", "range", "mean_logprob", "finish_reason"}
    assert completion["range"] == {side: {"line": LINE, "column": COLUMN} for side in ("start", "end")}
    assert completion["text"].strip()
    assert completion["mean_logprob"] < 0
    assert 0 < result["prompt_tokens"] <= 2048


def test_a_second_request_reuses_the_first() -> None:
    first, second = (answer("complete", HOLE, "--json") for _ in range(2))
    assert second["prompt_tokens"] - 16 <= second["cached_tokens"] < second["prompt_tokens"]  # all full pages
    assert second["completions"] == first["completions"]


def test_the_text_comes_out_of_the_weights(tmp_path: Path) -> None:
    """The same model with random weights writes something else at the demo's hole."""
    folder = model_folder(EMBEDDED)
    assert folder is not None
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.manual_seed(0)
    weights = load_file(folder / "model.safetensors")
    save_file({name: torch.randn_like(w) * 0.02 for name, w in weights.items()}, tmp_path / "model.safetensors")
    trained, random = answer("complete", HOLE, "--json"), answer("complete", HOLE, "--json", "--model", str(tmp_path))
    assert trained["prompt_tokens"] == random["prompt_tokens"]
    assert trained["completions"] != random["completions"]


def test_the_demo_shows_context_text_and_timings() -> None:
    out = sc2lsp("complete", HOLE, "--explain", COLUMNS="160").stdout
    text = answer("complete", HOLE, "--json")["completions"][0]["text"]
    assert "shelf/models.py" in out
    assert f"   {LINE}         member = self.find_{text.splitlines()[0]}" in out
    assert all(f"{stage} " in out for stage in ("context", "prefill", "decode", "total"))


def test_complete_prints_the_text_alone() -> None:
    text = answer("complete", HOLE, "--json")["completions"][0]["text"]
    assert sc2lsp("complete", HOLE).stdout == f"{text}\n"


def test_complete_batch_answers_in_order() -> None:
    text = "import json\n\n\ndef read(path):\n    with open(path) as file:\n        return json."
    good = {"id": "a", "path": "shelf/new.py", "line": 6, "column": 21, "text": text}
    queries = [good, "nonsense\n", {"id": 2, "path": "shelf/store.py", "line": LINE, "column": COLUMN}, "\n",
               {"id": 3, "path": "gone.py", "line": 1, "column": 1}, {"id": 4, "path": "a.py", "line": 0, "column": 1},
               {"id": 5, "path": "../secret.py", "line": 1, "column": 1}, {**good, "id": 6, "surprise": 1}]  # fmt: skip
    results = answers("complete", "--batch", "--root", str(SHELF), queries=queries)
    assert [result["id"] for result in results] == ["a", None, 2, 3, 4, 5, 6]
    assert all(results[i]["timings_ms"]["total"] > 0 for i in (0, 2))
    errors = [result.get("error", "") for result in results]
    expected = ("", "line 2", "", "does not exist", "line", "outside", "surprise")
    assert all(part in error for part, error in zip(expected, errors, strict=True))
    assert [bool(error) for error in errors] == [False, True, False, True, True, True, True]


def test_context_json_is_the_contract() -> None:
    prompt = answer("context", HOLE, "--json", "--budget", "700")
    assert set(prompt) == {"order", "repo", "path", "prompt_tokens", "snippets", "prefix_tokens", "suffix_tokens"}
    assert (prompt["order"], prompt["repo"], prompt["path"]) == ("spm", "shelf", "shelf/store.py")
    assert prompt["prompt_tokens"] <= 700
    assert all(
        set(snippet) == {"path", "start_line", "end_line", "kind", "score", "tokens", "text"}
        for snippet in prompt["snippets"]
    )
    assert {snippet["path"] for snippet in prompt["snippets"]} >= {"shelf/models.py", "shelf/lending.py"}
    for snippet in prompt["snippets"]:
        lines = (SHELF / snippet["path"]).read_text().splitlines(keepends=True)
        assert lines[snippet["start_line"] - 1] in snippet["text"]


def test_context_prints_the_prompt_itself() -> None:
    prompt = sc2lsp("context", HOLE, "--prompt", "--budget", "700").stdout
    lines = STORE.read_text().splitlines()
    assert prompt.startswith("<repo_name>shelf<file_sep>")
    assert prompt.count("<fim_prefix><fim_suffix>") == prompt.count("<fim_middle>shelf/store.py\n") == 1
    typed = "\n".join([*lines[LINE - 3 : LINE - 1], lines[LINE - 1][: COLUMN - 1]])
    assert typed.endswith("find_") and prompt.endswith(typed[:-1] + "\n")  # the last word is left to the answer


def test_context_batch_keeps_a_budget_of_bytes() -> None:
    base = {"path": "shelf/store.py", "line": LINE, "column": COLUMN, "text": STORE.read_text()}
    queries = [{**base, "id": limit, "snippet_bytes": limit} for limit in (0, 300, 1000, 100_000)]
    results = answers("context", "--batch", "--root", str(SHELF), queries=queries)
    sizes = [
        sum(len(s["path"].encode()) + len(s["text"].encode()) + 4 for s in result["snippets"]) for result in results
    ]
    assert all(size <= limit for size, limit in zip(sizes, (0, 300, 1000, 100_000), strict=True))
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1000
    assert all(result["timings_ms"]["context"] > 0 for result in results)


def test_a_batch_survives_any_line_and_forgets_it(shelf: Path) -> None:
    """A line's text is gone with the line, and no line ends the batch."""
    bad = {"id": 1, "path": "shelf/ghost.py", "line": 99, "column": 1, "text": "def from_a_bad_line(): ..."}
    long = {"id": 2, "path": "x" * 300 + ".py", "line": 1, "column": 1}
    good = {"id": 3, "path": "shelf/b.py", "line": 1, "column": 14, "text": "from_a_bad_li"}
    accent = {"id": 4, "path": "shelf/c.py", "line": 1, "column": 3, "text": "\u00e9"}
    lines = b"".join(json.dumps(query).encode() + b"\n" for query in (bad, long, good)) + b'{"id": "\xff"}\n'
    lines += json.dumps(accent, ensure_ascii=False).encode() + b"\n"
    command = [sys.executable, "-P", "-m", "sc2lsp", "context", "--batch", "--root", str(shelf)]
    environ = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, input=lines, capture_output=True, env=environ, timeout=200, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [("error" in result) for result in results] == [True, True, False, True, True]
    assert "from_a_bad_line" not in json.dumps(results[2]["snippets"])
    assert "has 1 characters" in results[4]["error"]


def test_index_json_is_the_contract(shelf: Path) -> None:
    (shelf / "latin.py").write_bytes(b"name = '\xe9'\n")
    figures = answer("index", str(shelf), "--json")
    assert figures["files"] == 6
    assert figures["skipped"] == {"not UTF-8": 1}
    assert figures["definitions"] > 30 < figures["references"]
    assert (figures["lines"] > 200, figures["warm"], figures["seconds"] > 0) == (True, False, True)
    assert 10 < figures["peak_rss_mb"] < 150


def test_status_stop_and_doctor() -> None:
    answer("complete", HOLE, "--json")
    running = json.loads(sc2lsp("status", "--json").stdout)
    assert "ready" in {runtime["state"] for runtime in running}
    checks = {finding["check"]: finding for finding in json.loads(sc2lsp("doctor", "--json").stdout)}
    assert {"grammars", "torch", "accelerator", "model", "runtime"} <= set(checks)
    assert all(finding["state"] != "fail" for finding in checks.values())
    assert "stopped" in sc2lsp("stop").stdout
    assert "no runtime is running" in sc2lsp("status").stdout


def bad_input(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Name -> arguments and a part of the one line they get."""
    (folder / "latin.py").write_bytes(b"name = '\xe9'\n")
    (folder / "nul.py").write_bytes(b"a\0b")
    (folder / "huge.py").write_bytes(b"x = 1\n" * 200_000)
    (folder / "ok.py").write_text("x = 1\n")
    write_checkpoint(folder / "pickled")
    (folder / "pickled" / "model.safetensors").rename(folder / "pickled" / "pytorch_model.bin")
    write_checkpoint(folder / "empty")
    (folder / "empty" / "model.safetensors").unlink()
    (folder / "file").write_text("")
    at = str(folder)
    return {
        "missing file": (["complete", f"{at}/gone.py:1:1"], "is not a file"),
        "no place": (["complete", f"{at}/ok.py"], "PATH:LINE:COLUMN"),
        "not UTF-8": (["complete", f"{at}/latin.py:1:1"], "not UTF-8"),
        "binary": (["complete", f"{at}/nul.py:1:1"], "binary"),
        "huge": (["complete", f"{at}/huge.py:1:1"], "too large"),
        "past the last line": (["complete", f"{at}/ok.py:9:1"], "has 2 lines"),
        "past the line's end": (["complete", f"{at}/ok.py:1:99"], "has 5 characters"),
        "outside the root": (["complete", f"{at}/ok.py:1:1", "--root", f"{at}/pickled"], "outside"),
        "a root that is none": (["index", f"{at}/none"], "not a folder"),
        "no such model": (["complete", f"{at}/ok.py:1:1", "--model", f"{at}/none"], "no such model"),
        "model with a pickle": (["complete", f"{at}/ok.py:1:1", "--model", f"{at}/pickled"], "never opened"),
        "model without weights": (["complete", f"{at}/ok.py:1:1", "--model", f"{at}/empty"], "weights are missing"),
        "an address without a token": (["serve", "--listen", "tcp://127.0.0.1:0"], "without a token"),
        "no address": (["serve", "--listen", "nowhere"], "give unix:/PATH"),
        "a socket under a file": (["serve", "--listen", f"unix:{at}/file/s"], "cannot listen"),
        "a recipe that is none": (["train", f"{at}/none.toml", "--out", f"{at}/out"], "none.toml"),
    }


def test_bad_input_gets_one_line(tmp_path: Path) -> None:
    for name, (arguments, says) in bad_input(tmp_path).items():
        done = sc2lsp(*arguments, status=1)
        assert says in done.stderr, name
        assert done.stdout == "", name
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("sc2lsp: "), (name, done.stderr)
        assert "Traceback" not in done.stderr, name


def test_settings_that_leave_no_room_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("max_tokens = 4000")
    done = sc2lsp("complete", HOLE, status=1, SC2LSP_CONFIG=str(tmp_path / "config.toml"))
    assert "leaves no room" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bad_configuration_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("budget = 'much'")
    done = sc2lsp("complete", HOLE, status=1, SC2LSP_CONFIG=str(tmp_path / "config.toml"))
    assert done.stderr.startswith("sc2lsp: ")
    assert "budget" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["complete"], ["nonsense"], ["context", HOLE, "--budget", "1"], ["serve", "x"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert "Usage" in sc2lsp(*arguments, status=2).stderr


def test_help_and_version() -> None:
    assert "language server" in sc2lsp("--help").stdout
    assert "0.1.0" in sc2lsp("--version").stdout
