"""Drafts by a smaller model with the same tokenizer: StarCoder2 3B for 7B, where nothing was found to copy.

Greedy, and no longer than it is sure of itself (speculative sampling, arXiv 2211.17192; that a draft ends early where
the small model doubts is assisted generation's heuristic). Knows tokens; what is right is the larger model's to say.
"""

import math

from torch import Tensor

from .api import SamplingParams
from .kv_cache import OutOfPages, Sequence
from .runner import Runner, Work
from .sampler import Draw, choose

MOST = 6  # tokens: each is a step of the smaller model
_SURE = math.log(0.5)  # a token less likely than that ends the draft

_GREEDY = SamplingParams()


class DraftModel:
    """The smaller model's own keys and values of one answer, which follow what the larger one settled on."""

    def __init__(self, runner: Runner, banned: Tensor | None) -> None:
        self._runner = runner
        self._banned = banned
        self._sequence = Sequence()
        # Mutated by: propose() and close(), on the engine's thread.

    def propose(self, context: list[int], room: int) -> list[int]:
        """At most `room` tokens behind `context`; none where it is too long for this model or its cache."""
        cache, sequence = self._runner.cache, self._sequence
        room = min(room, MOST)
        if len(context) + room > self._runner.network.config.context_length:
            return []
        cache.adopt(sequence, tuple(context))
        try:
            cache.reserve(sequence, len(context) + room)
        except OutOfPages:
            return []
        return self._generated(context[len(sequence.tokens) :], room)

    def close(self) -> None:
        """Give the pages back; the next answer to a like prompt finds them."""
        self._runner.cache.drop(self._sequence)

    def _generated(self, todo: list[int], room: int) -> list[int]:
        tokens: list[int] = []
        while len(tokens) < room:
            logits = self._runner.run([Work(self._sequence, todo, 1)])
            self._runner.cache.commit(self._sequence, todo)
            (token,), (logprob,) = choose(logits, [Draw(_GREEDY, 0, 0)], self._banned)
            if not logprob >= _SURE:  # NaN as well
                break
            tokens.append(token)
            todo = [token]
        return tokens
