"""One client's server, and the pipes of an editor that started it: neither reading nor writing blocks the event loop.

Knows how messages travel and when a process is to end; what is in them is the protocol's and the handlers'.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, cast

from pygls.lsp.server import LanguageServer

from sc2lsp.framing import Fault, FrameParser, Message, UnreadableError, encode
from sc2lsp.protocol import Admit, default_converter
from sc2lsp.protocol import Protocol as LspProtocol

PARENT_CHECK_SECONDS = 3.0
FLUSH_SECONDS = 2.0  # for each of: a `shutdown` under way, what the server has to put away, what is written last
END_SECONDS = 8.0  # more than the three together: then the process ends, whatever still runs in it
MAX_UNREAD = 16 << 20  # bytes for a client that reads nothing; past it the client is given up
PAUSE_SECONDS = 0.05  # without a byte, after which a body may be taken to be whole
CHUNK = 64 << 10  # bytes read at once
CHUNKS = 16  # read ahead
log = logging.getLogger("sc2lsp")


class Wire(Protocol):
    """The way to one client and back."""

    def messages(self) -> AsyncGenerator[Message | Fault]:
        """What the client sends, until it is gone or given up."""
        ...

    def write(self, body: bytes) -> None:
        """Send one message in its turn, at once or later; nothing once the client is gone."""
        ...

    async def end(self) -> None:
        """Send what is left, for a while, and disconnect."""
        ...


class Bugs:
    """Tells of exceptions that should not be: each once, and never what it says, which may quote the document."""

    def __init__(self) -> None:
        self._told: set[str] = set()  # mutates on the event loop

    def report(self, error: BaseException, where: str) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = "" if trace is None else f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        said = f"{type(error).__name__} in {where}{place}"
        if said not in self._told:
            self._told.add(said)
            log.error(said)

    def report_event(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An event loop's exception handler; asyncio's own logs all that an exception says."""
        error = context.get("exception")
        if error is not None:
            self.report(error, "the event loop")


class LspServer(LanguageServer):
    """A pygls server for one client over one wire."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, version, protocol_cls=LspProtocol, converter_factory=default_converter)
        logging.getLogger("pygls").setLevel(logging.CRITICAL)  # below that it logs parameters: file text
        self._parent = os.getppid()
        self.bugs = Bugs()

    @property
    def _lsp(self) -> LspProtocol:
        return cast(LspProtocol, self.protocol)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Never a pop-up."""
        self.bugs.report(sys.exception() or error, getattr(source, "__name__", "server"))

    def serve(self) -> int:
        """Run on standard input and output until the client ends it.

        Returns the exit status: 0 after `shutdown`, else 1 (LSP 3.18, `exit`).
        """
        with suppress(KeyboardInterrupt):
            asyncio.run(self._serve(*_standard_streams()))
        return self._status

    @property
    def _status(self) -> int:
        return 0 if self._lsp.was_shut_down else 1

    async def _serve(self, stdin: int, stdout: int) -> None:
        asyncio.get_running_loop().set_exception_handler(self.bugs.report_event)
        pipes = Pipes(stdin, stdout)
        try:
            await self.converse(pipes)
        finally:
            _end_process(END_SECONDS, self._status)
            await self.finish()
            await pipes.end()

    async def converse(self, wire: Wire, admit: Admit | None = None) -> None:
        """Handle what the client sends, in order, until its `exit` or its end; `admit` may refuse `initialize`."""
        self._lsp.send, self._lsp.admit = wire.write, admit
        loop = asyncio.get_running_loop()
        async with aclosing(wire.messages()) as messages:
            async for message in messages:
                loop.call_soon(self._receiving(message))  # a bug in it goes to the event loop's handler
                await asyncio.sleep(0)  # a request sees the document as it was sent, not as the next message makes it
                if self._lsp.has_ended:
                    return

    def _receiving(self, message: Message | Fault) -> Callable[[], None]:
        """A closure: of a callback that takes long, asyncio's debug mode logs the arguments."""
        return lambda: self._lsp.receive(message)

    async def finish(self) -> None:
        """Answer or cancel what is under way, and close, in no more than twice FLUSH_SECONDS."""
        await self._lsp.finish(FLUSH_SECONDS)
        await asyncio.wait([asyncio.ensure_future(self.close())], timeout=FLUSH_SECONDS)

    async def close(self) -> None:
        """For subclasses: end what works for this client. Called once, also where it left without `shutdown`."""

    async def end_with_parent(self, process_id: int) -> None:
        """Exit with status 1 once the editor's process is gone, even where its pipes stay open."""
        while _is_alive(process_id, self._parent):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(PARENT_CHECK_SECONDS)
        os._exit(1)


