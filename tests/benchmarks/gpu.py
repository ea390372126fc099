"""The figures of the runtime's goals on one H200, in one run: random weights at the published shapes, as ratios.

    python -m tests.benchmarks.gpu [--json FILE] [--part NAME]... [--smoke]

A part prints its rows when it is done; one that fails says why, and the others go on. Drafts are off wherever tokens
are counted: what random weights write repeats itself, and drafts would look better than they are. `--smoke` runs all
that can be run without a GPU on tiny shapes; its figures mean nothing.
"""

import gc
import json
import queue
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import click
import torch
from rich.console import Console
from transformers import Starcoder2Config, Starcoder2ForCausalLM

from sc2lsp.runtime import engine, measure
from sc2lsp.runtime.api import Chunk, Request, RequestRefused, SamplingParams
from sc2lsp.runtime.config import ModelConfig, parse_config
from sc2lsp.runtime.draft import Draft
from sc2lsp.runtime.kv_cache import PAGE, KVCache
from sc2lsp.runtime.load import Loaded
from sc2lsp.runtime.precision import Precision
from sc2lsp.runtime.runner import Runner
from sc2lsp.runtime.shapes import PUBLISHED, random_model

NAMES = {"3B": "starcoder2-3b", "7B": "starcoder2-7b", "15B": "starcoder2-15b"}
DECODE_GOALS = {"3B": 0.80, "7B": 0.85, "15B": 0.88}
SMOKE_SHAPE = {
    "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "sliding_window": 128,
}  # fmt: skip
COPIED = (2 << 30, 32 << 20)  # bytes: in earnest, and in a smoke test; so below
PROMPT, PASSES, NEW_TOKENS = (512, 128), (100, 3), (128, 8)
TYPISTS, SECONDS, TYPED_PROMPT = (64, 3), (15, 2), (2048, 200)
NEW_SHARE, ANSWER, PERIOD = 0.1, 24, 1.0  # of a typist's prompt; tokens; seconds between two requests of one


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, and the goal where there is one: met where `value` is on the right side of it."""

    what: str
    value: float
    said: str  # with its unit
    goal: float | None = None
    least: bool = True  # the goal is, and not the most

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else (self.value >= self.goal) == self.least


@dataclass(slots=True)
class Bench:
    """What the parts share; `steps` is filled by the first that asks."""

    smoke: bool
    bandwidth: float  # bytes read and written by copies, a second
    steps: dict[tuple[str, Precision], "Steps"] = field(default_factory=dict)

    def of(self, pair: tuple[int, int]) -> int:
        return pair[self.smoke]


@dataclass(frozen=True, slots=True)
class Steps:
    """Of one sequence behind a prompt: median seconds by number of rows, and bytes that one row has to read."""

    seconds: Mapping[int, float]
    bytes: int


def main_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def release() -> None:
    """The memory of a model that nobody has any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def seconds_of(work: Callable[[], object]) -> float:
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def copy_bandwidth(size: int) -> float:
    source = torch.empty(size, dtype=torch.uint8, device=main_device())
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * size / statistics.median(seconds_of(lambda: target.copy_(source)) for _ in range(20))


def config_of(bench: Bench, size: str) -> ModelConfig:
    return parse_config({**PUBLISHED[NAMES[size]], **(SMOKE_SHAPE if bench.smoke else {})})


