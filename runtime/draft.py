"""What probably comes next, guessed without running the model: cheapest and surest source first.

The rest of the suggestion that the user is typing through; then the text after the place that reads most like this one,
in the prompt (prompt lookup, Saxena 2023; arXiv 2304.04487) or in the workspace (`token_index`). Knows token ids only;
whether a draft is right is the model's to say.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .draft_model import DraftModel
from .token_index import TokenIndex

Source = Literal["shown", "prompt", "workspace", "model"]

MIN_MATCH, MAX_MATCH = 2, 8  # tokens
SURE_MATCH = 6  # tokens: from here on a copy is likelier right than a smaller model
MAX_DRAFT = 8  # tokens; on a CPU every further one costs a twelfth of a step
MAX_SHOWN = 32  # tokens of what was shown before: nearly always right
_PATIENCE = 0.75  # how slowly the share of accepted tokens follows what is seen

_WIDTH = array("i").itemsize


@dataclass(frozen=True, slots=True)
class Proposal:
    """Tokens that may come next, and where they were found."""

    tokens: list[int]
    source: Source


class Draft:
    """The tokens of one answer, searchable, and how well what they proposed did."""

    def __init__(
        self,
        prompt: Sequence[int],
        shown: Sequence[int] = (),
        index: TokenIndex | None = None,
        model: DraftModel | None = None,
    ) -> None:
        """`shown`: how an earlier answer goes on from here, if this one comes out the same. Owns `model`."""
        self._data = bytearray(array("i", prompt).tobytes())
        self._shown = list(shown)
        self._index = index
        self._model = model
        self._hope = 0.5  # exponential mean of the share of drafted tokens that were accepted
        # Mutated by: advance(), on the engine's thread.

    @property
    def tokens(self) -> list[int]:
        """The prompt and what came of the answer so far."""
        return array("i", bytes(self._data)).tolist()

    def advance(self, tokens: list[int], proposed: int, accepted: int) -> None:
        """`tokens` came next, after the first `accepted` of the `proposed` last ones turned out right."""
        self._data += array("i", tokens).tobytes()
        self._shown = self._shown[len(tokens) :] if self._shown[: len(tokens)] == tokens else []
        if proposed:
            self._hope = _PATIENCE * self._hope + (1 - _PATIENCE) * accepted / proposed

    def propose(self, room: int) -> Proposal | None:
        """At most `room` tokens, fewer behind a shorter match or where drafts were wrong; often none."""
        if room <= 0:
            return None
        if self._shown:
            return Proposal(self._shown[: min(room, MAX_SHOWN)], "shown")
        length, found = self._in_prompt(MAX_DRAFT)
        source: Source = "prompt"
        if self._index is not None and length < MAX_MATCH:
            match = self._index.match(self._last_tokens(MAX_MATCH), MAX_DRAFT)
            if match is not None and match.length > length:
                length, found, source = match.length, list(match.tokens), "workspace"
        if self._model is not None and length < SURE_MATCH:
            return Proposal(tokens, "model") if (tokens := self._model.propose(self.tokens, room)) else None
        size = min(room, max(1, round(2 * length * self._hope)))
        return Proposal(found[:size], source) if found else None

    def close(self) -> None:
        if self._model is not None:
            self._model.close()

    def _last_tokens(self, count: int) -> list[int]:
        return array("i", bytes(self._data[-count * _WIDTH :])).tolist()

    def _in_prompt(self, room: int) -> tuple[int, list[int]]:
        """The length of the longest match in prompt and answer, and what followed the last place of that length."""
        for length in range(MAX_MATCH, MIN_MATCH - 1, -1):
            place = self._last(length)
            if place >= 0:
                return length, array("i", bytes(self._data[place : place + room * _WIDTH])).tolist()
        return 0, []

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
