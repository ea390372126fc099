"""Review a diff with sc2lsp: `review.py --base origin/main --json review.json --sarif review.sarif`.

The command line of the bot in `sc2lsp_review`. Exit status 0 whatever was found, 1 with a line that says what to do, 2
for wrong usage, 130 when interrupted; files are written whole at the end, or not at all.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click
from sc2lsp_review.ask import AskError, batch_command
from sc2lsp_review.bot import Limits, Review, review
from sc2lsp_review.diff import MAX_DIFF_BYTES, DiffError, git_diff, parse
from sc2lsp_review.report import as_code_quality, as_json, as_markdown, plain
from sc2lsp_review.sarif import as_sarif

TOLD_EVERY = 20  # places


def _output(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """Looked at before the minutes of asking: a place for a file, and no link that the checkout brought along."""
    if path is not None and (path.is_symlink() or (path.exists() and not path.is_file())):
        raise click.BadParameter(f"{path} is not a regular file")
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}")
    return path


def _file(form: str, told: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option for one of the files that are written."""
    return click.option(f"--{form}", f"{form}_path", type=click.Path(path_type=Path), callback=_output, help=told)


@click.command()
@click.option("--root", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path(), help="Checkout.")
@click.option("--base", help="What the checked-out commit is compared with, from their last common ancestor on.")
@click.option("--diff", "diff_file", type=click.File("rb"), help="A unified diff instead; - reads standard input.")
@_file("json", "Write the findings here; by default to standard output.")
@_file("sarif", "Write SARIF 2.1.0 here.")
@_file("gitlab", "Write GitLab's Code Quality report here.")
@_file("markdown", "Write a page for people here.")
@click.option("--model", help="Another model than the one that sc2lsp is configured with.")
@click.option("--sc2lsp", "program", help="The sc2lsp to ask; by default the one of this Python.")
@click.option("--max-places", type=click.IntRange(1), default=200, show_default=True, help="To ask at, at most.")
@click.option("--max-findings", type=click.IntRange(0), default=10, show_default=True, help="To tell of, at most.")
@click.option("--seconds", type=click.FloatRange(min=1), default=600, show_default=True, help="For all of the asking.")
def main(
    root: Path,
    base: str | None,
    diff_file: BinaryIO | None,
    json_path: Path | None,
    sarif_path: Path | None,
    gitlab_path: Path | None,
    markdown_path: Path | None,
    model: str | None,
    program: str | None,
    max_places: int,
    max_findings: int,
    seconds: float,
) -> None:
    """What the model would have written at the added lines of a diff, where it is sure of something else."""
    root = root.resolve()
    limits = Limits(max_places, max_findings, seconds)
    try:
        files = parse(_diff(root, base, diff_file))
        found = asyncio.run(review(root, files, batch_command(program, root, model), limits, _tell))
    except (DiffError, AskError) as failure:
        raise click.ClickException(plain(" ".join(str(failure).split()))) from None
    _summarise(found)
    _write(sarif_path, _dumped(as_sarif(found)))
    _write(gitlab_path, _dumped(as_code_quality(found)))
    _write(markdown_path, as_markdown(found))
    _write(json_path, _dumped(as_json(found)))
    if json_path is None:
        click.echo(_dumped(as_json(found)), nl=False)


def _diff(root: Path, base: str | None, file: BinaryIO | None) -> bytes:
    if base is not None and file is None:
        return git_diff(root, base)
    if file is not None and base is None:
        return file.read(MAX_DIFF_BYTES + 1)
    raise click.UsageError("give either --base or --diff")


def _tell(asked: int, of: int) -> None:
    if asked % TOLD_EVERY == 0 or asked == of:
        click.echo(f"review: {asked} of {of} places asked", err=True)


def _summarise(found: Review) -> None:
    for skipped in found.skipped:
        click.echo(f"review: not looked at: {plain(skipped.path)}: {plain(skipped.reason)}", err=True)
    if not found.is_whole:
        click.echo(f"review: {found.asked} of {found.places} places were asked; see --max-places, --seconds", err=True)
    click.echo(f"review: {len(found.findings)} findings in {found.seconds} s", err=True)
    for finding in found.findings:
        place = finding.place
        click.echo(f"review: {plain(place.path)} line {place.line}: {plain(finding.message)}", err=True)


def _dumped(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"  # ASCII: whatever reads it


def _write(path: Path | None, text: str) -> None:
    """All of it or nothing, for whoever reads meanwhile; never through a link that the checkout brought along."""
    if path is None:
        return
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as failure:
        raise click.ClickException(f"{path} cannot be written: {failure.strerror}") from None


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as failure:
        failure.show()
        sys.exit(failure.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
