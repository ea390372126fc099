"""GPTBigCode in PyTorch: StarCoder and StarCoderBase. One key-value head for all queries, a table of learned positions,
no window. What it shares with StarCoder2 is in `model`.

Source: arXiv 2305.06161, section 5, and equality with transformers' GPTBigCodeForCausalLM
(tests/runtime/test_equality.py). Parameter names are those of the published checkpoints.
"""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, arange, cat, nn

from .config import ModelConfig
from .model import CausalLM, FeedForward, attend, embedding, heads, layer_norm, linear


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        # Rows of all query heads, then of the key head, then of the value head.
        self.c_attn = nn.Linear(config.hidden_size, config.hidden_size + 2 * config.head_dim, bias=config.bias)
        self.c_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=config.bias)

    def forward(self, x: Tensor, documents: Sequence[int] | None) -> Tensor:
        size = self.config.head_dim
        parts = linear(self.c_attn, x).split_with_sizes((self.config.hidden_size, size, size), dim=-1)
        query, key, value = (heads(part, size) for part in parts)
        return linear(self.c_proj, attend(query, key, value, self.config.window, documents))


class Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, documents: Sequence[int] | None) -> Tensor:
        x = x + self.attn.forward(layer_norm(self.ln_1, x), documents)
        return x + self.mlp.forward(layer_norm(self.ln_2, x))


class Trunk(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.wte = embedding(config.vocab_size, config.hidden_size)
        self.wpe = embedding(config.context_length, config.hidden_size)
        self.h = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.ln_f = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)


class GPTBigCode(CausalLM):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.transformer = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.tie()

    @property
    def embedding(self) -> nn.Embedding:
        return self.transformer.wte

    def hidden(self, tokens: Tensor, documents: Sequence[int] | None = None) -> Tensor:
        positions = self._positions(tokens, documents)
        x = F.embedding(tokens, self.transformer.wte.weight) + F.embedding(positions, self.transformer.wpe.weight)
        for block in cast(Sequence[Block], self.transformer.h):
            x = block.forward(x, documents)
        return layer_norm(self.transformer.ln_f, x)

    def _positions(self, tokens: Tensor, documents: Sequence[int] | None) -> Tensor:
        """Rows of the learned table, [tokens] or [batch, tokens]; every document begins at its first."""
        if documents is not None:
            return cat([arange(length, device=tokens.device) for length in documents]).view(tokens.shape)
        assert tokens.shape[1] <= self.config.context_length  # a GPU would not survive the lookup
        return arange(tokens.shape[1], device=tokens.device)
