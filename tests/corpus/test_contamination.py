"""Spans shared with held-out text: every one of 150 characters is found, in whatever place and indentation."""

from pathlib import Path
from random import Random

import pytest

from sc2lsp.corpus.contamination import SPAN, HeldOut, normalised

ROOT = Path(__file__).parents[2]
HELD_OUT = [path.read_text("utf-8") for path in sorted((ROOT / "context").glob("*.py")) if path.stat().st_size > 1000]
OURS = [path.read_text("utf-8") for path in sorted((ROOT / "runtime").glob("*.py"))]


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    return HeldOut(HELD_OUT)


def planted(rng: Random, length: int) -> str:
    """One of our texts with `length` held-out characters in it, whitespace of either kept apart."""
    theirs = normalised(rng.choice(HELD_OUT)).decode()
    start = rng.randrange(len(theirs) - length)
    ours = rng.choice(OURS)
    place = rng.randrange(len(ours))
    return f"{ours[:place]}|{theirs[start : start + length]}|{ours[place:]}"


def test_every_shared_span_is_found(held_out: HeldOut) -> None:
    rng = Random(0)
    assert all(held_out.shares_span(planted(rng, SPAN + 2)) for _ in range(300))


def test_shorter_spans_are_not(held_out: HeldOut) -> None:
    rng = Random(0)
    free = [text for text in OURS if not held_out.shares_span(text)]
    assert len(free) == len(OURS)
    assert not any(held_out.shares_span(planted(rng, SPAN - 30)) for _ in range(100))


def test_indentation_does_not_hide_a_copy(held_out: HeldOut) -> None:
    copy = HELD_OUT[3].replace("    ", "\t").replace("\n", "\r\n")
    assert held_out.shares_span(copy)


def test_nothing_held_out_shares_nothing() -> None:
    assert not HeldOut([]).shares_span(OURS[0])
    assert not HeldOut(["short"]).shares_span("short")
