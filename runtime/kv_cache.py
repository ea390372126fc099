"""Keys and values of one token sequence, kept between requests: what the next keystroke reuses.

Contiguous and one sequence wide. Knows tokens and tensors, nothing of requests.
"""

import torch
from torch import Tensor

from .config import ModelConfig


class KVCache:
    """Room for `capacity` tokens of one sequence in every layer; remembers which tokens it holds."""

    def __init__(self, config: ModelConfig, capacity: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (config.num_layers, 1, config.num_kv_heads, capacity, config.head_dim)
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros(shape, dtype=dtype, device=device)
        self.tokens: list[int] = []
        # Mutated by: reuse() and commit(), on the engine's thread only; write() between them.

    @property
    def capacity(self) -> int:
        return self._keys.shape[3]

    @property
    def nbytes(self) -> int:
        return self._keys.nbytes + self._values.nbytes

    def reuse(self, prompt: tuple[int, ...]) -> int:
        """Keep the longest common prefix with `prompt`, but leave at least its last token to compute; its length."""
        limit = min(len(self.tokens), len(prompt) - 1)
        kept = next((i for i in range(limit) if self.tokens[i] != prompt[i]), limit)
        del self.tokens[kept:]
        return kept

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store [1, kv_heads, new, head_dim] behind the committed tokens; return all keys and values so far."""
        start = len(self.tokens)
        end = start + key.shape[2]
        self._keys[layer, :, :, start:end] = key
        self._values[layer, :, :, start:end] = value
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def commit(self, tokens: list[int]) -> None:
        """The tokens whose keys and values every layer has now written."""
        self.tokens += tokens
