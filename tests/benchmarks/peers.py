"""Our engine's decoding beside llama.cpp's and transformers' on this CPU, the same weights, in one run.

    python -m tests.benchmarks.peers [--model NAME] [--prompts N] [--threads N] [--json FILE]

Counted are the tokens behind an answer's first, over the time they took; prefill is not. Every contender has a process
of its own and they answer a prompt in turn, so that a busy machine slows them alike. Each prompt is asked once: nobody
can have kept the answer. Asserts nothing. Rows of llama.cpp need `pip install llama-cpp-python gguf`.
"""

import itertools
import json
import multiprocessing
import os
import platform
import queue
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import click
import torch
from rich.console import Console
from rich.table import Table
from transformers import Starcoder2ForCausalLM
from transformers.generation.streamers import BaseStreamer

from sc2lsp.runtime import weights
from sc2lsp.runtime.api import Chunk, Request, RequestRefused, SamplingParams, Usage
from sc2lsp.runtime.cache_lm import TRUST
from sc2lsp.runtime.draft import Draft
from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.load import Options
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.runtime.precision import Precision
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

try:
    from llama_cpp import Llama
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

    from tests.benchmarks.gguf import KINDS, LlamaCpp, nearness, silence, step_times, write
except ImportError:
    KINDS = {}

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
PROMPT_TOKENS, NEW_TOKENS, CONTEXT = 800, 64, 1024
THREADS = (1, 2)
SHORTEST = 16  # tokens behind the first
VERIFIED = (1, 4, 8, 16)  # tokens of a step of llama.cpp
COMPARED = 3  # prompts whose every logit is compared
NO_LLAMA = "llama.cpp is left out: pip install llama-cpp-python gguf (the former needs cmake and a compiler)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one contender made of one prompt; `steps` tokens behind the first took `seconds`."""

    tokens: tuple[int, ...]
    steps: int
    seconds: float
    processor_seconds: float  # of all threads of its process: what a busy machine changes least
    drafted: int = 0
    accepted: int = 0
    precision: str = ""  # where the contender's name does not say it


@dataclass(frozen=True, slots=True)
class Setup:
    """What a contender's process is started with."""

    model: str
    folder: Path
    files: Mapping[str, Path]  # kind -> GGUF
    threads: int


Decode = Callable[[tuple[int, ...]], Answer]


class Clock(BaseStreamer):
    """When a token came: [seconds, processor seconds], as a streamer of transformers or called by hand."""

    def __init__(self) -> None:
        self.stamps: list[tuple[float, float]] = []
        # Mutated by: put(), on the thread that decodes.

    def put(self, value: object) -> None:
        self.stamps.append((time.perf_counter(), time.process_time()))

    def end(self) -> None:
        pass

    def spent(self, first: int) -> tuple[float, float]:
        """Seconds and processor seconds from stamp `first` to the last."""
        (started, worked), (ended, in_all) = self.stamps[first], self.stamps[-1]
        return ended - started, in_all - worked


def our_engine(setup: Setup, drafts: bool, precision: Precision | None = None) -> Decode:
    """By default, in another precision, or without drafts. Prompts overlap, so earlier answers are no source of any."""
    patch.dict(TRUST, clear=True).start()  # the model alone, as the others have it; this process does nothing else
    engine = Engine(setup.model, lambda message, fraction: None, Options(precision))
    if not drafts:
        patch.object(Draft, "propose", lambda self, room: None).start()  # this process does nothing else
    numbers = itertools.count()

    def decode(prompt: tuple[int, ...]) -> Answer:
        chunks: queue.Queue[Chunk | RequestRefused] = queue.Queue()
        clock = Clock()

        def emit(chunk: Chunk | RequestRefused) -> None:
            clock.put(chunk)
            chunks.put(chunk)

        number = next(numbers)
        engine.call(engine._scheduler.forget_answers).result()
        engine.submit(Request(number, f"document {number}", prompt, SamplingParams(NEW_TOKENS)), emit)
        tokens, ended, usage = _collected(chunks)
        assert drafts or usage.drafted_tokens == 0
        _, processor = clock.spent(0)
        seconds, drafted, accepted = usage.decode_ms / 1e3, usage.drafted_tokens, usage.accepted_tokens
        return Answer(tokens, len(tokens) - 1 + ended, seconds, processor, drafted, accepted, engine.facts.dtype)

    return decode


