"""What a step needs to know beside its weights, prepared once for all layers, for the Triton kernels of a GPU.

All of it lies in one tensor of fixed place, filled by one copy, so that a CUDA graph made with it serves every later
step that it has room for.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from .attention import multiprocessors, paged_attention, split_count
from .batch import PAGE, PagedBatch
from .kv_store import store_kv
from .step import Rotary, Span

NOWHERE = -1  # the slot of a padding row: nothing is stored
# Every part of the tensor begins at 16 bytes and every sequence has a multiple of 16 pages: Triton compiles a kernel
# anew for pointers and numbers that are divisible where others were not.
_ALIGNED, _PAGES = 4, 16
_TILE = 64  # keys, fewer than which no split of a step of several sequences gets
_ROWS_A_SEQUENCE = 4  # expected of a padded step of several sequences, each with its draft: unmeasured


@dataclass(frozen=True, slots=True)
class Room:
    """What a step has places for; the launches depend on this alone."""

    rows: int
    sequences: int
    pages: int  # of one sequence
    max_rows: int  # of one sequence


class TritonStep:
    """`Step` on Triton's kernels, to be loaded any number of times."""

    def __init__(self, room: Room, window: int | None, rotary: Rotary | None, device: torch.device) -> None:
        """Begins as a step that is padding throughout: `window` and `rotary` are the model's."""
        self.room = room
        self._window = window
        self._rotary = rotary
        rows, sequences, pages = room.rows, room.sequences, _up(room.pages, _PAGES)
        sizes = [rows, rows, rows, rows, sequences + 1, sequences, sequences * pages]
        self._sizes = [_up(size, _ALIGNED) for size in sizes]
        self._all = torch.zeros(sum(self._sizes), dtype=torch.int32, device=device)
        parts = [part[:size] for part, size in zip(self._all.split_with_sizes(self._sizes), sizes, strict=True)]
        self.tokens, self.wanted, self.positions, self._slots, starts, lengths, table = parts
        self._pages = pages
        self._batch = PagedBatch(starts, lengths, table.view(sequences, pages), room.max_rows)
        # Mutated by load(), between two runs of what was captured with it.
        self.load([])

    def load(self, spans: Sequence[Span], tokens: Sequence[int] = (), wanted: Sequence[int] = ()) -> None:
        """Describe the next step; one copy to the device. Rows and sequences that `spans` lack are padding.

        `tokens`: of all rows; `wanted`: the rows whose logits are asked for. Only who reads them need give them.
        """
        room = self.room
        starts = list(accumulate((span.rows for span in spans), initial=0))
        assert starts[-1] <= room.rows and len(spans) <= room.sequences
        assert all(span.rows <= room.max_rows and span.length <= self._pages * PAGE for span in spans)
        positions = [at for span in spans for at in range(span.length - span.rows, span.length)]
        slots = [span.pages[at // PAGE] * PAGE + at % PAGE for span in spans for at in _new(span)]
        table = array("i")
        for span in spans:
            table.extend(self._seen_pages(span))
        parts = (tokens, wanted, positions, slots, starts, [span.length for span in spans], table)
        padding = (0, 0, 0, NOWHERE, starts[-1], 0, 0)
        numbers = array("i")
        for part, size, pad in zip(parts, self._sizes, padding, strict=True):
            numbers.extend(part)
            numbers.extend(array("i", [pad]) * (size - len(part)))
        host = torch.frombuffer(numbers, dtype=torch.int32)
        # Pinned memory is not given to anybody else before the copy out of it is done; nothing here waits for it.
        self._all.copy_(host.pin_memory() if self._all.is_cuda else host, non_blocking=True)

    def store(self, qkv: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        return store_kv(qkv, None, self.positions, self._slots, key_cache, value_cache, self._rotary)

    def attend(self, query: Tensor, key_cache: Tensor, value_cache: Tensor) -> Tensor:
        splits = self._splits(key_cache.shape[2], query.device)
        return paged_attention(query, key_cache, value_cache, self._batch, self._window, splits).flatten(1)

    def _seen_pages(self, span: Span) -> "array[int]":
        """A line of the block table; zeros for what no row sees, which take no time."""
        first = 0 if self._window is None else max(0, span.length - span.rows + 1 - self._window) // PAGE
        last = -(-span.length // PAGE)
        pages = array("i", [0]) * first
        pages.extend(span.pages[first:last])
        return pages + array("i", [0]) * (self._pages - last)

    def _splits(self, kv_heads: int, device: torch.device) -> int | None:
        """So many that the sequences which probably have rows fill the GPU, not those that there is room for."""
        room = self.room
        if room.sequences == 1:
            return None
        keys = min(self._pages * PAGE, (self._window or self._pages * PAGE) + room.max_rows - 1)
        return split_count(-(-room.rows // _ROWS_A_SEQUENCE) * kv_heads, keys, _TILE, multiprocessors(device))


def triton_step(
    spans: Sequence[Span], window: int | None, rotary: Rotary | None, group: int, like: Tensor
) -> TritonStep:
    """A step of exactly these spans, for one run; takes what `PlainStep` takes."""
    rows = [span.rows for span in spans]
    room = Room(sum(rows), len(spans), max(-(-span.length // PAGE) for span in spans), max(rows))
    step = TritonStep(room, window, rotary, like.device)
    step.load(spans)
    return step


def _new(span: Span) -> Iterable[int]:
    return range(span.length - span.rows, span.length)


def _up(number: int, to: int) -> int:
    return -(-number // to) * to
