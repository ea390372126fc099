"""Checkpoint -> model: a local folder or a Hugging Face hub id, safetensors only.

Never unpickles, never runs code that came with a checkpoint, and names the tensor that does not fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from . import memory
from .config import ModelConfig, read_config
from .errors import ModelError
from .gpt_bigcode import GPTBigCode
from .locate import EMBEDDED, model_folder
from .model import CausalLM, StarCoder2

HUB_FILES = ["config.json", "*.safetensors", "*.safetensors.index.json"]
HUB_FILES += ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"]
HEAD = "lm_head.weight"
SERVED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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


def network(config: ModelConfig) -> CausalLM:
    return StarCoder2(config) if config.family == "starcoder2" else GPTBigCode(config)


def load(folder: Path, dtype: torch.dtype, device: torch.device) -> CausalLM:
    """Build the network of `folder/config.json` and fill it.

    Raises ModelError: missing, unexpected, doubled or misshapen tensors, numbers that are none, no memory for them.
    """
    config = read_config(folder)
    with torch.device("meta"):
        model = network(config)
    shards = _shards(folder)
    size = memory.footprint(str(folder), config, sum(parameter.numel() for parameter in model.parameters()))
    memory.require(size, dtype, device.type, memory.free_bytes(device))
    filled = _filled(shards, model, dtype, device)
    head = filled.pop(HEAD) if config.tied_head and HEAD in filled else None
    missing = sorted(dict(model.named_parameters()).keys() - filled.keys())
    if missing:
        raise ModelError(f"{folder}: the safetensors lack {len(missing)} tensors, the first is {missing[0]}")
    model.load_state_dict(filled, strict=False, assign=True)  # what a tied head lacks is the embedding's
    model.tie()
    if head is not None and not torch.equal(head, model.lm_head.weight):
        raise ModelError(f"{folder}: {HEAD} is not the embedding, yet config.json ties them (tie_word_embeddings)")
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


def _filled(shards: Sequence[Path], model: CausalLM, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """Every tensor of the files, checked as it is read."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    filled: dict[str, Tensor] = {}
    try:
        for path in shards:
            for name, tensor in _tensors(path, shapes, dtype, device):
                if name in filled:
                    raise ModelError(f"{path} holds {name}, as another file of the checkpoint does; keep one of them")
                filled[name] = tensor
    except torch.OutOfMemoryError:
        raise ModelError(f"{device.type} ran out of memory for the weights; a smaller model may fit") from None
    return filled


def _tensors(
    path: Path, shapes: Mapping[str, torch.Size], dtype: torch.dtype, device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as shard:
            for name in shard.keys():  # noqa: SIM118 - not a mapping
                yield name, _checked(path, name, shard.get_tensor(name), shapes, dtype)
    except (SafetensorError, OSError) as wrong:
        raise ModelError(f"{path} is not a readable safetensors file: {wrong}") from None


def _checked(path: Path, name: str, tensor: Tensor, shapes: Mapping[str, torch.Size], dtype: torch.dtype) -> Tensor:
    """The tensor as `dtype`."""
    if name not in shapes:
        raise ModelError(f"{path} holds {name}, which a model of this config.json does not have")
    if tensor.shape != shapes[name]:
        want, have = tuple(shapes[name]), tuple(tensor.shape)
        raise ModelError(f"{path}: {name} has shape {have}, config.json asks for {want}")
    if tensor.dtype not in SERVED:
        raise ModelError(f"{path}: {name} is {tensor.dtype}; only floating-point weights of 16 bits or more are served")
    converted = tensor.to(dtype)
    # Smallest and largest pass on a NaN: one read, no copy (56 ms a GB here, where `isfinite` takes 2.2 s).
    if not all(bool(torch.isfinite(end)) for end in torch.aminmax(converted)):
        raise ModelError(f"{path}: {name} holds NaN, infinite, or numbers too large for {dtype}; the file is damaged")
    return converted


def parameter_count(config: ModelConfig) -> int:
    """Parameters of a model of this shape, a shared embedding counted once."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in network(config).parameters())
