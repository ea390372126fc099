"""One answer under way: what is still to be computed for it, what came out, and where it ends.

Knows tokens; the model, the clock and who reads the answer are the engine's.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest

from .api import FinishReason, SamplingParams
from .draft import Draft, Proposal, Source
from .forced import Vocabulary
from .kv_cache import Sequence
from .runner import Work
from .sampler import Draw
from .stops import Stops


class NotFinite(Exception):
    """The model gave numbers that are none for this answer."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step added to an answer."""

    tokens: list[int]
    logprobs: list[float]
    reason: FinishReason | None
    computed: list[int]  # tokens that are now in the sequence for good


@dataclass(slots=True, eq=False)
class Answer:
    """The state of an answer to a prompt, from the first row computed for it to its last token.

    `todo` are the tokens that the sequence lacks: at first those of the prompt, then the last one that was chosen.
    """

    params: SamplingParams
    seed: int
    sequence: Sequence
    todo: list[int]
    draft: Draft
    stops: Stops
    vocabulary: Vocabulary
    owed: bytes = b""  # what it still has to begin with
    produced: list[int] = field(default_factory=list[int])
    drafted: Counter[Source] = field(default_factory=Counter[Source])  # tokens
    accepted: Counter[Source] = field(default_factory=Counter[Source])
    proposal: Proposal | None = None
    # Mutated by: work() and take(), on the engine's thread.

    def work(self, room: int) -> Work:
        """At most `room` of the rows that come next; behind the last one that is certain, a draft of more."""
        self.proposal = None
        if len(self.todo) > room:
            return Work(self.sequence, self.todo[:room], 0)
        self.proposal = self.draft.propose(min(self.params.max_tokens - len(self.produced) - 1, room - len(self.todo)))
        guessed = self.proposal.tokens if self.proposal else []
        return Work(self.sequence, self.todo + guessed, 1 + len(guessed))

    def draws(self, work: Work) -> list[Draw]:
        return [Draw(self.params, self.seed, len(self.produced) + row) for row in range(work.wanted)]

    def owing(self, work: Work) -> list[bytes]:
        """What is owed before the token of each wanted row."""
        owed = [self.owed] if work.wanted else []
        for token in _guessed(work):
            owed.append(self.vocabulary.left(owed[-1], token))
        return owed

    def contexts(self, work: Work) -> list[list[int]]:
        """The tokens before that of each wanted row."""
        guessed = _guessed(work)
        return [self.draft.context(guessed[:row]) for row in range(work.wanted)]

    def take(self, work: Work, chosen: list[tuple[int, float]]) -> Progress:
        """Go on with what was chosen for the wanted rows of `work`: tokens and their log probabilities.

        A row counts as long as the draft before it was right (speculative sampling, arXiv 2211.17192, with a draft of
        probability one): every token is the model's own. Raises NotFinite.
        """
        guessed = _guessed(work)
        kept: list[tuple[int, float]] = []
        reason: FinishReason | None = None
        right = 0
        for (token, logprob), guess in zip_longest(chosen, guessed):
            if math.isnan(logprob):
                raise NotFinite
            verdict = self.stops.take(token, logprob)
            if verdict.kept:
                kept.append((token, logprob))
            is_right = verdict.kept and token == guess
            right += is_right
            reason = verdict.reason
            if reason is not None or not is_right:
                break
        tokens = [token for token, _ in kept]
        self._advance(work, tokens, right)
        return Progress(
            tokens, [logprob for _, logprob in kept], reason, work.tokens[: len(work.tokens) - len(guessed) + right]
        )

    def _advance(self, work: Work, tokens: list[int], right: int) -> None:
        if not work.wanted:
            self.todo = self.todo[len(work.tokens) :]
            return
        if self.proposal is not None:
            self.drafted[self.proposal.source] += work.wanted - 1
            self.accepted[self.proposal.source] += right
        self.produced += tokens
        self.todo = tokens[-1:]
        self.draft.advance(tokens)
        for token in tokens:
            self.owed = self.vocabulary.left(self.owed, token)


def _guessed(work: Work) -> list[int]:
    """The draft in a step: behind the one row that is certain, a row for each of its tokens."""
    return work.tokens[len(work.tokens) - max(work.wanted - 1, 0) :]
