"""The command: the editor fetched, the page and its language servers on one port of this machine, a browser told."""

import asyncio
import os
import secrets
import webbrowser
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import DownloadColumn, Progress
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from sc2lsp.clients import Clients, MakeServer, serve_websockets
from sc2lsp.config import load
from sc2lsp.headless import InputError
from sc2lsp.runtime.listen import listen
from sc2lsp.server import create_server
from sc2lsp.transport import Bugs

from . import monaco
from .files import Place, Workspace, workspace_of
from .site import Site, page_files

SAMPLE = Path(__file__).parent / "sample"
# In the sample: where something can be seen at once, with what makes it so. The code there is whole without it.
START = Place(
    "harbour/report.py",
    20,
    1,
    '\n\ndef free_report(harbour: Harbour) -> str:\n    """The free berths, one a line."""\n    return "\\n".join(',
)

OnReady = Callable[[Site], None]


def run(root: Path | None, port: int, monaco_path: Path | None, is_shown: bool) -> None:
    """Serve the page until Ctrl-C. Raises InputError, ConfigError, ListenError, MonacoError."""
    editor = _editor(monaco_path)

    def ready(site: Site) -> None:
        # This line is also how scripts learn the address.
        Console(stderr=True).print(f"playground: {site.url}", soft_wrap=True, highlight=False)
        Console(stderr=True).print("Nothing that is typed there is written to files. Ctrl-C ends it.")
        if is_shown and not webbrowser.open(site.url_for_once()):
            Console(stderr=True).print("No browser could be opened: open the address above.")

    with _workspace(root) as workspace, suppress(KeyboardInterrupt):
        asyncio.run(serve(workspace, editor, port, create_server, ready))


async def serve(workspace: Workspace, editor: Path, port: int, make_server: MakeServer, on_ready: OnReady) -> None:
    """`run` on the running event loop, with a language server of its own for each connection."""
    listener = listen(f"tcp://127.0.0.1:{port}")
    host = listener.url.removeprefix("tcp://")
    token = secrets.token_urlsafe(32)
    site = Site(host, token, workspace, editor, page_files())
    asyncio.get_running_loop().set_exception_handler(Bugs().report_event)
    clients = Clients(make_server, token)

    async def guard(connection: ServerConnection, request: Request) -> Response | None:
        response = await site.answer(request)
        if response is None and clients.is_full:
            return connection.respond(503, "too many panes\n")
        return response

    on_ready(site)
    try:
        await serve_websockets(listener, clients, guard, [site.origin])
    finally:
        await clients.end()


@contextmanager
def _workspace(root: Path | None) -> Generator[Workspace]:
    """The user's folder, or a copy of the sample that lasts as long as the body."""
    if root is not None:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder")
        yield workspace_of(root, load())
        return
    with TemporaryDirectory(prefix="sc2lsp-", ignore_cleanup_errors=True) as temporary:
        copy = Path(temporary).resolve() / SAMPLE.name
        copytree(SAMPLE, copy, ignore=ignore_patterns("__pycache__"))
        # An index of what is gone tomorrow is not worth a place in the user's cache.
        yield Workspace(copy, start=START, settings={"statistics": False, "cache_mb": 0})


def _editor(path: Path | None) -> Path:
    cache = user_cache_path("sc2lsp") / "playground"
    if path is not None:
        return monaco.given(path, cache)
    if (folder := monaco.kept(cache)) is not None:
        return folder
    url = monaco.archive_url(os.environ)
    console = Console(stderr=True)
    console.print(f"The page's editor, Monaco {monaco.VERSION}, is fetched once: {monaco.SIZE / 1e6:.0f} MB from {url}")
    with Progress(*Progress.get_default_columns(), DownloadColumn(), console=console) as progress:
        task = progress.add_task("Monaco", total=monaco.SIZE)
        return monaco.fetch(url, cache, lambda more: progress.advance(task, more))
