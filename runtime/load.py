"""A model's name -> all that an engine needs to serve it: files found and checked, weights packed, a cache sized.

Runs once, before any request; knows nothing of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import memory, weights
from .api import ModelFacts
from .config import ModelConfig, read_config
from .errors import ModelError
from .forward import Network
from .kv_cache import KVCache, context_pages, page_bytes
from .precision import Linear, Precision, activation_dtype, default_precision, of_head, pack
from .runner import Runner
from .tokenizer import Tokenizer, read_tokenizer_json

CACHE_BYTES = 512 << 20  # on a CPU; one document at full length in any case
GPU_SHARE = 0.85  # of what the weights left there
DRAFTED_CONTEXTS = 4  # documents at full length that a smaller model keeps
MOST_CONTEXTS = 256  # documents at full length: more memory is never taken
_SMALL_MODEL = 100_000_000  # parameters: up to here one thread is as fast as two, and leaves the other cores alone

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose about a model's place in memory; None takes what suits the device."""

    precision: Precision | None = None
    cache_bytes: int | None = None  # for keys and values; one document at full length gets them in any case
    draft_model: str | None = None  # a smaller one with the same tokenizer


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory; `threads` of a CPU compute it."""

    facts: ModelFacts
    runner: Runner
    drafter: Runner | None  # of the smaller model
    tokenizer: Tokenizer
    tokenizer_json: bytes
    threads: int


def load(model: str, progress: Progress, options: Options) -> Loaded:
    """`model` is a folder, a hub id or "embedded"; `progress(what is done, fraction)` is told. Raises ModelError."""
    device = default_device()
    progress("locating the model", 0.0)
    folder = weights.fetch(model)
    tokenizer_json = read_tokenizer_json(folder)
    tokenizer = Tokenizer(tokenizer_json)
    config = read_config(folder)
    _check_pair(folder, tokenizer, config)
    parameters = weights.parameter_count(config)
    precision = options.precision or default_precision(device, parameters)
    progress("loading weights", 0.2)
    drafter = None if options.draft_model is None else _drafter(options.draft_model, tokenizer, precision, device)
    runner = _runner(folder, config, precision, device, options.cache_bytes)
    facts = facts_of(model, config, parameters, device, precision, tokenizer)
    threads = 1 if parameters <= _SMALL_MODEL else torch.get_num_threads()
    return Loaded(facts, runner, drafter, tokenizer, tokenizer_json, threads)


def facts_of(
    name: str,
    config: ModelConfig,
    parameters: int,
    device: torch.device,
    precision: Precision,
    tokenizer: Tokenizer,
) -> ModelFacts:
    """What clients are told of a model."""
    return ModelFacts(
        name=name,
        parameters=parameters,
        context_length=config.context_length,
        window=config.window,
        vocab_size=config.vocab_size,
        device=str(device),
        dtype=precision,
        tokenizer_sha256=tokenizer.sha256,
    )


def _runner(
    folder: Path, config: ModelConfig, precision: Precision, device: torch.device, cache_bytes: int | None
) -> Runner:
    dtype = activation_dtype(precision, device)
    loaded = weights.load(folder, _read_as(config, precision, dtype), device)
    head = loaded.lm_head.weight

    def packed(weight: Tensor, bias: Tensor | None) -> Linear:
        return pack(weight, bias, of_head(precision) if weight is head else precision, dtype)

    network = Network(loaded, packed, dtype=dtype)
    return Runner(network, KVCache(config, _pages(config, dtype, device, cache_bytes), dtype, device))


def _read_as(config: ModelConfig, precision: Precision, dtype: torch.dtype) -> torch.dtype:
    """Large weights that are packed in fewer bits never stand in memory in more than 16."""
    is_small = weights.parameter_count(config) <= _SMALL_MODEL
    return dtype if is_small or precision in ("fp32", "fp16") else torch.bfloat16


def _drafter(model: str, tokenizer: Tokenizer, precision: Precision, device: torch.device) -> Runner:
    """The smaller model, with keys and values for a few documents."""
    folder = weights.fetch(model)
    other = Tokenizer(read_tokenizer_json(folder))
    if other.sha256 != tokenizer.sha256:
        raise ModelError(f"{model} cannot draft: its tokenizer is not that of the model; 3B drafts for 7B and 15B")
    config = read_config(folder)
    one = context_pages(config) * page_bytes(config, activation_dtype(precision, device))
    return _runner(folder, config, precision, device, DRAFTED_CONTEXTS * one)


def _check_pair(folder: Path, tokenizer: Tokenizer, config: ModelConfig) -> None:
    if tokenizer.vocab_size > config.vocab_size:
        sizes = f"{tokenizer.vocab_size} tokens, config.json {config.vocab_size}"
        raise ModelError(f"{folder}: tokenizer.json has {sizes}; they are not of the same model")
    if tokenizer.family != config.family:
        kinds = f"{tokenizer.family}, config.json of {config.family}"
        raise ModelError(f"{folder}: tokenizer.json is of {kinds}; they are not of the same model")


def _pages(config: ModelConfig, dtype: torch.dtype, device: torch.device, budget: int | None) -> int:
    one = context_pages(config)
    return max(one, min((budget or _budget(device)) // page_bytes(config, dtype), MOST_CONTEXTS * one))


def _budget(device: torch.device) -> int:
    free = memory.free_bytes(device) if device.type == "cuda" else None
    return CACHE_BYTES if free is None else int(GPU_SHARE * free)


def default_device() -> torch.device:
    """A GPU where there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
