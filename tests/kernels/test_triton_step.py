"""Whole networks on the kernels against the CPU's path: logits, a greedy loop, and steps padded as CUDA graphs are."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from sc2lsp.kernels import attention, triton_step
from sc2lsp.kernels.step import Span
from sc2lsp.kernels.triton_operations import TRITON
from sc2lsp.kernels.triton_step import NOWHERE, Room, TritonStep
from sc2lsp.runtime import graphs
from sc2lsp.runtime.forward import Network
from sc2lsp.runtime.graphs import Graphs
from sc2lsp.runtime.kv_cache import KVCache
from sc2lsp.runtime.kv_cache import Sequence as Cached
from sc2lsp.runtime.precision import pack
from sc2lsp.runtime.runner import Runner, Work
from tests.kernels.device import DEVICE
from tests.runtime.checkpoints import TINY, TINY_BIGCODE, random_model

TOLERANCE = 1e-4  # logits, float32, largest absolute difference
FAMILIES: dict[str, dict[str, Any]] = {  # windows shorter than the texts; the kernels want a head_dim of 16
    "starcoder2": {**TINY, "sliding_window": 24, "max_position_embeddings": 128},
    "starcoder": {**TINY_BIGCODE, "n_positions": 128},
}
# Rows of four sequences a step, prompts in pieces, one token, and a draft to verify, beside each other; how many of the
# last logits are wanted.
undefined = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")  # numpy's, in rows of padding
STEPS: list[list[tuple[int, int]]] = [
    [(30, 0), (7, 1), (1, 1), (0, 0)],
    [(5, 1), (1, 1), (5, 5), (3, 0)],
    [(1, 1), (4, 4), (1, 1), (33, 1)],
    [(1, 1), (0, 0), (0, 0), (0, 0)],
    [(0, 0), (0, 0), (6, 6), (0, 0)],
    [(2, 2), (1, 1), (2, 1), (2, 2)],
]


def runner(raw: dict[str, Any], fused: bool) -> Runner:
    """The CPU's path, or the kernels on this process's device."""
    device = torch.device(DEVICE or "cpu") if fused else torch.device("cpu")
    model = random_model(raw, std=0.2).to(device)
    model.tie()
    between = TRITON if fused else None
    network = Network(model, lambda weight, bias: pack(weight, bias, "fp32", torch.float32), between)
    made = Runner(network, KVCache(network.config, 48, torch.float32, device))
    made._wants_graphs = False  # what is captured is said below
    return made


def with_graphs(made: Runner, sizes: Sequence[int]) -> Runner:
    """Steps padded to `sizes` as for graphs, computed again each time."""
    made._graphs = Graphs(made.network, made.cache, lambda compute: compute, lambda message, fraction: None, sizes)
    return made


def sequences(made: Runner) -> list[Cached]:
    """With room for 80 tokens each, on pages all over the cache."""
    several = [Cached() for _ in range(4)]
    for sequence in several:
        made.cache.reserve(sequence, 80)
    pages = [page for sequence in several for page in sequence.pages]
    random.Random(0).shuffle(pages)
    for at, sequence in enumerate(several):
        sequence.pages = pages[at::4]
    return several


def logits(made: Runner, steps: list[list[tuple[int, int]]]) -> list[torch.Tensor]:
    """Of every step, each sequence with its own text."""
    texts = [torch.randint(0, 320, (128,), generator=torch.Generator().manual_seed(s)).tolist() for s in range(4)]
    several, found = sequences(made), []
    for rows in steps:
        parts = zip(several, texts, rows, strict=True)
        work = [Work(s, text[len(s.tokens) :][:count], wanted) for s, text, (count, wanted) in parts if count]
        found.append(made.run(work).cpu().clone())
        for each in work:
            made.cache.commit(each.sequence, each.tokens)
    return found


def many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that keys are split, which they are not on one."""
    for module in (attention, triton_step):
        monkeypatch.setattr(module, "multiprocessors", lambda device: 16)


