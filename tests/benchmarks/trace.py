"""What a keystroke costs the model: tokens prefilled again, tokens a step, and the time to a suggestion.

    python -m tests.benchmarks.trace ROOT... [--keystrokes N] [--json PATH] [--no-workspace]

`typing`'s typist works as people do who see suggestions: takes those that are right or types through them, takes back
some letters, jumps between places and files, and at times types on before an answer is there. Every key takes the
server's own path to the prompt and then a real engine with the built-in model. Deterministic but for the times, and
for what depends on them: rankings that come too late, and where an answer is cut off.
"""

import argparse
import json
import queue
import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from time import perf_counter
from typing import Literal

from rich.console import Console
from rich.table import Table

from sc2lsp.backend import Model
from sc2lsp.completion import build_prompt, find_snippets, is_outdated, rank_snippets, sampling_for, written
from sc2lsp.config import Config
from sc2lsp.context.prompt import Prompt
from sc2lsp.context.workspace import read
from sc2lsp.display import Place, Shown, place_of, show
from sc2lsp.headless import Workspace
from sc2lsp.runtime.api import Chunk, Indexed, Request, RequestRefused, Usage
from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.runtime.tokenizer import Tokenizer
from sc2lsp.session import Target, names_of
from tests.benchmarks.typing import Hole, Typist, common

Kind = Literal["type", "accept", "delete", "jump"]
Change = Literal["snippets", "suffix", "start", "text"]

KEYSTROKES, SEED = 500, 1
HURRY = 0.1  # of the keys are followed by the next one before the answer is there
ACCEPTS = 0.5  # of the suggestions that begin right are taken, the others typed through
WORTH = 4  # characters that must be right before somebody takes them
DELETES, DELETED = 0.02, (1, 6)  # how often letters are taken back, and how many
START = 32  # tokens of the text before the cursor; where these differ, it starts at another line


@dataclass(frozen=True, slots=True)
class Key:
    """One keystroke that was made: the cursor now, what is to come behind it, whether the next one comes too soon."""

    kind: Kind
    target: Target
    left: str
    is_hurried: bool


Ask = Callable[[Key], Shown | None]
Decode = Callable[[Sequence[int]], str]


class Person:
    """Chooses the next key in sight of a suggestion."""

    def __init__(self, typist: Typist, seed: int) -> None:
        self._typist = typist
        self._random = random.Random(seed)
        self._to_delete = 0
        self._declined = ""
        # Mutated by: work().

    def work(self, count: int, ask: Ask) -> None:
        """Press `count` keys, and ask for a suggestion after each."""
        for hole, keys in self._typist.bursts():
            shown: Shown | None = None
            for place in range(min(keys, count)):
                if hole.is_done:
                    break
                kind = self._press(hole, shown)
                is_hurried = self._chance(HURRY)
                shown = ask(Key(kind if place else "jump", self._typist.target(hole), hole.left, is_hurried))
                count -= 1
            if count == 0:
                return

    def _press(self, hole: Hole, shown: Shown | None) -> Kind:
        if not self._to_delete and self._chance(DELETES):
            self._to_delete = self._random.randint(*DELETED)
        if self._to_delete:
            self._to_delete -= 1
            if self._typist.delete(hole):
                return "delete"
            self._to_delete = 0
        if shown is not None and self._takes(shown.text, right := alike(shown.text, hole.left)):
            self._typist.accept(hole, right, shown.replaces if right == shown.text else 0)
            return "accept"
        self._typist.type(hole)
        return "type"

    def _takes(self, text: str, right: str) -> bool:
        """Whether to take what is right of a suggestion, as editors offer it word by word; decided once for each."""
        if len(right) < WORTH or self._declined.endswith(text):
            return False
        if self._chance(ACCEPTS):
            return True
        self._declined = text
        return False

    def _chance(self, share: float) -> bool:
        return self._random.random() < share


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine gave. `steps` are those that chose tokens, `chosen` what they chose: with a control token that
    ended it, which is not among `token_ids`, and without the `typed` ones, which say again what was typed before.
    `drafted` and `accepted` tokens by source.
    """

    token_ids: Sequence[int]
    steps: int
    chosen: int
    typed: int
    drafted: Mapping[str, int]
    accepted: Mapping[str, int]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Row:
    """A keystroke's request. Times in milliseconds; `change` is the first part of the prompt that is another one."""

    kind: Kind
    is_hurried: bool  # the answer was cut off
    is_cold: bool  # the document's first request
    change: Change
    prompt_tokens: int
    snippet_tokens: int
    context_ms: float
    prompt_ms: float
    total_ms: float  # from the key to what is shown
    answer: Answer
    shown: str
    left: str  # what came, as long as what is shown

    @property
    def prefilled(self) -> int:
        return self.prompt_tokens - self.answer.usage.cached_tokens

    @property
    def is_right(self) -> bool:
        return self.shown == self.left != ""


