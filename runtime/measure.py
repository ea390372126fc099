"""What a model costs on this machine: time to its first token, time of a pass, memory, beside what the memory gives.

Does on the caller's thread what the engine does on its own, so that nothing but the model is between two clocks. Knows
token ids; where they come from and who reads the figures is for others to say.
"""

import os
import platform
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from . import kv_cache, memory
from .api import Chunk, Indexed, Request, RequestRefused, SamplingParams, Usage
from .engine import step_rows
from .errors import ModelError
from .forward import Network
from .load import Loaded
from .precision import Dense
from .runner import Work
from .sampler import Draw, choose
from .scheduler import Generation, Scheduler

ROWS = (1, 4, 8, 16)  # of a pass: one token, or one and a draft behind it
PROMPT_TOKENS = 1800
ROOM = 100  # tokens that may come behind a prompt, and again as an answer; fewer in a short context
NEW_TOKENS = 48  # of an answer whose time is taken
SHORTEST_CONTEXT, SHORTEST_PROMPT = 64, 16
COLD, WARM, PASSES = 8, 40, 40  # how often each is measured, at most
SECONDS = 4.0  # after which a measurement is not repeated
_BUFFER, _GPU_BUFFER = 1 << 29, 1 << 31  # bytes: many times what caches hold
_TRIES = 8
_WORKSPACE = "bench"


@dataclass(frozen=True, slots=True)
class Machine:
    """What computed."""

    processor: str
    device: str
    threads: int
    torch: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds of `n` measurements."""

    p50: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes a second, the best of some tries: of summing a buffer; of copying one, each byte read and written."""

    buffer_bytes: int
    read_bytes_per_second: float
    copy_bytes_per_second: float


