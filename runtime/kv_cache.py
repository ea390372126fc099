"""Keys and values in pages of 16 tokens, shared by all sequences: what the next keystroke reuses.

A sequence owns its tokens and the pages they lie in. Pages full of the same tokens behind the same tokens are shared,
and found again by a chained hash. Knows nothing of requests, documents or time.
"""

import hashlib
import os
from array import array
from dataclasses import dataclass, field

import torch

from sc2lsp.kernels.batch import PAGE

from .config import ModelConfig
from .pages import OutOfPages, PagePool

__all__ = ["PAGE", "KVCache", "OutOfPages", "Sequence"]

UNSEEN = 0  # stands for a page that fell out of every later row's window
SLACK = 16  # pages behind the window that are kept all the same: deleting text moves the window back


@dataclass(slots=True, eq=False)
class Sequence:
    """Tokens whose keys and values are in the cache, and the pages that hold them or are reserved for more."""

    tokens: list[int] = field(default_factory=list[int])
    pages: list[int] = field(default_factory=list[int])
    digests: list[bytes] = field(default_factory=list[bytes])  # of the full pages, each over all tokens before as well
    unseen: int = 0  # leading pages that were given back


class KVCache:
    """Room for `pages` pages in every layer, and who has which of them."""

    def __init__(self, config: ModelConfig, pages: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (pages, PAGE, config.num_kv_heads, config.head_dim)
        # Not zeroed: memory of a page is only taken when it is first written.
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_layers)]
        self.values = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_layers)]
        self._window = config.window
        self._pool = PagePool(pages)
        self._secret = os.urandom(16)  # nobody outside can make two texts of one digest
        # Mutated by every method, and the sequences with it, on the engine's thread only.

    @property
    def pages(self) -> int:
        return len(self._pool)

    @property
    def available(self) -> int:
        """Pages that nobody holds."""
        return self._pool.available

    def adopt(self, sequence: Sequence, prompt: tuple[int, ...]) -> int:
        """Make `sequence` the longest known beginning of `prompt`; all but one of its tokens at most. Its length.

        Its own tokens are compared one by one. Where pages that other sequences left or share go further, it takes
        those.
        """
        own = self._common(sequence, prompt)
        digests = self._digests(prompt, (len(prompt) - 1) // PAGE, sequence.digests[: own // PAGE])
        found = self._known(digests)
        if len(found) * PAGE > own:
            self.drop(sequence)
            sequence.pages, sequence.digests = found, digests[: len(found)]
            sequence.tokens = list(prompt[: len(found) * PAGE])
            for page in found:
                self._pool.share(page)
        else:
            self._cut(sequence, own)
        return len(sequence.tokens)

    def reserve(self, sequence: Sequence, length: int) -> None:
        """Own pages for `length` tokens, those to be written alone. Raises OutOfPages; then nothing changed."""
        whole = len(sequence.tokens) // PAGE
        partial = len(sequence.tokens) % PAGE and self._pool.is_shared(sequence.pages[whole])
        lacking = -(-length // PAGE) - len(sequence.pages)
        if max(lacking, 0) + bool(partial) > self._pool.available:
            raise OutOfPages
        if partial:
            (copy,) = self._pool.take(1)
            self._copy(sequence.pages[whole], copy)
            self._pool.release([sequence.pages[whole]])
            sequence.pages[whole] = copy
        if lacking > 0:
            sequence.pages += self._pool.take(lacking, sequence.pages[-1] if sequence.pages else None)

    def commit(self, sequence: Sequence, tokens: list[int]) -> None:
        """The keys and values of `tokens` were written behind the sequence in every layer."""
        sequence.tokens += tokens
        full = len(sequence.tokens) // PAGE
        if full > len(sequence.digests):
            first = len(sequence.digests)
            sequence.digests = self._digests(sequence.tokens, full, sequence.digests)
            for place in range(first, full):
                self._pool.remember(sequence.pages[place], sequence.digests[place])
        self._free_unseen(sequence)

    def fork(self, sequence: Sequence) -> Sequence:
        """Another sequence of the same tokens, on the same pages as far as they are written."""
        used = -(-len(sequence.tokens) // PAGE)
        for page in sequence.pages[sequence.unseen : used]:
            self._pool.share(page)
        return Sequence(list(sequence.tokens), sequence.pages[:used], list(sequence.digests), sequence.unseen)

    def shrink(self, sequence: Sequence) -> None:
        """Give back the pages that are reserved and not written."""
        used = -(-len(sequence.tokens) // PAGE)
        self._pool.release(sequence.pages[used:])
        del sequence.pages[used:]

    def drop(self, sequence: Sequence) -> None:
        """Give everything back; the sequence is empty."""
        self._pool.release(sequence.pages[sequence.unseen :])
        sequence.tokens, sequence.pages, sequence.digests, sequence.unseen = [], [], [], 0

    def discard(self, sequence: Sequence) -> None:
        """Give everything back, and let nobody find it again."""
        for page in sequence.pages[sequence.unseen :]:
            self._pool.forget(page)
        self.drop(sequence)

    def forget(self) -> None:
        """No page is found by its content any more."""
        self._pool.forget_all()

    def _common(self, sequence: Sequence, prompt: tuple[int, ...]) -> int:
        """How many of the sequence's first tokens can stay; none where their window was given back."""
        limit = min(len(sequence.tokens), len(prompt) - 1)
        own = next((i for i in range(limit) if sequence.tokens[i] != prompt[i]), limit)
        seen = 0 if self._window is None else max(0, own - self._window + 1)
        return own if seen >= sequence.unseen * PAGE else 0

    def _cut(self, sequence: Sequence, length: int) -> None:
        """Keep the first `length` tokens; the page that is written next forgets what it held."""
        used = -(-length // PAGE)
        if used <= sequence.unseen:
            self.drop(sequence)
            return
        self._pool.release(sequence.pages[used:])
        del sequence.pages[used:], sequence.tokens[length:], sequence.digests[length // PAGE :]
        if length % PAGE and not self._pool.is_shared(sequence.pages[-1]):
            self._pool.forget(sequence.pages[-1])

    def _known(self, digests: list[bytes]) -> list[int]:
        pages: list[int] = []
        for digest in digests:
            page = self._pool.find(digest)
            if page is None:
                break
            pages.append(page)
        return pages

    def _digests(self, tokens: list[int] | tuple[int, ...], full: int, known: list[bytes]) -> list[bytes]:
        """Of the first `full` pages of `tokens`, the first of which are `known`."""
        digests = list(known)
        for place in range(len(digests), full):
            content = array("i", tokens[place * PAGE : (place + 1) * PAGE]).tobytes()
            before = digests[-1] if digests else self._secret
            digests.append(hashlib.blake2b(content, digest_size=16, key=before).digest())
        return digests

    def _free_unseen(self, sequence: Sequence) -> None:
        """Pages that no later row sees, but for a few."""
        if self._window is None:
            return
        unseen = max(0, len(sequence.tokens) + 1 - self._window) // PAGE - SLACK
        if unseen > sequence.unseen:
            self._pool.release(sequence.pages[sequence.unseen : unseen])
            sequence.pages[sequence.unseen : unseen] = [UNSEEN] * (unseen - sequence.unseen)
            sequence.unseen = unseen

    def _copy(self, source: int, target: int) -> None:
        for cache in (*self.keys, *self.values):
            cache[target] = cache[source]


def context_pages(config: ModelConfig) -> int:
    """Of one document at full length."""
    return -(-config.context_length // PAGE)


def page_bytes(config: ModelConfig, dtype: torch.dtype) -> int:
    """Of one page in all layers."""
    return 2 * config.num_layers * PAGE * config.num_kv_heads * config.head_dim * dtype.itemsize