def prompt_of(bench: Bench, length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(random.Random(seed).choices(range(40, config_of(bench, "3B").vocab_size), k=length))


def loop_of(bench: Bench, size: str, precision: Precision) -> measure.Loop:
    return measure.Loop(random_model(size, config_of(bench, size), precision))


def steps_of(bench: Bench, size: str, precision: Precision) -> Steps:
    if (size, precision) not in bench.steps:
        loop, prompt = loop_of(bench, size, precision), prompt_of(bench, bench.of(PROMPT))
        seconds = {rows: statistics.median(s) for rows, s in loop.passes(prompt, bench.of(PASSES)).items()}
        bench.steps[size, precision] = Steps(seconds, measure.pass_bytes(loop.loaded, len(prompt), 1))
    return bench.steps[size, precision]


def decode(bench: Bench, size: str) -> Iterator[Row]:
    steps = steps_of(bench, size, "bf16")
    share = steps.bytes / steps.seconds[1] / bench.bandwidth
    said = f"{share:.1%} of copy bandwidth, {1 / steps.seconds[1]:.0f} tokens/s, {steps.bytes / 1e9:.2f} GB a token"
    yield Row(f"decode, batch 1, {size} bf16", share, said, DECODE_GOALS[size])


def narrow(bench: Bench, precision: Precision) -> Iterator[Row]:
    before, after = steps_of(bench, "7B", "bf16").seconds[1], steps_of(bench, "7B", precision).seconds[1]
    said = f"{before / after:.2f} x, {1 / after:.0f} against {1 / before:.0f} tokens/s"
    yield Row(f"7B {precision} against bf16", before / after, said, 1.8)


def verify(bench: Bench) -> Iterator[Row]:
    seconds = steps_of(bench, "7B", "bf16").seconds
    for rows in sorted(seconds)[1:]:
        ratio, goal = seconds[rows] / seconds[1], 1.15 if rows == 16 else None
        said = f"{ratio:.2f} x, {seconds[rows] * 1e3:.2f} against {seconds[1] * 1e3:.2f} ms"
        yield Row(f"step of {rows} rows against 1, 7B", ratio, said, goal, least=False)


def transformers(bench: Bench) -> Iterator[Row]:
    """Tokens behind the first one: both sides greedy, ours without drafts."""
    prompt, count = prompt_of(bench, bench.of(PROMPT)), bench.of(NEW_TOKENS)
    loop = loop_of(bench, "3B", "bf16")
    loop.plain(prompt, count)
    ours = min(loop.plain(prompt, count) for _ in range(3))
    del loop
    release()
    theirs = generate_seconds(bench, prompt, count)
    said = f"{theirs / ours:.2f} x, {count / ours:.0f} against {count / theirs:.0f} tokens/s"
    yield Row("3B bf16 against transformers.generate, static cache and compile", theirs / ours, said, 2.0)


def generate_seconds(bench: Bench, prompt: tuple[int, ...], count: int) -> float:
    raw = {**PUBLISHED[NAMES["3B"]], **(SMOKE_SHAPE if bench.smoke else {})}
    config = Starcoder2Config(**{k: v for k, v in raw.items() if k not in ("rope_theta", "model_type")})
    config.bos_token_id = config.eos_token_id = 0
    config.rope_parameters = {"rope_type": "default", "rope_theta": raw["rope_theta"]}
    with torch.device(main_device()):
        model = Starcoder2ForCausalLM._from_config(config, dtype=torch.bfloat16).eval()
    ids = torch.tensor([prompt], device=main_device())

    def generate(tokens: int) -> None:
        model.generate(  # compiles the step by itself where the cache is static, on a GPU
            ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, eos_token_id=None,
            min_new_tokens=tokens, max_new_tokens=tokens, cache_implementation="static",
        )  # fmt: skip

    for _ in range(2):
        generate(count + 1)
    whole, first = (min(seconds_of(partial(generate, n)) for _ in range(3)) for n in (count + 1, 1))
    return whole - first


def attention(bench: Bench) -> Iterator[Row]:
    """At 16k of context, microseconds of a layer; the goal is to be the fastest."""
    if bench.smoke:
        raise RuntimeError("kernels are timed on a GPU only")
    from tests.benchmarks.kernels import attention_figures

    for rows in (1, 16):
        figures = list(attention_figures("3B", 16384, rows))
        ours, *others = figures
        best = min(others, key=lambda figure: figure.microseconds)
        said = ", ".join(f"{figure.implementation} {figure.microseconds:.1f} us" for figure in figures)
        ratio = best.microseconds / ours.microseconds
        yield Row(f"attention, 16k, {rows} rows, best other against ours", ratio, f"{ratio:.2f} x: {said}", 1.0)


class Typist:
    """Asks once a period for a completion behind a prompt whose end is new each time."""

    def __init__(self, running: engine.Engine, number: int, prompt: tuple[int, ...]) -> None:
        self._engine, self._number, self._prompt = running, number, prompt
        self._rng = random.Random(number)
        self.due = 0.0
        self.answers: queue.SimpleQueue[tuple[float, Chunk | RequestRefused]] = queue.SimpleQueue()
        self.asked: dict[int, float] = {}  # request -> when
        # Mutated by begin(), ask() and finished(), on the caller's thread; answers arrive on the engine's.

    def begin(self, started: float) -> None:
        """At a moment of the first period of its own."""
        self.due = started + self._rng.random() * PERIOD

    def ask(self) -> None:
        kept = int(len(self._prompt) * (1 - NEW_SHARE))
        prompt = (*self._prompt[:kept], *self._rng.choices(range(40, 4000), k=len(self._prompt) - kept))
        number = self._number * 10_000 + len(self.asked)
        self.asked[number] = time.perf_counter()
        self.due += PERIOD
        request = Request(number, f"document {self._number}", prompt, SamplingParams(max_tokens=ANSWER))
        self._engine.submit(request, lambda answer: self.answers.put((time.perf_counter(), answer)))

    def finished(self) -> list[tuple[float, int, int]]:
        """Of each request: seconds to its end, tokens that were cached, and tokens written."""
        found: list[tuple[float, int, int]] = []
        tokens = 0
        while len(found) < len(self.asked):
            at, answer = self.answers.get(timeout=60)
            if isinstance(answer, RequestRefused):
                raise answer
            tokens += len(answer.token_ids)
            if answer.usage is not None:
                found.append((at - self.asked[answer.request_id], answer.usage.cached_tokens, tokens))
                tokens = 0
        self.asked.clear()
        return found


def served(bench: Bench) -> engine.Engine:
    """The real engine on a random 3B, with room for every typist's document."""
    made = random_model("3B", config_of(bench, "3B"), "bf16")
    old = made.runner
    pages = -(-(bench.of(TYPED_PROMPT) + ANSWER) // PAGE) * (2 * bench.of(TYPISTS))
    cache = KVCache(old.network.config, max(pages, old.cache.pages), old.network.dtype, old.network.device)
    loaded: Loaded = replace(made, runner=Runner(old.network, cache))
    with patch.object(engine, "load", lambda *_: loaded):
        return engine.Engine("3B", lambda message, fraction: None)


def typists(bench: Bench) -> Iterator[Row]:
    """Every typist's document is warm; requests begin at random moments and do not wait for each other."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(Draft, "propose", lambda self, room: None))
        running = served(bench)
        stack.callback(running.close)
        length = bench.of(TYPED_PROMPT)
        several = [Typist(running, n, prompt_of(bench, length, n)) for n in range(bench.of(TYPISTS))]
        for typist in several:
            typist.ask()
        for typist in several:
            typist.finished()
        found = typed(several, bench.of(SECONDS))
    took = sorted(seconds for seconds, _, _ in found)
    p50, p95 = (took[int(len(took) * share)] * 1e3 for share in (0.5, 0.95))
    cached = statistics.mean(cached for _, cached, _ in found) / length
    tokens = statistics.mean(tokens for _, _, tokens in found)
    said = f"p95 {p95:.0f} ms, p50 {p50:.0f} ms, {len(found)} requests, {cached:.0%} cached, {tokens:.1f} tokens each"
    yield Row(f"{bench.of(TYPISTS)} typists, 3B bf16, {length} tokens of prompt", p95, said, 250.0, least=False)


def typed(several: Sequence[Typist], seconds: float) -> list[tuple[float, int, int]]:
    started = time.perf_counter()
    for typist in several:
        typist.begin(started)
    while True:
        typist = min(several, key=lambda typist: typist.due)
        if typist.due > started + seconds:
            return [each for typist in several for each in typist.finished()]
        time.sleep(max(0.0, typist.due - time.perf_counter()))
        typist.ask()


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "decode-3B": lambda bench: decode(bench, "3B"),
    "decode-7B": lambda bench: decode(bench, "7B"),
    "verify": verify,
    "int8": lambda bench: narrow(bench, "int8"),
    "fp8": lambda bench: narrow(bench, "fp8"),
    "attention": attention,
    "typists": typists,
    "decode-15B": lambda bench: decode(bench, "15B"),
    "transformers": transformers,
}


def run_part(console: Console, bench: Bench, name: str) -> list[Row]:
    """A part's rows up to where it fails, if it does."""
    started, rows = time.perf_counter(), list[Row]()
    try:
        for row in PARTS[name](bench):
            rows.append(row)
            goal = "" if row.goal is None else f" (goal {'>=' if row.least else '<='} {row.goal:g}: {row.met})"
            console.print(f"{row.what}: {row.said}{goal}", highlight=False, soft_wrap=True)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the other parts can still be measured
        console.print(f"{name} failed: {type(failure).__name__}: {failure}", markup=False, soft_wrap=True)
    release()
    console.print(f"  {name}: {time.perf_counter() - started:.0f} s", highlight=False)
    return rows


@click.command(help=__doc__)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the figures here, too, part by part.")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), default=tuple(PARTS))
@click.option("--smoke", is_flag=True, help="Tiny shapes; needs no GPU.")
def main(path: Path | None, parts: tuple[str, ...], smoke: bool) -> None:
    if not smoke and not torch.cuda.is_available():
        raise click.UsageError("there is no GPU here: only --smoke works without")
    console, device = Console(), torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    bench = Bench(smoke, copy_bandwidth(COPIED[smoke]))
    results = {"device": device, "torch": torch.__version__, "copy_bytes_per_second": bench.bandwidth, "smoke": smoke}
    console.print(f"{device}, torch {torch.__version__}, copies {bench.bandwidth / 1e9:.0f} GB/s", highlight=False)
    rows: list[dict[str, object]] = []
    for name in parts:
        rows += [{"part": name} | asdict(row) | {"met": row.met} for row in run_part(console, bench, name)]
        if path is not None:
            path.write_text(json.dumps(results | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
