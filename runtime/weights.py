"""Checkpoint -> model: a local folder or a Hugging Face hub id, safetensors only.

Never unpickles, never runs code that came with a checkpoint, and names the tensor that does not fit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .config import ModelConfig, read_config
from .errors import ModelError
from .locate import EMBEDDED, model_folder
from .model import StarCoder2

HUB_FILES = ["config.json", "*.safetensors", "*.safetensors.index.json"]
HUB_FILES += ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"]


def fetch(model: str) -> Path:
    """The folder of `model`: "embedded", a local folder, or a hub id `owner/name`, downloaded on first use.

    Raises ModelError.
    """
    folder = model_folder(model)
    if folder is not None:
        return folder
    if Path(model).is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise ModelError(f"no such model: {model}; give a folder, a hub id like bigcode/starcoder2-3b, or {EMBEDDED}")
    try:
        return Path(snapshot_download(model, allow_patterns=HUB_FILES))
    except LocalEntryNotFoundError:
        raise ModelError(f"{model} is not in the local cache, and the hub cannot be reached") from None
    except (HfHubHTTPError, HFValidationError, OSError) as wrong:
        reason = str(wrong).splitlines()[0]
        raise ModelError(f"{model} cannot be downloaded ({reason}); is its licence accepted?") from None


def load(folder: Path, dtype: torch.dtype, device: torch.device) -> StarCoder2:
    """Build the network of `folder/config.json` and fill it. Raises ModelError: missing, extra or misshapen tensors."""
    config = read_config(folder)
    with torch.device("meta"):
        model = StarCoder2(config)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if config.tied_head:
        del expected["lm_head.weight"]
    filled = {name: tensor for path in _shards(folder) for name, tensor in _tensors(path, expected, dtype, device)}
    missing = sorted(expected.keys() - filled.keys())
    if missing:
        raise ModelError(f"{folder}: the safetensors lack {len(missing)} tensors, the first is {missing[0]}")
    if config.tied_head:
        filled["lm_head.weight"] = filled["model.embed_tokens.weight"]
    model.load_state_dict(filled, assign=True)
    if config.tied_head:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.requires_grad_(False).eval()


def _shards(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: those its index names, else all there are."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return _indexed_shards(index)
    shards = sorted(folder.glob("*.safetensors"))
    if shards:
        return shards
    pickled = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"), *folder.glob("*.ckpt")])
    if pickled:
        raise ModelError(
            f"{folder} has only pickled weights ({pickled[0].name}), which are never opened; convert to safetensors"
        )
    raise ModelError(f"{folder} has no *.safetensors: the weights are missing")


class _ShardIndex(msgspec.Struct):
    weight_map: dict[str, str]
    metadata: dict[str, Any] = {}


def _indexed_shards(index: Path) -> list[Path]:
    try:
        names = set(msgspec.json.decode(index.read_bytes(), type=_ShardIndex).weight_map.values())
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as wrong:
        raise ModelError(f"{index} cannot be read: {wrong}") from None
    for name in sorted(names):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index} names {name!r}, which is not a safetensors file beside it")
        if not (index.parent / name).is_file():
            raise ModelError(f"{index.parent} lacks the shard {name} that its index names")
    return [index.parent / name for name in sorted(names)]


def _tensors(
    path: Path, expected: dict[str, torch.Size], dtype: torch.dtype, device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as shard:
            for name in shard.keys():  # noqa: SIM118 - not a mapping
                tensor: Tensor = shard.get_tensor(name)
                if name == "lm_head.weight" and name not in expected:
                    continue  # a tied head that was saved all the same
                yield name, _checked(path, name, tensor, expected).to(dtype)
    except (SafetensorError, OSError) as wrong:
        raise ModelError(f"{path} is not a readable safetensors file: {wrong}") from None


def _checked(path: Path, name: str, tensor: Tensor, expected: dict[str, torch.Size]) -> Tensor:
    if name not in expected:
        raise ModelError(f"{path} holds {name}, which this architecture does not have")
    if tensor.shape != expected[name]:
        want, have = tuple(expected[name]), tuple(tensor.shape)
        raise ModelError(f"{path}: {name} has shape {have}, config.json asks for {want}")
    if not tensor.is_floating_point():
        raise ModelError(f"{path}: {name} is {tensor.dtype}; only floating-point weights are served")
    if not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"{path}: {name} holds NaN or infinite values: the file is damaged")
    return tensor


def parameter_count(config: ModelConfig) -> int:
    """Parameters of a model of this shape, a shared embedding counted once."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in StarCoder2(config).parameters())
