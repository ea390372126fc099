"""A checkpoint's `config.json` -> ModelConfig. Reads the published files of StarCoder2 and of StarCoder (GPTBigCode),
refuses what it cannot run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from .errors import ModelError

Family = Literal["starcoder2", "gpt_bigcode"]

_ACTIVATIONS = {"gelu_pytorch_tanh": "tanh", "gelu": "none"}  # config name -> torch's `approximate`


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a model: StarCoder2 (arXiv 2402.19173, section 6) or GPTBigCode, which is StarCoder and
    StarCoderBase (arXiv 2305.06161, section 5), with the values of the models' config.json.
    """

    family: Family
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    context_length: int  # positions
    window: int | None  # keys a query sees, itself included
    rope_theta: float | None  # None: positions are a learned table
    norm_eps: float
    gelu: str  # torch's `approximate`: "tanh" or "none"
    bias: bool
    tied_head: bool

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """Validate the fields of a Hugging Face `config.json`.

    Raises ModelError for another architecture, remote code, or a shape that does not add up. Absent keys take the
    values the published checkpoints were trained with, not the defaults of any library version.
    """
    if "auto_map" in raw:
        raise ModelError("config.json asks for remote code (auto_map), which is never run; use a plain checkpoint")
    if raw.get("quantization_config") is not None:
        raise ModelError("config.json describes quantised weights; give the checkpoint that they were made from")
    parse = _PARSERS.get(str(raw.get("model_type")))
    if parse is None:
        served = " and ".join(map(repr, _PARSERS))
        raise ModelError(f"model_type is {raw.get('model_type')!r}; this runtime serves {served} checkpoints")
    try:
        config = parse(raw)
    except KeyError as missing:
        raise ModelError(f"config.json lacks {missing.args[0]!r}") from None
    except (TypeError, ValueError, OverflowError) as wrong:
        raise ModelError(f"config.json holds a value of the wrong type: {wrong}") from None
    _check_shape(config)
    return config


def _starcoder2(raw: Mapping[str, Any]) -> ModelConfig:
    return ModelConfig(
        family="starcoder2",
        vocab_size=int(raw["vocab_size"]),
        hidden_size=int(raw["hidden_size"]),
        intermediate_size=int(raw["intermediate_size"]),
        num_layers=int(raw["num_hidden_layers"]),
        num_heads=int(raw["num_attention_heads"]),
        num_kv_heads=int(raw["num_key_value_heads"]),
        context_length=int(raw.get("max_position_embeddings", 16384)),
        window=None if raw.get("sliding_window") is None else int(raw["sliding_window"]),
        rope_theta=_rope_theta(raw),
        norm_eps=float(raw.get("norm_epsilon", 1e-5)),
        gelu=_activation(raw, "hidden_act"),
        bias=bool(raw.get("use_bias", True)),
        tied_head=bool(raw.get("tie_word_embeddings", True)),
    )


def _gpt_bigcode(raw: Mapping[str, Any]) -> ModelConfig:
    # What no published model does, and what the weights' names and shapes would not all give away.
    for key, served in (("multi_query", True), ("scale_attn_weights", True), ("add_cross_attention", False)):
        if bool(raw.get(key, served)) is not served:
            raise ModelError(
                f"config.json: {key} is {not served}; this runtime serves StarCoder's, where it is {served}"
            )
    width = int(raw["n_embd"])
    return ModelConfig(
        family="gpt_bigcode",
        vocab_size=int(raw["vocab_size"]),
        hidden_size=width,
        intermediate_size=4 * width if raw.get("n_inner") is None else int(raw["n_inner"]),
        num_layers=int(raw["n_layer"]),
        num_heads=int(raw["n_head"]),
        num_kv_heads=1,
        context_length=int(raw["n_positions"]),
        window=None,
        rope_theta=None,
        norm_eps=float(raw.get("layer_norm_epsilon", 1e-5)),
        gelu=_activation(raw, "activation_function"),
        bias=True,
        tied_head=bool(raw.get("tie_word_embeddings", True)),
    )


_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], ModelConfig]] = {
    "starcoder2": _starcoder2,
    "gpt_bigcode": _gpt_bigcode,
}


def _activation(raw: Mapping[str, Any], key: str) -> str:
    name = str(raw.get(key, "gelu_pytorch_tanh"))
    if name not in _ACTIVATIONS:
        raise ModelError(f"{key} {name!r} is not one of {sorted(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _rope_theta(raw: Mapping[str, Any]) -> float:
    """Newer config files keep it, and what would scale it, under `rope_parameters`."""
    given: object = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise TypeError("rope_parameters is not an object")
    rope = cast(dict[str, Any], given)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise ModelError(f"config.json asks for {kind!r} rotary positions; this runtime serves plain ones")
    return float(rope.get("rope_theta", raw.get("rope_theta", 10000.0)))


def _check_shape(config: ModelConfig) -> None:
    sizes = (config.vocab_size, config.hidden_size, config.intermediate_size, config.num_layers, config.num_heads)
    if min(*sizes, config.num_kv_heads, config.context_length) < 1 or (config.window is not None and config.window < 1):
        raise ModelError("config.json holds a size below 1")
    if config.hidden_size % config.num_heads or config.num_heads % config.num_kv_heads:
        raise ModelError("config.json: hidden_size must be a multiple of heads, and heads of key-value heads")
    if config.rope_theta is not None and (config.head_dim % 2 or not config.rope_theta > 0):
        raise ModelError("config.json: rotary positions need an even size of heads, and a rope_theta above 0")


def read_config(folder: Path) -> ModelConfig:
    """`folder/config.json`, validated. Raises ModelError."""
    path = folder / "config.json"
    try:
        return parse_config(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
    except FileNotFoundError:
        raise ModelError(f"{folder} has no config.json; give a folder with config.json and *.safetensors") from None
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as wrong:
        raise ModelError(f"{path} cannot be read: {wrong}") from None
