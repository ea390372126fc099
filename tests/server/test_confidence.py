"""How much of an answer is shown: its tokens, each with its probability, and the text that is left."""

import math

import pytest

from sc2lsp.backend import Token
from sc2lsp.confidence import trusted

Given = tuple[str, float | None]  # text and probability


def check(given: list[Given], min_confidence: float, expected: str) -> None:
    tokens = [Token(text, None if of is None else math.log(of)) for text, of in given]
    assert "".join(token.text for token in tokens[: trusted(tokens, min_confidence)]) == expected


RETURN: list[Given] = [("return", 0.9), (" self", 0.8), (".", 1.0), ("_", 0.5), ("name", 0.9), ("\n", 0.9)]
BLOCK: list[Given] = [("x", 0.9), (" =", 0.9), (" 1", 0.9), ("\n   ", 0.9), (" y", 0.5), (" =", 0.9), (" 2", 0.5)]


@pytest.mark.parametrize(
    ("min_confidence", "expected"),
    [
        (0.0, "return self._name\n"),
        (0.25, "return self._name\n"),  # .29 of it all
        (0.3, "return self._name"),  # .32 up to the last word
        (0.34, "return self."),  # .36 would end within a word
        (0.4, "return self."),
        (0.73, "return"),
        (0.91, ""),
        (1.0, ""),
    ],
)
def test_the_probability_of_all_that_is_shown(min_confidence: float, expected: str) -> None:
    check(RETURN, min_confidence, expected)


@pytest.mark.parametrize(
    ("tokens", "min_confidence", "expected"),
    [
        ([], 0.5, ""),
        ([("a", 0.5)], 0.5, "a"),
        ([("a", 0.49)], 0.5, ""),
        # A token without a probability is certain.
        ([("a", None), (" =", None), (" 1", None)], 0.99, "a = 1"),
        ([("a", None), (" =", 0.5), (" 1", None)], 0.6, "a"),
        # Many good tokens make up for nothing: a long answer is as doubtful as all its tokens together.
        ([("a", 0.9)] + [(" a", 0.9)] * 9, 0.5, "a a a a a a"),
        # Words stay whole, whatever tokens they are made of.
        ([("get", 0.9), ("_", 0.9), ("user", 0.1)], 0.25, ""),
        ([("(", 0.9), ("get", 0.9), ("_", 0.9), ("user", 0.1)], 0.25, "("),
        ([("get", 0.9), ("_", 0.9), ("user", 0.9), ("(", 0.1)], 0.25, "get_user"),
        ([("print", 0.9), ("(", 0.9), ("'", 0.9), ("hello", 0.1)], 0.25, "print('"),
        ([("größe", 0.9), ("n", 0.1)], 0.25, ""),
        ([("変", 0.9), ("数", 0.1), (" =", 0.9)], 0.25, ""),
        ([("x", 0.9), ("2", 0.1)], 0.25, ""),
        ([("a", 0.9), (" b", 0.1)], 0.25, "a"),
        ([("a ", 0.9), ("b", 0.1)], 0.25, "a "),
        # A token may have no text: a part of a character, or of the word that was typed already.
        ([("x", 0.9), ("", 0.9), ("y", 0.1)], 0.25, ""),
        ([("x", 0.9), ("", 0.1), ("y", 0.9)], 0.25, ""),
        ([("x", 0.9), ("", 0.1), (" y", 0.9)], 0.25, "x"),
        ([("", 0.1), ("x", 0.9)], 0.25, ""),
        # A block ends with a word of any line.
        (BLOCK, 0.8, "x ="),
        (BLOCK, 0.7, "x = 1"),
        (BLOCK, 0.65, "x = 1\n   "),
        (BLOCK, 0.3, "x = 1\n    y"),
        (BLOCK, 0.25, "x = 1\n    y ="),
        (BLOCK, 0.14, "x = 1\n    y = 2"),
    ],
)
def test_cuts(tokens: list[Given], min_confidence: float, expected: str) -> None:
    check(tokens, min_confidence, expected)


def test_more_tokens_trust_no_more_words() -> None:
    """Or an answer could not be ended as soon as not all of it is trusted."""
    given: list[Given] = [*RETURN, ("x", 0.2), (" y", None), ("z", None)]
    tokens = [Token(text, None if of is None else math.log(of)) for text, of in given]
    for min_confidence in (0.1, 0.25, 0.5, 0.9):
        shown = [trusted(tokens[:count], min_confidence) for count in range(len(tokens) + 1)]
        cut = [count for count, of_it in enumerate(shown) if of_it < count]
        assert all(shown[count] == shown[-1] for count in cut)
        assert cut
