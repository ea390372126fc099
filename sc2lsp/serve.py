"""`sc2lsp serve`: an engine behind a socket, the user's own one or a chosen address."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from sc2lsp import daemon
from sc2lsp.backend import absolute_model
from sc2lsp.config import Config
from sc2lsp.extras import require

if TYPE_CHECKING:
    from sc2lsp.runtime.engine import Engine
    from sc2lsp.runtime.load import Options


def serve(config: Config, listen: str | None, token: str | None, idle_timeout: float | None) -> None:
    """Serve the configured model until a signal, or until no client was there for `idle_timeout` seconds.

    Raises InputError without the runtime's packages, ListenError, ModelError, DaemonError.
    """
    require("runtime")
    from sc2lsp.runtime import server

    model = absolute_model(config.model)

    def load(report: Callable[[str, float], None]) -> "Engine":
        report("importing torch", 0.0)
        from sc2lsp.runtime.engine import Engine

        return Engine(model, report, engine_options(config))

    place = daemon.endpoint(model)
    shared = listen in (None, place.url)
    url = place.url if listen is None else listen
    with daemon.hold(place) if shared else contextlib.nullcontext():
        server.serve(url, load, place.token if shared else token, idle_timeout, _announce)


def engine_options(config: Config) -> "Options":
    """What of the configuration is the engine's."""
    from sc2lsp.runtime.load import Options

    precision = None if config.precision == "auto" else config.precision
    draft_model = absolute_model(config.draft_model) if config.draft_model else None
    return Options(precision, config.kv_cache_mb << 20 or None, draft_model)


def _announce(url: str) -> None:
    click.echo(f"listening on {url}", err=True)
