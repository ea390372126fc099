"""The command line: arguments in, one call each, errors as one line on standard error.

Exit status 0, or 1 with a line that says what to do, or 2 for wrong usage. Every command imports what it needs when it
runs, so that the language server starts without what only others use.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from sc2lsp import __version__
from sc2lsp.options import PATH, configured, patient, with_batch, with_json, with_model, with_root
from sc2lsp.research import bench, corpus, evaluate, train


class _Commands(click.Group):
    """Turns the errors that users can mend into one line and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None
        except _mendable() as failure:
            click.echo(f"sc2lsp: {' '.join(str(failure).split())}", err=True)
            raise click.exceptions.Exit(1) from None


def _mendable() -> tuple[type[Exception], ...]:
    """Imported only when something was raised."""
    from sc2lsp.backend import BackendError
    from sc2lsp.config import ConfigError
    from sc2lsp.corpus import CorpusError
    from sc2lsp.daemon import DaemonError
    from sc2lsp.headless import InputError
    from sc2lsp.playground.monaco import MonacoError
    from sc2lsp.runtime.errors import ModelError
    from sc2lsp.runtime.listen import ListenError
    from sc2lsp.stats import StatsError

    ours = BackendError, ConfigError, CorpusError, DaemonError, InputError, ListenError, ModelError, StatsError
    return *ours, MonacoError


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(__version__)
@click.option("--stdio", is_flag=True, help="Speak LSP on standard input and output (the default).")
@click.option("--clientProcessId", "client_process_id", type=int, help="End when this process has ended.")
@click.option("--listen", "url", help="Serve several clients at tcp://127.0.0.1:PORT or ws://127.0.0.1:PORT instead.")
@click.option("--listen-token", envvar="SC2LSP_LISTEN_TOKEN", help="What they present; by default one is made up.")
@click.option("--allow-origin", "origins", multiple=True, help="A web page that may connect, such as http://localhost.")
@click.pass_context
def main(
    ctx: click.Context,
    stdio: bool,
    client_process_id: int | None,
    url: str | None,
    listen_token: str | None,
    origins: tuple[str, ...],
) -> None:
    """Inline code completion with StarCoder2: without a command, a language server on standard input and output."""
    # Ranking multiplies small matrices: more threads than one would only wake up and spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if ctx.invoked_subcommand is not None:
        return
    from sc2lsp.server import create_server

    if url is not None:
        from sc2lsp.clients import listen

        listen(url, lambda: create_server(client_process_id), listen_token, origins)
        return
    if sys.stdin.isatty() and not stdio:
        click.echo("sc2lsp waits for an editor on standard input; `sc2lsp --help` lists the commands.", err=True)
    ctx.exit(create_server(client_process_id).serve())


@main.command()
@click.argument("place", metavar="PATH:LINE:COL", required=False)
@with_root
@with_json
@with_batch
@with_model
@click.option("--explain", is_flag=True, help="Show the chosen context, the text in place, the timings.")
def complete(
    place: str | None, root: Path | None, as_json: bool, batch: bool, model: str | None, explain: bool
) -> None:
    """One completion at PATH:LINE:COL; line and column count from 1, as editors show them."""
    from sc2lsp import headless
    from sc2lsp.backend import create
    from sc2lsp.completion import complete as run
    from sc2lsp.explain import explanation, waiting

    config = patient(configured(model))

    async def one() -> None:
        where, query = headless.query_at(_required(place), root)
        with waiting() as on_status:
            target = headless.Workspace.open(where, config, on_status).target(query)
            backend = create(config, on_status)
            result = await run(target, backend)
        await backend.close()
        if as_json:
            _print(headless.completion_json(target, result))
        elif explain:
            explanation(target, result)
        else:
            click.echo(result.completions[0].text if result.completions else "", nl=bool(result.completions))

    async def many() -> None:
        workspace = headless.Workspace.open(root or Path.cwd(), config)
        backend = create(config)
        await _print_all(headless.complete_batch(workspace, backend, sys.stdin.buffer))
        await backend.close()

    asyncio.run(many() if batch else one())


@main.command()
@click.argument("place", metavar="PATH:LINE:COL", required=False)
@with_root
@with_json
@with_batch
@with_model
@click.option("--budget", type=click.IntRange(32), help="Tokens of the whole prompt.")
@click.option("--prompt", "as_prompt", is_flag=True, help="Print the prompt itself, to the last token.")
def context(
    place: str | None,
    root: Path | None,
    as_json: bool,
    batch: bool,
    model: str | None,
    budget: int | None,
    as_prompt: bool,
) -> None:
    """What would be in the prompt at PATH:LINE:COL, and why."""
    from sc2lsp import headless
    from sc2lsp.completion import build_prompt, find_snippets
    from sc2lsp.explain import print_prompt, verbatim, waiting

    config = configured(model)
    prompt_model = asyncio.run(headless.prompt_model(config))
    if batch:
        workspace = headless.Workspace.open(root or Path.cwd(), config)
        for answer in headless.context_batch(workspace, prompt_model, sys.stdin.buffer):
            _print(answer)
        return
    where, query = headless.query_at(_required(place), root)
    with waiting() as on_status:
        target = headless.Workspace.open(where, config, on_status).target(query)
    prompt = build_prompt(target, find_snippets(target), prompt_model, budget, healed=target.unfinished)
    if as_json:
        _print(headless.context_json(prompt))
    elif as_prompt:
        click.echo(verbatim(prompt, prompt_model))
    else:
        print_prompt(prompt)


