"""`sc2lsp train`: a recipe followed from its corpus to a checkpoint folder with its data sheet.

Composes the corpus, the prompts of the context engine and the runtime's optimisation; knows no tensors.
"""

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sc2lsp.context.languages import language_of
from sc2lsp.corpus import CorpusError
from sc2lsp.corpus.build import Entry, build_corpus, held_out_files, read_manifest, read_shards
from sc2lsp.corpus.recipe import Recipe, read_recipe
from sc2lsp.extras import require
from sc2lsp.runtime.training import curve
from sc2lsp.runtime.training.plan import Example, Plan, SourceFile
from sc2lsp.runtime.training.plan import Progress as Step

from .data_sheet import data_sheet
from .prompts import prompts

_PROMPTS = "prompts.msgpack"


def train(recipe_path: Path, plan_name: str, folder: Path, cache: Path) -> None:
    """Build the corpus, the prompts and the model of a recipe in `folder`; a second call goes on where one stopped.

    Raises CorpusError for a recipe that cannot be followed, InputError without the runtime's packages.
    """
    require("runtime")
    recipe = read_recipe(recipe_path)
    plan = recipe.plan.get(plan_name)
    if plan is None:
        raise CorpusError(f"{recipe_path} has no plan {plan_name!r}; it has {', '.join(sorted(recipe.plan)) or 'none'}")
    recipe = recipe.within(plan.languages)
    console = Console(stderr=True)
    corpus(recipe, folder / "corpus", cache, console)
    files = [file for file in read_shards(folder / "corpus") if _is_in(file, plan)]
    held_out = [file for file in held_out_files(recipe, cache) if _is_in(file, plan)]
    console.print(f"{len(files):,} files, {sum(len(file.text) for file in files):,} characters for plan {plan_name}")
    examples = _prompts(plan, files, folder, console)
    _optimise(plan, files, examples, held_out, folder, console)
    kept, left_out = read_manifest(folder / "corpus")
    sheet = data_sheet(recipe, plan_name, kept, left_out, curve.seconds(folder))
    (folder / "README.md").write_text(sheet, "utf-8")
    (folder / "manifest.jsonl.gz").write_bytes(gzip.compress(_manifest_of(plan, kept), mtime=0))


def corpus(recipe: Recipe, folder: Path, cache: Path, console: Console) -> None:
    """`sc2lsp corpus`: the shards and the manifest of a recipe in `folder`, with progress. Raises CorpusError."""
    with _progress(console) as progress:
        task = progress.add_task("corpus")
        kept = build_corpus(
            recipe,
            folder,
            cache,
            lambda what, done, of: progress.update(task, description=what, completed=done, total=of),
        )
    console.print(f"{folder}: {len(kept):,} files, {sum(entry.chars for entry in kept):,} characters")


def _manifest_of(plan: Plan, entries: Sequence[Entry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries if entry.language in plan.languages)


def _is_in(file: SourceFile, plan: Plan) -> bool:
    language = language_of(file.path)
    return language is not None and language.name in plan.languages


def _prompts(plan: Plan, files: Sequence[SourceFile], folder: Path, console: Console) -> list[Example]:
    """The prompts of the second phase, kept in `folder` for the next call that asks for the same of the same files."""
    from sc2lsp.runtime.training.build import prepare_tokenizer

    prepare_tokenizer(plan, files, folder)
    tokenizer_json = (folder / "tokenizer.json").read_bytes()
    asked = (plan.prompts, plan.context_length, plan.seed, files)
    key = hashlib.sha256(tokenizer_json + msgspec.json.encode(asked)).hexdigest()
    path = folder / _PROMPTS
    decoder = msgspec.msgpack.Decoder(tuple[str, list[Example]])
    if path.exists():
        made_for, examples = decoder.decode(path.read_bytes())
        if made_for == key:
            return examples
    with _progress(console) as progress:
        task = progress.add_task("prompts")
        examples = prompts(
            files,
            plan.prompts,
            tokenizer_json,
            plan.context_length,
            plan.seed,
            lambda repo, done, of: progress.update(task, description=repo, completed=done, total=of),
        )
    path.write_bytes(msgspec.msgpack.encode((key, examples)))
    return examples


def _optimise(
    plan: Plan,
    files: Sequence[SourceFile],
    examples: Sequence[Example],
    held_out: Sequence[SourceFile],
    folder: Path,
    console: Console,
) -> None:
    from sc2lsp.runtime.training.build import build

    with _progress(console, TextColumn("loss {task.fields[loss]:.3f}, {task.fields[speed]:,.0f} tokens/s")) as progress:
        task = progress.add_task("train", loss=0.0, speed=0.0)

        def report(step: Step) -> None:
            speed = step.tokens_per_second
            progress.update(task, completed=step.step, total=step.steps, loss=step.loss, speed=speed)

        build(plan, files, examples, folder, report, held_out)


def _progress(console: Console, *columns: TextColumn) -> Progress:
    named = TextColumn("{task.description}")
    counted = TextColumn("{task.completed}/{task.total}")
    return Progress(named, *columns, BarColumn(), counted, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