class Asker:
    """The server's way from a key to a suggestion, timed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._model = Model(EMBEDDED, engine.facts.context_length, Tokenizer(engine.tokenizer_json))
        self.rows: list[Row] = []
        # Mutated by: __call__().

    def __call__(self, key: Key) -> Shown | None:
        target, prompts = key.target, key.target.folder.prompts
        last = prompts.get(target.document.path)
        started = perf_counter()
        snippets = find_snippets(target)
        ranked = perf_counter()
        prompt = build_prompt(target, snippets, self._model, last=last, healed=target.unfinished)
        prompts[target.document.path] = prompt
        built = perf_counter()
        place = place_of(target.document, target.outline, target.offset)
        request = _request(len(self.rows), target, prompt, place)
        answer = generate(self._engine, request, self._model.decode, key.is_hurried)
        raw = written(self._model.decode(answer.token_ids), target.unfinished)
        found = None if key.is_hurried else show(raw, place)
        shown = found if isinstance(found, Shown) else None
        total = perf_counter() - started
        if is_outdated(target):
            rank_snippets(target)  # while nobody waits
        text = shown.text if shown else ""
        self.rows.append(
            Row(
                kind=key.kind,
                is_hurried=key.is_hurried,
                is_cold=last is None,
                change=_change(last, prompt),
                prompt_tokens=len(prompt.token_ids),
                snippet_tokens=len(prompt.token_ids) - prompt.hole_tokens,
                context_ms=(ranked - started) * 1e3,
                prompt_ms=(built - ranked) * 1e3,
                total_ms=total * 1e3,
                answer=answer,
                shown=text,
                left=key.left[: len(text)],
            )
        )
        return shown


def generate(engine: Engine, request: Request, decode: Decode, is_hurried: bool) -> Answer:
    """The answer to a request, cut off after its first step where the next key comes too soon."""
    before = _counts(engine)
    chunks = list(_stream(engine, request, is_hurried))
    drafted, accepted = (dict(now - then) for now, then in zip(_counts(engine), before, strict=True))
    usage, reason = chunks[-1].usage, chunks[-1].finish_reason
    assert usage is not None
    ids = [token for chunk in chunks for token in chunk.token_ids]
    has_stop = any(stop in decode(ids) for stop in request.sampling.stop)
    # One chunk a step: nothing is sent of steps that only prefill, and "cancelled" comes without any.
    steps = len(chunks) - (reason == "cancelled")
    forced = len(request.sampling.forced)
    typed = sum(len(decode(ids[:count])) <= forced for count in range(1, len(ids) + 1)) if forced else 0
    chosen = len(ids) + (reason == "stop" and not has_stop) - typed
    return Answer(ids, steps, chosen, typed, drafted, accepted, usage)


def _stream(engine: Engine, request: Request, is_hurried: bool) -> Iterator[Chunk]:
    answers: queue.SimpleQueue[Chunk | RequestRefused] = queue.SimpleQueue()
    generation = engine.submit(request, answers.put)
    while True:
        chunk = answers.get()
        if isinstance(chunk, RequestRefused):
            raise chunk
        yield chunk
        if chunk.finish_reason is not None:
            return
        if is_hurried:
            generation.abort()


def _counts(engine: Engine) -> tuple[Counter[str], Counter[str]]:
    """Tokens drafted and accepted so far, by source."""
    scheduler = engine._scheduler
    return engine.call(lambda: (Counter[str](scheduler.drafted), Counter[str](scheduler.accepted))).result()


def _request(number: int, target: Target, prompt: Prompt, place: Place) -> Request:
    workspace, document = names_of(target.folder, target.document.path)
    sampling = sampling_for(target.folder.config, place, target.unfinished)
    return Request(number, document, prompt.token_ids, sampling, workspace)


def _change(last: Prompt | None, prompt: Prompt) -> Change:
    """In the order of an SPM prompt: snippets, the text after the cursor, where that before it starts, and that."""
    if last is None:
        return "snippets"
    behind = len(prompt.token_ids) - common(last.token_ids, prompt.token_ids)
    if behind > prompt.hole_tokens:
        return "snippets"
    if behind > prompt.prefix_tokens:
        return "suffix"
    return "start" if behind > prompt.prefix_tokens - START else "text"


def alike(text: str, other: str) -> str:
    """What both begin with."""
    return text[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False)))]


def measure(engine: Engine, root: Path, count: int, is_fed: bool) -> list[Row]:
    """One trace over one repository; `is_fed`: the engine is told the files' tokens, as the server does."""
    workspace = Workspace.open(root, Config())
    typist = Typist(workspace, SEED)  # opens files without what is going to be typed
    asker = Asker(engine)

    def ask(key: Key) -> Shown | None:
        if is_fed and key.kind == "jump":  # a file was saved
            feed(engine, workspace, typist.paths)
        return asker(key)

    if is_fed:
        feed(engine, workspace, sorted(workspace.folder.index.files))
    Person(typist, SEED).work(count, ask)
    return asker.rows


