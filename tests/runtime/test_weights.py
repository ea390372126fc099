"""Checkpoints that cannot be served say what is wrong; those that can, load as they are."""

import json
import struct
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sc2lsp.runtime import memory
from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.memory import Footprint
from sc2lsp.runtime.shapes import PUBLISHED
from sc2lsp.runtime.weights import HEAD, fetch, load, parameter_count

from .checkpoints import TINY, TINY_BIGCODE, random_model, write_checkpoint

CPU = torch.device("cpu")


FAMILIES = pytest.mark.parametrize("raw", [TINY, TINY_BIGCODE], ids=["starcoder2", "starcoder"])


@FAMILIES
def test_single_file_loads_exactly(tmp_path: Path, raw: dict[str, Any]) -> None:
    model = load(write_checkpoint(tmp_path, raw), torch.float32, CPU)
    expected = random_model(raw).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert model.lm_head.weight is model.embedding.weight


@FAMILIES
def test_a_tied_head_may_be_saved_all_the_same(tmp_path: Path, raw: dict[str, Any]) -> None:
    write_checkpoint(tmp_path, raw)
    edit_weights(tmp_path, lambda t: t.update({HEAD: t[embedding_name(raw)].clone()}))
    assert load(tmp_path, torch.bfloat16, CPU).forward(torch.arange(9)[None]).isfinite().all()


def embedding_name(raw: dict[str, Any]) -> str:
    return "model.embed_tokens.weight" if raw is TINY else "transformer.wte.weight"


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


@FAMILIES
def test_shards_load(tmp_path: Path, raw: dict[str, Any]) -> None:
    shard(write_checkpoint(tmp_path, raw))
    tokens = torch.arange(20)[None]
    assert torch.equal(load(tmp_path, torch.float32, CPU).forward(tokens), random_model(raw).forward(tokens))


@FAMILIES
def test_separate_head_loads(tmp_path: Path, raw: dict[str, Any]) -> None:
    model = load(write_checkpoint(tmp_path, {**raw, "tie_word_embeddings": False}), torch.float32, CPU)
    assert not torch.equal(model.lm_head.weight, model.embedding.weight)


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


def doubled(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({NORM: tensors[NORM]}, folder / "more.safetensors")


def doubled_in_one_file(folder: Path) -> None:
    """The header names a tensor twice, each with bytes of its own."""
    entries = (f'"{NORM}":{{"dtype":"F32","shape":[64],"data_offsets":[{at},{at + 256}]}}' for at in (0, 256))
    header = f"{{{','.join(entries)}}}".encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(512))


def head_of_its_own(folder: Path) -> None:
    edit_weights(folder, lambda t: t.update({HEAD: t["model.embed_tokens.weight"] * 2}))


def overflow_in_half(folder: Path) -> None:
    edit_weights(folder, lambda t: t.update({NORM: t[NORM].double() * 1e300}))


NORM = "model.norm.weight"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config not json": (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
    "config not UTF-8": (lambda f: (f / "config.json").write_bytes(b'{"model_type": "\xff"}'), "cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "cannot be read"),
    "another architecture": (lambda f: edit_config(f, model_type="llama"), "serves 'starcoder2' and 'gpt_bigcode'"),
    "no architecture": (lambda f: edit_config(f, model_type=["starcoder2"]), "serves 'starcoder2'"),
    "quantised by others": (lambda f: edit_config(f, quantization_config={"bits": 4}), "quantised"),
    "scaled positions": (lambda f: edit_config(f, rope_scaling={"type": "linear", "factor": 2}), "'linear' rotary"),
    "positions of no base": (lambda f: edit_config(f, rope_theta=0), "rope_theta above 0"),
    "rope is a list": (lambda f: edit_config(f, rope_parameters=[1]), "wrong type"),
    "remote code": (lambda f: edit_config(f, auto_map={"AutoModel": "x.y"}), "never run"),
    "heads do not divide": (lambda f: edit_config(f, num_attention_heads=3), "multiple"),
    "zero layers": (lambda f: edit_config(f, num_hidden_layers=0), "below 1"),
    "text for a number": (lambda f: edit_config(f, vocab_size="many"), "wrong type"),
    "null for a number": (lambda f: edit_config(f, hidden_size=None), "wrong type"),
    "unknown activation": (lambda f: edit_config(f, hidden_act="relu"), "relu"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no \\*.safetensors"),
    "only a pickle": (only_pickle, "never opened"),
    "not safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 64), "not a readable safetensors"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]),
        "readable",
    ),
    "a tensor is missing": (lambda f: edit_weights(f, lambda t: t.pop(NORM)), f"the first is {NORM}"),
    "more layers in the file": (lambda f: edit_config(f, num_hidden_layers=1), "this config.json does not have"),
    "fewer layers in the file": (
        lambda f: edit_config(f, num_hidden_layers=3),
        "lack 16 tensors, the first is model.l",
    ),
    "another width in the file": (lambda f: edit_config(f, hidden_size=128), "config.json asks for"),
    "no head": (lambda f: edit_config(f, tie_word_embeddings=False), f"the first is {HEAD}"),
    "a tied head of its own": (head_of_its_own, "is not the embedding"),
    "a tensor twice": (doubled, f"holds {NORM}, as another file"),
    "a tensor twice in one file": (doubled_in_one_file, "invalid offset"),
    "a tensor too many": (lambda f: edit_weights(f, lambda t: t.update(x=torch.zeros(1))), "does not have"),
    "wrong shape": (lambda f: edit_weights(f, lambda t: t.update({NORM: torch.zeros(3)})), "has shape \\(3,\\)"),
    "integers": (lambda f: edit_weights(f, lambda t: t.update({NORM: torch.zeros(64, dtype=torch.int8)})), "floating"),
    "not a number": (lambda f: edit_weights(f, lambda t: t[NORM].fill_(torch.nan)), "NaN"),
    "infinite": (lambda f: edit_weights(f, lambda t: t[NORM][63:].fill_(-torch.inf)), "infinite"),
    "too large": (overflow_in_half, "too large for torch.float32"),
    "eight bits": (lambda f: edit_weights(f, lambda t: t.update({NORM: t[NORM].to(torch.float8_e4m3fn)})), "16 bits"),
    "index not json": (lambda f: (f / "model.safetensors.index.json").write_text("x"), "cannot be read"),
    "index escapes the folder": (index_escapes, "not a safetensors file beside it"),
    "a shard is missing": (missing_shard, "lacks the shard"),
}


