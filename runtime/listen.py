"""Listening sockets that only the right people can reach: a Unix socket of one user, or a TCP port.

Knows nothing of what is served on them.
"""

import errno
import ipaddress
import os
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class ListenError(Exception):
    """The runtime cannot listen there; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, its actual URL, the file of a Unix socket, and whether only loopback can reach it."""

    socket: socket.socket
    url: str
    path: Path | None
    loopback: bool


def listen(url: str) -> Listener:
    """Bind `unix:/PATH` (owner only, in an owner-only folder) or `tcp://IP:PORT` (0: any free port).

    Raises ListenError.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "unix" and hasattr(socket, "AF_UNIX"):
        return _listen_unix(Path(rest))
    if scheme == "tcp":
        return _listen_tcp(url)
    raise ListenError(f"cannot listen on {url}: give unix:/PATH or tcp://127.0.0.1:PORT")


def is_private(folder: Path) -> bool:
    """Whether only this user can enter `folder`: then only this user can be at either end of a Unix socket in it."""
    info = folder.lstat()
    if sys.platform == "win32":
        return stat.S_ISDIR(info.st_mode)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077


def _listen_unix(path: Path) -> Listener:
    url = f"unix:{path}"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)  # never open to others, not even between bind and chmod
    try:
        if not is_private(path.parent):
            raise PermissionError(errno.EPERM, f"{path.parent} must be a folder of yours with mode 0700")
        server.bind(str(path))
        server.listen()
    except OSError as wrong:
        server.close()
        raise _listen_error(url, wrong, f"stop the runtime there, or delete {path}") from None
    finally:
        os.umask(umask)
    return Listener(server, url, path, loopback=False)


def _listen_tcp(url: str) -> Listener:
    try:
        parts = urlsplit(url)
        host, port = ipaddress.ip_address(parts.hostname or ""), parts.port
    except ValueError:
        raise ListenError(f"cannot listen on {url}: give an address and a port, as in tcp://127.0.0.1:8600") from None
    family, shown = (socket.AF_INET6, f"[{host}]") if host.version == 6 else (socket.AF_INET, str(host))
    try:
        server = socket.create_server((str(host), port or 0), family=family)
    except OSError as wrong:
        raise _listen_error(url, wrong, "choose another port, or stop what uses this one") from None
    return Listener(server, f"tcp://{shown}:{server.getsockname()[1]}", None, host.is_loopback)


def _listen_error(url: str, wrong: OSError, if_in_use: str) -> ListenError:
    advice = f"; {if_in_use}" if wrong.errno == errno.EADDRINUSE else ""
    return ListenError(f"cannot listen on {url}: {wrong.strerror or wrong}{advice}")
