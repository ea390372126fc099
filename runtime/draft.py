"""What probably comes next, guessed without running the model: cheapest and surest source first.

The rest of the suggestion that the user is typing through, or what they typed of the token that is being written; then
the text after the place that reads most like this one, in earlier answers and the prompt (prompt lookup, Saxena 2023;
arXiv 2304.04487) or in the workspace (`token_index`). Knows token ids only;
whether a draft is right is the model's to say.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .draft_model import DraftModel
from .token_index import TokenIndex

Source = Literal["typed", "shown", "prompt", "workspace", "model"]

MIN_MATCH, MAX_MATCH = 2, 16  # tokens
SURE_MATCH = 6  # tokens: from here on a copy is likelier right than a smaller model
MAX_DRAFT = 15  # tokens; with the last certain one a step of 16 rows
# A copy goes on while it is this likely to be right so far: best on 600 holes of four repositories where a further row
# costs a twelfth of a step, as on a CPU, and where it costs nearly nothing.
LIKELY: Mapping[str, float] = {"cpu": 0.15, "cuda": 0.03, "mps": 0.03}
GAP = -1  # between texts that do not belong together; no token

_WIDTH = array("i").itemsize


@dataclass(frozen=True, slots=True)
class Proposal:
    """Tokens that may come next, and where they were found."""

    tokens: list[int]
    source: Source


@dataclass(frozen=True, slots=True)
class Known:
    """What drafts are made from beside the prompt; every part may be missing.

    `typed`: what the answer has to begin with. `shown`: that, and how an earlier answer went on, if this one comes out
    the same. `recent`: earlier answers, with GAP between them.
    """

    typed: Sequence[int] = ()
    shown: Sequence[int] = ()
    recent: Sequence[int] = ()
    index: TokenIndex | None = None
    document: str | None = None  # the prompt's own in the index, where the context itself is not looked up
    model: DraftModel | None = None


class Draft:
    """The tokens of one answer, searchable, and what may follow them."""

    def __init__(self, prompt: Sequence[int], known: Known = Known(), likely: float = LIKELY["cpu"]) -> None:
        """Owns the model in `known`."""
        self._data = bytearray(array("i", [*known.recent, *prompt]).tobytes())
        self._known = known
        self._likely = likely
        self._typed, self._shown = list(known.typed), list(known.shown)
        # Mutated by: advance(), on the engine's thread.

    def advance(self, tokens: list[int]) -> None:
        """`tokens` came next."""
        self._data += array("i", tokens).tobytes()
        self._typed = _rest(self._typed, tokens)
        self._shown = _rest(self._shown, tokens)

    def context(self, guessed: Sequence[int] = ()) -> list[int]:
        """The last tokens before the one behind `guessed`, as many as a match may have."""
        return [*self._last_tokens(MAX_MATCH), *guessed][-MAX_MATCH:]

    def propose(self, room: int) -> Proposal | None:
        """At most `room` tokens, as far as they are likely to be right; often none."""
        room = min(room, MAX_DRAFT)
        if room <= 0:
            return None
        if self._shown:
            return Proposal(self._shown[:room], "shown")
        if self._typed:
            return Proposal(self._typed[:room], "typed")
        return self._copied(room)

    def close(self) -> None:
        if self._known.model is not None:
            self._known.model.close()

    def _copied(self, room: int) -> Proposal | None:
        source: Source = "prompt"
        length, found, share = *self._in_prompt(room), 1.0
        if self._known.index is not None and length < MAX_MATCH:
            match = self._known.index.match(self.context(), room, self._known.document)
            if match is not None and match.length > length:
                source, length, found, share = (
                    "workspace",
                    match.length,
                    list(match.tokens),
                    match.agreeing / match.places,
                )
        if self._known.model is not None and length < SURE_MATCH:
            tokens = self._known.model.propose(array("i", bytes(self._data)).tolist(), room)
            return Proposal(tokens, "model") if tokens else None
        tokens = found[: self._worthwhile(length, share)]
        return Proposal(tokens, source) if tokens else None

    def _worthwhile(self, length: int, share: float) -> int:
        """How many tokens behind a match are likely enough; every right one makes the next likelier to be."""
        for count in range(MAX_DRAFT):
            share *= (length + count) / (length + count + 3)
            if share < self._likely:
                return count
        return MAX_DRAFT

    def _last_tokens(self, count: int) -> list[int]:
        return array("i", bytes(self._data[-count * _WIDTH :])).tolist()

    def _in_prompt(self, room: int) -> tuple[int, list[int]]:
        """The length of the longest match, and what followed the last place of that length."""
        for length in range(MAX_MATCH, MIN_MATCH - 1, -1):
            place = self._last(length)
            if place >= 0:
                found = array("i", bytes(self._data[place : place + room * _WIDTH])).tolist()
                return length, found[: found.index(GAP)] if GAP in found else found
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


def _rest(expected: list[int], tokens: list[int]) -> list[int]:
    """What is left of it behind `tokens`; nothing where it says something else."""
    return expected[len(tokens) :] if expected[: len(tokens)] == tokens else []
