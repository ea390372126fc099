"""The commands that measure and make models: bench, eval, corpus, train."""

from pathlib import Path

import click
import msgspec

from sc2lsp.options import PATH, configured, with_json, with_model


@click.command()
@with_model
@click.option("--shape", help="Random weights in a published shape instead, such as starcoder2-3b.")
@click.option("--layers", type=click.IntRange(1), help="Only so many layers of the shape.")
@click.option("--precision", help="auto, fp32, bf16, fp16, int8, int4 or fp8.")
@click.option("--prompt-tokens", type=click.IntRange(32), default=1800, show_default=True, help="Of a prompt, at most.")
@with_json
def bench(
    model: str | None, shape: str | None, layers: int | None, precision: str | None, prompt_tokens: int, as_json: bool
) -> None:
    """What a model costs on this machine: first token, tokens a second, memory and its bandwidth, drafts."""
    from sc2lsp.extras import require

    if shape is not None and model is not None:
        raise click.UsageError("give --model or --shape, not both")
    if shape is None and layers is not None:
        raise click.UsageError("--layers goes with --shape")
    require("runtime")
    from sc2lsp import bench as run

    asked = None if shape is None else run.Shape(shape, layers)
    results = run.bench(configured(model, precision=precision), asked, prompt_tokens)
    if as_json:
        click.echo(msgspec.json.encode(results))
    else:
        run.print_results(results)


_cache = click.option(
    "--cache", type=PATH, default=Path("train/sources"), show_default=True, help="Folder for downloaded packages."
)


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder for the shards and the manifest.")
@_cache
def corpus(recipe: Path, out: Path, cache: Path) -> None:
    """Training text from the packages and folders that RECIPE names."""
    from rich.console import Console

    from sc2lsp.extras import require

    require("train")
    from sc2lsp.corpus.recipe import read_recipe
    from sc2lsp.train import corpus as run

    run(read_recipe(recipe), out, cache, Console(stderr=True))


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--plan", default="cpu", show_default=True, help="Which of the recipe's plans.")
@click.option("--out", type=PATH, required=True, help="Folder for the corpus and the checkpoint.")
@_cache
def train(recipe: Path, plan: str, out: Path, cache: Path) -> None:
    """Train a small model as RECIPE says: corpus, prompts of the context engine, weights, data sheet."""
    from sc2lsp.extras import require

    require("train")
    from sc2lsp.train import train as run

    run(recipe, plan, out, cache)


@click.command(name="eval")
@click.argument("root", type=PATH, default=Path())
@click.option("--model", "models", multiple=True, help="A model to evaluate; several times for several.")
@click.option("--cases", type=click.IntRange(1), default=150, show_default=True, help="Holes, evenly over the files.")
@click.option("--kinds", default="line,tail,block", show_default=True, help="Whole lines, ends of lines, blocks.")
@click.option("--languages", default="", help="Such as python,go; by default all that holes are cut into.")
@click.option(
    "--context", "contexts", default="full,infile", show_default=True, help="As in an editor, the file alone."
)
@click.option("--orders", default="spm,psm", show_default=True, help="Orders of the prompt.")
@click.option("--budget", type=click.IntRange(32), help="Tokens of a prompt; by default as configured.")
@click.option("--seed", default=0, show_default=True, help="Another one cuts other holes.")
@click.option("--out", type=PATH, help="Folder for a page with plots, the figures and every case; goes on from there.")
@with_json
def evaluate(
    root: Path,
    models: tuple[str, ...],
    cases: int,
    kinds: str,
    languages: str,
    contexts: str,
    orders: str,
    budget: int | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Which model and which context complete the code of ROOT best: holes are cut into it and filled again."""
    from sc2lsp.extras import require

    require("eval")
    from sc2lsp.eval import run
    from sc2lsp.eval.holes import KINDS
    from sc2lsp.eval.records import CONTEXTS, ORDERS
    from sc2lsp.eval.table import print_results

    config = configured(None)
    plan = run.Plan(
        root,
        models or (config.model,),
        cases,
        run.words(kinds, KINDS, "kinds"),
        run.parse_languages(languages) if languages else (),
        run.words(contexts, CONTEXTS, "context"),
        run.words(orders, ORDERS, "orders"),
        budget,
        seed,
        out,
    )
    results, rows = run.evaluate(plan, config)
    if out is not None:
        run.write(results, rows, out)
    if as_json:
        click.echo(msgspec.json.encode(results))
    else:
        print_results(results)
    if not results.complete:
        raise click.exceptions.Exit(130)
