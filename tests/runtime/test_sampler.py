"""Tokens and their probabilities, against distributions written out in plain Python."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import pytest
import torch
from torch import Tensor

from sc2lsp.runtime.api import SamplingParams
from sc2lsp.runtime.sampler import Draw, _narrowed, choose, seed_of

PROBABILITIES = [0.02, 0.3, 0.05, 0.18, 0.08, 0.13, 0.1, 0.07, 0.04, 0.03]
LOGITS = torch.tensor(PROBABILITIES).log() + 3.0
GREEDY = SamplingParams()
NARROWED: list[dict[str, Any]] = [
    {"top_p": 0.05},
    {"top_p": 0.31},
    {"top_p": 0.479},
    {"top_p": 0.481},
    {"top_p": 0.9},
    {"top_p": 0.999},
    {"top_k": 1},
    {"top_k": 4},
    {"top_k": 10},
    {"top_k": 4, "top_p": 0.66},  # of the four likeliest: 0.3, 0.18, 0.13, 0.1
    {"top_k": 4, "top_p": 0.7},
    {"top_k": 2, "top_p": 0.99},
    {},
]


def drawn(logits: Tensor, count: int, seed: int = 5, **params: Any) -> list[int]:
    """Tokens 0 to count-1 of one answer, each from the same [vocab] logits."""
    draws = [Draw(SamplingParams(**{"temperature": 1.0, **params}), seed, index) for index in range(count)]
    return choose(logits.expand(count, -1), draws, None)[0]


def intended(
    probabilities: Sequence[float], temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> list[float]:
    """Temperature, then top-k, then the smallest set of what remains that holds `top_p` of it."""
    scaled = [p ** (1.0 / temperature) for p in probabilities]
    ranked = sorted(range(len(scaled)), key=lambda id: -scaled[id])[: top_k or None]
    whole = sum(scaled[id] for id in ranked)
    kept = [id for rank, id in enumerate(ranked) if sum(scaled[i] for i in ranked[:rank]) < top_p * whole]
    total = sum(scaled[id] for id in kept)
    return [scaled[id] / total if id in kept else 0.0 for id in range(len(scaled))]


def chi_square(counts: Sequence[int], expected: Sequence[float]) -> tuple[float, float]:
    """Pearson's statistic, and what it exceeds once in a million times (Wilson and Hilferty's approximation)."""
    total = sum(counts)
    cells = [(count, total * p) for count, p in zip(counts, expected, strict=True) if p > 0.0]
    assert sum(count for count, _ in cells) == total  # nothing of probability zero
    assert min(mean for _, mean in cells) >= 5.0
    spread = 2.0 / (9.0 * (len(cells) - 1))
    critical = (len(cells) - 1) * (1.0 - spread + NormalDist().inv_cdf(1.0 - 1e-6) * math.sqrt(spread)) ** 3
    return sum((count - mean) ** 2 / mean for count, mean in cells), critical


def check_distribution(tokens: Sequence[int], expected: Sequence[float]) -> None:
    counted = Counter(tokens)
    statistic, critical = chi_square([counted[id] for id in range(len(expected))], expected)
    assert statistic < critical


# -- greedy


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [1, 7])
def test_greedy_is_argmax(dtype: torch.dtype, rows: int) -> None:
    torch.manual_seed(rows)
    logits = torch.randn(rows, 500).to(dtype)  # with many ties in 16 bits
    tokens, log_probs = choose(logits, [Draw(GREEDY, 0, 0)] * rows, None)
    assert tokens == logits.float().argmax(dim=1).tolist()
    assert log_probs == pytest.approx(logits.float().log_softmax(dim=1).amax(dim=1).tolist())


def test_the_smallest_difference_decides() -> None:
    """Between logits whose log probabilities are the same number."""
    logits = torch.full((1, 4096), 0.01)
    logits[0, 4000] = torch.nextafter(logits[0, 0], torch.tensor(1.0))
    assert logits.log_softmax(dim=1).unique().numel() == 1
    assert choose(logits, [Draw(GREEDY, 0, 0)], None)[0] == [4000]


# -- what may be drawn, and how often


@pytest.mark.parametrize("narrowed", NARROWED)
def test_all_of_the_support_is_drawn_and_nothing_else(narrowed: dict[str, Any]) -> None:
    """At a temperature that makes what is kept about equally likely, the cuts made in the same order."""
    flat = 4.0
    expected = {id for id, p in enumerate(intended(PROBABILITIES, flat, **narrowed)) if p > 0.0}
    assert set(drawn(LOGITS, 2000, temperature=flat, **narrowed)) == expected


@pytest.mark.parametrize("narrowed", NARROWED)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_drawn_as_often_as_intended(temperature: float, narrowed: dict[str, Any]) -> None:
    expected = intended(PROBABILITIES, temperature, **narrowed)
    tokens = drawn(LOGITS, 20_000, temperature=temperature, **narrowed)
    if max(expected) == 1.0:
        assert set(tokens) == {expected.index(1.0)}
    else:
        check_distribution(tokens, expected)


def test_the_chi_square_would_see_another_temperature() -> None:
    with pytest.raises(AssertionError):
        check_distribution(drawn(LOGITS, 20_000, temperature=1.1), PROBABILITIES)


def test_seeds_and_neighbouring_tokens_are_independent() -> None:
    """Pairs of consecutive tokens, and the first tokens of the answers to one request, have the product's frequency."""
    pairs = list(itertools.product(range(10), repeat=2))
    expected = [PROBABILITIES[a] * PROBABILITIES[b] for a, b in pairs]
    tokens = drawn(LOGITS, 50_000)
    consecutive = list(zip(tokens[::2], tokens[1::2], strict=True))
    firsts = first_tokens(12_500)
    for drawn_pairs in (consecutive, list(zip(firsts[::2], firsts[1::2], strict=True))):
        check_distribution([pairs.index(pair) for pair in drawn_pairs], expected)


