"""Checkpoints that cannot be served say what is wrong; those that can, load as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.weights import fetch, load

from .checkpoints import TINY, random_model, write_checkpoint

CPU = torch.device("cpu")


def test_single_file_loads_exactly(tmp_path: Path) -> None:
    model = load(write_checkpoint(tmp_path), torch.float32, CPU)
    expected = random_model(TINY).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert model.lm_head.weight is model.model.embed_tokens.weight


def shard(folder: Path) -> None:
    """Split model.safetensors in two with an index, as large checkpoints are published."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    halves = {"model-1-of-2.safetensors": names[::2], "model-2-of-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in halves.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_load(tmp_path: Path) -> None:
    shard(write_checkpoint(tmp_path))
    tokens = torch.arange(20)[None]
    assert torch.equal(load(tmp_path, torch.float32, CPU).forward(tokens), random_model(TINY).forward(tokens))


def test_separate_head_loads(tmp_path: Path) -> None:
    raw = {**TINY, "tie_word_embeddings": False}
    model = load(write_checkpoint(tmp_path, raw), torch.float32, CPU)
    assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def edit_config(folder: Path, **values: Any) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, **values}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")


def index_escapes(folder: Path) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../etc/x.safetensors"}}')


def missing_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-1-of-2.safetensors").unlink()


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


NORM = "model.norm.weight"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config not json": (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
    "config not UTF-8": (lambda f: (f / "config.json").write_bytes(b'{"model_type": "\xff"}'), "cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "cannot be read"),
    "another architecture": (lambda f: edit_config(f, model_type="llama"), "serves 'starcoder2'"),
    "remote code": (lambda f: edit_config(f, auto_map={"AutoModel": "x.y"}), "never run"),
    "heads do not divide": (lambda f: edit_config(f, num_attention_heads=3), "multiple"),
    "zero layers": (lambda f: edit_config(f, num_hidden_layers=0), "below 1"),
    "text for a number": (lambda f: edit_config(f, vocab_size="many"), "wrong type"),
    "unknown activation": (lambda f: edit_config(f, hidden_act="relu"), "relu"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no \\*.safetensors"),
    "only a pickle": (only_pickle, "never opened"),
    "not safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 64), "not a readable safetensors"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]),
        "readable",
    ),
    "a tensor is missing": (lambda f: edit_weights(f, lambda t: t.pop(NORM)), f"the first is {NORM}"),
    "a tensor too many": (lambda f: edit_weights(f, lambda t: t.update(x=torch.zeros(1))), "does not have"),
    "wrong shape": (lambda f: edit_weights(f, lambda t: t.update({NORM: torch.zeros(3)})), "has shape \\(3,\\)"),
    "integers": (lambda f: edit_weights(f, lambda t: t.update({NORM: torch.zeros(64, dtype=torch.int8)})), "floating"),
    "not a number": (lambda f: edit_weights(f, lambda t: t[NORM].fill_(torch.nan)), "NaN"),
    "index not json": (lambda f: (f / "model.safetensors.index.json").write_text("x"), "cannot be read"),
    "index escapes the folder": (index_escapes, "not a safetensors file beside it"),
    "a shard is missing": (missing_shard, "lacks the shard"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(tmp_path: Path, name: str) -> None:
    damage, says = DAMAGE[name]
    damage(write_checkpoint(tmp_path))
    with pytest.raises(ModelError, match=says) as caught:
        load(tmp_path, torch.float32, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["/no/such/folder", "./missing", "a/b/c", "name"])
def test_no_such_model(model: str) -> None:
    with pytest.raises(ModelError, match="no such model"):
        fetch(model)


def test_a_hub_id_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="someone/nothing"):
        fetch("someone/nothing")
