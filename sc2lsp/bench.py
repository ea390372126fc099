"""`sc2lsp bench`: what a model costs on this machine, as figures and as a table.

Acceptance of drafts depends on what is written: it is measured while typing in this package's own source, with the
prompts, the workspace's tokens and the ends of generations that an editor's user would get.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sc2lsp import __version__
from sc2lsp.backend import BackendError, Model, absolute_model
from sc2lsp.completion import build_prompt, find_snippets, sampling_for, written
from sc2lsp.config import Config
from sc2lsp.context.document import Document
from sc2lsp.context.workspace import Skipped, read
from sc2lsp.display import place_of
from sc2lsp.eval.cases import Case, choose
from sc2lsp.headless import Query, Workspace
from sc2lsp.runtime import measure, shapes
from sc2lsp.runtime.api import RequestRefused
from sc2lsp.runtime.load import Loaded, load
from sc2lsp.serve import engine_options

PACKAGE = Path(__file__).parent
EXCLUDED = ("/context/", "/kernels/", "/runtime/")  # links in a checkout, folders once installed: so both read the same
HOLES, KEYS = 8, 5  # places to type at, and characters of the suggestion typed at each
TYPING_SECONDS = 10.0  # after which no further place is begun
STAGES = 6  # of the progress

Stage = Callable[[str], None]  # told what begins


@dataclass(frozen=True, slots=True)
class Shape:
    """A published model's shape, or its first `layers` layers."""

    name: str
    layers: int | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured."""

    name: str
    parameters: int
    layers: int
    precision: str
    context_length: int
    random_weights: bool


@dataclass(frozen=True, slots=True)
class Typing:
    """Requests while suggestions were typed through: tokens a pass, and the drafts of each source."""

    holes: int
    requests: int
    tokens_per_pass: float
    drafts: Mapping[str, measure.Accepted]


@dataclass(frozen=True, slots=True)
class Results:
    """`bench --json`. Bytes, milliseconds, and what a field's name says; None where nothing was measured."""

    version: str
    date: str
    machine: measure.Machine
    model: Subject
    bandwidth: measure.Bandwidth
    first_token: measure.FirstToken
    decode: measure.Rates
    passes: list[measure.Pass]
    memory: measure.Memory
    typing: Typing | None


def bench(config: Config, shape: Shape | None, prompt_tokens: int = measure.PROMPT_TOKENS) -> Results:
    """Measure the configured model, or a shape with random weights, with prompts of so many tokens at most.

    Raises ModelError for what cannot be loaded, BackendError for a model that fails.
    """
    try:
        with _stages() as stage:
            loaded = _loaded(config, shape, stage)
            with measure.threads(loaded):
                return _measured(measure.Loop(loaded, prompt_tokens), shape is not None, stage)
    except RequestRefused as refusal:
        raise BackendError(f"{config.model if shape is None else shape.name}: {refusal}") from None
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: nothing to show, since figures of a part would not be comparable")
        raise


@contextmanager
def _stages() -> Generator[Stage]:
    """A bar on standard error for as long as the body runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=STAGES + 1)
        yield lambda name: progress.update(task, description=name, advance=1)


def _loaded(config: Config, shape: Shape | None, stage: Stage) -> Loaded:
    options = engine_options(config)
    if shape is None:
        stage("loading the model")
        return load(absolute_model(config.model), lambda message, fraction: None, options)
    stage("making random weights")
    return shapes.random_model(shape.name, shapes.published(shape.name, shape.layers), options.precision)


def _measured(loop: measure.Loop, is_random: bool, stage: Stage) -> Results:
    loaded, text = loop.loaded, _source_tokens(loop)
    stage("time to the first token")
    first_token = measure.first_token(loop, text)
    stage("memory")
    memory, bandwidth = measure.memory_of(loaded), measure.bandwidth(loaded)
    prompt = tuple(text[: loop.prompt_tokens])
    prompts, typing = [prompt] * HOLES, None
    stage("passes")
    passes = measure.passes(loop, prompt, bandwidth)
    if not is_random:
        stage("typing")
        prompts, typing = _typing(loop)
    stage("tokens a second")
    return Results(
        version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=measure.machine(loaded),
        model=_subject(loaded, is_random),
        bandwidth=bandwidth,
        first_token=first_token,
        decode=measure.rates(loop, prompts, with_drafts=not is_random),
        passes=passes,
        memory=memory,
        typing=typing,
    )


def _subject(loaded: Loaded, is_random: bool) -> Subject:
    facts, layers = loaded.facts, loaded.runner.network.config.num_layers
    return Subject(facts.name, facts.parameters, layers, facts.dtype, facts.context_length, is_random)


def _source_tokens(loop: measure.Loop) -> list[int]:
    """Of this package's own source: far more than any prompt."""
    text = "".join(path.read_text("utf-8") for path in sorted(PACKAGE.glob("*.py")))
    return loop.loaded.tokenizer.encode(text)