def first_tokens(requests: int) -> list[int]:
    """Of both answers to each request, whose seeds are 0, 1, 2, ..."""
    params = [SamplingParams(temperature=1.0, n=2, seed=seed) for seed in range(requests)]
    draws = [Draw(request, seed_of(request, answer), 0) for request in params for answer in range(2)]
    return choose(LOGITS.expand(len(draws), -1), draws, None)[0]


def test_no_part_of_a_large_vocabulary_is_preferred() -> None:
    tokens = drawn(torch.zeros(1024), 4000)
    for cells in ([token // 32 for token in tokens], [token % 32 for token in tokens]):
        check_distribution(cells, [1 / 32] * 32)


@pytest.mark.parametrize("narrowest", [{"temperature": 1e-300}, {"top_p": 1e-300}, {"top_k": 1}])
def test_the_narrowest_draw_is_greedy(narrowest: dict[str, Any]) -> None:
    torch.manual_seed(0)
    logits = torch.randn(300)
    assert set(drawn(logits, 100, **narrowest)) == {int(logits.argmax())}


def test_the_likeliest_tokens_share_the_narrowest_draw() -> None:
    assert set(drawn(torch.tensor([0.0, 2.0, 1.0, 2.0]), 100, temperature=1e-300)) == {1, 3}


def test_the_widest_draw_is_uniform_over_what_is_not_banned() -> None:
    draws = [Draw(SamplingParams(temperature=1e300), 5, index) for index in range(20_000)]
    tokens, _ = choose(LOGITS.expand(20_000, -1) * 100, draws, torch.tensor([9]))
    check_distribution(tokens, [1 / 9] * 9 + [0.0])


def test_top_p_of_one_cuts_nothing_off() -> None:
    """Not even what rounding loses in the sum, beside a row with another top_p."""
    weights = torch.tensor([[1e-9, 1.0, 1e-9]] * 2)
    narrowed = _narrowed(weights, [Draw(SamplingParams(top_p=top_p), 0, 0) for top_p in (1.0, 0.9)])
    assert torch.equal(narrowed, torch.stack([weights[0], torch.tensor([0.0, 1.0, 0.0])]))


def test_equal_logits_are_cut_at_exactly_k() -> None:
    assert set(drawn(torch.zeros(50), 1000, top_k=7)) == set(range(7))


# -- a function of seed and index


def mixed_draws() -> list[Draw]:
    settings = [*({"temperature": 0.8, **narrowed} for narrowed in NARROWED), {}, {"temperature": 1e-3}]
    return [Draw(SamplingParams(**setting), 9, index) for setting in settings for index in (0, 1, 2, 40)]


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_its_rows_one_by_one(seed: int) -> None:
    torch.manual_seed(seed)
    draws = mixed_draws()
    logits = torch.randn(len(draws), 300) * 2
    alone = [choose(row[None], [draw], None) for row, draw in zip(logits, draws, strict=True)]
    order = torch.randperm(len(draws)).tolist()
    tokens, log_probs = choose(logits[order], [draws[row] for row in order], None)
    assert tokens == [alone[row][0][0] for row in order]
    assert log_probs == pytest.approx([alone[row][1][0] for row in order])


def test_seed_and_index_change_the_draw() -> None:
    answers = [tuple(drawn(LOGITS, 30, seed=seed)) for seed in range(20)]
    assert len(set(answers)) == 20
    assert answers[3] == tuple(drawn(LOGITS, 30, seed=3))
    assert min(len(set(answer)) for answer in answers) > 1


def test_seeds_of_answers() -> None:
    fixed = [SamplingParams(seed=seed, n=16) for seed in (0, 1, 2**63 - 1)]
    seeds = [seed_of(params, answer) for params in fixed for answer in range(16)]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [seed_of(params, answer) for params in fixed for answer in range(16)]
    assert seed_of(GREEDY, 0) != seed_of(GREEDY, 0)
    assert drawn(LOGITS, 5, seed=max(seeds))  # any of them is one to draw with


# -- banned tokens and probabilities


@pytest.mark.parametrize("params", [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 9.0, "top_p": 0.9}])
def test_banned_tokens_are_never_chosen(params: dict[str, Any]) -> None:
    banned = torch.tensor([1, 3, 9])
    draws = [Draw(SamplingParams(**params), 1, index) for index in range(2000)]
    tokens, log_probs = choose(LOGITS.expand(2000, -1), draws, banned)
    assert set(tokens) == ({5} if params["temperature"] == 0.0 else {0, 2, 4, 5, 6, 7, 8})
    assert log_probs == pytest.approx([math.log(PROBABILITIES[token]) for token in tokens], abs=1e-5)


def test_what_is_banned_takes_no_share_of_top_p_and_top_k() -> None:
    draws = [Draw(SamplingParams(temperature=1.0, top_k=3, top_p=0.99), 1, index) for index in range(500)]
    assert set(choose(LOGITS.expand(500, -1), draws, torch.tensor([1, 3]))[0]) == {4, 5, 6}


def test_logits_stay_as_they_are() -> None:
    logits = LOGITS[None].clone()
    choose(logits, [Draw(SamplingParams(temperature=0.5, top_p=0.5, top_k=3), 1, 0)], torch.tensor([1]))
    assert torch.equal(logits[0], LOGITS)


# -- logits that are no numbers


@pytest.mark.parametrize("params", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_k": 3, "top_p": 0.5}])
@pytest.mark.parametrize(
    "bad", [[(2, math.nan)], [(2, math.inf)], [(7, math.nan)], [(7, math.inf)], [(0, math.inf), (7, math.nan)]]
)
def test_a_row_that_is_not_finite_says_so(params: dict[str, Any], bad: list[tuple[int, float]]) -> None:
    """Also where it is not finite at a banned id; the rows beside it are as without it."""
    draws = [Draw(SamplingParams(**params), 3, index) for index in range(3)]
    logits, banned = LOGITS.expand(3, -1).clone(), torch.tensor([7])
    whole = choose(logits, draws, banned)
    for id, value in bad:
        logits[1, id] = value
    tokens, log_probs = choose(logits, draws, banned)
    assert [math.isnan(log_prob) for log_prob in log_probs] == [False, True, False]
    assert (tokens[::2], log_probs[::2]) == (whole[0][::2], whole[1][::2])
    assert 0 <= tokens[1] < len(LOGITS)


def test_minus_infinity_is_no_probability() -> None:
    logits = torch.stack([LOGITS, torch.full_like(LOGITS, -torch.inf)])
    logits[0, 1] = -torch.inf
    for temperature in (0.0, 1.0):
        tokens, log_probs = choose(logits, [Draw(SamplingParams(temperature=temperature), 3, 0)] * 2, None)
        assert tokens[0] != 1
        assert [math.isnan(log_prob) for log_prob in log_probs] == [False, True]
