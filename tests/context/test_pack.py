"""Which snippets a block holds from one keystroke to the next, and what that is worth on a typing trace."""

import asyncio
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2lsp.config import Config
from sc2lsp.context.pack import Block, Prices, Room, VersionOf, place
from sc2lsp.context.retrieve import Snippet
from sc2lsp.headless import prompt_model
from tests.benchmarks.typing import measure

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
PRICES = Prices(lambda snippet: len(snippet.text), lambda path: len(path) + 1)
JUMP, TYPING = 0, 500  # tokens behind the block that stay valid only with it


def unchanged(path: str) -> Hashable:
    return "as it was"


def signature(name: str, score: float, line: int = 0, lines: int = 1) -> Snippet:
    text = "".join(f"{name} {number}\n" for number in range(line, line + lines))
    return Snippet(f"{name[0]}.py", line, line + lines, "signature", score, text)


def usage(name: str, score: float, line: int, lines: int) -> Snippet:
    return replace(signature(name, score, line, lines), kind="usage")


def shown(block: Block) -> list[str]:
    """Every line of a block as `path:number`, in its order."""
    return [
        f"{group.path}:{number}"
        for group in block.groups
        for snippet in group.snippets
        for number in range(snippet.start_line, snippet.end_line)
    ]


def placed(
    *rankings: Sequence[Snippet], budget: int = 100, behind: int = TYPING, version_of: VersionOf = unchanged
) -> Block:
    """The block after one ranking after the other."""
    block = Block()
    for ranked in rankings:
        block = place(block, ranked, Room(budget, 1000, behind), PRICES, version_of)
    return block


def check(block: Block, expected: str) -> None:
    assert " ".join(shown(block)) == expected


A, A2, B, C, D = (
    signature("a", 0.9),
    signature("a", 0.5, 5),
    signature("b", 0.6),
    signature("c", 0.3),
    signature("d", 0.8),
)
SURE = replace(D, score=9.0)


def test_the_best_file_stands_last_and_a_file_in_source_order() -> None:
    check(placed([replace(A2, score=0.95), A, B, C]), "c.py:0 b.py:0 a.py:0 a.py:5")


@pytest.mark.parametrize(
    ("then", "keys", "behind", "expected"),
    [
        ([B, A], 9, TYPING, "b.py:0 a.py:0"),  # another order is no gain, however long it lasts
        ([A], 9, TYPING, "b.py:0 a.py:0"),  # what nobody asks for any more does no harm
        ([A, B, C], 1, TYPING, "b.py:0 a.py:0"),  # a little more does not pay at once
        ([A, B, C], 9, TYPING, "b.py:0 a.py:0"),  # nor for a while
        ([A, B, C], 10, TYPING, "b.py:0 a.py:0 c.py:0"),  # but if it stays so
        ([A, B, C], 1, JUMP, "b.py:0 a.py:0 c.py:0"),  # or where the text behind is new anyway
        ([SURE, A, B], 2, TYPING, "b.py:0 a.py:0 d.py:0"),  # much does sooner
    ],
)
def test_a_block_stays_or_grows(then: Sequence[Snippet], keys: int, behind: int, expected: str) -> None:
    check(placed([A, B], *[then] * keys, behind=behind), expected)


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ([A, B, C], "b.py:0 a.py:0"),
        ([SURE, B], "b.py:0 d.py:0"),
    ],
)
def test_a_full_block_is_made_anew_where_that_pays(then: Sequence[Snippet], expected: str) -> None:
    two = 2 * (len("a.py") + 1 + len("a 0\n"))
    check(placed([A, B], *[then] * 3, budget=two), expected)


