"""Steps of few rows as CUDA graphs: a step costs one launch, and no time of Python's between its kernels.

A graph is of a fixed number of rows and sequences; a step takes the smallest one that it fits and pads the rest.
Knows nothing of requests, and of CUDA only what `capture` is given to it.

What torch asks of a graph (notes/cuda, "CUDA Graphs"), and where it is met: everything is run once before on the very
stream that captures, which loads kernels and makes cuBLAS' workspace there; inside, nothing waits for the device and
all shapes are fixed; inputs lie in a tensor that is filled before a replay; graphs that share a pool never run at the
same time and read nothing of each other's, so that their order does not matter (pytorch/pytorch#166975).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sc2lsp.kernels.step import Span
from sc2lsp.kernels.triton_step import Room, TritonStep

from .forward import Network
from .kv_cache import KVCache, context_pages

ROWS = (1, 2, 4, 8, 16, 32, 64)

Compute = Callable[[], Tensor]
Capture = Callable[[Compute], Compute]  # a computation -> how to repeat it, into the tensor that it first returned


@dataclass(frozen=True, slots=True)
class _Captured:
    step: TritonStep
    repeat: Compute  # -> [rows, vocab] logits of the wanted rows, and of row 0 for those that are missing


class Graphs:
    """Whole steps of up to `ROWS[-1]` rows, ready to be repeated; on the engine's thread only."""

    def __init__(
        self,
        network: Network,
        cache: KVCache,
        capture: Capture,
        progress: Callable[[str, float], None],
        sizes: Sequence[int] = ROWS,
    ) -> None:
        self._pages = context_pages(network.config)
        shapes = sorted({shape for rows in sizes for shape in ((rows, 1), (rows, rows))}, reverse=True)
        captured: dict[tuple[int, int], _Captured] = {}
        for done, (rows, sequences) in enumerate(shapes):  # the largest first: the others fit into its memory
            progress(f"capturing steps of {rows} rows", done / len(shapes))
            step = network.static_step(Room(rows, sequences, self._pages, rows))
            captured[rows, sequences] = _Captured(step, capture(_computation(network, cache, step)))
        self._captured: Mapping[tuple[int, int], _Captured] = captured
        self._sizes = sorted(sizes)

    def hold(self, rows: int) -> bool:
        return rows <= self._sizes[-1]

    def run(self, spans: Sequence[Span], tokens: Sequence[int], wanted: Sequence[int]) -> Tensor:
        """[wanted, vocab] logits of these of the rows; what they lie in is overwritten by the next run."""
        rows = next(size for size in self._sizes if size >= len(tokens))
        captured = self._captured[rows, 1 if len(spans) == 1 else rows]
        captured.step.load(spans, tokens, wanted)
        return captured.repeat()[: len(wanted)]


def _computation(network: Network, cache: KVCache, step: TritonStep) -> Compute:
    def compute() -> Tensor:
        hidden = network.hidden(step.tokens, step, cache)
        return network.logits(hidden.index_select(0, step.wanted))

    return compute


def cuda_capture(device: torch.device) -> Capture:
    """Captures on a stream of its own, all into one pool of memory; repeats on the current stream."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    pool = torch.cuda.graph_pool_handle()

    def capture(compute: Compute) -> Compute:
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            compute()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            result = compute()

        def repeat() -> Tensor:
            graph.replay()
            return result

        return repeat

    return capture
