"""Where an answer ends, one token after another; each rule costs the token, never the text so far.

Knows tokens and the bytes they stand for. Nothing of logits, and not how many tokens a step brings: the rules see them
in order, one at a time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .api import FinishReason, SamplingParams

_NEWLINE, _SPACE, _TAB = b"\n \t"
_OTHER_SPACE: Final = b"\r\f\v"  # neither ends a line here nor indents one


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a token belongs to the answer, and why the answer ends with it or before it."""

    kept: bool
    reason: FinishReason | None


_GO_ON: Final = Verdict(True, None)


class Stops:
    """The rules of one answer, as `SamplingParams` describes them."""

    def __init__(self, params: SamplingParams, ends: frozenset[int], bytes_of: Callable[[int], bytes]) -> None:
        """`ends`: the control tokens; `bytes_of`: the bytes of a token's text."""
        self._max_tokens, self._max_lines, self._min_indent = params.max_tokens, params.max_lines, params.min_indent
        self._ends = ends.union(params.stop_ids)
        self._bytes_of = bytes_of
        self._floor = math.log(params.min_confidence) if params.min_confidence > 0.0 else -math.inf
        self._strings = [string.encode() for string in params.stop]
        self._overlap = max(map(len, self._strings), default=1) - 1  # bytes of the longest string that may have come
        self._tokens, self._lines = 0, 0
        self._logprob = 0.0  # of the whole answer
        self._tail = b""
        # What white space reaches in this line, the first one being indented enough: it begins at the cursor. Behind a
        # line's first word it grows and is never too little again.
        self._column = params.min_indent
        # Mutated by: take().

    def take(self, token: int, logprob: float) -> Verdict:
        """Judge the next token. None is taken after one that ended the answer.

        Where several rules end it at once, those that drop the token come first, and `max_tokens` last.
        """
        if token in self._ends:
            return Verdict(False, "stop")
        text = self._bytes_of(token)
        if self._dedents(text):
            return Verdict(False, "stop")
        if self._doubtful(logprob):
            return Verdict(False, "confidence")
        self._tokens += 1
        self._lines += text.count(b"\n")
        if self._completes_string(text) or 0 < self._max_lines <= self._lines:
            return Verdict(True, "stop")
        return Verdict(True, "length") if self._tokens >= self._max_tokens else _GO_ON

    def _dedents(self, text: bytes) -> bool:
        """Whether a line that is not blank now starts left of `min_indent`."""
        if self._min_indent == 0:
            return False
        for byte in text:
            if byte == _NEWLINE:
                self._column = 0
            elif byte == _SPACE:
                self._column += 1
            elif byte == _TAB:
                self._column += 8 - self._column % 8
            elif self._column < self._min_indent and byte not in _OTHER_SPACE:
                return True
        return False

    def _doubtful(self, logprob: float) -> bool:
        """Whether the geometric mean of all probabilities is now below `min_confidence`; compared as logarithms."""
        self._logprob += logprob
        return self._logprob < self._floor * (self._tokens + 1)

    def _completes_string(self, text: bytes) -> bool:
        """Whether a stop string ends in `text`; UTF-8 matches at no other place than the characters do."""
        if not self._strings:
            return False
        window = self._tail + text
        self._tail = window[max(0, len(window) - self._overlap) :]
        return any(string in window for string in self._strings)