def _collected(chunks: "queue.Queue[Chunk | RequestRefused]") -> tuple[tuple[int, ...], bool, Usage]:
    """Tokens, whether a control token, which took a step, too, ended them, and what they cost."""
    tokens: list[int] = []
    while True:
        chunk = chunks.get()
        assert isinstance(chunk, Chunk), chunk
        tokens += chunk.token_ids
        if chunk.usage is not None:
            return tuple(tokens), chunk.finish_reason == "stop", chunk.usage


def transformers_generate(setup: Setup, dtype: torch.dtype, lookup: int | None) -> Decode:
    """`lookup`: how many tokens its prompt lookup drafts."""
    model = Starcoder2ForCausalLM.from_pretrained(setup.folder, dtype=dtype).eval()
    model.generation_config.eos_token_id = None  # as the others, it goes on to the last token

    def decode(prompt: tuple[int, ...]) -> Answer:
        ids, clock = torch.tensor([prompt]), Clock()
        answer = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0,
            max_new_tokens=NEW_TOKENS, streamer=clock, prompt_lookup_num_tokens=lookup,
        )  # fmt: skip
        return Answer(tuple(answer[0, len(prompt) :].tolist()), NEW_TOKENS - 1, *clock.spent(1))  # 0 is the prompt's

    return decode


def llama_decode(setup: Setup, kind: str) -> Decode:
    """llama.cpp's C interface, an argmax over its own logits: the least overhead that Python can have."""
    llama = LlamaCpp(setup.files[kind], CONTEXT, setup.threads)

    def decode(prompt: tuple[int, ...]) -> Answer:
        llama.truncate(0)
        tokens, clock = [int(llama.prefill(prompt).argmax())], Clock()
        clock.put(None)
        while len(tokens) < NEW_TOKENS:
            tokens.append(int(llama.step(tokens[-1:])[0].argmax()))
        clock.put(None)
        return Answer(tuple(tokens), NEW_TOKENS - 1, *clock.spent(0))

    return decode


def llama_generate(setup: Setup, kind: str, lookup: int | None) -> Decode:
    """llama-cpp-python's own loop, `Llama.generate`; `lookup`: how many tokens its prompt lookup drafts."""
    silence()
    lookup_model = LlamaPromptLookupDecoding(num_pred_tokens=lookup) if lookup else None
    threads = setup.threads
    llama = Llama(
        str(setup.files[kind]), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads,
        draft_model=lookup_model, logits_all=lookup is not None, verbose=False,
    )  # fmt: skip

    def decode(prompt: tuple[int, ...]) -> Answer:
        llama.reset()
        clock, tokens = Clock(), []
        for token in itertools.islice(llama.generate(list(prompt), temp=0.0), NEW_TOKENS):
            clock.put(token)
            tokens.append(token)
        return Answer(tuple(tokens), NEW_TOKENS - 1, *clock.spent(0))

    return decode


