"""What an answer has to begin with: the end of what was typed, left out of the prompt so that the model may write it in
tokens of its own (token healing; Lundberg, 2023). Knows bytes of tokens, nothing of prompts.
"""

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor

from .tokenizer import Tokenizer


class Vocabulary:
    """The tokens of text, by their bytes. Immutable."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        text = (id for id in range(tokenizer.vocab_size) if id not in tokenizer.control_ids)
        known = sorted((tokenizer.bytes_of(id), id) for id in text)
        self._spelled = [spelled for spelled, _ in known]
        self._ids = [id for _, id in known]

    def beginning(self, owed: bytes) -> list[int]:
        """The tokens that begin with `owed`, and the one that the tokenizer itself would begin it with.

        Others that it begins with would be like the half word that the prompt is spared.
        """
        place = end = bisect_left(self._spelled, owed)
        while end < len(self._spelled) and self._spelled[end].startswith(owed):
            end += 1
        return list(dict.fromkeys((*self._ids[place:end], self._first(owed))))

    def _first(self, owed: bytes) -> int:
        """Of what is half a character, the longest token that it begins with; every byte is one."""
        ids = self._tokenizer.encode(owed.decode("utf-8", "ignore"))
        if ids and owed.startswith(self._tokenizer.bytes_of(ids[0])):
            return ids[0]
        for end in range(len(owed), 0, -1):
            place = bisect_left(self._spelled, owed[:end])
            if self._spelled[place : place + 1] == [owed[:end]]:
                return self._ids[place]
        raise AssertionError("a vocabulary without every byte")

    def left(self, owed: bytes, token: int) -> bytes:
        """What is still owed behind a token; nothing behind one that cannot come."""
        spelled = self._tokenizer.bytes_of(token)
        return owed[len(spelled) :] if spelled and owed.startswith(spelled) else b""

    def narrowed(self, logits: Tensor, owed: Sequence[bytes]) -> Tensor:
        """[rows, vocab] logits, minus infinity for what does not write what a row owes."""
        if not any(owed):
            return logits
        narrowed = logits.clone()
        for row, text in enumerate(owed):
            if text:
                allowed = torch.tensor(self.beginning(text), device=logits.device)
                narrowed[row] = -torch.inf
                narrowed[row, allowed] = logits[row, allowed]
        return narrowed
