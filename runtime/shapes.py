"""Models of the published shapes with random weights: what can be measured of a model that nobody has here.

Weights are made projection by projection, already packed; a shape needs no more memory than the model would serve in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from . import memory, weights
from .config import ModelConfig, parse_config
from .errors import ModelError
from .forward import Network
from .kv_cache import KVCache, context_pages
from .load import Loaded, default_device, facts_of
from .locate import EMBEDDED
from .model import CausalLM
from .precision import Linear, Precision, activation_dtype, default_precision, pack
from .runner import Runner
from .tokenizer import Tokenizer, read_tokenizer_json

_STARCODER2: Mapping[str, Any] = {
    "model_type": "starcoder2", "vocab_size": 49152, "max_position_embeddings": 16384, "sliding_window": 4096,
    "hidden_act": "gelu_pytorch_tanh", "norm_epsilon": 1e-5, "use_bias": True, "tie_word_embeddings": True,
}  # fmt: skip
_STARCODER: Mapping[str, Any] = {
    "model_type": "gpt_bigcode", "vocab_size": 49152, "n_positions": 8192, "n_inner": None,
    "activation_function": "gelu", "layer_norm_epsilon": 1e-5, "multi_query": True, "tie_word_embeddings": True,
}  # fmt: skip
# What the config.json of bigcode/* say. bigcode/starcoder is as starcoderbase.
PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "starcoder2-3b": {
        **_STARCODER2, "num_hidden_layers": 30, "hidden_size": 3072, "intermediate_size": 12288,
        "num_attention_heads": 24, "num_key_value_heads": 2, "rope_theta": 999999.4420358813,
    },
    "starcoder2-7b": {
        **_STARCODER2, "num_hidden_layers": 32, "hidden_size": 4608, "intermediate_size": 18432,
        "num_attention_heads": 36, "num_key_value_heads": 4, "rope_theta": 1000000.0,
    },
    "starcoder2-15b": {
        **_STARCODER2, "num_hidden_layers": 40, "hidden_size": 6144, "intermediate_size": 24576,
        "num_attention_heads": 48, "num_key_value_heads": 4, "rope_theta": 100000.0, "tie_word_embeddings": False,
    },
    "starcoderbase-1b": {
        **_STARCODER, "n_layer": 24, "n_embd": 2048, "n_head": 16, "activation_function": "gelu_pytorch_tanh",
    },
    "starcoderbase-3b": {
        **_STARCODER, "n_layer": 36, "n_embd": 2816, "n_head": 22, "activation_function": "gelu_pytorch_tanh",
    },
    "starcoderbase-7b": {**_STARCODER, "n_layer": 42, "n_embd": 4096, "n_head": 32},
    "starcoderbase": {**_STARCODER, "n_layer": 40, "n_embd": 6144, "n_head": 48, "n_inner": 24576},
}  # fmt: skip

_STD = 0.02  # as an untrained model has it
_REPEATED = 1_048_573  # numbers, a prime; what is larger repeats them, which is many times faster to fill
_KEPT: Mapping[Precision, torch.dtype] = {
    "int8": torch.int8,
    "int4": torch.int8,
    "fp8": torch.int8,
    "bf16": torch.bfloat16,
}


def published(name: str, layers: int | None) -> ModelConfig:
    """The shape of a published model, or of its first `layers` layers. Raises ModelError."""
    if name not in PUBLISHED:
        raise ModelError(f"no shape is called {name!r}; there are {', '.join(PUBLISHED)}")
    config = parse_config(PUBLISHED[name])
    if layers is None:
        return config
    if not 1 <= layers <= config.num_layers:
        raise ModelError(f"{name} has {config.num_layers} layers; --layers takes 1 to {config.num_layers}")
    return replace(config, num_layers=layers)


def random_model(name: str, config: ModelConfig, precision: Precision | None) -> Loaded:
    """A model of this shape with random weights and room for one document, with the built-in model's tokenizer.

    Raises ModelError where the device has no memory for it, or cannot compute in this precision.
    """
    device = default_device()
    parameters = weights.parameter_count(config)
    precision = precision or default_precision(device, parameters)
    dtype = activation_dtype(precision, device)
    _require_room(name, config, parameters, precision, dtype, device)
    cache = KVCache(config, context_pages(config), dtype, device)
    tokenizer_json = read_tokenizer_json(weights.fetch(EMBEDDED))
    tokenizer = Tokenizer(tokenizer_json)
    return Loaded(
        facts=facts_of(name, config, parameters, device, precision, tokenizer),
        runner=Runner(_network(config, precision, dtype, device), cache),
        drafter=None,
        tokenizer=tokenizer,
        tokenizer_json=tokenizer_json,
        threads=torch.get_num_threads(),
    )


def _require_room(
    name: str, config: ModelConfig, parameters: int, precision: Precision, dtype: torch.dtype, device: torch.device
) -> None:
    """An embedding stays in the activations' type beside what is packed of it; keys and values have that type too."""
    kept = _KEPT.get(precision, dtype)
    wider = dtype.itemsize // kept.itemsize
    size = memory.footprint(name, config, parameters + wider * config.vocab_size * config.hidden_size)
    memory.require(replace(size, cache=wider * size.cache), kept, device.type, memory.free_bytes(device))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Drawn from a normal distribution around zero, in a type and on a device."""

    drawn: Tensor  # [at most _REPEATED]

    def like(self, shape: torch.Size) -> Tensor:
        """These numbers over and over."""
        filled = self.drawn.new_empty(shape)
        flat = filled.view(-1)
        for start in range(0, len(flat), len(self.drawn)):
            part = flat[start : start + len(self.drawn)]
            part.copy_(self.drawn[: len(part)])
        return filled


def _network(config: ModelConfig, precision: Precision, dtype: torch.dtype, device: torch.device) -> Network:
    drawn = torch.empty(_REPEATED).normal_(0.0, _STD, generator=torch.Generator().manual_seed(0))
    numbers = _Numbers(drawn.to(device, dtype))
    with torch.device("meta"):
        source = weights.network(config).requires_grad_(False)
    _fill(source, numbers)
    made: dict[torch.Size, Linear] = {}

    def packed(weight: Tensor, bias: Tensor | None) -> Linear:
        """Packing takes time: what has the shape of an earlier projection becomes a copy of it."""
        if weight.shape in made:
            return _copied(made[weight.shape])
        filled = numbers.like(weight.shape) if weight.is_meta else weight
        linear = pack(filled, None if bias is None else filled.new_zeros(bias.shape), precision, dtype)
        return made.setdefault(weight.shape, linear)

    return Network(source, packed)


def _copied(linear: Linear) -> Linear:
    """The same in memory of its own."""
    of_it: Any = linear  # every Linear is a dataclass
    tensors = {field.name: value for field in fields(of_it) if isinstance(value := getattr(of_it, field.name), Tensor)}
    copy: Linear = replace(of_it, **{name: tensor.clone() for name, tensor in tensors.items()})
    return copy


def _fill(source: CausalLM, numbers: _Numbers) -> None:
    """All but the projections, which are made when they are packed."""
    for module in source.modules():
        if isinstance(module, nn.Embedding):
            module.weight = nn.Parameter(numbers.like(module.weight.shape), requires_grad=False)
        elif isinstance(module, nn.LayerNorm):
            ones = numbers.drawn.new_ones(module.weight.shape)
            module.weight = nn.Parameter(ones, requires_grad=False)
            module.bias = nn.Parameter(torch.zeros_like(ones), requires_grad=False)
    source.tie()