@dataclass(frozen=True, slots=True)
class FirstToken:
    """How long a request takes to its first token: cold with an unknown prompt, warm with a token more at its end."""

    prompt_tokens: int
    cold_ms: Spread
    warm_ms: Spread
    warm_prefilled_tokens: float  # mean of the prompt tokens that were not cached


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of the model behind a prompt. `bytes` is the least that it reads: weights, and the keys and values seen.

    The share is of the higher bandwidth measured, at the median; beyond one where caches hold what is read.
    """

    rows: int
    ms: Spread
    bytes: int
    share_of_bandwidth: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second behind an answer's first: one a pass, and with drafts where it was measured."""

    plain_tokens_per_second: float
    drafted_tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes; of the process where the system tells, and of what torch holds on a GPU where there is one."""

    weights_bytes: int
    cache_bytes: int
    resident_bytes: int | None
    gpu_bytes: int | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Tokens that a source of drafts proposed, and how many of them the model would have written itself."""

    drafted: int
    accepted: int
    share: float


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, the tokens that each pass added to it, and the milliseconds to the first of them."""

    tokens: tuple[int, ...]
    passes: tuple[int, ...]
    first_ms: float
    ended: bool  # by the model
    usage: Usage


class Loop:
    """A scheduler on the caller's thread, and the model it runs."""

    def __init__(self, loaded: Loaded, prompt_tokens: int = PROMPT_TOKENS) -> None:
        """Warms up. Prompts are shorter where the context has no room for them and what is measured behind them.

        Raises ModelError where the context is too short to measure anything.
        """
        facts = loaded.facts
        if facts.context_length < SHORTEST_CONTEXT:
            raise ModelError(f"{facts.name}: a context of {facts.context_length} tokens is too short to be measured")
        self.loaded = loaded
        self.room = min(ROOM, facts.context_length // 8)
        self.prompt_tokens = min(prompt_tokens, facts.context_length - 2 * self.room)
        self._scheduler = Scheduler(loaded, step_rows(facts.device, facts.parameters), lambda generation: None)
        self.passes((0,) * SHORTEST_PROMPT, 1)  # what is initialised on first use now is
        # Mutated by every method but acceptance().

    def ask(self, document: str, prompt: tuple[int, ...], sampling: SamplingParams) -> Asked:
        """One request, from its arrival to its last token. Raises RequestRefused."""
        arrived: list[tuple[float, Chunk]] = []

        def emit(answer: Chunk | RequestRefused) -> None:
            if isinstance(answer, RequestRefused):
                raise answer
            arrived.append((perf_counter(), answer))

        generation = Generation(Request(0, document, prompt, sampling, _WORKSPACE), emit)
        self._scheduler.enqueue(generation)
        while self._scheduler.busy:
            self._scheduler.step()
        (first, _), (_, last) = arrived[0], arrived[-1]
        assert last.usage is not None
        tokens = tuple(token for _, chunk in arrived for token in chunk.token_ids)
        passes = tuple(len(chunk.token_ids) for _, chunk in arrived)
        return Asked(tokens, passes, (first - generation.submitted) * 1e3, last.finish_reason == "stop", last.usage)

    def index(self, document: str, tokens: Sequence[int]) -> None:
        """Look for drafts in these tokens; no longer in a document that has none."""
        self._scheduler.put_document(Indexed(_WORKSPACE, document, tuple(tokens)))

    def acceptance(self) -> Mapping[str, Accepted]:
        """Of everything that was asked, by source of drafts."""
        drafted, accepted = self._scheduler.drafted, self._scheduler.accepted
        return {
            source: Accepted(drafted[source], accepted[source], accepted[source] / drafted[source])
            for source in sorted(drafted)
            if drafted[source]
        }

    @contextmanager
    def prefilled(self, prompt: tuple[int, ...], room: int) -> Generator[kv_cache.Sequence]:
        """All of a prompt but its last token in the cache, with pages for it and for `room` tokens behind it."""
        runner, sequence = self.loaded.runner, kv_cache.Sequence()
        cached = runner.cache.adopt(sequence, prompt)
        assert self._scheduler.sessions.reserve(sequence, len(prompt) + room)
        todo, rows = prompt[cached:-1], self._scheduler.rows
        for start in range(0, len(todo), rows):
            tokens = list(todo[start : start + rows])
            runner.run([Work(sequence, tokens, 0)])
            runner.cache.commit(sequence, tokens)
        yield sequence
        runner.cache.drop(sequence)

    def _pass(self, sequence: kv_cache.Sequence, tokens: list[int]) -> None:
        """What a step of so many rows costs; as if it never was."""
        self.loaded.runner.run([Work(sequence, tokens, len(tokens))]).argmax(dim=1).tolist()

    def passes(self, prompt: tuple[int, ...], most: int) -> Mapping[int, list[float]]:
        """Seconds of passes behind a prompt, `most` of each number of rows, in turn so that noise meets them alike."""
        seconds: dict[int, list[float]] = {rows: [] for rows in ROWS}
        with self.prefilled(prompt, max(ROWS)) as sequence:
            for _ in repeated(most):
                for rows, spent in seconds.items():
                    spent.append(_seconds_of(partial(self._pass, sequence, list(prompt[:rows]))))
        return seconds

    def plain(self, prompt: tuple[int, ...], count: int) -> float:
        """Seconds for `count` tokens behind an answer's first: greedy, one a pass, whatever they are."""
        runner = self.loaded.runner
        tokens, started = list(prompt[-1:]), 0.0
        with self.prefilled(prompt, count) as sequence:
            for index in range(count + 1):
                logits = runner.run([Work(sequence, tokens, 1)])
                runner.cache.commit(sequence, tokens)
                tokens, _ = choose(logits, [Draw(SamplingParams(), 0, index)], None)
                started = started or perf_counter()
            return perf_counter() - started


def repeated(most: int, seconds: float = SECONDS) -> Iterator[int]:
    """0, 1, ... up to `most` numbers, at least one, until so much time has passed."""
    started = perf_counter()
    for number in range(most):
        if number and perf_counter() - started > seconds:
            return
        yield number


@contextmanager
def threads(loaded: Loaded) -> Generator[None]:
    """As many threads of a CPU as the engine takes for a model."""
    before = torch.get_num_threads()
    torch.set_num_threads(loaded.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine(loaded: Loaded) -> Machine:
    device = loaded.runner.network.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return Machine(name, device.type, torch.get_num_threads(), str(torch.__version__))


def bandwidth(loaded: Loaded) -> Bandwidth:
    """Of the model's device, on the threads that are set."""
    device = loaded.runner.network.device
    free = memory.free_bytes(device)
    size = _BUFFER if device.type == "cpu" else _GPU_BUFFER
    numbers = (size if free is None else min(size, free // 4)) // 4
    source, target = (torch.ones(numbers, dtype=torch.float32, device=device) for _ in range(2))

    def copy() -> None:
        target.copy_(source)
        target[-1].item()  # waits for it

    read = min(_seconds_of(lambda: source.sum().item()) for _ in range(_TRIES))
    copied = min(_seconds_of(copy) for _ in range(_TRIES))
    return Bandwidth(source.nbytes, source.nbytes / read, 2 * source.nbytes / copied)


def first_token(loop: Loop, text: Sequence[int]) -> FirstToken:
    """`text`: more than `loop.prompt_tokens + WARM` tokens. Raises RequestRefused."""
    size, one = loop.prompt_tokens, SamplingParams(max_tokens=1)
    cold = [loop.ask(f"cold {n}", tuple(text[n : n + size]), one) for n in repeated(COLD)]
    loop.ask("warm", tuple(text[:size]), one)
    warm = [loop.ask("warm", tuple(text[: size + 1 + n]), one) for n in repeated(min(WARM, loop.room))]
    prefilled = [asked.usage.prompt_tokens - asked.usage.cached_tokens for asked in warm]
    cold_ms, warm_ms = (spread([asked.first_ms for asked in requests]) for requests in (cold, warm))
    return FirstToken(size, cold_ms, warm_ms, sum(prefilled) / len(prefilled))


def passes(loop: Loop, prompt: tuple[int, ...], memory_gives: Bandwidth) -> list[Pass]:
    """Behind a prompt, with each of ROWS."""
    most = max(memory_gives.read_bytes_per_second, memory_gives.copy_bytes_per_second)
    measured = []
    for rows, seconds in loop.passes(prompt, PASSES).items():
        ms, size = spread([1e3 * each for each in seconds]), pass_bytes(loop.loaded, len(prompt), rows)
        measured.append(Pass(rows, ms, size, size / (ms.p50 / 1e3) / most))
    return measured


def rates(loop: Loop, prompts: Sequence[tuple[int, ...]], with_drafts: bool) -> Rates:
    """Plain and drafted in turn, prompt by prompt. Raises RequestRefused."""
    room, plain_tokens, drafted_tokens = min(NEW_TOKENS, loop.room), 0, 0
    plain_seconds = drafted_seconds = 0.0
    for number in repeated(len(prompts)):
        plain_seconds += loop.plain(prompts[number], room)
        plain_tokens += room
        if with_drafts:
            asked = loop.ask(f"rate {number}", prompts[number], SamplingParams(max_tokens=room))
            drafted_tokens += sum(asked.passes[1:]) + (asked.ended and len(asked.passes) > 1)
            drafted_seconds += asked.usage.decode_ms / 1e3
    drafted = drafted_tokens / drafted_seconds if with_drafts and drafted_tokens else None
    return Rates(plain_tokens / plain_seconds, drafted)


def pass_bytes(loaded: Loaded, length: int, rows: int) -> int:
    """The least that a pass of `rows` rows reads of weights, keys and values, behind `length` - 1 tokens."""
    config = loaded.runner.network.config
    seen = min(length, config.window or length) + rows - 1
    token = kv_cache.page_bytes(config, loaded.runner.network.dtype) // kv_cache.PAGE
    return _read_bytes(loaded.runner.network) + token * seen


def memory_of(loaded: Loaded) -> Memory:
    """Now."""
    network, cache = loaded.runner.network, loaded.runner.cache
    gpu = torch.cuda.memory_allocated(network.device) if network.device.type == "cuda" else None
    return Memory(_weights_bytes(network), sum(t.nbytes for t in (*cache.keys, *cache.values)), _resident(), gpu)


def spread(milliseconds: Sequence[float]) -> Spread:
    p50, p95 = np.percentile(milliseconds, (50, 95)).tolist()
    return Spread(p50, p95, len(milliseconds))


def _read_bytes(network: Network) -> int:
    """Of all weights that every row reads: an embedding gives it but one line."""
    head, final, layers = network._head, network._norm, network._layers  # pyright: ignore[reportPrivateUsage]
    linears = [head, *(part for layer in layers for part in (layer.qkv, layer.out, layer.up, layer.down))]
    norms = [final, *(norm for layer in layers for norm in (layer.attention_norm, layer.feed_forward_norm))]
    return sum(part.nbytes for part in linears) + sum(norm.weight.nbytes + norm.bias.nbytes for norm in norms)


def _weights_bytes(network: Network) -> int:
    head, embedding, positions = network._head, network._embedding, network._positions  # pyright: ignore[reportPrivateUsage]
    shared = isinstance(head, Dense) and head.weight.data_ptr() == embedding.data_ptr()
    tables = (0 if shared else embedding.nbytes) + (0 if positions is None else positions.nbytes)
    return _read_bytes(network) + tables


def _seconds_of(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _resident() -> int | None:
    statm = Path("/proc/self/statm")
    return int(statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else None
