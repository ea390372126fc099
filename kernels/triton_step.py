"""What the attention of one step needs, prepared once for all layers, for the Triton kernels of a GPU.

All of it lies in tensors of fixed places, so that a CUDA graph made for them serves every later step of the same shape.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .attention import paged_attention
from .batch import PAGE, PagedBatch
from .kv_store import store_kv
from .step import Rotary, Span

NOWHERE = -1  # the slot of a padding row: nothing is stored


class TritonStep:
    """`Step` for at most `rows` rows of `sequences` sequences of `pages` pages each, on Triton's kernels."""

    def __init__(
        self,
        rows: int,
        sequences: int,
        pages: int,
        max_rows: int,
        window: int | None,
        rotary: Rotary | None,
        device: torch.device,
    ) -> None:
        self._window = window
        self._rotary = rotary
        self._shape = (rows, sequences, pages)
        sizes = (rows, rows, sequences + 1, sequences, sequences * pages)
        self._all = torch.zeros(sum(sizes), dtype=torch.int32, device=device)
        self.positions, self._slots, starts, lengths, table = self._all.split_with_sizes(sizes)
        self._batch = PagedBatch(starts, lengths, table.view(sequences, pages), max_rows)
        # Mutated by load(), between two runs of what was captured with it.

    def load(self, spans: Sequence[Span]) -> None:
        """Describe the next step; one copy to the device. Rows and sequences that `spans` lack are padding."""
        rows, sequences, pages = self._shape
        positions = [at for span in spans for at in range(span.length - span.rows, span.length)]
        slots = [span.pages[at // PAGE] * PAGE + at % PAGE for span in spans for at in _new(span)]
        spare = rows - len(positions)
        starts = [0]
        for span in spans:
            starts.append(starts[-1] + span.rows)
        lacking = sequences - len(spans)
        table = [page for span in spans for page in [*span.pages[:pages], *[0] * (pages - len(span.pages))]]
        numbers = [*positions, *[0] * spare, *slots, *[NOWHERE] * spare, *starts, *[starts[-1]] * lacking]
        numbers += [*(span.length for span in spans), *[0] * lacking, *table, *[0] * (lacking * pages)]
        host = torch.tensor(numbers, dtype=torch.int32)
        self._all.copy_(host.pin_memory() if self._all.is_cuda else host, non_blocking=True)

    def store(self, qkv: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        return store_kv(qkv, None, self.positions, self._slots, key_cache, value_cache, self._rotary)

    def attend(self, query: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        return paged_attention(query, key_cache, value_cache, self._batch, self._window).flatten(1)


def _new(span: Span) -> range:
    return range(span.length - span.rows, span.length)
