"""What an evaluation asks of a model beside completions: how likely it finds the text that was really there.

Token ids only, one caller on one thread; knows no holes, no files and no score.
"""

import math
import queue
from dataclasses import dataclass
from functools import partial

import torch

from .api import Chunk, Request, RequestRefused, SamplingParams, Usage
from .engine import Engine
from .runner import Work
from .token_index import MAX_MATCH


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

    def forget(self) -> None:
        """Let the next prompt find nothing in the cache."""
        self.call(self._forget).result()

    def _forget(self) -> None:
        self._scheduler.forget_answers()
        self._scheduler.sessions.clear()
        self._loaded.runner.cache.forget()

    def answer(self, document: str, prompt: tuple[int, ...], sampling: SamplingParams, workspace: str = "") -> Answer:
        """Generate and wait. Raises RequestRefused."""
        arrived: queue.SimpleQueue[Chunk | RequestRefused] = queue.SimpleQueue()
        self.submit(Request(0, document, prompt, sampling, workspace), arrived.put)
        produced: list[int] = []
        while True:
            chunk = arrived.get()
            if isinstance(chunk, RequestRefused):
                raise chunk
            produced += chunk.token_ids
            if chunk.usage is not None:
                return Answer(tuple(produced), chunk.usage)

    def likelihood(
        self, document: str, prompt: tuple[int, ...], middle: tuple[int, ...], workspace: str = ""
    ) -> Likelihood:
        """In one forward pass behind what the document's cache holds of the prompt.

        An answer ends at any control token, so the probabilities of all of them count as its end. Prompt and middle
        together fit the context; no request of the document is under way.
        """
        assert prompt and len(prompt) + len(middle) <= self.facts.context_length
        return self.call(partial(self._likelihood, document, prompt, middle, workspace)).result()

    def _likelihood(
        self, document: str, prompt: tuple[int, ...], middle: tuple[int, ...], workspace: str
    ) -> Likelihood:
        runner, sessions, tokenizer = self._loaded.runner, self._scheduler.sessions, self._loaded.tokenizer
        session = sessions.take(document)
        cached = runner.cache.adopt(session.sequence, prompt)
        assert sessions.reserve(session.sequence, len(prompt) + len(middle))
        work = Work(session.sequence, [*prompt[cached:], *middle], len(middle) + 1)
        text = (*prompt, *middle)
        ends = range(len(prompt), len(text) + 1)
        request = Request(0, document, prompt, SamplingParams(), workspace)
        nearby = self._scheduler.nearby(request)
        asked = [(nearby, text[max(end - MAX_MATCH, 0) : end]) for end in ends]
        logits = self._scheduler.mixed(runner.run([work]), asked)
        log_probs = torch.log_softmax(logits.float(), dim=-1)  # [middle + 1, vocab]
        runner.cache.commit(session.sequence, list(prompt[cached:]))  # without the middle
        sessions.put(document, session)
        wanted = torch.tensor(middle, dtype=torch.long, device=log_probs.device)[:, None]
        control = torch.tensor(sorted(tokenizer.control_ids), device=log_probs.device)
        nats = -float(log_probs[:-1].gather(1, wanted).double().sum())
        end_nats = -float(log_probs[-1, control].logsumexp(0))
        assert math.isfinite(nats)
        return Likelihood(nats, end_nats)
