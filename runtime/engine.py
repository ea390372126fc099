"""One model on one device, on a thread of its own that is spoken to through a queue.

Loads, checks what is asked, and hands it to the scheduler; knows token ids only. Sockets are the server's, text is the
client's.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from time import perf_counter
from typing import TypeVar

import torch

from .api import Request, RequestRefused
from .kv_cache import Sequence as Cached
from .load import Options, Progress, load
from .runner import Work
from .scheduler import Emit, Generation, Scheduler

Result = TypeVar("Result")

MAX_UNFINISHED = 128  # requests, under way or waiting
STEP_SECONDS = 0.1  # that a step may take: so long an abort or another user's next token waits behind a prompt
STEP_ROWS = (64, 512)  # so many rows, whatever the time
_MEASURED_ROWS = 64
DEFAULT = Options()


class Engine:
    """Loads a model and serves it until closed."""

    def __init__(self, model: str, progress: Progress, options: Options = DEFAULT) -> None:
        """`model` is a folder, a hub id or "embedded"; `progress(message, fraction)` reports loading.

        Raises ModelError.
        """
        loaded = load(model, progress, options)
        self.facts = loaded.facts
        self.tokenizer_json = loaded.tokenizer_json
        self._loaded = loaded
        self._scheduler = Scheduler(loaded.runner, loaded.tokenizer, STEP_ROWS[0], self._ended)
        self._unfinished = threading.BoundedSemaphore(MAX_UNFINISHED)
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closing = False
        # Mutated by: close(). The scheduler and all that is in it belong to the engine's thread.
        self._thread = threading.Thread(target=self._work, name="sc2lsp-engine", daemon=True)
        self._thread.start()
        progress("warming up", 0.9)
        self.call(self._warm_up).result()

    def submit(self, request: Request, emit: Emit) -> Generation:
        """Queue a request. `emit` is called on the engine's thread, last with usage or a refusal.

        An earlier request of the same document ends as if it were aborted. Raises RequestRefused when the request
        cannot be served or too many are unfinished.
        """
        self._check(request)
        if not self._unfinished.acquire(blocking=False):
            raise RequestRefused("busy", f"{MAX_UNFINISHED} requests are unfinished; try again later")
        generation = Generation(request, emit)
        self._inbox.put(partial(self._scheduler.enqueue, generation))
        return generation

    def call(self, function: Callable[[], Result]) -> "Future[Result]":
        """Run `function` on the engine's thread, between two steps."""
        future: Future[Result] = Future()
        self._inbox.put(partial(_settle, future, function))
        return future

    def put_document(self, document: str, tokens: Sequence[int]) -> None:
        """Look for drafts in these tokens of a workspace, no longer in those that `document` had before."""
        self._inbox.put(partial(self._scheduler.index.put, document, tokens))

    def remove_document(self, document: str) -> None:
        self._inbox.put(partial(self._scheduler.index.remove, document))

    def close(self) -> None:
        """Abort what is under way and stop the thread."""
        self._inbox.put(self._close)
        self._thread.join()

    def _check(self, request: Request) -> None:
        context, vocabulary = self.facts.context_length, self.facts.vocab_size
        count, answer = len(request.prompt), request.sampling.max_tokens
        if not 0 < count <= context - answer:
            limits = f"this model takes 1 to {context - answer} here: {context} in all, {answer} of them for the answer"
            raise RequestRefused("bad_request", f"the prompt has {count} tokens, {limits}")
        if not 0 <= min(request.prompt) <= max(request.prompt) < vocabulary:
            raise RequestRefused("bad_request", f"the prompt holds token ids outside of 0 to {vocabulary - 1}")

    def _ended(self, generation: Generation) -> None:
        self._unfinished.release()

    def _work(self) -> None:
        if self.facts.device == "cpu":
            torch.set_num_threads(self._loaded.threads)
        while not self._closing:
            self._receive()
            self._scheduler.step()

    def _receive(self) -> None:
        """Do what arrived; wait for something only where there is nothing else to do."""
        wait = not self._scheduler.busy
        while True:
            try:
                arrived = self._inbox.get(block=wait)
            except queue.Empty:
                return
            arrived()
            wait = False

    def _close(self) -> None:
        self._closing = True
        self._scheduler.abort_all()

    def _warm_up(self) -> None:
        """Pay for lazy initialisation now, and learn how many rows a step may have."""
        runner, sequence = self._loaded.runner, Cached()
        tokens = (self._loaded.tokenizer.encode("def main():\n    pass\n") * _MEASURED_ROWS)[:_MEASURED_ROWS]
        runner.cache.reserve(sequence, len(tokens))
        seconds = []
        for work in (Work(sequence, tokens[:1], 1), Work(sequence, tokens, 1), Work(sequence, tokens, 1)):
            started = perf_counter()
            runner.run([work]).argmax().item()
            seconds.append(perf_counter() - started)
        runner.cache.drop(sequence)
        least, most = STEP_ROWS
        self._scheduler.rows = max(least, min(int(STEP_SECONDS / seconds[-1] * len(tokens)), most))


def _settle(future: "Future[Result]", function: Callable[[], Result]) -> None:
    try:
        future.set_result(function())
    except RuntimeError as failure:
        future.set_exception(failure)
