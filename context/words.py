"""The identifiers of a text, with or without a tree: what a regular expression would find, at the speed of `split`."""

import re
from collections import Counter
from functools import cache
from string import ascii_letters, digits
from sys import intern

WORD = re.compile(r"\b[^\W\d]\w*")


@cache
def word_pattern(letters: str) -> re.Pattern[str]:
    """The identifiers of languages whose names may hold some more `letters`."""
    more = re.escape(letters)
    return re.compile(rf"(?<![\w{more}])[{more}]*[^\W\d][\w{more}]*") if letters else WORD


# Bytes beyond ASCII stay: which of them belong to a word is asked of the few tokens that have some.
@cache
def _separators_blank(letters: str) -> bytes:
    kept = f"{ascii_letters}{digits}_{letters}"
    return bytes(byte if byte >= 0x80 or chr(byte) in kept else ord(" ") for byte in range(256))


def identifiers(encoded: bytes, letters: str = "") -> tuple[tuple[str, ...], int]:
    """The words of a text in UTF-8, each once in order of appearance, and how often they occur in all."""
    tokens = encoded.translate(_separators_blank(letters)).decode("utf-8", "surrogatepass").split()
    counts: dict[str, int] = Counter(tokens)
    if letters or not encoded.isascii():
        counts = _split(counts, word_pattern(letters))
    numbers = [token for token in counts if "0" <= token[0] <= "9"]
    for number in numbers:
        del counts[number]
    return tuple(map(intern, counts)), sum(counts.values())


def _split(counts: dict[str, int], pattern: re.Pattern[str]) -> dict[str, int]:
    """The same with the tokens that are not plain words split into words."""
    found: dict[str, int] = {}
    for token, count in counts.items():
        for word in (token,) if token.isidentifier() and token.isascii() else pattern.findall(token):
            found[word] = found.get(word, 0) + count
    return found