def test_a_block_that_no_longer_fits_gives_way() -> None:
    block = placed([A, B, C])
    smaller = place(block, [A, B, C], Room(20, 1000, TYPING), PRICES, unchanged)
    assert 0 < PRICES.of(smaller.groups) <= 20
    check(smaller, "b.py:0 a.py:0")


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ([A, B], "b.py:0 a.py:0"),  # the same lines
        ([replace(A, start_line=3, end_line=4), B], "b.py:0 a.py:3"),  # moved
        ([replace(A, text="other\n"), B], "b.py:0 a.py:0"),  # rewritten: the new text
        ([B], "b.py:0"),  # gone
    ],
)
def test_what_a_changed_file_no_longer_says_goes(then: Sequence[Snippet], expected: str) -> None:
    versions: Mapping[str, str] = {"a.py": "changed"}
    block = place(placed([A, B]), then, Room(100, 1000, TYPING), PRICES, lambda path: versions.get(path, "as it was"))
    check(block, expected)
    texts = {snippet.text for snippet in then}
    assert all(snippet.text in texts for group in block.groups for snippet in group.snippets)


def test_no_line_comes_twice() -> None:
    chunk = usage("a", 0.4, 3, 5)
    check(placed([A2, chunk]), "a.py:3 a.py:4 a.py:5 a.py:6 a.py:7")
    check(placed([chunk, A2]), "a.py:3 a.py:4 a.py:5 a.py:6 a.py:7")
    odd = replace(chunk, text="not its lines\n")
    check(placed([A2, odd]), "a.py:5")


@pytest.mark.parametrize(("budget", "lines"), [(40, 10), (36, 9), (24, 6), (23, 0)])
def test_most_of_a_usage_chunk_is_better_than_nothing(budget: int, lines: int) -> None:
    room = budget + PRICES.group("a.py")
    assert len(shown(placed([usage("a", 1, 0, 10)], budget=room))) == lines
    assert len(shown(placed([signature("a", 1, 0, 10)], budget=room))) == budget // 40 * 10


SNIPPETS = st.lists(
    st.builds(
        lambda name, line, lines, score, kind: replace(signature(name, score, line, lines), kind=kind),
        st.sampled_from("abcd"), st.integers(0, 12), st.integers(1, 6), st.floats(0, 1),
        st.sampled_from(["signature", "usage"]),
    ),
    max_size=10,
)  # fmt: skip
KEYS = st.lists(
    st.tuples(SNIPPETS, st.integers(0, 150), st.sampled_from([JUMP, TYPING]), st.sampled_from("12")), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(KEYS)
def test_budget_order_and_lines_whatever_is_ranked(keys: list[tuple[list[Snippet], int, int, str]]) -> None:
    blocks = [Block()]
    for ranked, budget, behind, version in keys:
        room = Room(budget, 1000, behind)
        ranked = sorted(ranked, key=lambda snippet: -snippet.score)
        block = place(blocks[-1], ranked, room, PRICES, lambda path, now=version: now)
        assert block == place(blocks[-1], ranked, room, PRICES, lambda path, now=version: now)
        assert PRICES.of(block.groups) <= budget
        assert len(set(shown(block))) == len(shown(block))
        assert all(group.snippets and {s.path for s in group.snippets} == {group.path} for group in block.groups)
        starts = [[snippet.start_line for snippet in group.snippets] for group in block.groups]
        assert all(lines == sorted(lines) for lines in starts)
        blocks.append(block)
    for old, new in pairwise(blocks):
        common = len(old.groups) if new.groups[: len(old.groups)] == old.groups else 0
        assert set(shown(Block(new.groups[:common]))).isdisjoint(shown(Block(new.groups[common:])))


def test_typing_keeps_the_prompt_and_loses_no_definitions() -> None:
    """The goals of the full size, which `python -m tests.benchmarks.typing` measures, on a small workspace.

    What one trace finds hangs on a handful of names, so the loss is that of all together.
    """
    model = asyncio.run(prompt_model(Config()))
    traces = [measure(SHELF, seed, 500, budget, model) for seed in (1, 2) for budget in (512, 768, 1024)]
    for figures in traces:
        assert len(figures.reuse) == 500 - 2  # two files: their first prompts have none before them
        assert statistics.fmean(figures.reuse) >= 0.97
    assert statistics.fmean(figures.loss for figures in traces) <= 0.01
