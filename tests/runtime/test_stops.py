"""Where answers end: a few in words, and any against the rules applied to the whole text again at every token."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sc2lsp.runtime.api import FinishReason, SamplingParams
from sc2lsp.runtime.stops import Stops, Verdict

CONTROL, STOP_ID = 0, 1
TEXTS: list[bytes] = [
    b"<|endoftext|>", b"!", b"a", b"b", b"ab", b"aba", b"=", b"\n", b"\n\n", b"\n    a", b"\n        b", b"\n\ta",
    b"a\n", b" ", b"   ", b"    ", b"\t", b"  \t", b"\r\n", b"\r", b"\f", b"    \n", b"\xc3", b"\xa9", b"b\xc3", b"",
]  # fmt: skip
ENDS = frozenset({CONTROL})


def ended(params: SamplingParams, tokens: list[int], logprobs: list[float]) -> tuple[int, FinishReason | None]:
    """How many tokens the answer keeps, and why it ends."""
    stops = Stops(params, ENDS, TEXTS.__getitem__)
    for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=True)):
        verdict = stops.take(token, logprob)
        if verdict.reason is not None:
            return place + verdict.kept, verdict.reason
        assert verdict.kept
    return len(tokens), None


def check(parts: list[str], kept: int, reason: FinishReason | None, **params: Any) -> None:
    ids = [TEXTS.index(part.encode()) for part in parts]
    assert ended(SamplingParams(**params), ids, [-0.1] * len(ids)) == (kept, reason)


CASES: list[tuple[list[str], int, FinishReason | None, dict[str, Any]]] = [
    (["a", "b", "a"], 3, None, {}),
    (["a", "<|endoftext|>"], 1, "stop", {}),
    (["<|endoftext|>"], 0, "stop", {"max_tokens": 1, "min_confidence": 1.0}),
    (["a", "!"], 2, None, {}),
    (["a", "!"], 1, "stop", {"stop_ids": (STOP_ID,)}),
    (["a", "b"], 2, "length", {"max_tokens": 2}),
    (["a", "b", "a"], 2, "stop", {"stop": ("ab",), "max_tokens": 2}),
    (["ab", "ab"], 2, "stop", {"stop": ("ba",)}),
    (["b", "a", "b", "="], 4, "stop", {"stop": ("bab=", "xxxxxxxx")}),
    (["a", "b", "a", "b"], 4, "stop", {"stop": ("=", "abab")}),
    (["=", "aba"], 2, "stop", {"stop": ("b",)}),
    (["\n", "a", "\n", "b"], 3, "stop", {"max_lines": 2}),
    (["a", "\n    a", "b"], 2, "stop", {"max_lines": 1}),
    (["a", "\n\n", "b"], 2, "stop", {"max_lines": 2}),
    (["a", "\r\n"], 2, "stop", {"max_lines": 1}),
    (["a", "\n", "    ", "a", "\n", "a"], 5, "stop", {"min_indent": 4}),
    (["a", "\n    a", "\n\n", "   ", "\r\n", "\n        b"], 6, None, {"min_indent": 4}),
    (["a", "\n    a", "\n", "   ", "b"], 4, "stop", {"min_indent": 4}),
    (["a", "\n    a"], 1, "stop", {"min_indent": 5}),
    (["a", "\n\ta"], 2, None, {"min_indent": 8}),
    (["a", "\n", "   ", "\t", "b"], 5, None, {"min_indent": 8}),
    (["a", "\n", "   ", "\t", "b"], 4, "stop", {"min_indent": 9}),
    (["a", "\n", "\f", "\n", "    ", "a"], 6, None, {"min_indent": 4}),  # a page break makes no line
    (["    ", "a"], 2, None, {"min_indent": 8}),  # the first line begins at the cursor
]


@pytest.mark.parametrize(("parts", "kept", "reason", "params"), CASES)
def test_answers_end(parts: list[str], kept: int, reason: FinishReason | None, params: dict[str, Any]) -> None:
    check(parts, kept, reason, **params)


CONFIDENCES: list[tuple[list[float], int, FinishReason | None, float]] = [
    ([0.5, 0.9, 0.9], 0, "confidence", 0.6),
    ([0.9, 0.5, 0.3, 0.9], 2, "confidence", 0.6),  # 0.9, 0.67, 0.51
    ([0.9, 0.001, 0.9], 3, None, 0.0),
    ([1.0, 1.0, 0.99], 2, "confidence", 1.0),
    ([0.9, 0.0], 1, "confidence", 0.01),
    ([0.9, 0.0], 2, None, 0.0),
]


@pytest.mark.parametrize(("probabilities", "kept", "reason", "least"), CONFIDENCES)
def test_doubt_ends(probabilities: list[float], kept: int, reason: FinishReason | None, least: float) -> None:
    logprobs = [math.log(p) if p else -math.inf for p in probabilities]
    assert ended(SamplingParams(min_confidence=least), [2] * len(logprobs), logprobs) == (kept, reason)


def test_a_verdict_is_a_value() -> None:
    stops = Stops(SamplingParams(max_tokens=2), ENDS, TEXTS.__getitem__)
    assert [stops.take(2, -0.1), stops.take(2, -0.1)] == [Verdict(True, None), Verdict(True, "length")]


@pytest.mark.parametrize("stop", [("=",), ("=", "abab=")])
def test_only_what_a_stop_string_may_still_need_is_kept(stop: tuple[str, ...]) -> None:
    stops = Stops(SamplingParams(max_tokens=1000, stop=stop), ENDS, TEXTS.__getitem__)
    for _ in range(500):
        assert stops.take(TEXTS.index(b"ab"), -0.1) == Verdict(True, None)
    assert len(stops._tail) == max(map(len, stop)) - 1


# -- against the whole text, again at every token


def expected(
    params: SamplingParams, tokens: list[int], probabilities: list[Fraction]
) -> tuple[int, FinishReason | None]:
    for place, token in enumerate(tokens):
        text = b"".join(TEXTS[token] for token in tokens[: place + 1])
        if token == CONTROL or token in params.stop_ids or falls_left(text, params.min_indent):
            return place, "stop"
        if math.prod(probabilities[: place + 1]) < Fraction(params.min_confidence) ** (place + 1):
            return place, "confidence"
        contained = any(string in text.decode(errors="replace") for string in params.stop)
        if contained or (params.max_lines and text.count(b"\n") >= params.max_lines):
            return place + 1, "stop"
        if place + 1 == params.max_tokens:
            return place + 1, "length"
    return len(tokens), None


def falls_left(text: bytes, min_indent: int) -> bool:
    blank = b" \t\r\f\v"
    for line in text.split(b"\n")[1:]:
        white = line[: len(line) - len(line.lstrip(blank))].translate(None, b"\r\f\v")
        if line.strip(blank) and len(white.expandtabs(8)) < min_indent:
            return True
    return False


PARAMS = st.builds(
    SamplingParams,
    max_tokens=st.integers(1, 40),
    stop=st.lists(
        st.sampled_from(["a", "ba", "abab", "=", "é", "bé", "\na", "b\n", "\r\n\r\n", "aba="]), max_size=3
    ).map(tuple),
    stop_ids=st.sampled_from([(), (STOP_ID,)]),
    max_lines=st.integers(0, 6),
    min_indent=st.sampled_from([0, 1, 3, 4, 5, 8, 9, 12]),
    min_confidence=st.sampled_from([0.0, 0.1, 0.37, 0.61, 0.83]),  # never the mean of quarters
)
WORDS = [TEXTS.index(text) for text in (b"a", b"b", b"ab", b"=", b"\n", b"\xc3", b"\xa9", b"    ", b"\n    a")]
TOKENS = st.lists(st.one_of(st.sampled_from(WORDS), st.integers(0, len(TEXTS) - 1)), max_size=30)
QUARTERS = st.lists(st.sampled_from([Fraction(k, 4) for k in (1, 2, 3, 4, 4, 4, 4)]), min_size=30, max_size=30)


@settings(deadline=None, max_examples=1500)
@given(PARAMS, TOKENS, QUARTERS)
@example(SamplingParams(stop=("é",)), [22, 23], [Fraction(1)] * 30)
def test_as_the_rules_say_of_the_whole_text(
    params: SamplingParams, tokens: list[int], probabilities: list[Fraction]
) -> None:
    probabilities = probabilities[: len(tokens)]
    logprobs = [math.log(p) for p in probabilities]
    assert ended(params, tokens, logprobs) == expected(params, tokens, probabilities)
