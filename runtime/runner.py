"""A network and its cache: rows of several sequences in, logits out. Decides nothing."""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass

import torch
from torch import Tensor

from sc2lsp.kernels.step import Span

from .forward import Network
from .kv_cache import KVCache, Sequence


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens to compute behind those of a sequence, which owns the pages for them, and for how many of the last ones
    logits are wanted.
    """

    sequence: Sequence
    tokens: list[int]
    wanted: int


class Runner:
    """Runs steps; on the engine's thread only."""

    def __init__(self, network: Network, cache: KVCache) -> None:
        self.network = network
        self.cache = cache

    @torch.inference_mode()
    def run(self, work: Sequences[Work]) -> Tensor:
        """[sum of wanted, vocab_size] logits. Keys and values are written; what of them counts is for commit to say."""
        spans = [Span(len(w.tokens), len(w.sequence.tokens) + len(w.tokens), w.sequence.pages) for w in work]
        tokens = torch.tensor([token for w in work for token in w.tokens], device=self.network.device)
        hidden = self.network.hidden(tokens, self.network.step(spans), self.cache)
        return self.network.logits(_wanted(hidden, work))


def _wanted(hidden: Tensor, work: Sequences[Work]) -> Tensor:
    if all(w.wanted == len(w.tokens) for w in work):
        return hidden
    rows: list[int] = []
    end = 0
    for w in work:
        end += len(w.tokens)
        rows += range(end - w.wanted, end)
    return hidden[torch.tensor(rows, dtype=torch.long, device=hidden.device)]
