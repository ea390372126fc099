"""HTTP to one server and to no other: its TLS, proxies and limits, and its failures in words that say what to do.

Knows no server's dialect, and puts neither the token, nor a prompt, nor what a server wrote into a message.
"""

import ipaddress
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from sc2lsp.backend import BackendError, BackendRefused, BackendUnavailable
from sc2lsp.config import Config, ConfigError

if TYPE_CHECKING:
    import httpx2

MAX_LINE = 1 << 20  # bytes; one event of an answer
MAX_ANSWER = 16 << 20  # bytes of one answer
MAX_REFUSAL = 1 << 16  # bytes that are read of an error's text
IDLE_SECONDS = 120.0  # that a connection is kept for the next keystroke
WRONG_SERVER = "do endpoint and backend fit each other?"
INSTALL = "pip install 'sc2lsp[http]'"


class Refused(Exception):
    """The server answered with an error status; `text` is the server's own and may quote the prompt."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.text = text


class Disconnected(BackendUnavailable):
    """The connection ended before anything came back, as one does that was kept for too long."""


class HttpClient:
    """The server at `url`, which the user configured."""

    def __init__(self, config: Config, url: str) -> None:
        """Raises ConfigError where `proxy` or `ca_file` cannot be used, BackendUnavailable without the packages."""
        self._url = url
        self._way = "through the proxy" if config.proxy else ""
        self._client = _open(config, url)
        # Mutated by: requests, in the client's pool of connections, on the event loop.

    async def get(self, path: str) -> bytes:
        """The body of a GET. Raises Refused or BackendError."""
        return await self._whole("GET", path, b"")

    async def post(self, path: str, body: object) -> bytes:
        """The body of the answer to a POST of JSON. Raises Refused or BackendError."""
        return await self._whole("POST", path, msgspec.json.encode(body))

    async def lines(self, path: str, body: object) -> AsyncGenerator[bytes]:
        """The lines of the answer to a POST of JSON, as they come; leaving early ends the connection at once.

        Raises Refused or BackendError.
        """
        rest = b""
        async with aclosing(self._chunks("POST", path, msgspec.json.encode(body))) as chunks:
            async for chunk in chunks:
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.strip()
                if len(rest) > MAX_LINE:
                    raise BackendError("a line of the server's answer does not end", WRONG_SERVER)
        yield rest.strip()

    async def close(self) -> None:
        await self._client.aclose()

    async def _whole(self, method: str, path: str, content: bytes) -> bytes:
        return b"".join([chunk async for chunk in self._chunks(method, path, content)])

    async def _chunks(self, method: str, path: str, content: bytes) -> AsyncGenerator[bytes]:
        import httpx2

        received = 0
        try:
            async with self._client.stream(method, self._url + path, content=content) as response:
                await _check(response)
                async for chunk in response.aiter_raw():
                    received += len(chunk)
                    if received > MAX_ANSWER:
                        raise BackendError("the server's answer does not end", WRONG_SERVER)
                    yield chunk
        except httpx2.RequestError as wrong:
            raise _in_words(wrong, f"{self._url} {self._way}".strip(), received) from None


async def _check(response: "httpx2.Response") -> None:
    """What comes has to be plain text in the expected form: nothing is unpacked, no redirect followed."""
    if response.is_redirect:
        raise BackendUnavailable("the server sends its clients elsewhere", "set endpoint to where it sends them")
    if response.status_code != 200:
        raise Refused(response.status_code, await _beginning(response))
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BackendError("the server compresses its answers unasked", "turn that off, there or in its proxy")
    if response.headers.get("content-type", "").startswith("text/html"):
        raise BackendError("there is a web page at the endpoint", "does it name the server's own address?")


async def _beginning(response: "httpx2.Response") -> str:
    text = b""
    async for chunk in response.aiter_raw():
        text += chunk
        if len(text) > MAX_REFUSAL:
            break
    return text[:MAX_REFUSAL].decode("utf-8", "replace")


def of_status(refused: Refused) -> BackendError:
    """What a status means that no dialect knows better, in words."""
    match refused.status:
        case 401 | 403:
            return BackendUnavailable("the server refused the token", "set `token`, or SC2LSP_TOKEN, to a valid one")
        case 407:
            return BackendUnavailable("the proxy wants a name and a password", "put them into `proxy`")
        case 404 | 405:
            return BackendUnavailable("the server has no completions there", WRONG_SERVER)
        case 408 | 429 | 503:
            return BackendError(f"the server is busy or still loading (HTTP {refused.status})", "try again later")
        case 400 | 413 | 422 if "context" in refused.text or refused.status == 413:
            return BackendRefused("the prompt is too long for the server", "lower `budget`")
        case 400 | 422:
            return BackendRefused(f"the server refused the request (HTTP {refused.status})", "its log says why")
        case status:
            return BackendError(f"the server failed (HTTP {status})", "its log says why")


def _open(config: Config, url: str) -> "httpx2.AsyncClient":
    try:
        import httpx2
        import truststore
    except ImportError as missing:
        raise BackendUnavailable(f"{missing.name} is not installed", INSTALL) from None
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if config.ca_file:
        _trust(context, config.ca_file)
    try:
        return httpx2.AsyncClient(
            headers=_headers(config),
            verify=context,
            proxy=config.proxy or None,
            # A proxy of the environment is for what is elsewhere: prompts for this machine do not leave it.
            trust_env=not _is_loopback(url),
            timeout=None,  # the deadlines of `waiting` are kept by whoever asks
            limits=httpx2.Limits(keepalive_expiry=IDLE_SECONDS),
        )
    except (ValueError, ImportError, httpx2.InvalidURL):
        raise ConfigError("the proxy cannot be used: set `proxy` to http://HOST:PORT") from None


def _headers(config: Config) -> dict[str, str]:
    always = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "sc2lsp"}
    return always | ({"Authorization": f"Bearer {config.token}"} if config.token else {})


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError):
        raise ConfigError(f"ca_file = {ca_file!r} cannot be read: give a file of certificates in PEM form") from None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_words(wrong: "httpx2.RequestError", where: str, received: int) -> BackendError:
    import httpx2

    if isinstance(wrong, httpx2.ProxyError):
        return BackendUnavailable("the proxy does not let the request through", "is `proxy` right?")
    for cause in _causes(wrong):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"the certificate of {where} is not trusted: {cause.verify_message}"
            return BackendUnavailable(reason, "set `ca_file` where an authority of your own signed it")
        if isinstance(cause, ssl.SSLError):
            return BackendUnavailable(f"{where} does not speak TLS as it should", "is it http:// instead?")
    if isinstance(wrong, httpx2.ConnectError):
        return BackendUnavailable(f"no server at {where}", "is it running, and endpoint right?")
    if received:
        return BackendError("the server ended its answer in the middle", "its log says why")
    return Disconnected(f"{where} closed the connection", "its log says why")


def _causes(wrong: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = wrong
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