def check(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert float((ours - theirs).abs().max()) <= TOLERANCE


@pytest.mark.parametrize("raw", FAMILIES.values(), ids=FAMILIES)
def test_logits_are_the_cpus(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    many_processors(monkeypatch)
    check(logits(runner(raw, fused=True), STEPS), logits(runner(raw, fused=False), STEPS))


@undefined
@pytest.mark.parametrize("raw", FAMILIES.values(), ids=FAMILIES)
def test_padded_steps_are_the_cpus(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    """Sizes that some steps fit and some are too long for; each is used for one load after another."""
    many_processors(monkeypatch)
    used: list[int] = []
    padded = with_graphs(runner(raw, fused=True), (1, 2, 16))
    load = TritonStep.load

    def noted(step: TritonStep, spans: Sequence[Span], *rest: Sequence[int]) -> None:
        used.append(step.room.rows)
        load(step, spans, *rest)

    monkeypatch.setattr(TritonStep, "load", noted)
    check(logits(padded, STEPS), logits(runner(raw, fused=False), STEPS))
    assert [rows for rows in used if rows in (1, 16)] == [16, 1, 16, 16]


@undefined
@pytest.mark.parametrize("raw", FAMILIES.values(), ids=FAMILIES)
def test_a_greedy_loop(raw: dict[str, Any]) -> None:
    def answer(made: Runner) -> list[int]:
        sequence, todo, produced = Cached(), random.Random(1).choices(range(320), k=30), list[int]()
        made.cache.reserve(sequence, 60)
        for _ in range(12):
            token = int(made.run([Work(sequence, todo, 1)])[-1].argmax())
            made.cache.commit(sequence, todo)
            todo = [token]
            produced += todo
        return produced

    expected = answer(runner(raw, fused=False))
    assert answer(with_graphs(runner(raw, fused=True), (1, 4))) == expected
    assert len(set(expected)) > 3


def test_a_step_describes_what_was_loaded_last() -> None:
    """Nothing of an earlier, larger load remains, and every part begins where the compiled kernels want it."""
    step = TritonStep(Room(rows=5, sequences=3, pages=4, max_rows=5), None, None, torch.device("cpu"))
    step.load([Span(3, 20, [7, 2]), Span(2, 2, [5])], [11, 12, 13, 14, 15], [2, 4])
    assert step.positions.tolist() == [17, 18, 19, 0, 1]
    assert step._slots.tolist() == [33, 34, 35, 80, 81]
    step.load([Span(1, 33, [9, 1, 3])], [21], [0])
    batch = step._batch
    assert [step.tokens.tolist(), step.wanted.tolist()] == [[21, 0, 0, 0, 0], [0] * 5]
    assert [step.positions.tolist(), step._slots.tolist()] == [[32, 0, 0, 0, 0], [48, *[NOWHERE] * 4]]
    assert [batch.starts.tolist(), batch.lengths.tolist()] == [[0, 1, 1, 1], [33, 0, 0]]
    assert batch.block_table[:, :4].tolist() == [[9, 1, 3, 0], [0] * 4, [0] * 4]
    parts = (step.tokens, step.wanted, step.positions, step._slots, batch.starts, batch.lengths, batch.block_table)
    assert {part.storage_offset() * 4 % 16 for part in parts} == {0}
    assert batch.block_table.stride(0) % 16 == 0


@pytest.mark.parametrize(
    ("room", "spans"),
    [
        (Room(2, 2, 4, 2), [Span(3, 3, [1])]),
        (Room(2, 1, 4, 2), [Span(1, 1, [1]), Span(1, 1, [2])]),
        (Room(4, 2, 4, 2), [Span(3, 3, [1])]),
        (Room(2, 1, 16, 2), [Span(1, 300, list(range(19)))]),
    ],
    ids=["rows", "sequences", "rows of one", "pages"],
)
def test_a_step_with_no_room_is_our_bug(room: Room, spans: list[Span]) -> None:
    with pytest.raises(AssertionError):
        TritonStep(room, None, None, torch.device("cpu")).load(spans)


def test_sizes_of_steps() -> None:
    assert max(graphs.ROWS) == 64
    made = with_graphs(runner(FAMILIES["starcoder2"], fused=True), (1, 4))
    assert made._graphs is not None
    assert [made._graphs.hold(rows) for rows in (1, 3, 4, 5)] == [True, True, True, False]