@main.command()
@click.argument("root", type=PATH, default=Path())
@with_json
def index(root: Path, as_json: bool) -> None:
    """Build the index of ROOT and print its figures."""
    from sc2lsp.explain import waiting
    from sc2lsp.headless import index_json

    with waiting() as on_status:
        figures = index_json(root, configured(None), on_status)
    if as_json:
        _print(figures)
        return
    for name, value in figures.items():
        click.echo(f"{name:12} {value:,}" if isinstance(value, int | float) else f"{name:12} {value}")


@main.command()
@with_model
@click.option("--listen", help="unix:/path or tcp://127.0.0.1:port; by default the user's own socket for this model.")
@click.option("--token", envvar="SC2LSP_TOKEN", help="What clients of a tcp address must present.")
@click.option("--idle-timeout", type=click.FloatRange(min=1), help="End after so many seconds without a client.")
@click.option("--precision", help="auto, fp32, bf16, fp16, int8, int4 or fp8.")
@click.option("--kv-cache-mb", type=int, help="For keys and values; 0 takes what suits the device.")
@click.option("--draft-model", help="A smaller model with the same tokenizer that drafts: 3B for 7B.")
def serve(
    model: str | None, listen: str | None, token: str | None, idle_timeout: float | None, **settings: str | int | None
) -> None:
    """The runtime: load a model and answer clients."""
    from sc2lsp.serve import serve as run

    run(configured(model, **settings), listen, token, idle_timeout)


@main.command()
@with_json
def status(as_json: bool) -> None:
    """The runtimes of this user that are running."""
    from sc2lsp import daemon

    running = asyncio.run(daemon.running())
    if as_json:
        _print([{"pid": r.hello.pid, "url": r.endpoint.url, "state": r.status.state,
                 "model": r.status.model and r.status.model.name} for r in running])  # fmt: skip
        return
    for runtime in running:
        model = runtime.status.model
        what = f"{model.name}, {model.parameters:,} parameters, {model.dtype} on {model.device}" if model else ""
        click.echo(f"{runtime.hello.pid}  {runtime.status.state}  {what or runtime.status.message}")
    if not running:
        click.echo("no runtime is running; the first completion starts one")


@main.command()
def stop() -> None:
    """End the runtimes of this user."""
    from sc2lsp import daemon

    async def run() -> None:
        for runtime in await daemon.running():
            await daemon.stop(runtime)
            click.echo(f"stopped {runtime.hello.pid}")

    asyncio.run(run())


@main.command()
@with_json
def doctor(as_json: bool) -> None:
    """Check the whole installation and say what to mend."""
    from sc2lsp.doctor import examine

    findings = examine(configured(None))
    if as_json:
        _print([{"check": f.check, "state": f.state, "found": f.found, "advice": f.advice} for f in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.state:5} {finding.check:12} {finding.found}")
            if finding.advice:
                click.echo(f"{'':18} {finding.advice}")
    if any(finding.state == "fail" for finding in findings):
        raise click.exceptions.Exit(1)


@main.command()
@click.option("--days", type=click.IntRange(1), help="Only the last so many days, today included.")
@click.option("--reset", "is_reset", is_flag=True, help="Forget everything that was counted.")
@with_json
def stats(days: int | None, is_reset: bool, as_json: bool) -> None:
    """What became of suggestions, counted on this machine: how many were accepted and kept, how fast they came."""
    from sc2lsp import stats as run
    from sc2lsp.feedback import statistics_path

    if is_reset:
        click.echo(f"{run.reset(statistics_path()):,} suggestions forgotten")
        return
    found = run.load(statistics_path(), days)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        run.print_stats(found)


@main.command()
@click.argument("root", metavar="[DIR]", type=PATH, required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of 127.0.0.1; by default any that is free.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--monaco", type=PATH, help="The npm package monaco-editor, a folder or .tgz, instead of fetching it.")
def playground(root: Path | None, port: int, no_browser: bool, monaco: Path | None) -> None:
    """Try it in a web page, on a sample or on DIR: suggestions, and beside them why. Writes to no file of yours."""
    from sc2lsp.playground.serve import run

    run(root, port, monaco, is_shown=not no_browser)


def _required(place: str | None) -> str:
    if place is None:
        raise click.UsageError("give PATH:LINE:COL, or --batch")
    return place


def _print(value: Any) -> None:
    click.echo(json.dumps(value))  # ASCII: whatever the encoding of standard output


async def _print_all(answers: AsyncIterator[Mapping[str, Any]]) -> None:
    async for answer in answers:
        _print(answer)


for _command in (bench, corpus, evaluate, train):
    main.add_command(_command)

if __name__ == "__main__":
    main()
