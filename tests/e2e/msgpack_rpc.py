"""Calls of a Neovim that listens on a socket, one at a time. Knows the wire (:help rpc), not the API.

Not pynvim, which leaves sockets and event loops open, and waits for ever: warnings and hangs are failures here.
"""

import socket
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgpack

REQUEST, RESPONSE = 0, 1
SECONDS = 30.0  # for one answer
CHUNK = 65536


class RpcError(Exception):
    """Neovim refused a call; the message is its own."""


class Rpc:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._unpacker = msgpack.Unpacker()
        self._ids = count()
        # Mutated by every call.

    def __call__(self, method: str, *arguments: Any) -> Any:
        """The result of an API function. Raises RpcError, TimeoutError."""
        id = next(self._ids)
        self._socket.sendall(bytes(msgpack.packb([REQUEST, id, method, arguments]) or b""))
        while True:
            for kind, of, *outcome in self._unpacker:
                if kind == RESPONSE and of == id:
                    return _result(method, *outcome)
            received = self._socket.recv(CHUNK)
            if not received:
                raise RpcError(f"{method}: Neovim is gone")
            self._unpacker.feed(received)


def _result(method: str, error: Any, result: Any) -> Any:
    if error is not None:
        raise RpcError(f"{method}: {error[1]}")
    return result


@contextmanager
def connected(path: Path) -> Generator[Rpc]:
    """A connection to a Neovim that is about to listen there. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS
    while True:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(SECONDS)
            if _connects(connection, path):
                yield Rpc(connection)
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens at {path}")
        time.sleep(0.01)


def _connects(connection: socket.socket, path: Path) -> bool:
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True
