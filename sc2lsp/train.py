"""`sc2lsp train`: a recipe followed from its sources to a checkpoint folder with its data sheet."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sc2lsp.corpus import Recipe, SourceAccount, collect, read_recipe
from sc2lsp.runtime.training.plan import SourceFile
from sc2lsp.serve import require_runtime


def train(recipe_path: Path, folder: Path, cache: Path) -> None:
    """Fetch, filter and train as `recipe_path` says; interrupted, a second call goes on from the last checkpoint.

    Raises CorpusError for a recipe that cannot be followed, InputError without the runtime's packages.
    """
    require_runtime()
    recipe = read_recipe(recipe_path)
    console = Console(stderr=True)
    with console.status("corpus") as status:
        files, accounts = collect(recipe.source, cache, lambda source: status.update(f"corpus: {source.name}"))
    console.print(f"{len(files):,} files, {sum(account.chars for account in accounts):,} characters")
    seconds = _optimise(recipe, files, folder, console)
    (folder / "README.md").write_text(_data_sheet(recipe, accounts, seconds), "utf-8")


def _optimise(recipe: Recipe, files: Sequence[SourceFile], folder: Path, console: Console) -> float:
    """Seconds that the optimisation took in this call."""
    from sc2lsp.runtime.training.build import build, training_steps

    started = monotonic()
    columns = (TextColumn("loss {task.fields[loss]:.3f}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("train", total=training_steps(recipe.plan), loss=0.0)
        build(recipe.plan, files, folder, lambda step, loss: progress.update(task, completed=step, loss=loss))
    return monotonic() - started


def _data_sheet(recipe: Recipe, accounts: Sequence[SourceAccount], seconds: float) -> str:
    """The README of a checkpoint: what it is, and every source with version, licence, and a digest of what was used."""
    plan = recipe.plan
    rows = [
        f"| {a.source.name} | {a.source.version or 'folder'} | {a.source.licence} | {a.files} | {a.chars:,} "
        f"| {sum(a.left_out.values())} | `{a.sha256[:16]}` |"
        for a in accounts
    ]
    reasons: dict[str, int] = {}
    for account in accounts:
        for reason, count in account.left_out.items():
            reasons[reason] = reasons.get(reason, 0) + count
    left_out = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    return f"""# Data sheet of the model in this folder

A StarCoder2-architecture model: {plan.num_layers} layers of width {plan.hidden_size}, {plan.num_heads} heads over \
{plan.num_kv_heads} key-value heads, a vocabulary of {plan.vocab_size:,}, {plan.context_length:,} positions. \
Trained from random weights by `sc2lsp train` on {plan.tokens:,} tokens of Python, seed {plan.seed}, in \
{seconds / 60:.0f} minutes of its last run.
It is small and its suggestions are often wrong. It completes code; it does not know facts and was not tuned to follow
instructions.

Examples are in StarCoder2's repository format. 70 % of them have a hole, prefix-suffix-middle and suffix-prefix-middle
half and half, cut at any character; 70 % of the holes end at the end of a line.

Left out of the sources, by reason: {left_out}. Evaluation repositories (flask, httpx, trio, rich, zod, fastapi,
sqlalchemy, jedi, aider, django, hugo, gson, pyright) were never in.

| source | version | licence | files | characters | left out | sha256 of the kept files' digests |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
