"""A network as the engine runs it: projections fused and packed, keys and values in pages, any number of sequences.

Equal to `model` and `gpt_bigcode`, from which it is made, and which say where it comes from; without a gradient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sc2lsp.kernels import reference
from sc2lsp.kernels.step import PlainStep, Rotary, Span, Step

from . import gpt_bigcode, model
from .config import ModelConfig
from .kv_cache import KVCache
from .model import CausalLM
from .precision import Linear

Pack = Callable[[Tensor, Tensor | None], Linear]


@dataclass(frozen=True, slots=True)
class Norm:
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, norm: nn.LayerNorm) -> "Norm":
        return cls(norm.weight, norm.bias)


@dataclass(frozen=True, slots=True)
class Layer:
    attention_norm: Norm
    qkv: Linear  # all query heads, then key heads, then value heads
    out: Linear
    feed_forward_norm: Norm
    up: Linear
    down: Linear


class Network:
    """The weights of a model and the order of its operations; immutable, so that any thread may run it."""

    def __init__(self, source: CausalLM, pack: Pack) -> None:
        """`pack` takes a projection's weight and bias over. `source` is used up: its layers lose their weights."""
        self.config: ModelConfig = source.config
        self._embedding = source.embedding.weight
        self._head = pack(source.lm_head.weight, None)
        if isinstance(source, model.StarCoder2):
            self._positions, self._norm = None, Norm.of(source.model.norm)
            self._layers = [_starcoder2(block, pack) for block in _taken(source.model.layers)]
        else:
            assert isinstance(source, gpt_bigcode.GPTBigCode)
            self._positions, self._norm = source.transformer.wpe.weight, Norm.of(source.transformer.ln_f)
            self._layers = [_gpt_bigcode(block, pack) for block in _taken(source.transformer.h)]
        self._rotary = _rotary(self.config, self._embedding.device)

    @property
    def dtype(self) -> torch.dtype:
        return self._embedding.dtype

    @property
    def device(self) -> torch.device:
        return self._embedding.device

    def step(self, spans: Sequence[Span]) -> Step:
        """What `hidden` needs to know of the sequences whose last rows it computes."""
        config = self.config
        return PlainStep(spans, config.window, self._rotary, config.num_heads // config.num_kv_heads, self._embedding)

    def hidden(self, tokens: Tensor, step: Step, cache: KVCache) -> Tensor:
        """[rows] token ids -> [rows, hidden_size] after the final norm; keys and values are written to the cache."""
        eps, gelu = self.config.norm_eps, self.config.gelu
        x = F.embedding(tokens, self._embedding)
        if self._positions is not None:
            x = x + F.embedding(step.positions, self._positions)
        residual = None
        for layer, keys, values in zip(self._layers, cache.keys, cache.values, strict=True):
            normed, residual = _add_and_norm(x, residual, layer.attention_norm, eps)
            query = step.store(layer.qkv(normed), keys, values)
            x = layer.out(step.attend(query, keys, values))
            normed, residual = _add_and_norm(x, residual, layer.feed_forward_norm, eps)
            x = layer.down(F.gelu(layer.up(normed), approximate=gelu))
        return _add_and_norm(x, residual, self._norm, eps)[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """[rows, hidden_size] -> [rows, vocab_size]."""
        return self._head(hidden)


def _add_and_norm(x: Tensor, residual: Tensor | None, norm: Norm, eps: float) -> tuple[Tensor, Tensor]:
    return reference.layer_norm_residual(x, residual, norm.weight, norm.bias, eps)


def _taken(blocks: nn.ModuleList) -> "list[nn.Module]":
    return list(blocks)


def _starcoder2(block: nn.Module, pack: Pack) -> Layer:
    block = cast(model.Block, block)
    attention, mlp = block.self_attn, block.mlp
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    bias = torch.cat([part.bias for part in parts]) if attention.config.bias else None
    return Layer(
        Norm.of(block.input_layernorm),
        pack(torch.cat([part.weight for part in parts]), bias),
        pack(attention.o_proj.weight, attention.o_proj.bias),
        Norm.of(block.post_attention_layernorm),
        pack(mlp.c_fc.weight, mlp.c_fc.bias),
        pack(mlp.c_proj.weight, mlp.c_proj.bias),
    )


def _gpt_bigcode(block: nn.Module, pack: Pack) -> Layer:
    block = cast(gpt_bigcode.Block, block)
    attention, mlp = block.attn, block.mlp
    return Layer(
        Norm.of(block.ln_1),
        pack(attention.c_attn.weight, attention.c_attn.bias),
        pack(attention.c_proj.weight, attention.c_proj.bias),
        Norm.of(block.ln_2),
        pack(mlp.c_fc.weight, mlp.c_fc.bias),
        pack(mlp.c_proj.weight, mlp.c_proj.bias),
    )


def _rotary(config: ModelConfig, device: torch.device) -> Rotary | None:
    if config.rope_theta is None:
        return None
    positions = torch.arange(config.context_length, device=device)
    return reference.rotary_table(positions, config.head_dim, config.rope_theta, torch.float32)
