"""Pages given out, shared, copied, given back and found again: every sequence's pages always hold its own tokens."""

import random
from itertools import takewhile
from operator import eq

import pytest
import torch

from sc2lsp.runtime.config import ModelConfig, parse_config
from sc2lsp.runtime.kv_cache import PAGE, KVCache, OutOfPages, Sequence, page_bytes

from .checkpoints import TINY

CONFIG = parse_config({**TINY, "num_hidden_layers": 1, "sliding_window": None})
WINDOWED = parse_config({**TINY, "num_hidden_layers": 1, "sliding_window": 40})


class Written(KVCache):
    """A cache in which every slot holds its token and position, written as a model would."""

    def __init__(self, config: ModelConfig, pages: int) -> None:
        super().__init__(config, pages, torch.float32, torch.device("cpu"))

    def extend(self, sequence: Sequence, tokens: list[int]) -> None:
        """Compute `tokens`, and then some that turn out wrong, as far as there is room."""
        room = len(sequence.pages) * PAGE - len(sequence.tokens)
        for offset, token in enumerate([*tokens, *[-1] * (room - len(tokens))][:room]):
            at = len(sequence.tokens) + offset
            self.keys[0][sequence.pages[at // PAGE], at % PAGE] = 1000 * at + token
        self.commit(sequence, tokens)

    def check(self, sequence: Sequence) -> None:
        for at in range(sequence.unseen * PAGE, len(sequence.tokens)):
            slot = self.keys[0][sequence.pages[at // PAGE], at % PAGE]
            assert torch.all(slot == 1000 * at + sequence.tokens[at])

    def check_counts(self, sequences: list[Sequence]) -> None:
        held = {page for sequence in sequences for page in sequence.pages[sequence.unseen :]}
        assert self.available == self.pages - len(held)


def prompt_of(rng: random.Random, old: list[int]) -> list[int]:
    """What was there with an edit somewhere, or something else; tokens of a small set, so that texts are alike."""
    if not old or rng.random() < 0.2:
        return [rng.randrange(3)] * rng.randint(1, 40) + [rng.randrange(3) for _ in range(rng.randint(1, 60))]
    at = rng.randint(0, len(old))
    return (old[:at] + [rng.randrange(3)] * rng.randint(0, 20) + old[at + rng.randint(0, 10) :])[:120] or [0]


@pytest.mark.parametrize("config", [CONFIG, WINDOWED], ids=["whole", "windowed"])
@pytest.mark.parametrize("seed", range(6))
def test_any_history(seed: int, config: ModelConfig) -> None:
    """Documents are edited, answered, and dropped, in a pool that is too small for all of them."""
    rng = random.Random(seed)
    cache, sequences = Written(config, 24), [Sequence() for _ in range(5)]
    found, refused = 0, 0
    for _ in range(150):
        sequence = rng.choice(sequences)
        prompt = prompt_of(rng, sequence.tokens)
        own = sum(takewhile(bool, map(eq, sequence.tokens, prompt)))
        cached = cache.adopt(sequence, tuple(prompt))
        assert sequence.tokens == prompt[:cached] and cached < len(prompt)
        found += cached > own
        try:
            cache.reserve(sequence, len(prompt) + 20)
        except OutOfPages:
            refused += 1
            cache.drop(rng.choice(sequences))
            continue
        cache.extend(sequence, prompt[cached:])
        cache.extend(sequence, [rng.randrange(3) for _ in range(rng.randint(0, 20))])
        if rng.random() < 0.7:
            cache.shrink(sequence)
        for each in sequences:
            cache.check(each)
        cache.check_counts(sequences)
    assert refused and found
    for sequence in sequences:
        cache.drop(sequence)
    assert cache.available == cache.pages


def filled(cache: Written, tokens: list[int]) -> Sequence:
    sequence = Sequence()
    cache.adopt(sequence, tuple(tokens))
    cache.reserve(sequence, len(tokens))
    cache.extend(sequence, tokens[len(sequence.tokens) :])
    return sequence


TEXT = list(range(100))


def test_another_sequence_shares_full_pages() -> None:
    cache = Written(CONFIG, 32)
    filled(cache, TEXT)
    other = Sequence()
    assert cache.adopt(other, (*TEXT[:90], 7, 7)) == 80
    assert cache.available == 32 - 7


def test_what_was_dropped_is_found_until_it_is_written_over() -> None:
    cache = Written(CONFIG, 16)
    cache.drop(filled(cache, TEXT))
    again = Sequence()
    assert cache.adopt(again, tuple(TEXT)) == 96
    cache.check(again)
    cache.drop(again)
    cache.drop(filled(cache, [7] * 250))
    assert cache.adopt(again, tuple(TEXT)) == 0


def test_an_edit_in_a_shared_page_copies_it() -> None:
    cache = Written(CONFIG, 32)
    first = filled(cache, TEXT)
    second = Sequence()
    cache.adopt(second, (*TEXT, 5))
    edited = (*TEXT[:70], 9, 9)
    assert cache.adopt(second, edited) == 70
    cache.reserve(second, 72)
    cache.extend(second, [9, 9])
    cache.check(first)
    cache.check(second)
    assert first.pages[:4] == second.pages[:4] and first.pages[4] != second.pages[4]


def test_the_same_tokens_elsewhere_are_not_the_same() -> None:
    cache = Written(CONFIG, 32)
    filled(cache, [*TEXT[:32], *TEXT[:32]])
    assert cache.adopt(Sequence(), (*TEXT[16:32], *TEXT)) == 0


def test_pages_out_of_the_window_are_given_back_but_for_a_few() -> None:
    cache = Written(WINDOWED, 64)
    sequence = Sequence()
    cache.reserve(sequence, 500)
    cache.extend(sequence, [1] * 500)
    kept = cache.pages - cache.available
    assert kept < 24 and sequence.unseen == 32 - kept
    assert cache.adopt(sequence, tuple([1] * 480)) == 479, "a little deleted"
    cache.check(sequence)
    assert cache.adopt(sequence, tuple([1] * 200 + [2])) % PAGE == 0, "no page that the window needs was given back"


def test_a_failed_reservation_changes_nothing() -> None:
    cache = Written(CONFIG, 8)
    sequence = filled(cache, TEXT)
    pages = list(sequence.pages)
    with pytest.raises(OutOfPages):
        cache.reserve(sequence, 8 * PAGE + 1)
    assert sequence.pages == pages and cache.available == 1


def test_sequences_grow_in_one_piece_where_they_can() -> None:
    cache = Written(CONFIG, 64)
    first, second = Sequence(), Sequence()
    for length in range(20, 100, 20):
        for sequence in (first, second):
            cache.reserve(sequence, length)
            cache.extend(sequence, [1] * (length - len(sequence.tokens)))
    for sequence in (first, second):
        assert sequence.pages == list(range(sequence.pages[0], sequence.pages[0] + 5))


def test_bytes_of_a_page() -> None:
    cache = Written(CONFIG, 4)
    assert page_bytes(CONFIG, torch.float32) * 4 == cache.keys[0].nbytes + cache.values[0].nbytes
