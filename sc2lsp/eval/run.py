"""`sc2lsp eval`: the repository is indexed once, then model after model answers the same cases.

Ctrl-C ends it early and keeps what was measured; with an output folder a second call goes on from there.
"""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sc2lsp import __version__
from sc2lsp.backend import BackendError, Model, absolute_model, local_model
from sc2lsp.config import Config
from sc2lsp.context.languages import language_of
from sc2lsp.context.prompt import Order
from sc2lsp.eval.cases import Case, Variant, choose, languages_with_holes, opened
from sc2lsp.eval.holes import KINDS, Kind
from sc2lsp.eval.measure import Subject, key_of, measure, teach_all
from sc2lsp.eval.records import CONTEXTS, ORDERS, Context, Row, RowFile, Settings
from sc2lsp.eval.results import ModelNote, Results, summarise
from sc2lsp.explain import waiting
from sc2lsp.extras import require
from sc2lsp.headless import InputError, Workspace
from sc2lsp.runtime.api import RequestRefused
from sc2lsp.runtime.locate import model_folder
from sc2lsp.runtime.tokenizer import Tokenizer

if TYPE_CHECKING:
    from sc2lsp.runtime.evaluate import Scorer

WARM_EVERY = 2  # cases; the others are timed cold only
Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate."""

    root: Path
    models: tuple[str, ...]
    cases: int = 150
    kinds: tuple[Kind, ...] = KINDS
    languages: tuple[str, ...] = ()  # none: all that holes are cut into
    contexts: tuple[Context, ...] = CONTEXTS
    orders: tuple[Order, ...] = ORDERS
    budget: int | None = None  # tokens of a prompt; None: as configured
    seed: int = 0
    out: Path | None = None

    @property
    def variants(self) -> tuple[Variant, ...]:
        return tuple(Variant(context, order) for context in self.contexts for order in self.orders)


def words(text: str, known: Sequence[Word], option: str) -> tuple[Word, ...]:
    """`a,b` -> ("a", "b"). Raises InputError for a word that is not known."""
    by_name: dict[str, Word] = {word: word for word in known}
    asked = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in asked if word not in by_name]
    if unknown or not asked:
        raise InputError(
            f"--{option} takes some of {','.join(known)}; {','.join(unknown) or 'nothing'} is none of them"
        )
    return tuple(dict.fromkeys(by_name[word] for word in asked))


def parse_languages(text: str) -> tuple[str, ...]:
    """Raises InputError for a language that holes are not cut into."""
    return words(text, languages_with_holes(), "languages")


def evaluate(plan: Plan, config: Config) -> tuple[Results, list[Row]]:
    """The results, and the rows that they are of.

    Raises InputError, without the runtime's packages too, ConfigError for the workspace's own, BackendError or
    ModelError for a model that cannot be loaded.
    """
    require("runtime")
    for name in plan.models:  # all of them, before the first takes its time
        _check_model(name, config)
    with waiting() as on_status:
        workspace = Workspace.open(plan.root, config, on_status)
        cases = choose(workspace, plan.cases, plan.kinds, plan.languages, plan.seed)
    if not cases:
        raise InputError(f"{plan.root} has no source file with such a hole: --kinds or --languages ask for too much")
    settings = _settings(plan, workspace)
    bench = _Bench(plan, workspace, cases, settings, RowFile(plan.out, settings) if plan.out is not None else None)
    rows: list[Row] = []
    models: list[ModelNote] = []
    is_complete = _measure_all(bench, rows, models)
    return summarise(settings, models, len(cases), is_complete, rows), rows


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every model is measured on, and where its rows are kept, if anywhere."""

    plan: Plan
    workspace: Workspace
    cases: Sequence[Case]
    settings: Settings
    file: RowFile | None


def _settings(plan: Plan, workspace: Workspace) -> Settings:
    digest = hashlib.sha256()
    sources = (item for item in workspace.folder.index.files.items() if language_of(item[0]) is not None)
    for path, entry in sorted(sources):  # nothing else is shown, least of all what an evaluation wrote itself
        digest.update(f"{path}\n{entry.digest.hex()}\n".encode("utf-8", "surrogatepass"))
    root = workspace.folder.root
    return Settings(__version__, str(root), digest.hexdigest(), plan.budget or workspace.folder.config.budget)


def _measure_all(bench: _Bench, rows: list[Row], models: list[ModelNote]) -> bool:
    """Fill in rows and models; False where Ctrl-C ended it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            for name in dict.fromkeys(bench.plan.models):
                task = progress.add_task(f"loading {name}", total=len(bench.cases))
                with closing(_loaded(name)) as scorer:
                    progress.update(task, description=name)
                    subject = _subject(scorer)
                    models.append(_note(scorer))
                    teach_all(subject, bench.workspace)
                    for number, case in enumerate(bench.cases):
                        rows += _rows(bench, subject, case, number)
                        progress.advance(task)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: what follows is of what was measured until now")
        return False
    return True


def _check_model(name: str, config: Config) -> None:
    from sc2lsp.runtime import weights

    weights.fetch(name)
    local_model(replace(config, model=name, endpoint=""))


def _loaded(name: str) -> "Scorer":
    from sc2lsp.runtime.evaluate import Scorer

    return Scorer(absolute_model(name), lambda message, fraction: None)


def _subject(scorer: "Scorer") -> Subject:
    facts = scorer.facts
    model = Model(facts.name, facts.context_length, Tokenizer(scorer.tokenizer_json))
    return Subject(scorer, model, _weights(facts.name, facts.tokenizer_sha256))


def _weights(name: str, tokenizer_sha256: str) -> str:
    """Another training run in the same folder is another model: told by its files' sizes and times."""
    folder, digest = model_folder(name), hashlib.sha256(tokenizer_sha256.encode())
    for path in sorted(folder.glob("*.safetensors")) if folder is not None else ():
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _note(scorer: "Scorer") -> ModelNote:
    facts = scorer.facts
    return ModelNote(facts.name, facts.parameters, facts.context_length, facts.device, facts.dtype)


def _rows(bench: _Bench, subject: Subject, case: Case, number: int) -> list[Row]:
    """Of one case: from the file where it has all of them, else measured."""
    variants = bench.plan.variants
    kept = [bench.file.get(key_of(subject, case, variant)) for variant in variants] if bench.file is not None else []
    found = [row for row in kept if row is not None]
    if len(found) == len(variants):
        return found
    try:
        with opened(bench.workspace, case) as shown:
            found = list(measure(subject, case, shown, variants, bench.settings.budget, number % WARM_EVERY == 0))
    except RequestRefused as refusal:
        raise BackendError(f"{subject.model.name}: {refusal}") from None
    if bench.file is not None:
        bench.file.add(found)
    return found


def write(results: Results, rows: Sequence[Row], folder: Path) -> None:
    """`results.json` and `index.html` beside the cases, where anything was measured.

    Raises InputError where the folder cannot be written to.
    """
    if not rows:
        return
    from sc2lsp.eval.page import page  # draws with matplotlib, which takes a second to import

    try:
        (folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
        (folder / "index.html").write_text(page(results, rows), "utf-8")
    except OSError as wrong:
        raise InputError(f"{folder} cannot be written to: {wrong.strerror}") from None
