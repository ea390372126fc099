"""`sc2lsp train` from a recipe to a model that answers, with prompts of our own context engine in its last phase."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sc2lsp.__main__ import main
from sc2lsp.corpus import CorpusError
from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.tokenizer import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, Tokenizer
from sc2lsp.runtime.training.bpe import train_tokenizer
from sc2lsp.runtime.training.plan import Example, SourceFile
from sc2lsp.train import train
from sc2lsp.train.prompts import prompts

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
FILES = [
    SourceFile("shelf", path.relative_to(SHELF).as_posix(), path.read_text("utf-8"))
    for path in sorted(SHELF.rglob("*.py"))
]
RECIPE = f"""
[plan.toy]
vocab_size = 500
hidden_size = 32
num_layers = 1
num_heads = 2
num_kv_heads = 1
context_length = 512
row_length = 256
tokens = 12288
batch = 2
lr = 1e-3
prompt_share = 0.5
middle_weight = 4.0

[[source]]
folder = '{SHELF}'
licence = "Apache-2.0"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, "utf-8")
    return path


def test_a_recipe_ends_in_a_model_that_accounts_for_its_data(tmp_path: Path, recipe: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["train", str(recipe), "--plan", "toy", "--out", str(out)])
    assert done.exit_code == 0, done.output
    manifest = [json.loads(line) for line in gzip.decompress((out / "manifest.jsonl.gz").read_bytes()).splitlines()]
    sheet = (out / "README.md").read_text("utf-8")
    assert f"| shelf | folder | Apache-2.0 | {len(manifest)} |" in sheet
    assert f"{len(manifest)} files with {sum(entry['chars'] for entry in manifest):,} characters" in sheet
    assert all(entry["swhid"].startswith("swh:1:cnt:") and entry["licence"] == "Apache-2.0" for entry in manifest)
    assert (out / "loss.csv").read_text().count("\n") == 1 + 12288 // 512
    engine = Engine(str(out), lambda message, fraction: None)
    assert (engine.facts.vocab_size, engine.facts.context_length) == (500, 512)
    engine.close()


def test_a_plan_that_is_not_there(tmp_path: Path, recipe: Path) -> None:
    with pytest.raises(CorpusError, match="no plan 'cpu'; it has toy"):
        train(recipe, "cpu", tmp_path / "out", tmp_path / "cache")


TOKENIZER = train_tokenizer((file.text for file in FILES), 600)


def made(count: int, seed: int) -> list[Example]:
    return prompts(FILES, count, TOKENIZER, 512, seed, lambda repo, done, of: None)


def test_prompts_are_what_a_user_would_send_with_the_hole_behind_them() -> None:
    tokenizer = Tokenizer(TOKENIZER)
    control, examples = tokenizer.control, made(24, seed=0)
    assert len(examples) == 24
    assert made(24, seed=0) == examples
    orders = {"spm": 0, "psm": 0}
    with_files = 0
    for example in examples:
        ids = list(example.ids)
        assert len(ids) <= 512 and ids[-1] == control[END_OF_TEXT]
        orders["spm" if ids[ids.index(control[FIM_PREFIX]) + 1] == control[FIM_SUFFIX] else "psm"] += 1
        with_files += ids.count(control[FILE_SEP]) > 1
        around = tokenizer.decode(ids[ids.index(control[FIM_PREFIX]) :])
        middle = tokenizer.decode(ids[example.middle : -1])
        assert any(whole(around, middle) in file.text for file in FILES)
    assert min(orders.values()) > 4 and with_files > 12


def whole(around: str, middle: str) -> str:
    """The lines at the hole, put together again from a prompt's parts."""
    body = around.removeprefix(FIM_PREFIX).removesuffix(END_OF_TEXT).removesuffix(middle)
    if body.startswith(FIM_SUFFIX):
        suffix, _, prefix = body.removeprefix(FIM_SUFFIX).partition(FIM_MIDDLE)
    else:
        prefix, _, suffix = body.removesuffix(FIM_MIDDLE).partition(FIM_SUFFIX)
    return prefix.rpartition("\n")[2] + middle + suffix.partition("\n")[0]
