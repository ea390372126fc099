"""A network and its cache: rows of several sequences in, logits out. Decides nothing."""

from collections.abc import Callable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sc2lsp.kernels.step import Span

from .forward import Network
from .kv_cache import PAGE, KVCache, Sequence

if TYPE_CHECKING:  # Triton is not everywhere
    from .graphs import Graphs

Progress = Callable[[str, float], None]

_LARGE = (65, 80, 512)  # rows: what Triton compiles differs by how many parts keys are split into


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
        self._graphs: Graphs | None = None
        self._wants_graphs = network.fused and network.device.type == "cuda"
        # Mutated by warm_up().

    @torch.inference_mode()
    def warm_up(self, progress: Progress) -> None:
        """On a GPU capture steps of few rows, and have the kernels of larger ones compiled; takes a few seconds."""
        if not self._wants_graphs:
            return
        from .graphs import Graphs, cuda_capture

        self._wants_graphs = False
        self._graphs = Graphs(self.network, self.cache, cuda_capture(self.network.device), progress)
        for rows in _LARGE:
            self._rehearse(min(rows, self.network.config.context_length, self.cache.available * PAGE))

    @torch.inference_mode()
    def run(self, work: Sequences[Work]) -> Tensor:
        """[sum of wanted, vocab_size] logits. Keys and values are written; what of them counts is for commit to say.

        The first step does what warm_up() does, unless that was called. On a GPU logits hold until the next run.
        """
        if self._wants_graphs:
            self.warm_up(lambda message, fraction: None)
        spans = [Span(len(w.tokens), len(w.sequence.tokens) + len(w.tokens), w.sequence.pages) for w in work]
        tokens = [token for w in work for token in w.tokens]
        if self._graphs is not None and self._graphs.hold(len(tokens)):
            return self._graphs.run(spans, tokens, _wanted_rows(work))
        hidden = self.network.hidden(
            torch.tensor(tokens, device=self.network.device), self.network.step(spans), self.cache
        )
        return self.network.logits(_wanted(hidden, work))

    def _rehearse(self, rows: int) -> None:
        """Compute so many rows of nothing, if the cache has room for any."""
        if rows == 0:
            return
        sequence = Sequence()
        self.cache.reserve(sequence, rows)
        self.run([Work(sequence, [0] * rows, 1)])
        self.cache.drop(sequence)


def _wanted(hidden: Tensor, work: Sequences[Work]) -> Tensor:
    if all(w.wanted == len(w.tokens) for w in work):
        return hidden
    return hidden[torch.tensor(_wanted_rows(work), dtype=torch.long, device=hidden.device)]


def _wanted_rows(work: Sequences[Work]) -> list[int]:
    rows: list[int] = []
    end = 0
    for w in work:
        end += len(w.tokens)
        rows += range(end - w.wanted, end)
    return rows
