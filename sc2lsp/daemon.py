"""Finds, starts and stops the local runtime: one process per user and model, shared by all editor windows.

Its place is a folder only this user can enter. Whoever holds the lock file there for life is the runtime; all others
connect to it. Knows nothing of models: what the process runs is the `serve` command's business.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from sc2lsp import __version__
from sc2lsp.runtime import wire
from sc2lsp.runtime.client import ConnectionLost, RuntimeClient
from sc2lsp.runtime.listen import is_private
from sc2lsp.runtime.locate import model_folder

MAX_SOCKET_PATH = 100  # bytes; the kernels allow 104 (macOS) to 108 (Linux)
FIRST_DELAY, LAST_DELAY = 0.02, 0.5  # seconds between two attempts to connect


class DaemonError(Exception):
    """The local runtime cannot be started, reached or stopped; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the runtime of one model listens and leaves its traces."""

    url: str
    log: Path
    lock: Path
    token: str | None


@dataclass(frozen=True, slots=True)
class Running:
    """A runtime that answered."""

    endpoint: Endpoint
    hello: wire.Hello
    status: wire.Status


def runtime_dir() -> Path:
    """The folder of sockets, locks and logs, created if missing. Raises DaemonError unless it is ours alone."""
    folder = _runtime_dir_path()
    advice = "remove it, or set SC2LSP_RUNTIME_DIR to a folder of yours with mode 0700"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        private = is_private(folder)
    except OSError as wrong:
        raise DaemonError(f"{folder} cannot be used: {wrong.strerror}; {advice}") from None
    if not private:
        raise DaemonError(f"{folder} is not a folder that only you can enter; {advice}")
    return folder


def endpoint(model: str) -> Endpoint:
    """The place of `model`'s runtime. Another version or installation is another place. Raises DaemonError."""
    weights = model_folder(model) or model
    return _endpoint(hashlib.sha256(f"{__version__}\n{weights}".encode()).hexdigest()[:16])


@contextlib.contextmanager
def hold(place: Endpoint) -> Generator[None]:
    """Be the runtime of `place` while the body runs; where another process is, exit with status 0.

    The holder alone removes a socket and a log that a killed runtime left behind.
    """
    lock = filelock.FileLock(place.lock, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        sys.exit(0)
    try:
        scheme, _, path = place.url.partition(":")
        if scheme == "unix":
            Path(path).unlink(missing_ok=True)
        if place.log.exists():
            os.truncate(place.log, 0)
        yield
    finally:
        lock.release()


def serve_command(model: str, place: Endpoint, idle_timeout: float, options: Sequence[str] = ()) -> list[str]:
    """-P: a folder called `sc2lsp` in the current directory must not be run in our name."""
    always = ["--model", model, "--listen", place.url, "--idle-timeout", f"{idle_timeout:g}"]
    return [sys.executable, "-P", "-m", "sc2lsp", "serve", *always, *options]


async def connect(
    model: str,
    on_status: Callable[[wire.Status], None] | None = None,
    idle_timeout: float = 900.0,
    options: Sequence[str] = (),
    within: float = 30.0,
    command: Sequence[str] | None = None,
) -> RuntimeClient:
    """A connection to `model`'s runtime, which is started if none answers within `within` seconds. Raises DaemonError.

    A model given as a path must be absolute. A runtime that is started gets `options` as well; `command` stands in for
    `serve_command`. The model may still be loading.
    """
    place = endpoint(model)
    command = command or serve_command(model, place, idle_timeout, options)
    clock = asyncio.get_running_loop().time
    give_up = clock() + within
    child: subprocess.Popen[bytes] | None = None
    delay = FIRST_DELAY
    while True:
        try:
            return await RuntimeClient.connect(place.url, place.token, on_status)
        except ConnectionLost as lost:
            if clock() >= give_up:
                raise DaemonError(f"{lost}, after {within:g} s; see {place.log}, or try `sc2lsp stop`") from None
        status = 0 if child is None else child.poll()
        if status == 0:  # none started yet, or ours found another one there: starting, or about to stop
            child = _spawn(command, place)
        elif status is not None:
            raise DaemonError(f"the runtime did not start: {_last_line(place.log)}")
        await asyncio.sleep(delay)
        delay = min(delay * 1.5, LAST_DELAY)


async def running() -> list[Running]:
    """The runtimes of this user that answer, whatever their model and version. Raises DaemonError."""
    found: list[Running] = []
    for lock in sorted(runtime_dir().glob("*.lock")):
        place = _endpoint(lock.stem)
        try:
            client = await RuntimeClient.connect(place.url, place.token)
        except ConnectionLost:
            continue
        found.append(Running(place, client.hello, client.status))
        await client.close()
    return found


async def stop(runtime: Running, within: float = 10.0) -> None:
    """Ask a runtime to end and wait until it has. Raises DaemonError."""
    pid = runtime.hello.pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    clock = asyncio.get_running_loop().time
    give_up = clock() + within
    while _is_held(runtime.endpoint.lock):  # unlike its pid, which a zombie keeps and a stranger may inherit
        if clock() >= give_up:
            raise DaemonError(f"runtime {pid} did not end within {within:g} s; end it with `kill -9 {pid}`")
        await asyncio.sleep(FIRST_DELAY)


def _runtime_dir_path() -> Path:
    chosen = os.environ.get("SC2LSP_RUNTIME_DIR")
    if chosen:
        return Path(chosen).absolute()
    session = os.environ.get("XDG_RUNTIME_DIR")
    if session and Path(session).is_dir():
        return Path(session, "sc2lsp")
    user = "user" if sys.platform == "win32" else os.getuid()
    return Path(tempfile.gettempdir(), f"sc2lsp-{user}")


def _endpoint(name: str) -> Endpoint:
    folder = runtime_dir()
    log, lock = folder / f"{name}.log", folder / f"{name}.lock"
    if not hasattr(socket, "AF_UNIX"):
        port, token = _port_and_token(folder / f"{name}.tcp")
        return Endpoint(f"tcp://127.0.0.1:{port}", log, lock, token)
    path = folder / f"{name}.sock"
    if len(os.fsencode(path)) >= MAX_SOCKET_PATH:
        raise DaemonError(f"{folder} is too long a path for a socket; set SC2LSP_RUNTIME_DIR to a shorter one")
    return Endpoint(f"unix:{path}", log, lock, None)


def _port_and_token(file: Path) -> tuple[int, str]:
    """Chosen by whoever comes first. A half-written file is seen by nobody: it appears under its name complete."""
    if not file.exists():
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        draft = file.with_suffix(f".{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(f"{port} {secrets.token_hex(32)}")
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    port_text, token = file.read_text("ascii").split()
    return int(port_text), token


def _spawn(command: Sequence[str], place: Endpoint) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one and shares nothing with it but the log."""
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.log.parent,
            start_new_session=True,
            creationflags=getattr(subprocess, "DETACHED_PROCESS", 0),
        )
    except OSError as wrong:
        raise DaemonError(f"cannot start {command[0]}: {wrong.strerror}") from None
    finally:
        os.close(log)
    threading.Thread(target=child.wait, name="reap", daemon=True).start()
    return child


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n") if log.exists() else []
    last = next((line for line in reversed(lines) if line.strip()), f"it left no message in {log}")
    return last.removeprefix("sc2lsp: ")


def _is_held(lock: Path) -> bool:
    probe = filelock.FileLock(lock, mode=0o600)
    try:
        probe.acquire(blocking=False)
    except filelock.Timeout:
        return True
    probe.release()
    return False
