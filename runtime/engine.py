"""One model on one device, on a thread of its own that is spoken to through a queue.

Loads, checks what is asked, and hands it to the scheduler; knows token ids only. Sockets are the server's, text is the
client's.
"""

import queue
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import torch

from .api import Indexed, Request, RequestRefused
from .kv_cache import Sequence as Cached
from .load import Options, Progress, load
from .runner import Work
from .scheduler import Emit, Generation, Scheduler

Result = TypeVar("Result")

MAX_UNFINISHED = 128  # requests, under way or waiting
STEP_ROWS = (32, 512)
CPU_STEP = 1_500_000_000  # rows times parameters: 0.1 s on one core. No clock decides: the same again is the same again
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
        self._scheduler = Scheduler(loaded, step_rows(self.facts.device, self.facts.parameters), self._ended)
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

    def put_document(self, indexed: Indexed) -> None:
        """Look for drafts in these tokens, no longer in those that the document had before.

        Raises RequestRefused for ids that the model does not have.
        """
        if indexed.tokens and not 0 <= min(indexed.tokens) <= max(indexed.tokens) < self.facts.vocab_size:
            raise RequestRefused(
                "bad_request", f"a document with token ids outside of 0 to {self.facts.vocab_size - 1}"
            )
        self._inbox.put(partial(self._scheduler.put_document, indexed))

    def forget_workspaces(self, names: Collection[str]) -> None:
        self._inbox.put(partial(self._scheduler.forget_workspaces, names))

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
        """Pay for lazy initialisation now, on keys and values that are thrown away."""
        runner, sequence = self._loaded.runner, Cached()
        tokens = self._loaded.tokenizer.encode("def main():\n    pass\n" * 8)
        runner.cache.reserve(sequence, len(tokens))
        for rows in (1, 4, len(tokens)):
            runner.run([Work(sequence, tokens[:rows], 1)]).argmax().item()
        runner.cache.drop(sequence)


def step_rows(device: str, parameters: int) -> int:
    """Rows of a step: so long an abort or another user's next token waits behind a prompt."""
    least, most = STEP_ROWS
    return most if device != "cpu" else max(least, min(CPU_STEP // parameters, most))


def _settle(future: "Future[Result]", function: Callable[[], Result]) -> None:
    try:
        future.set_result(function())
    except RuntimeError as failure:
        future.set_exception(failure)
