"""Documents packed into rows, rows into the batch of a step; drawn on other threads while the step before runs.

Step s draws its row r from a generator seeded by (seed, s, r): the order of threads decides nothing, and a training
that was interrupted goes on with the rows it would have had.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .examples import ExampleSource
from .plan import Example, Plan

_MIN_FILLER = 64  # tokens: less room behind a packed row is padded
_AHEAD = 3  # steps

Row = Sequence[Example]


@dataclass(frozen=True, slots=True)
class Batch:
    """tokens, targets, weights: [rows, length]; documents: their lengths, row by row, padding with the last."""

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    documents: tuple[tuple[int, ...], ...]

    def share(self, lane: int, lanes: int) -> "Batch":
        """The rows of one of several lanes."""
        rows = len(self.documents)
        part = slice(rows * lane // lanes, rows * (lane + 1) // lanes)
        return Batch(self.tokens[part], self.targets[part], self.weights[part], self.documents[part])


def collate(rows: Sequence[Row], length: int, pad: int, middle_weight: float) -> Batch:
    """A document's last token has no target: what follows it in the row is another document."""
    tokens = torch.full((len(rows), length), pad)
    targets, weights = torch.zeros_like(tokens), torch.zeros((len(rows), length))
    documents: list[tuple[int, ...]] = []
    for i, row in enumerate(rows):
        start = 0
        for example in row:
            end = start + len(example.ids)
            tokens[i, start:end] = torch.tensor(example.ids)
            targets[i, start : end - 1] = tokens[i, start + 1 : end]
            weights[i, start : end - 1] = 1.0
            weights[i, start + example.middle - 1 : end - 1] = middle_weight
            start = end
        lengths = [len(example.ids) for example in row]
        documents.append((*lengths[:-1], lengths[-1] + length - start))
    return Batch(tokens, targets, weights, tuple(documents))


class Batches:
    """The batch of every step of a plan."""

    def __init__(self, plan: Plan, source: ExampleSource, prompts: Sequence[Example], pad: int) -> None:
        assert all(len(prompt.ids) <= plan.context_length for prompt in prompts), "a prompt is longer than the context"
        self._plan, self._source, self._pad = plan, source, pad
        self._packed = pack(prompts, plan.context_length, random.Random(plan.seed))
        # Nothing mutates after construction.

    def draw(self, step: int) -> Batch:
        plan, length = self._plan, self._plan.length(step)
        rows = [self._row(step, row, length) for row in range(plan.step_tokens // length)]
        return collate(rows, length, self._pad, plan.middle_weight if step >= plan.first_prompt_step else 1.0)

    def _row(self, step: int, row: int, length: int) -> Row:
        rng = random.Random(f"{self._plan.seed}/{step}/{row}")
        packed = self._prompts(step, row, length)
        room = length - sum(len(example.ids) for example in packed)
        return packed if packed and room < _MIN_FILLER else [*packed, self._source.draw(rng, room)]

    def _prompts(self, step: int, row: int, length: int) -> Row:
        """The packed prompts of a row, every one once before any comes again; none where the row is an ordinary one."""
        since = step - self._plan.first_prompt_step
        if since < 0 or not self._packed:
            return ()
        number = since * (self._plan.step_tokens // length) + row
        before, after = int(number * self._plan.prompt_mix), int((number + 1) * self._plan.prompt_mix)
        if before == after:
            return ()
        epoch, place = divmod(before, len(self._packed))
        return self._packed[_order(len(self._packed), f"{self._plan.seed}/{epoch}")[place]]


@lru_cache(maxsize=2)
def _order(count: int, seed: str) -> list[int]:
    return random.Random(seed).sample(range(count), count)


def pack(examples: Sequence[Example], length: int, rng: random.Random) -> list[list[Example]]:
    """Rows of whole examples: each goes, longest first, into the first of the open rows that has room."""
    shuffled = rng.sample(examples, len(examples))
    rows: list[list[Example]] = []
    open_rows: deque[tuple[int, list[Example]]] = deque(maxlen=256)  # (room left, row)
    for example in sorted(shuffled, key=lambda example: -len(example.ids)):
        place = next((i for i, (room, _) in enumerate(open_rows) if len(example.ids) <= room), None)
        if place is None:
            rows.append([example])
            open_rows.append((length - len(example.ids), rows[-1]))
        else:
            room, row = open_rows[place]
            row.append(example)
            open_rows[place] = (room - len(example.ids), row)
    return rows


def drawn_ahead(draw: Callable[[int], Batch], steps: range, threads: int) -> Iterator[Batch]:
    """`draw(step)` for every step in order, a few steps ahead of the caller."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(threads, "rows") as pool:
        try:
            for step in steps:
                waiting.append(pool.submit(draw, step))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
