"""One model on one device, answering one request at a time on its own thread.

The first, simple engine: a KV cache for each of the last few documents, prefill in chunks, one token a step. Knows
token ids only; sockets are the server's, text is the client's.
"""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from . import weights
from .api import Chunk, FinishReason, ModelFacts, Request, RequestRefused, Usage
from .config import read_config
from .draft import Draft
from .errors import ModelError
from .kv_cache import KVCache
from .sampler import sample
from .tokenizer import Tokenizer, read_tokenizer_json

Emit = Callable[[Chunk | RequestRefused], None]

PREFILL_CHUNK = 512  # tokens between two looks at whether the request was aborted
MAX_WAITING = 64  # requests
SESSIONS = 4  # documents whose keys and values are kept
SESSION_BYTES = 2 << 30  # and what they may take together
_SMALL_MODEL = 1_000_000_000  # parameters: up to here a CPU computes in float32, above it in half the bytes


class Generation:
    """A request under way; `abort` is honoured at the next decode step or prefill chunk."""

    def __init__(self, request: Request, emit: Emit) -> None:
        self.request = request
        self.emit = emit
        self.submitted = perf_counter()
        self._aborted = threading.Event()
        # Mutated by: abort(), on any thread.

    def abort(self) -> None:
        self._aborted.set()

    @property
    def aborted(self) -> bool:
        return self._aborted.is_set()


