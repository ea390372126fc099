"""What the playground answers over HTTP: its page and the editor to everyone here, the workspace to who has the token.

Knows nothing of what is said over the WebSocket. No path leads out: the page's files are held in memory, the editor's
are looked up part by part, and the workspace has rules of its own.
"""

import asyncio
import hmac
import json
import mimetypes
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from sc2lsp.clients import token_in

from .files import Workspace

PAGE = Path(__file__).parent / "page"
SOCKET = "/lsp"
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".ttf": "font/ttf",
    ".svg": "image/svg+xml",
}
NOT_OURS = frozenset({"cross-site", "same-site"})  # of Sec-Fetch-Site; another port of this machine is the same site


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a response, of some type."""

    status: HTTPStatus
    body: bytes = b""
    type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Site:
    """One run of the playground, at the address `host`, for whoever has the token."""

    host: str  # 127.0.0.1:PORT
    token: str
    workspace: Workspace
    monaco: Path
    page: Mapping[str, bytes]
    tickets: set[str] = field(default_factory=set[str])  # each good for the token, once; mutates on the event loop

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def url(self) -> str:
        """With the token behind the "#", which browsers send to no server."""
        return f"{self.origin}/#{self.token}"

    def url_for_once(self) -> str:
        """To be opened at once: other users of this machine can read what a browser is started with."""
        ticket = secrets.token_urlsafe(32)
        self.tickets.add(ticket)
        return f"{self.origin}/#once={ticket}"

    async def answer(self, request: Request) -> Response | None:
        """None lets a WebSocket in."""
        path = unquote(urlsplit(request.path).path)
        if not self._is_from_here(request, path):
            return self._response(Answer(HTTPStatus.FORBIDDEN))
        if path == "/token" and (ticket := token_in(request)) in self.tickets:
            self.tickets.discard(ticket)
            return self._response(Answer(HTTPStatus.OK, self.token.encode()))
        is_open = path == "/" or path.startswith(("/page/", "/monaco/"))
        presented = token_in(request).encode("utf-8", "replace")
        if not is_open and not hmac.compare_digest(presented, self.token.encode()):
            return self._response(Answer(HTTPStatus.FORBIDDEN, b"the token is missing or wrong\n"))
        if path == SOCKET:
            return None
        return self._response(await asyncio.to_thread(self._find, path))

    def _is_from_here(self, request: Request, path: str) -> bool:
        """Not what another site's page asks for, nor what another name led here; a link may lead to the page."""
        headers = request.headers
        is_link = path == "/" and headers.get_all("Sec-Fetch-Dest") == ["document"]
        return (
            headers.get_all("Host") == [self.host]
            and headers.get_all("Origin") in ([], [self.origin])
            and (is_link or not set(headers.get_all("Sec-Fetch-Site")) & NOT_OURS)
        )

    def _find(self, path: str) -> Answer:
        room, _, rest = path.removeprefix("/").partition("/")
        if path == "/" or room == "page":
            name = rest or "index.html"
            found = self.page.get(name)
        elif room == "monaco":
            name, found = rest, _read(self.monaco, rest)
        elif room == "workspace":
            return self._workspace(rest)
        else:
            return Answer(HTTPStatus.NOT_FOUND)
        return Answer(HTTPStatus.NOT_FOUND) if found is None else Answer(HTTPStatus.OK, found, _type(name))

    def _workspace(self, path: str) -> Answer:
        if not path:
            return Answer(HTTPStatus.OK, json.dumps(self.workspace.listing()).encode(), "application/json")
        text = self.workspace.text(path)
        if text is None:
            return Answer(HTTPStatus.NOT_FOUND, b"not a file that the language server reads\n")
        return Answer(HTTPStatus.OK, text.encode())

    def _response(self, answer: Answer) -> Response:
        headers = Headers({
            "Content-Type": f"{answer.type}; charset=utf-8",
            "Content-Length": str(len(answer.body)),
            "Content-Security-Policy": policy(self.host),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        })  # fmt: skip
        return Response(answer.status, answer.status.phrase, headers, answer.body)


def policy(host: str) -> str:
    """Scripts from here alone, and connections to here alone. Monaco sets styles, and wraps its worker in a blob."""
    return (
        f"default-src 'none'; script-src 'self'; connect-src 'self' ws://{host}; style-src 'self' 'unsafe-inline'; "
        "font-src 'self' data:; img-src 'self' data:; worker-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page_files() -> dict[str, bytes]:
    """The page, by the names of its files."""
    return {path.name: path.read_bytes() for path in PAGE.iterdir() if path.is_file()}


def _type(name: str) -> str:
    suffix = Path(name).suffix
    return TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")


def _read(folder: Path, path: str) -> bytes | None:
    """Of a file below `folder`, by plain names alone."""
    for name in path.split("/"):
        if name in ("", ".", "..") or set(name) & set("\\:\0"):
            return None
        folder = folder / name
    return folder.read_bytes() if folder.is_file() and not folder.is_symlink() else None
