"""`sc2lsp bench` on a small random model: its JSON is the contract, its figures agree, its errors are one line."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from sc2lsp.bench import HOLES, KEYS, Results, Shape, bench, print_results
from sc2lsp.config import Config
from sc2lsp.runtime import measure, shapes

from ..runtime.checkpoints import TINY, write_checkpoint

pytestmark = pytest.mark.usefixtures("own_runtime")

KEYS_OF = {
    "machine": {"processor", "device", "threads", "torch"},
    "model": {"name", "parameters", "layers", "precision", "context_length", "random_weights"},
    "bandwidth": {"buffer_bytes", "read_bytes_per_second", "copy_bytes_per_second"},
    "first_token": {"prompt_tokens", "cold_ms", "warm_ms", "warm_prefilled_tokens"},
    "decode": {"plain_tokens_per_second", "drafted_tokens_per_second"},
    "memory": {"weights_bytes", "cache_bytes", "resident_bytes", "gpu_bytes"},
    "typing": {"holes", "requests", "tokens_per_pass", "drafts"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model"), std=0.2)


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_BUFFER", 1 << 20)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "sc2lsp", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=200, check=False)


def printed(results: Results) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_results(results, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_is_the_contract(folder: Path) -> None:
    done = run("--model", str(folder), "--precision", "fp32", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert set(results) == {"version", "date", "passes", *KEYS_OF}
    assert {name: set(results[name]) for name in KEYS_OF} == KEYS_OF
    for each in results["passes"]:
        assert set(each) == {"rows", "ms", "bytes", "share_of_bandwidth"}
        assert set(each["ms"]) == {"p50", "p95", "n"}
    for found in results["typing"]["drafts"].values():
        assert set(found) == {"drafted", "accepted", "share"}


@pytest.mark.usefixtures("small_buffer")
def test_a_model(folder: Path) -> None:
    results = bench(Config(model=str(folder), precision="fp32"), None)
    assert (results.model.name, results.model.layers, results.model.random_weights) == (str(folder), 2, False)
    assert [each.rows for each in results.passes] == list(measure.ROWS)
    assert all(each.share_of_bandwidth > 0 for each in results.passes)
    assert results.decode.drafted_tokens_per_second is not None
    typing = results.typing
    assert typing is not None
    assert 0 < typing.holes <= HOLES
    assert typing.requests == typing.holes * (KEYS + 1)
    assert typing.drafts, "real code repeats itself"
    for found in typing.drafts.values():
        assert 0 <= found.accepted <= found.drafted > 0
        assert 0 <= found.share == found.accepted / found.drafted <= 1
    out = printed(results)
    assert all(row in out for row in ("cold, 384 tokens", "tokens/s, one a pass", "share of bandwidth", *typing.drafts))


@pytest.mark.usefixtures("small_buffer")
def test_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "PUBLISHED", {"small": {**TINY, "vocab_size": 4096}})
    results = bench(Config(model="never/loaded", precision="int8"), Shape("small", 1), prompt_tokens=100)
    model = results.model
    assert results.first_token.prompt_tokens == 100
    assert (model.name, model.layers, model.precision, model.random_weights) == ("small", 1, "int8", True)
    assert (results.typing, results.decode.drafted_tokens_per_second) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(results))["typing"] is None
    out = printed(results)
    assert "in 1 layers, int8, random weights" in out
    assert "drafts" not in out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--shape", "starcoder3"], 1, "no shape is called 'starcoder3'"),
        (["--shape", "starcoder2-3b", "--layers", "31"], 1, "--layers takes 1 to 30"),
        (["--model", "/none"], 1, "no such model"),
        (["--precision", "int3"], 1, "precision"),
        (["--shape", "starcoder2-3b", "--model", "embedded"], 2, "give --model or --shape, not both"),
        (["--prompt-tokens", "5"], 2, "--prompt-tokens"),
        (["--layers", "2"], 2, "--layers goes with --shape"),
        (["--shape", "starcoder2-3b", "--layers", "0"], 2, "--layers"),
    ],
)
def test_errors(arguments: list[str], status: int, says: str) -> None:
    done = run(*arguments)
    last = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert says in last
    assert status == 2 or last.startswith("sc2lsp: ")


def test_an_interrupt_is_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(loop: measure.Loop, text: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "first_token", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench(Config(model=str(folder)), None)
    assert "interrupted" in capsys.readouterr().err.strip().splitlines()[-1]