def feed(engine: Engine, workspace: Workspace, paths: Iterable[str]) -> None:
    """Let drafts come from these files of a workspace, as `sc2lsp.feed` does."""
    encode, root = Tokenizer(engine.tokenizer_json).encode, workspace.folder.root
    for path in paths:
        document = workspace.session.document(root / path)
        text = read(root, path) if document is None else document.text
        if isinstance(text, str):
            engine.put_document(Indexed(*names_of(workspace.folder, path), tuple(encode(text))))


def report(traces: Mapping[str, Sequence[Row]]) -> list[Table]:
    rows = [row for trace in traces.values() for row in trace]
    return [_costs({**traces, "all": rows}), _times({**traces, "all": rows}), _sources(rows), _changes(rows)]


def _costs(traces: Mapping[str, Sequence[Row]]) -> Table:
    table = Table(
        "trace", "keys", "prompt", "prefilled p50 / p95", "of all", "warm", "tokens a step", "and typed", "drafted",
        "accepted", "suggested", "right",
        title="tokens", title_justify="left",
    )  # fmt: skip
    for name, rows in traces.items():
        warm = [row for row in rows if not row.is_cold]
        answered = [row for row in rows if not row.is_hurried]
        steps = sum(row.answer.steps for row in rows)
        table.add_row(
            name,
            f"{len(rows)}",
            f"{statistics.fmean(row.prompt_tokens for row in rows):.0f}",
            _quantiles([row.prefilled for row in warm]),
            f"{_share(rows):.1%}",
            f"{_share(warm):.1%}",
            f"{sum(row.answer.chosen for row in rows) / steps:.2f}",
            f"{sum(row.answer.chosen + row.answer.typed for row in rows) / steps:.2f}",
            f"{sum(sum(row.answer.drafted.values()) for row in rows) / steps:.2f}",
            f"{sum(sum(row.answer.accepted.values()) for row in rows) / steps:.2f}",
            f"{sum(row.shown != '' for row in answered) / len(answered):.0%}",
            f"{sum(row.is_right for row in answered) / len(answered):.0%}",
        )
    return table


def _times(traces: Mapping[str, Sequence[Row]]) -> Table:
    """Of warm requests that were answered."""
    names = ("context", "prompt", "queue", "prefill", "decode", "suggestion")
    table = Table("trace", *names, title="milliseconds, p50 / p95", title_justify="left")
    for name, rows in traces.items():
        answered = [row for row in rows if not row.is_hurried and not row.is_cold]
        usages = [row.answer.usage for row in answered]
        table.add_row(
            name,
            _quantiles([row.context_ms for row in answered]),
            _quantiles([row.prompt_ms for row in answered]),
            _quantiles([usage.queue_ms for usage in usages]),
            _quantiles([usage.prefill_ms for usage in usages]),
            _quantiles([usage.decode_ms for usage in usages]),
            _quantiles([row.total_ms for row in answered]),
        )
    return table


def _sources(rows: Sequence[Row]) -> Table:
    table = Table("drafts", "drafted", "accepted", "share", title="tokens of drafts", title_justify="left")
    drafted, accepted = Counter[str](), Counter[str]()
    for row in rows:
        drafted.update(row.answer.drafted)
        accepted.update(row.answer.accepted)
    for source, count in drafted.most_common():
        table.add_row(source, f"{count}", f"{accepted[source]}", f"{accepted[source] / count:.0%}")
    return table


def _changes(rows: Sequence[Row]) -> Table:
    """What was prefilled again, by the key and by the first part of the prompt that it changed."""
    table = Table("key", "changes", "keys", "prefilled", "each", title="why tokens are prefilled", title_justify="left")
    tokens, keys = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in rows:
        cause: tuple[str, str] = ("first" if row.is_cold else row.kind, row.change)
        tokens[cause] += row.prefilled
        keys[cause] += 1
    for cause, count in tokens.most_common():
        table.add_row(*cause, f"{keys[cause]}", f"{count / tokens.total():.1%}", f"{count / keys[cause]:.0f}")
    return table


def _share(rows: Sequence[Row]) -> float:
    """Of the prompts' tokens, those that were prefilled."""
    return sum(row.prefilled for row in rows) / sum(row.prompt_tokens for row in rows)


def _quantiles(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} / {statistics.quantiles(values, n=20)[-1]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument("--keystrokes", type=int, default=KEYSTROKES)
    parser.add_argument("--json", type=Path, help="every keystroke goes to this file")
    parser.add_argument("--no-workspace", action="store_true", help="no drafts from the repository's files")
    arguments = parser.parse_args()
    traces: dict[str, list[Row]] = {}
    for root in arguments.roots:
        engine = Engine(EMBEDDED, lambda message, fraction: None)
        traces[root.name] = measure(engine, root.resolve(), arguments.keystrokes, not arguments.no_workspace)
        engine.close()
    for table in report(traces):
        Console(width=150).print(table)
    if arguments.json is not None:
        rows = [{"trace": name, **asdict(row)} for name, rows in traces.items() for row in rows]
        arguments.json.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
