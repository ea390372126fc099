"""Near-duplicates by construction: those at a similarity of 0.8 and more go, unlike texts and originals stay."""

import re
from random import Random

from sc2lsp.corpus.duplicates import near_duplicates

PLANTED = 200
VERBS = "get set add drop find merge split load".split()
NAMES = [f"{verb}_{noun}" for verb in VERBS for noun in "row key node file page user".split()]


def source(rng: Random) -> str:
    """A made-up module of a few hundred words."""
    lines = []
    for _ in range(40):
        name, first, second = (f"{rng.choice(NAMES)}{rng.randrange(1000)}" for _ in range(3))
        lines.append(f"def {name}(value):\n    {first} = value.{second}({rng.choice(NAMES)})\n    return {first}\n")
    return "\n".join(lines)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = [word for word in re.split(r"[^A-Za-z_0-9]+", text) if word]
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def similarity(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def altered(text: str, rng: Random) -> str:
    """`text` with one word after another exchanged, as long as its similarity stays at 0.8 or above."""
    words = re.split(r"(\W+)", text)
    while True:
        draft = words.copy()
        draft[rng.randrange(len(words) // 2) * 2] = f"other{rng.randrange(10**6)}"
        if similarity(text, "".join(draft)) < 0.8:
            return "".join(words)
        words = draft


def test_near_duplicates_go_and_originals_stay() -> None:
    rng = Random(0)
    originals = [source(rng) for _ in range(PLANTED)]
    copies = [altered(text, rng) for text in originals]
    assert all(0.8 <= similarity(*pair) < 0.83 for pair in zip(originals[:20], copies[:20], strict=True))
    found = near_duplicates([*originals, *copies], lambda done: None)
    assert all(copy >= PLANTED for copy in found), "an original is no copy of another"
    assert len(found) >= 0.99 * PLANTED
    assert all(of == copy - PLANTED for copy, of in found.items())


def test_texts_of_a_few_words_are_never_duplicates() -> None:
    assert near_duplicates(["a b c", "a b c"], lambda done: None) == {}