BIGCODE_DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a head for each query": (lambda f: edit_config(f, multi_query=False), "multi_query is False"),
    "scores are not scaled": (lambda f: edit_config(f, scale_attn_weights=False), "scale_attn_weights is False"),
    "an encoder": (lambda f: edit_config(f, add_cross_attention=True), "add_cross_attention is True"),
    "unknown activation": (lambda f: edit_config(f, activation_function="relu"), "activation_function 'relu'"),
    "another number of heads": (lambda f: edit_config(f, n_head=8), "c_attn.bias has shape"),
    "another context": (lambda f: edit_config(f, n_positions=1024), "wpe.weight has shape"),
    "no context": (lambda f: edit_config(f, n_positions=0), "below 1"),
    "no width": (lambda f: edit_config(f, n_embd=None), "wrong type"),
    "the other family": (lambda f: edit_config(f, **TINY), "which a model of this config.json does not have"),
}


CASES = [(TINY, name, *case) for name, case in DAMAGE.items()]
CASES += [(TINY_BIGCODE, name, *case) for name, case in BIGCODE_DAMAGE.items()]


@pytest.mark.parametrize(("raw", "name", "damage", "says"), CASES, ids=[name for _, name, *_ in CASES])
def test_damage_is_named(
    tmp_path: Path, raw: dict[str, Any], name: str, damage: Callable[[Path], object], says: str
) -> None:
    damage(write_checkpoint(tmp_path, raw))
    with pytest.raises(ModelError, match=says) as caught:
        load(tmp_path, torch.float32, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_one_bad_number_anywhere_is_found(tmp_path: Path, dtype: torch.dtype, value: float) -> None:
    """At the ends, in the middle of a vector register and behind the last whole one."""
    name = "model.layers.1.mlp.c_fc.bias"
    write_checkpoint(tmp_path)
    sound = load_file(tmp_path / "model.safetensors")
    for place in (0, 1, 13, 64, 126, 127):
        bias = sound[name].to(dtype)
        bias[place] = value
        save_file(sound | {name: bias}, tmp_path / "model.safetensors")
        with pytest.raises(ModelError, match=f"{name} holds NaN"):
            load(tmp_path, dtype, CPU)


GIGA = 1 << 30
SMALL, LARGE = Footprint("small", 2 * GIGA, GIGA), Footprint("large", 4 * GIGA, GIGA)
ROOM: list[tuple[int | None, torch.dtype, str | None]] = [
    (None, torch.float32, None),  # nobody knows
    (12 * GIGA, torch.bfloat16, None),
    (
        12 * GIGA - 1,
        torch.bfloat16,
        "needs 12.0 GiB in bfloat16 .10.0 GiB of weights, 2.0 .*large .10.0 GiB. would fit",
    ),
    (9 * GIGA, torch.bfloat16, "cuda has 9.0 GiB left; small .6.0 GiB. would fit"),
    (6 * GIGA - 1, torch.bfloat16, "the built-in model .embedded. would fit"),
    (12 * GIGA, torch.float32, "needs 24.0 GiB in float32 .*small .12.0 GiB. would fit"),
]


@pytest.mark.parametrize(("free", "dtype", "says"), ROOM)
def test_a_device_too_small_says_what_would_fit(free: int | None, dtype: torch.dtype, says: str | None) -> None:
    expected = nullcontext() if says is None else pytest.raises(ModelError, match=says)
    with expected:
        memory.require(Footprint("huge", 5 * GIGA, GIGA), dtype, "cuda", free, (LARGE, SMALL))


def test_a_model_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are not even there."""
    write_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(memory, "free_bytes", lambda device: 100_000)
    with pytest.raises(ModelError, match=r"cpu has 0\.0 GiB left"):
        load(tmp_path, torch.float32, CPU)


def test_this_machine_says_what_it_has() -> None:
    free = memory.free_bytes(CPU)
    assert free is None or 1 << 26 < free < 1 << 50


def test_the_table_of_published_models_is_their_shapes() -> None:
    for model in memory.PUBLISHED:
        config = parse_config(PUBLISHED[model.name.removeprefix("bigcode/")])
        assert model == memory.footprint(model.name, config, parameter_count(config))


@pytest.mark.parametrize("model", ["/no/such/folder", "./missing", "a/b/c", "name"])
def test_no_such_model(model: str) -> None:
    with pytest.raises(ModelError, match="no such model"):
        fetch(model)


def test_a_hub_id_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="someone/nothing"):
        fetch("someone/nothing")