def _typing(loop: measure.Loop) -> tuple[list[tuple[int, ...]], Typing]:
    """The first prompt at each place, and what typing there came to."""
    facts, tokenizer = loop.loaded.facts, loop.loaded.tokenizer
    model = Model(facts.name, facts.context_length, tokenizer)
    workspace = Workspace.open(PACKAGE, Config(budget=loop.prompt_tokens, exclude=EXCLUDED, cache_mb=0))
    for path in workspace.folder.index.files:
        loop.index(path, tokenizer.encode(_text(workspace, path)))
    cases = choose(workspace, HOLES, ("tail",), ("python",), seed=0)
    prompts: list[tuple[int, ...]] = []
    asked: list[measure.Asked] = []
    for number in measure.repeated(len(cases), TYPING_SECONDS):
        requests = list(_typed_through(loop, workspace, model, cases[number]))
        prompts.append(requests[0][0])
        asked += [answer for _, answer in requests]
    passes = [count for answer in asked for count in answer.passes]
    return prompts, Typing(len(prompts), len(asked), sum(passes) / len(passes), loop.acceptance())


def _typed_through(
    loop: measure.Loop, workspace: Workspace, model: Model, case: Case
) -> Iterator[tuple[tuple[int, ...], measure.Asked]]:
    """The prompt at a hole and its answer; then those after each of the suggestion's first characters."""
    query, suggestion, prompt = _query(case, ""), "", None
    for typed in range(1, KEYS + 2):
        target = workspace.target(query)
        prompt = build_prompt(target, find_snippets(target), model, last=prompt, healed=target.unfinished)
        place = place_of(target.document, target.outline, target.offset)
        sampling = sampling_for(target.folder.config, place, target.unfinished)
        answer = loop.ask(case.hole.path, prompt.token_ids, sampling)
        yield prompt.token_ids, answer
        suggestion = suggestion or written(model.decode(answer.tokens), target.unfinished) or case.middle
        query = _query(case, suggestion[:typed])
    workspace.close(query)


def _query(case: Case, typed: str) -> Query:
    path, prefix = case.hole.path, case.prefix + typed
    text = prefix + case.suffix
    place = Document.open(path, text).position(len(prefix), "utf-32")
    return Query(path, path, place.line + 1, place.character + 1, text)


def _text(workspace: Workspace, path: str) -> str:
    text = read(workspace.folder.root, path)
    return "" if isinstance(text, Skipped) else text


def print_results(results: Results, console: Console | None = None) -> None:
    """Tables narrow enough for any terminal, and a word on what they are of."""
    console = console or Console()
    for table in (_figures(results), _passes(results), _drafts(results), _memory(results)):
        if table.row_count:
            console.print(table)
            console.print()
    for line in _notes(results):
        console.print(Text(line))


def _table(title: str, words: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(results: Results) -> Table:
    first, decode = results.first_token, results.decode
    table = _table("Time", ("milliseconds to the first token",), ("p50", "p95", "n"))
    table.add_row(f"cold, {first.prompt_tokens:,} tokens", *_spread(first.cold_ms))
    table.add_row(f"warm, {first.warm_prefilled_tokens:.1f} tokens prefilled", *_spread(first.warm_ms))
    table.add_section()
    table.add_row("tokens/s, one a pass", f"{decode.plain_tokens_per_second:,.1f}")
    if decode.drafted_tokens_per_second is not None:
        table.add_row("tokens/s, with drafts", f"{decode.drafted_tokens_per_second:,.1f}")
    if results.typing is not None:
        typing = results.typing
        table.add_row(f"tokens a pass, {typing.requests} requests of typing", f"{typing.tokens_per_pass:.2f}")
    return table


def _passes(results: Results) -> Table:
    length = results.first_token.prompt_tokens
    table = _table(
        f"Passes of the model behind {length:,} tokens",
        ("rows",),
        ("p50 ms", "p95 ms", "n", "reads", "share of bandwidth"),
    )
    for each in results.passes:
        table.add_row(str(each.rows), *_spread(each.ms), _size(each.bytes), f"{each.share_of_bandwidth:.0%}")
    return table


def _drafts(results: Results) -> Table:
    table = _table("Drafts while typing", ("source",), ("tokens", "accepted", "share"))
    for source, found in results.typing.drafts.items() if results.typing is not None else ():
        table.add_row(source, f"{found.drafted:,}", f"{found.accepted:,}", f"{found.share:.0%}")
    return table


def _memory(results: Results) -> Table:
    bandwidth, memory = results.bandwidth, results.memory
    table = _table("Memory", ("",), ("",))
    table.add_row("weights", _size(memory.weights_bytes))
    table.add_row("keys and values, room for", _size(memory.cache_bytes))
    if memory.resident_bytes is not None:
        table.add_row("process, resident", _size(memory.resident_bytes))
    if memory.gpu_bytes is not None:
        table.add_row("GPU, allocated", _size(memory.gpu_bytes))
    buffer = _size(bandwidth.buffer_bytes)
    table.add_row(f"read, {buffer} summed", f"{_size(bandwidth.read_bytes_per_second)}/s")
    table.add_row(f"copy, {buffer} read and written", f"{_size(bandwidth.copy_bytes_per_second)}/s")
    return table


def _notes(results: Results) -> Iterator[str]:
    model, machine = results.model, results.machine
    size = f"{model.parameters:,} parameters in {model.layers} layers, {model.precision}"
    yield f"{model.name}: {size}{', random weights' if model.random_weights else ''}"
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    yield f"{machine.processor} ({machine.device}, {threads}), torch {machine.torch}, sc2lsp {results.version}"
    if any(each.share_of_bandwidth > 1 for each in results.passes):
        yield "More than 100 %: caches hold a part of what a pass reads."


def _spread(spread: measure.Spread) -> tuple[str, str, str]:
    return f"{spread.p50:,.2f}", f"{spread.p95:,.2f}", str(spread.n)


def _size(size: float) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
