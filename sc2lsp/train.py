"""`sc2lsp train`: a recipe followed from its sources to a checkpoint folder with its data sheet."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sc2lsp.corpus import EVALUATION, Recipe, SourceAccount, collect, read_recipe
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
    rows = "\n".join(
        f"| {a.source.name} | {a.source.version or 'folder'} | {a.source.licence} | {a.files} | {a.chars:,} "
        f"| {sum(a.left_out.values())} | `{a.sha256[:16]}` |"
        for a in accounts
    )
    left_out = Counter[str]()
    for account in accounts:
        left_out.update(account.left_out)
    reasons = "\n".join(f"| {reason} | {count:,} |" for reason, count in sorted(left_out.items()))
    return f"""# Data sheet

A model of StarCoder2's architecture, trained from random weights by `sc2lsp train`. It completes code. It is small and
often wrong, knows no facts and follows no instructions.

| | |
|---|---|
| layers, width | {plan.num_layers}, {plan.hidden_size} |
| heads, key-value heads | {plan.num_heads}, {plan.num_kv_heads} |
| vocabulary, context | {plan.vocab_size:,}, {plan.context_length:,} tokens |
| trained on | {plan.tokens:,} tokens of Python, seed {plan.seed}, {seconds / 60:.0f} minutes in the last run |

Examples are in StarCoder2's repository format. 70 % of them have a hole, prefix-suffix-middle and suffix-prefix-middle
half and half, cut at any character; 70 % of the holes end at the end of a line.

## Sources

All permissively licensed. The digest is over the SHA-256 sums of the files that were kept.

| source | version | licence | files | characters | left out | digest |
|---|---|---|---|---|---|---|
{rows}

## Left out

Repositories that quality is measured with were never in: {", ".join(sorted(EVALUATION))}.

| reason | files |
|---|---|
{reasons}
"""
