"""A checkpoint's `config.json` -> ModelConfig. Reads StarCoder2's published files, refuses what it cannot run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from .errors import ModelError

_ACTIVATIONS = {"gelu_pytorch_tanh": "tanh", "gelu": "none"}  # config name -> torch's `approximate`


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a StarCoder2 model. Source: arXiv 2402.19173, section 6, and the models' config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    context_length: int  # max_position_embeddings
    window: int | None  # keys a query sees, itself included
    rope_theta: float
    norm_eps: float
    gelu: str  # torch's `approximate`: "tanh" or "none"
    bias: bool
    tied_head: bool

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads


def parse_config(raw: dict[str, Any]) -> ModelConfig:
    """Validate the fields of a Hugging Face `config.json` of model type `starcoder2`.

    Raises ModelError for another architecture, remote code, or a shape that does not add up. Absent keys take the
    values the published checkpoints were trained with, not the defaults of any library version.
    """
    if raw.get("model_type") != "starcoder2":
        raise ModelError(f"model_type is {raw.get('model_type')!r}; this runtime serves 'starcoder2' checkpoints")
    if "auto_map" in raw:
        raise ModelError("config.json asks for remote code (auto_map), which is never run; use a plain checkpoint")
    activation = raw.get("hidden_act", "gelu_pytorch_tanh")
    if activation not in _ACTIVATIONS:
        raise ModelError(f"hidden_act {activation!r} is not one of {sorted(_ACTIVATIONS)}")
    rope: dict[str, Any] = raw.get("rope_parameters") or {}  # where newer config files keep theta
    try:
        config = ModelConfig(
            vocab_size=int(raw["vocab_size"]),
            hidden_size=int(raw["hidden_size"]),
            intermediate_size=int(raw["intermediate_size"]),
            num_layers=int(raw["num_hidden_layers"]),
            num_heads=int(raw["num_attention_heads"]),
            num_kv_heads=int(raw["num_key_value_heads"]),
            context_length=int(raw.get("max_position_embeddings", 16384)),
            window=None if raw.get("sliding_window") is None else int(raw["sliding_window"]),
            rope_theta=float(rope.get("rope_theta", raw.get("rope_theta", 10000.0))),
            norm_eps=float(raw.get("norm_epsilon", 1e-5)),
            gelu=_ACTIVATIONS[activation],
            bias=bool(raw.get("use_bias", True)),
            tied_head=bool(raw.get("tie_word_embeddings", True)),
        )
    except KeyError as missing:
        raise ModelError(f"config.json lacks {missing.args[0]!r}") from None
    except (TypeError, ValueError) as wrong:
        raise ModelError(f"config.json holds a value of the wrong type: {wrong}") from None
    _check_shape(config)
    return config


def _check_shape(config: ModelConfig) -> None:
    sizes = (config.vocab_size, config.hidden_size, config.num_layers, config.num_heads, config.num_kv_heads)
    if min(sizes) < 1 or config.context_length < 1 or (config.window is not None and config.window < 1):
        raise ModelError("config.json holds a size below 1")
    if config.hidden_size % config.num_heads or config.num_heads % config.num_kv_heads:
        raise ModelError("config.json: hidden_size must be a multiple of heads, and heads of key-value heads")


def read_config(folder: Path) -> ModelConfig:
    """`folder/config.json`, validated. Raises ModelError."""
    path = folder / "config.json"
    try:
        return parse_config(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
    except FileNotFoundError:
        raise ModelError(f"{folder} has no config.json; give a folder with config.json and *.safetensors") from None
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as wrong:
        raise ModelError(f"{path} cannot be read: {wrong}") from None