class Pipes:
    """Two file descriptors, each with a thread that may block for it. Threads end with the process."""

    def __init__(self, stdin: int, stdout: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks = asyncio.Queue[bytes]()  # read, oldest first; an empty one is the end
        self._slots = threading.Semaphore(CHUNKS)  # taken by the reader, given back by the event loop
        self._unwritten = SimpleQueue[bytes | None]()  # None is the end
        self._queued = 0  # bytes; mutates on the event loop
        self._written = 0  # bytes; mutates on the writer's thread
        self._is_lost = False  # mutates on the event loop
        threading.Thread(target=self._read, args=(stdin,), name="stdin", daemon=True).start()
        self._writer = threading.Thread(target=self._write, args=(stdout,), name="stdout", daemon=True)
        self._writer.start()

    async def messages(self) -> AsyncGenerator[Message | Fault]:
        async for message in parse(self._next):
            yield message

    async def _next(self) -> bytes:
        chunk = await self._chunks.get()
        self._slots.release()
        return chunk

    def write(self, body: bytes) -> None:
        if self._is_lost:
            return
        self._queued += len(body)
        self._unwritten.put(body)
        if self._queued - self._written > MAX_UNREAD:
            self._give_up()

    async def end(self) -> None:
        if not self._is_lost:
            self._unwritten.put(None)
            await asyncio.to_thread(self._writer.join, FLUSH_SECONDS)

    def _give_up(self) -> None:
        self._is_lost = True
        self._chunks.put_nowait(b"")

    def _read(self, stdin: int) -> None:
        chunk = b"more"
        while chunk:
            self._slots.acquire()
            try:
                chunk = os.read(stdin, CHUNK)
            except OSError:
                chunk = b""
            self._tell(self._arrived(chunk))

    def _arrived(self, chunk: bytes) -> Callable[[], None]:
        """A closure: see LspServer._receiving."""
        return lambda: self._chunks.put_nowait(chunk)

    def _write(self, stdout: int) -> None:
        while bodies := self._take_unwritten():
            try:
                _write_all(stdout, b"".join(map(encode, bodies)))
            except OSError:
                self._tell(self._give_up)
                return
            self._written += sum(map(len, bodies))

    def _take_unwritten(self) -> list[bytes]:
        """What waits to be written, at least one message; nothing at the end."""
        bodies = list[bytes]()
        while (body := self._unwritten.get()) is not None:
            bodies.append(body)
            if self._unwritten.empty():
                return bodies
        self._unwritten.put(None)  # for the next time
        return bodies

    def _tell(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback)


async def parse(read: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[Message | Fault]:
    """The messages in what `read` gives, until it gives no bytes or none can be found any more."""
    parser = FrameParser()
    patience: float | None = None
    while True:
        try:
            async with asyncio.timeout(patience):
                if not (chunk := await read()):
                    return
            parser.feed(chunk)
            patience = PAUSE_SECONDS
        except TimeoutError:
            parser.pause()
            patience = None
        try:
            while (message := parser.take()) is not None:
                yield message
        except UnreadableError:
            log.error("the client sends no messages")
            return
        if not parser.is_amid_body:
            patience = None


def _standard_streams() -> tuple[int, int]:
    """Standard input and output for this server alone: what prints, or is started here, gets neither."""
    stdin, stdout = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for stream in (stdin, stdout):
            msvcrt.setmode(stream, os.O_BINARY)
    else:
        for stream in (stdin, stdout):
            os.set_blocking(stream, True)  # the editor may share a descriptor that is not
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    with suppress(OSError):  # no standard error
        os.dup2(2, 1)
    return stdin, stdout


def _write_all(stdout: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(stdout, left) :]


def _end_process(seconds: float, status: int) -> None:
    """End the process then, though a thread should still be at work."""
    timer = threading.Timer(seconds, os._exit, (status,))
    timer.daemon = True
    timer.start()


def _is_alive(process_id: int, parent: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it; Windows closes the pipes of a dead parent
    if process_id == parent:
        return os.getppid() == parent  # sees what os.kill does not: one that is dead and nobody asked for
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
