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
        self._bytes_of = tokenizer.bytes_of
        text = (id for id in range(tokenizer.vocab_size) if id not in tokenizer.control_ids)
        known = sorted((tokenizer.bytes_of(id), id) for id in text)
        self._spelled = [spelled for spelled, _ in known]
        self._ids = [id for _, id in known]

    def beginning(self, owed: bytes) -> list[int]:
        """The tokens that `owed` begins with, and those that begin with it."""
        ids: list[int] = []
        for end in range(1, len(owed)):
            place = bisect_left(self._spelled, owed[:end])
            if self._spelled[place : place + 1] == [owed[:end]]:
                ids.append(self._ids[place])
        place = bisect_left(self._spelled, owed)
        while place < len(self._spelled) and self._spelled[place].startswith(owed):
            ids.append(self._ids[place])
            place += 1
        return ids

    def left(self, owed: bytes, token: int) -> bytes:
        """What is still owed behind a token; nothing behind one that cannot come."""
        spelled = self._bytes_of(token)
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
