"""StarCoder2 in PyTorch: grouped-query attention, rotary positions, a sliding window, LayerNorm and biases throughout;
and what it shares with GPTBigCode (`gpt_bigcode`). For loading, training and as the oracle: what serves is `forward`.

Source: arXiv 2402.19173, and equality with transformers' Starcoder2ForCausalLM (tests/runtime/test_equality.py).
Parameter names are those of the published checkpoints, so weights load by name.
"""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, arange, empty, nn

from sc2lsp.kernels.reference import attention, document_attention, rotary_table, rotate

from .config import ModelConfig


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, layer.bias)


def layer_norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def embedding(rows: int, width: int) -> nn.Embedding:
    """Not initialised: torch's own initialisation, without memory for it, imports a compiler and takes seconds."""
    return nn.Embedding(rows, width, _weight=empty(rows, width))


def heads(x: Tensor, head_dim: int) -> Tensor:
    batch, tokens, _ = x.shape
    return x.view(batch, tokens, -1, head_dim).transpose(1, 2)  # [batch, heads, tokens, head_dim]


def attend(query: Tensor, key: Tensor, value: Tensor, window: int | None, documents: Sequence[int] | None) -> Tensor:
    """What tokens see of themselves, or each of its own document.

    query: [batch, heads, tokens, head_dim]; key, value: [batch, kv_heads, tokens, head_dim].
    Returns [batch, tokens, width].
    """
    if documents is None:
        mixed = attention(query, key, value, window)
    else:
        mixed = document_attention(query, key, value, window, documents)
    return mixed.transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gelu = config.gelu
        self.c_fc = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.bias)
        self.c_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        return linear(self.c_proj, F.gelu(linear(self.c_fc, x), approximate=self.gelu))


class CausalLM(nn.Module):
    """A network of either family: a trunk and the head behind it."""

    lm_head: nn.Linear

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def embedding(self) -> nn.Embedding:
        """Of the tokens."""
        raise NotImplementedError

    def hidden(self, tokens: Tensor, documents: Sequence[int] | None = None) -> Tensor:
        """[batch, tokens] token ids -> [batch, tokens, hidden_size], after the final norm.

        With `documents` the rows are made of documents of these lengths, one behind another through all rows, and no
        token sees another document's.
        """
        raise NotImplementedError

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, tokens] token ids -> [batch, tokens, vocab_size] logits."""
        return self.head(self.hidden(tokens))

    def head(self, hidden: Tensor) -> Tensor:
        """[..., hidden_size] -> [..., vocab_size] logits."""
        return linear(self.lm_head, hidden)

    def tie(self) -> None:
        """Let the head share the embedding's weight where the checkpoint ties them; again after weights were put in."""
        if self.config.tied_head:
            self.lm_head.weight = self.embedding.weight


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, kv_width = config.hidden_size, config.num_kv_heads * config.head_dim
        self.config = config
        self.q_proj = nn.Linear(width, width, bias=config.bias)
        self.k_proj = nn.Linear(width, kv_width, bias=config.bias)
        self.v_proj = nn.Linear(width, kv_width, bias=config.bias)
        self.o_proj = nn.Linear(width, width, bias=config.bias)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], documents: Sequence[int] | None) -> Tensor:
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (heads(linear(p, x), self.config.head_dim) for p in projections)
        query, key = rotate(query, *rope), rotate(key, *rope)
        return linear(self.o_proj, attend(query, key, value, self.config.window, documents))


class Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], documents: Sequence[int] | None) -> Tensor:
        x = x + self.self_attn.forward(layer_norm(self.input_layernorm, x), rope, documents)
        return x + self.mlp.forward(layer_norm(self.post_attention_layernorm, x))


class Trunk(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)


class StarCoder2(CausalLM):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.tie()

    @property
    def embedding(self) -> nn.Embedding:
        return self.model.embed_tokens

    def hidden(self, tokens: Tensor, documents: Sequence[int] | None = None) -> Tensor:
        theta = self.config.rope_theta
        assert theta is not None
        x = F.embedding(tokens, self.model.embed_tokens.weight)
        positions = arange(tokens.shape[1], device=tokens.device)
        rope = rotary_table(positions, self.config.head_dim, theta, x.dtype)
        for block in cast(Sequence[Block], self.model.layers):
            x = block.forward(x, rope, documents)
        return layer_norm(self.model.norm, x)
