"""A network as the engine runs it: projections fused and packed, keys and values in pages, any number of sequences.

Equal to `model` and `gpt_bigcode`, from which it is made, and which say where it comes from; without a gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sc2lsp.kernels import reference
from sc2lsp.kernels.operations import Operations, operations
from sc2lsp.kernels.step import Rotary, Span, Step

from . import gpt_bigcode, model
from .config import ModelConfig
from .kv_cache import KVCache
from .model import CausalLM
from .precision import Linear

if TYPE_CHECKING:  # Triton is not everywhere
    from sc2lsp.kernels.triton_step import Room, TritonStep

Pack = Callable[[Tensor, Tensor | None], Linear]


@dataclass(frozen=True, slots=True)
class Norm:
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, norm: nn.LayerNorm, dtype: torch.dtype) -> "Norm":
        return cls(norm.weight.to(dtype), norm.bias.to(dtype))


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

    def __init__(
        self, source: CausalLM, pack: Pack, between: Operations | None = None, dtype: torch.dtype | None = None
    ) -> None:
        """`pack` takes a projection's weight and bias over. `source` is used up: its layers are let go one by one.

        `between` the projections is computed as given, by default as suits the device; in `dtype`, by default that of
        the source.
        """
        self.config: ModelConfig = source.config
        dtype = dtype or source.embedding.weight.dtype
        self._embedding = source.embedding.weight.to(dtype)
        self._between = operations(self._embedding.device) if between is None else between
        self._head = pack(source.lm_head.weight, None)
        if isinstance(source, model.StarCoder2):
            self._positions, self._norm = None, Norm.of(source.model.norm, dtype)
            self._layers = [_starcoder2(block, pack, dtype) for block in _taken(source.model.layers)]
        else:
            assert isinstance(source, gpt_bigcode.GPTBigCode)
            self._positions, self._norm = (
                source.transformer.wpe.weight.to(dtype),
                Norm.of(source.transformer.ln_f, dtype),
            )
            self._layers = [_gpt_bigcode(block, pack, dtype) for block in _taken(source.transformer.h)]
        self._rotary = _rotary(self.config, self._embedding.device)

    @property
    def dtype(self) -> torch.dtype:
        return self._embedding.dtype

    @property
    def device(self) -> torch.device:
        return self._embedding.device

    @property
    def fused(self) -> bool:
        """Whether steps of fixed places can be made, which CUDA graphs need."""
        return self._between.fused

    def step(self, spans: Sequence[Span]) -> Step:
        """What `hidden` needs to know of the sequences whose last rows it computes."""
        config, group = self.config, self.config.num_heads // self.config.num_kv_heads
        return self._between.step(spans, config.window, self._rotary, group, self._embedding)

    def static_step(self, room: "Room") -> "TritonStep":
        """A step to be loaded with one set of spans after another; for a fused network."""
        from sc2lsp.kernels.triton_step import TritonStep

        return TritonStep(room, self.config.window, self._rotary, self.device)

    def hidden(self, tokens: Tensor, step: Step, cache: KVCache) -> Tensor:
        """[rows] token ids -> [rows, hidden_size] after the final norm; keys and values are written to the cache."""
        eps, gelu = self.config.norm_eps, self.config.gelu
        add_and_norm = self._between.layer_norm_residual
        x = F.embedding(tokens, self._embedding)
        if self._positions is not None:
            x = x + F.embedding(step.positions, self._positions)
        residual = None
        for layer, keys, values in zip(self._layers, cache.keys, cache.values, strict=True):
            norm = layer.attention_norm
            normed, residual = add_and_norm(x, residual, norm.weight, norm.bias, eps)
            query = step.store(layer.qkv(normed), keys, values)
            x = layer.out(step.attend(query, keys, values))
            norm = layer.feed_forward_norm
            normed, residual = add_and_norm(x, residual, norm.weight, norm.bias, eps)
            x = layer.down(F.gelu(layer.up(normed), approximate=gelu))
        return add_and_norm(x, residual, self._norm.weight, self._norm.bias, eps)[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """[rows, hidden_size] -> [rows, vocab_size]."""
        return self._head(hidden)


def _taken(blocks: nn.ModuleList) -> Iterator[nn.Module]:
    """Each leaves the list before it is used, so that it is gone when the next one is."""
    while len(blocks):
        block = blocks[0]
        del blocks[0]
        yield block


def _starcoder2(block: nn.Module, pack: Pack, dtype: torch.dtype) -> Layer:
    block = cast(model.Block, block)
    attention, mlp = block.self_attn, block.mlp
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    bias = torch.cat([part.bias for part in parts]) if attention.config.bias else None
    return Layer(
        Norm.of(block.input_layernorm, dtype),
        pack(torch.cat([part.weight for part in parts]), bias),
        pack(attention.o_proj.weight, attention.o_proj.bias),
        Norm.of(block.post_attention_layernorm, dtype),
        pack(mlp.c_fc.weight, mlp.c_fc.bias),
        pack(mlp.c_proj.weight, mlp.c_proj.bias),
    )


def _gpt_bigcode(block: nn.Module, pack: Pack, dtype: torch.dtype) -> Layer:
    block = cast(gpt_bigcode.Block, block)
    attention, mlp = block.attn, block.mlp
    return Layer(
        Norm.of(block.ln_1, dtype),
        pack(attention.c_attn.weight, attention.c_attn.bias),
        pack(attention.c_proj.weight, attention.c_proj.bias),
        Norm.of(block.ln_2, dtype),
        pack(mlp.c_fc.weight, mlp.c_fc.bias),
        pack(mlp.c_proj.weight, mlp.c_proj.bias),
    )


def _rotary(config: ModelConfig, device: torch.device) -> Rotary | None:
    if config.rope_theta is None:
        return None
    positions = torch.arange(config.context_length, device=device)
    return reference.rotary_table(positions, config.head_dim, config.rope_theta, torch.float32)