class Engine:
    """Loads a model and serves it until closed."""

    def __init__(self, model: str, progress: Callable[[str, float], None]) -> None:
        """`model` is a folder, a hub id or "embedded"; `progress(message, fraction)` reports loading.

        Raises ModelError.
        """
        device = _device()
        progress("locating the model", 0.0)
        folder = weights.fetch(model)
        self.tokenizer_json = read_tokenizer_json(folder)
        self._tokenizer = Tokenizer(self.tokenizer_json)
        config = read_config(folder)
        if self._tokenizer.vocab_size > config.vocab_size:
            sizes = f"{self._tokenizer.vocab_size} tokens, config.json {config.vocab_size}"
            raise ModelError(f"{folder}: tokenizer.json has {sizes}; they are not of the same model")
        if self._tokenizer.family != config.family:
            kinds = f"{self._tokenizer.family}, config.json of {config.family}"
            raise ModelError(f"{folder}: tokenizer.json is of {kinds}; they are not of the same model")
        parameters = weights.parameter_count(config)
        dtype = _dtype(device, parameters)
        progress("loading weights", 0.2)
        self._model = weights.load(folder, dtype, device)
        self.facts = ModelFacts(
            name=model,
            parameters=parameters,
            context_length=config.context_length,
            window=config.window,
            vocab_size=config.vocab_size,
            device=str(device),
            dtype=str(dtype).removeprefix("torch."),
            tokenizer_sha256=self._tokenizer.sha256,
        )
        self._device, self._dtype = device, dtype
        session = self._new_session()
        self._max_sessions = max(1, min(SESSIONS, SESSION_BYTES // session.nbytes))
        self._sessions: OrderedDict[str, KVCache] = OrderedDict()
        self._waiting: queue.Queue[Generation | None] = queue.Queue(MAX_WAITING)
        progress("warming up", 0.9)
        self._warm_up(session)
        self._thread = threading.Thread(target=self._work, name="sc2lsp-engine", daemon=True)
        self._thread.start()
        # Mutated by: _sessions on the engine's thread only; _waiting from any thread.

    def submit(self, request: Request, emit: Emit) -> Generation:
        """Queue a request. `emit` is called on the engine's thread, last with a finish reason or a refusal.

        Raises RequestRefused when the request cannot be served or too many wait.
        """
        self._check(request)
        generation = Generation(request, emit)
        try:
            self._waiting.put_nowait(generation)
        except queue.Full:
            raise RequestRefused("busy", f"{MAX_WAITING} requests wait already; try again later") from None
        return generation

    def close(self) -> None:
        """Finish the running request and stop the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _check(self, request: Request) -> None:
        context, vocabulary = self.facts.context_length, self.facts.vocab_size
        count, answer = len(request.prompt), request.sampling.max_tokens
        if not 0 < count <= context - answer:
            limits = f"this model takes 1 to {context - answer} here: {context} in all, {answer} of them for the answer"
            raise RequestRefused("bad_request", f"the prompt has {count} tokens, {limits}")
        if not 0 <= min(request.prompt) <= max(request.prompt) < vocabulary:
            raise RequestRefused("bad_request", f"the prompt holds token ids outside of 0 to {vocabulary - 1}")

    def _work(self) -> None:
        while (generation := self._waiting.get()) is not None:
            try:
                self._serve(generation)
            except torch.OutOfMemoryError:
                self._sessions.clear()
                refusal = RequestRefused("failed", "out of memory; caches dropped. A smaller model or budget helps")
                generation.emit(refusal)
            except RuntimeError as failure:  # torch's own: one request fails, the engine goes on
                self._sessions.pop(generation.request.document, None)
                generation.emit(RequestRefused("failed", f"the model failed: {type(failure).__name__}"))

    @torch.inference_mode()
    def _serve(self, generation: Generation) -> None:
        request = generation.request
        started = perf_counter()
        cache = self._session(request.document)
        cached = cache.reuse(request.prompt)
        logits = self._prefill(generation, cache, list(request.prompt[cached:]))
        prefilled = perf_counter()
        reason: FinishReason = "cancelled"
        draft = Draft(request.prompt)
        if logits is not None:
            reason = self._decode(generation, cache, logits, draft)
        usage = Usage(
            prompt_tokens=len(request.prompt),
            cached_tokens=cached,
            drafted_tokens=draft.drafted,
            accepted_tokens=draft.accepted,
            queue_ms=(started - generation.submitted) * 1e3,
            prefill_ms=(prefilled - started) * 1e3,
            decode_ms=(perf_counter() - prefilled) * 1e3,
        )
        generation.emit(Chunk(request.id, (), (), reason, usage))

    def _prefill(self, generation: Generation, cache: KVCache, tokens: list[int]) -> Tensor | None:
        """[vocab] logits behind the last token, or None when aborted on the way."""
        logits = None
        for start in range(0, len(tokens), PREFILL_CHUNK):
            if generation.aborted:
                return None
            logits = self._step(cache, tokens[start : start + PREFILL_CHUNK])
        return logits

    def _decode(self, generation: Generation, cache: KVCache, logits: Tensor, draft: Draft) -> FinishReason:
        """Emit tokens until something ends the generation; `logits` are those behind the prompt.

        A step takes the last token and a draft through the model. Every token that is emitted was sampled from the
        model's own distribution; drafted tokens that equal what was sampled save the steps that they would have taken
        (speculative sampling, arXiv 2211.17192, with a draft of probability one).
        """
        request = generation.request
        params = request.sampling
        generator = torch.Generator(device=self._device)
        if params.seed is None:
            generator.seed()
        else:
            generator.manual_seed(params.seed)
        produced: list[int] = []
        guessed: list[int] = []
        rows = logits[None]  # [1 + guessed, vocab]
        while not generation.aborted:
            if not bool(torch.isfinite(rows).all()):
                raise RuntimeError("logits are not finite")
            for row, guess in zip(rows, [*guessed, None], strict=True):
                token, logprob = sample(row, params, generator)
                if token in self._tokenizer.control_ids:
                    return "stop"
                produced.append(token)
                draft.extend(token)
                generation.emit(Chunk(request.id, (token,), (logprob,)))
                if self._stopped(produced, params.stop):
                    return "stop"
                if len(produced) == params.max_tokens:
                    return "length"
                if token != guess:
                    break
                draft.accept()
                cache.commit([token])
            guessed = draft.propose(params.max_tokens - len(produced))
            rows = self._verify(cache, [token, *guessed])
        return "cancelled"

    def _stopped(self, produced: list[int], stop: tuple[str, ...]) -> bool:
        if not stop:
            return False
        text = self._tokenizer.decode(produced)
        return any(string in text for string in stop)

    def _step(self, cache: KVCache, tokens: list[int]) -> Tensor:
        """Run `tokens` behind the cache; [vocab] logits of the last."""
        hidden = self._model.hidden(torch.tensor([tokens], device=self._device), cache)
        cache.commit(tokens)
        return self._model.head(hidden[0, -1])

    def _verify(self, cache: KVCache, tokens: list[int]) -> Tensor:
        """Run `tokens` behind the cache, which keeps the first; [tokens, vocab] logits."""
        hidden = self._model.hidden(torch.tensor([tokens], device=self._device), cache)
        cache.commit(tokens[:1])
        return self._model.head(hidden[0])

    def _session(self, document: str) -> KVCache:
        """The document's cache; the least recently used documents lose theirs."""
        cache = self._sessions.pop(document, None)
        self._sessions[document] = cache or self._new_session()
        while len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)
        return self._sessions[document]

    def _new_session(self) -> KVCache:
        return KVCache(self._model.config, self.facts.context_length, self._dtype, self._device)

    @torch.inference_mode()
    def _warm_up(self, cache: KVCache) -> None:
        """Pay for lazy initialisation now: one prefill and one decode step on throw-away keys and values."""
        for tokens in (self._tokenizer.encode("def main():"), [0]):
            self._step(cache, tokens)


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _dtype(device: torch.device, parameters: int) -> torch.dtype:
    """Half the bytes where that is the faster half; a small model on a CPU is fastest, and exact, in float32."""
    return torch.float32 if device.type == "cpu" and parameters <= _SMALL_MODEL else torch.bfloat16