OURS = "our engine"
EXACT = "transformers.generate, float32"
CONTENDERS: dict[str, Callable[[Setup], Decode]] = {
    OURS: partial(our_engine, drafts=True),
    "our engine, no drafts": partial(our_engine, drafts=False),
    "our engine, int8": partial(our_engine, drafts=True, precision="int8"),
    "our engine, int8, no drafts": partial(our_engine, drafts=False, precision="int8"),
    EXACT: partial(transformers_generate, dtype=torch.float32, lookup=None),
    "transformers.generate, bfloat16": partial(transformers_generate, dtype=torch.bfloat16, lookup=None),
    "transformers.generate, float32, prompt lookup": partial(transformers_generate, dtype=torch.float32, lookup=10),
}
if KINDS:
    CONTENDERS |= {
        "llama.cpp, llama_decode, Q8_0": partial(llama_decode, kind="Q8_0"),
        "llama.cpp, llama_decode, F16": partial(llama_decode, kind="F16"),
        "llama.cpp, Llama.generate, Q8_0": partial(llama_generate, kind="Q8_0", lookup=None),
        "llama.cpp, Llama.generate, Q8_0, prompt lookup": partial(llama_generate, kind="Q8_0", lookup=10),
    }


def shelf_prompts(folder: Path, count: int) -> list[tuple[int, ...]]:
    """Pieces of a small repository, its files one behind another in a circle, cut wherever the piece is full."""
    tokenizer = Tokenizer(read_tokenizer_json(folder))
    circle: list[int] = []
    for path in sorted(SHELF.rglob("*.py")):
        circle += [tokenizer.prompt_tokens.file, *tokenizer.encode(f"{path.relative_to(SHELF)}\n{path.read_text()}")]
    starts = [i * len(circle) // count for i in range(count)]
    return [tuple((circle * 2)[start : start + PROMPT_TOKENS]) for start in starts]


def work(connection: Connection, name: str, setup: Setup) -> None:
    """A contender's process: prompts in, answers out, until None comes."""
    torch.set_num_threads(setup.threads)
    decode = CONTENDERS[name](setup)
    while (prompt := connection.recv()) is not None:
        connection.send(decode(prompt))


@contextmanager
def processes(setup: Setup) -> Iterator[dict[str, Connection]]:
    """One for each contender."""
    os.environ["OMP_NUM_THREADS"] = str(setup.threads)  # read when the process starts
    spawn = multiprocessing.get_context("spawn")
    connections, started = {}, []
    for name in CONTENDERS:
        connections[name], theirs = spawn.Pipe()
        started.append(spawn.Process(target=work, args=(theirs, name, setup)))
        started[-1].start()
        theirs.close()  # so that a process that died is noticed
    try:
        yield connections
        for connection in connections.values():
            connection.send(None)
        for process in started:
            process.join(30)
    finally:
        for process in started:
            process.kill()


def answers(setup: Setup, prompts: Sequence[tuple[int, ...]], report: Console) -> dict[str, list[Answer]]:
    """By contender, one for each prompt; the order turns from prompt to prompt.

    Only our engine stops at a control token: what it ended too soon to be timed is left out.
    """
    given: dict[str, list[Answer]] = {name: [] for name in CONTENDERS}
    with processes(setup) as connections:
        for connection in connections.values():
            connection.send(prompts[0][PROMPT_TOKENS // 2 :])  # warms up, on what is not asked again
            connection.recv()
        for i, prompt in enumerate(prompts):
            report.print(f"{setup.threads} threads, prompt {i + 1} of {len(prompts)}", style="dim")
            for name in list(CONTENDERS)[:: 1 if i % 2 else -1]:
                connections[name].send(prompt)
                given[name].append(connections[name].recv())
    long = [answer.steps >= SHORTEST for answer in given[OURS]]
    return {name: list(itertools.compress(theirs, long)) for name, theirs in given.items()}


def decode_table(given: Mapping[str, Sequence[Answer]], threads: int) -> Table:
    what = f"{NEW_TOKENS} tokens behind {PROMPT_TOKENS}, greedy, {len(given[OURS])} prompts, {threads} threads"
    columns = ("tokens/s", "range", "ours x", "per processor second", "ours x", "as float32", "of drafts taken")
    table = Table("", *columns, title=f"{what}: medians, and lowest to highest")
    for name, theirs in given.items():
        table.add_row(name if theirs[0].precision in name else f"{name}, {theirs[0].precision}", *_row(theirs, given))
    return table


def _row(theirs: Sequence[Answer], by_name: Mapping[str, Sequence[Answer]]) -> Iterator[str]:
    ours, exact = by_name[OURS], by_name[EXACT]
    speeds = [x.steps / x.seconds for x in theirs]
    per_processor = [x.steps / x.processor_seconds for x in theirs]
    yield f"{statistics.median(speeds):.0f}"
    yield f"{min(speeds):.0f}-{max(speeds):.0f}"
    yield _times([x.steps / x.seconds for x in ours], speeds)
    yield f"{statistics.median(per_processor):.0f}"
    yield _times([x.steps / x.processor_seconds for x in ours], per_processor)
    same = [a == b for x, y in zip(theirs, exact, strict=True) for a, b in zip(x.tokens, y.tokens, strict=False)]
    yield f"{statistics.mean(same):.0%}"
    drafted = sum(x.drafted for x in theirs)
    yield f"{sum(x.accepted for x in theirs)} of {drafted}" if drafted else ""


def _times(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median over the prompts of our speed over theirs."""
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"


def near_table(setup: Setup, prompts: Sequence[tuple[int, ...]]) -> Table:
    title = "llama.cpp's logits beside those of our network in float32"
    table = Table("", "largest difference", "same likeliest token", title=title)
    for kind, path in setup.files.items():
        difference, agreed = nearness(setup.folder, path, prompts)
        table.add_row(kind, f"{difference:.4f}", f"{agreed:.2%}")
    return table


def step_table(steps: Mapping[str, Mapping[int, Sequence[float]]], threads: int) -> Table:
    columns = (f"{n} tokens, ms" for n in VERIFIED)
    title = f"a step of llama.cpp behind {PROMPT_TOKENS} tokens on {threads} threads: median, lowest"
    table = Table("", *columns, title=title)
    for kind, spent in steps.items():
        table.add_row(kind, *(f"{statistics.median(spent[n]):.2f}, {min(spent[n]):.2f}" for n in VERIFIED))
    return table


def machine() -> str:
    model = next(x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name"))
    cores, python = os.cpu_count(), platform.python_version()
    return f"{model.split(': ')[1]}, {cores} cores, Python {python}, torch {torch.__version__}"


@click.command(help=__doc__)
@click.option("--model", default=EMBEDDED, help="A folder with a StarCoder2 checkpoint, or the built-in one.")
@click.option("--prompts", "count", default=12, show_default=True)
@click.option("--threads", "counts", multiple=True, type=int, default=THREADS, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write every answer and figure here, too.")
def main(model: str, count: int, counts: tuple[int, ...], path: Path | None) -> None:
    report, folder = Console(width=140), weights.fetch(model)
    prompts = shelf_prompts(folder, count)
    given: dict[int, dict[str, list[Answer]]] = {}
    steps: dict[int, dict[str, dict[int, list[float]]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        files = {kind: Path(temporary) / f"{kind}.gguf" for kind in KINDS}
        for kind, file in files.items():
            write(folder, file, kind)
        for threads in counts:
            setup = Setup(model, folder, files, threads)
            steps[threads] = {kind: step_times(file, threads, prompts[0], VERIFIED) for kind, file in files.items()}
            given[threads] = answers(setup, prompts, report)
            report.print(
                decode_table(given[threads], threads), step_table(steps[threads], threads) if files else NO_LLAMA
            )
        if files:
            report.print(near_table(setup, prompts[:COMPARED]))
    report.print(machine())
    if path is not None:
        figures = {n: {name: [asdict(x) for x in theirs] for name, theirs in y.items()} for n, y in given.items()}
        path.write_text(json.dumps({"machine": machine(), "answers": figures, "llama_steps": steps}))


if __name__ == "__main__":
    main()
