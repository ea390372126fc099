"""What an evaluation asks of a model beside completions: how likely it finds the text that was really there.

Token ids only, one caller on one thread; knows no holes, no files and no score.
"""

import math
import queue
from dataclasses import dataclass

import torch

from .api import Chunk, Request, RequestRefused, SamplingParams, Usage
from .engine import Engine


@dataclass(frozen=True, slots=True)
class Answer:
    """What was generated for a prompt, and what it cost."""

    token_ids: tuple[int, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of a true middle: -ln of the probability of its tokens together, and of ending right behind them."""

    nats: float
    end_nats: float


class Scorer(Engine):
    """An engine that is asked in turn, and that also says how likely a given answer is."""

    def answer(self, document: str, prompt: tuple[int, ...], sampling: SamplingParams) -> Answer:
        """Generate and wait. Raises RequestRefused."""
        arrived: queue.SimpleQueue[Chunk | RequestRefused] = queue.SimpleQueue()
        self.submit(Request(0, document, prompt, sampling), arrived.put)
        produced: list[int] = []
        while True:
            chunk = arrived.get()
            if isinstance(chunk, RequestRefused):
                raise chunk
            produced += chunk.token_ids
            if chunk.usage is not None:
                return Answer(tuple(produced), chunk.usage)

    @torch.inference_mode()
    def likelihood(self, document: str, prompt: tuple[int, ...], middle: tuple[int, ...]) -> Likelihood:
        """In one forward pass behind what the document's cache holds of the prompt.

        An answer ends at any control token, so the probabilities of all of them count as its end. Prompt and middle
        together fit the context; no request is under way.
        """
        assert prompt and len(prompt) + len(middle) <= self.facts.context_length
        cache = self._session(document)
        cached = cache.reuse(prompt)
        tokens = [*prompt[cached:], *middle]
        # Never committed: the cache goes on holding the prompt alone.
        hidden = self._model.hidden(torch.tensor([tokens], device=self._device), cache)[0, -len(middle) - 1 :]
        log_probs = torch.log_softmax(self._model.head(hidden).float(), dim=-1)  # [middle + 1, vocab]
        wanted = torch.tensor(middle, dtype=torch.long, device=self._device)[:, None]
        ends = torch.tensor(sorted(self._tokenizer.control_ids), device=self._device)
        nats = -float(log_probs[:-1].gather(1, wanted).double().sum())
        end_nats = -float(log_probs[-1, ends].logsumexp(0))
        assert math.isfinite(nats)
        return Likelihood(nats, end_nats)
