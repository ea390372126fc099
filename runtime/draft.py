"""What probably comes next, guessed without the model: the text after the last place that reads like this one.

Prompt lookup (Saxena, 2023; arXiv 2304.04487): the longest recent run of tokens is searched for in the prompt, and what
followed there is the draft. Knows token ids only; whether a draft is right is the model's to say.
"""

from array import array
from collections.abc import Sequence

MIN_MATCH, MAX_MATCH = 2, 8  # tokens
MAX_DRAFT = 8  # tokens; on a CPU every further one costs a twelfth of a step
_PATIENCE = 0.75  # how slowly the share of accepted tokens follows what is seen

_WIDTH = array("i").itemsize


class Draft:
    """The tokens of one generation, searchable, and how well what they proposed did."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._data = bytearray(array("i", prompt).tobytes())
        self._hope = 0.5  # exponential mean of the share of drafted tokens that were accepted
        self._last_proposed = self._last_accepted = 0
        self.drafted = self.accepted = 0
        # Mutated by: extend(), propose() and accept(), on the engine's thread.

    def extend(self, token: int) -> None:
        """One more token of the generation."""
        self._data += array("i", (token,)).tobytes()

    def accept(self) -> None:
        """One more token of the last proposal was right."""
        self._last_accepted += 1
        self.accepted += 1

    def propose(self, room: int) -> list[int]:
        """At most `room` tokens, fewer behind a shorter match or where drafts were wrong; often none."""
        if self._last_proposed:
            share = self._last_accepted / self._last_proposed
            self._hope = _PATIENCE * self._hope + (1 - _PATIENCE) * share
        tokens = self._found(min(room, MAX_DRAFT))
        self._last_proposed, self._last_accepted = len(tokens), 0
        self.drafted += len(tokens)
        return tokens

    def _found(self, room: int) -> list[int]:
        for length in range(MAX_MATCH, MIN_MATCH - 1, -1):
            place = self._last(length)
            if place >= 0:
                size = min(room, max(1, round(2 * length * self._hope)))
                return array("i", bytes(self._data[place : place + size * _WIDTH])).tolist()
        return []

    def _last(self, length: int) -> int:
        """The byte behind the last earlier place of the last `length` tokens, or -1."""
        data = self._data
        size = length * _WIDTH
        end = len(data) - _WIDTH  # a match ends before the last token: something follows it
        if end < size:
            return -1
        pattern = bytes(data[-size:])
        place = data.rfind(pattern, 0, end)
        while place >= 0 and place % _WIDTH:
            place = data.rfind(pattern, 0, place + size - 1)
        return place + size if place >= 0 else -1
