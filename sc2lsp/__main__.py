"""The command line: arguments in, one call each, errors as one line."""

from pathlib import Path

import click


@click.group()
def main() -> None:
    """Inline code completion with StarCoder2."""


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the checkpoint.")
@click.option("--cache", type=click.Path(path_type=Path), default=Path("train/sources"), help="Folder for the sources.")
def train(recipe: Path, out: Path, cache: Path) -> None:
    """Train a small model as RECIPE says."""
    from sc2lsp.train import train as run

    run(recipe, out, cache)


if __name__ == "__main__":
    main()
