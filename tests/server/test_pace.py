"""When to ask, in simulations of typists and models: a clock of their own, no sleeping."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from sc2lsp.pace import Pace

PAUSE = 9.0


@dataclass(frozen=True, slots=True)
class Typed:
    """What a typist caused: calls of the model, those that a later key made useless, and the last wait."""

    calls: int
    wasted: int
    last_wait: float


def type_in(gaps: Sequence[float], latency: float, max_wait: float = 0.3, late: float = 0.0) -> Typed:
    """Type keys with these gaps behind them; a call is made where nothing comes while the request waits.

    The editor sends its request so `late` after the key.
    """
    pace, now, calls, wasted, wait = Pace(max_wait), 0.0, 0, 0, 0.0
    for gap in gaps:
        pace.key(now)
        wait = pace.wait(now + late)
        if late + wait < gap:
            calls += 1
            if late + wait + latency <= gap:
                pace.answered(latency)
            else:
                wasted += 1
                pace.cut_off(gap - late - wait)
        now += gap
    return Typed(calls, wasted, wait)


def human(keys: int, median: float, seed: int = 0) -> list[float]:
    source = random.Random(seed)
    return [max(0.03, median * source.lognormvariate(0, 0.4)) for _ in range(keys)]


@pytest.mark.parametrize(
    ("gaps", "latency", "most_wasted", "longest_wait"),
    [
        ([0.12] * 19 + [PAUSE], 0.2, 3, 0.13),  # a slow model: the burst reaches it at its end
        ([0.12] * 19 + [PAUSE], 0.02, 0, 0.0),  # a fast one answers every key, and nobody waits
        ([0.25] * 19 + [PAUSE], 0.2, 0, 0.0),  # a slow typist: it answers between two keys
        ([0.25] * 19 + [PAUSE], 0.5, 4, 0.26),
        ([*human(60, 0.15), PAUSE], 0.2, 20, 0.3),
        ([*human(60, 0.15), PAUSE], 0.02, 0, 0.0),
    ],
)
def test_wasted_calls_and_waiting(gaps: list[float], latency: float, most_wasted: int, longest_wait: float) -> None:
    typed = type_in(gaps, latency)
    assert typed.wasted <= most_wasted
    assert typed.last_wait <= longest_wait


def test_an_editor_that_waits_itself_does_not_make_us_wait() -> None:
    """VS Code sends its request some 40 ms after the key: that is lost already, whatever we do."""
    words = [*([0.13] * 3 + [0.87]) * 8, *[0.13] * 3, PAUSE]
    typed = type_in(words, 0.004, late=0.04)
    assert (typed.calls, typed.wasted, typed.last_wait) == (len(words), 0, 0.0)


def test_nothing_is_waited_for_where_that_is_turned_off() -> None:
    assert type_in([0.12] * 20, 0.5, max_wait=0.0).last_wait == 0.0


def test_never_longer_than_allowed() -> None:
    for seed in range(20):
        pace, now = Pace(0.2), 0.0
        for gap in human(40, 0.3, seed):
            pace.key(now)
            assert 0 <= pace.wait(now) <= 0.2
            pace.cut_off(1.0)
            now += gap


def test_who_has_paused_already_waits_no_more() -> None:
    pace, now = Pace(0.3), 0.0
    for _ in range(20):
        pace.key(now)
        pace.cut_off(0.2)
        now += 0.1
    assert pace.wait(now - 0.1) > 0.09
    assert pace.wait(now + 1.0) == 0.0


def test_the_model_is_learnt_by_answers_and_by_being_cut_off() -> None:
    pace = Pace(0.3)
    for _ in range(5):
        pace.cut_off(0.4)
    assert pace.latency == 0.4
    for _ in range(8):
        pace.answered(0.03)
    assert pace.latency == 0.03
    pace.cut_off(0.01)  # says nothing: it may take longer than that
    assert pace.latency == 0.03
