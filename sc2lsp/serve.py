"""`sc2lsp serve`: an engine behind a socket, the user's own one or a chosen address."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from sc2lsp import daemon
from sc2lsp.backend import absolute_model
from sc2lsp.extras import require

if TYPE_CHECKING:
    from sc2lsp.runtime.engine import Engine


def serve(model: str, listen: str | None, token: str | None, idle_timeout: float | None) -> None:
    """Serve until a signal, or until no client was there for `idle_timeout` seconds.

    Raises InputError without the runtime's packages, ListenError, ModelError, DaemonError.
    """
    require("runtime")
    from sc2lsp.runtime import server

    model = absolute_model(model)

    def load(report: Callable[[str, float], None]) -> "Engine":
        report("importing torch", 0.0)
        from sc2lsp.runtime.engine import Engine

        return Engine(model, report)

    place = daemon.endpoint(model)
    shared = listen in (None, place.url)
    url = place.url if listen is None else listen
    with daemon.hold(place) if shared else contextlib.nullcontext():
        server.serve(url, load, place.token if shared else token, idle_timeout, _announce)


def _announce(url: str) -> None:
    click.echo(f"listening on {url}", err=True)
