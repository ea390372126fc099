"""LSP's base protocol: bytes in, messages or faults out, whatever the bytes.

A length that is wrong costs at most the message that it belongs to: JSON holds no raw line break inside a string, so a
header in the middle of a body is the next message's, and what lies between two headers is a body. Knows nothing of
sockets, methods and replies, and quotes nothing of what it read.
"""

import re
from dataclasses import dataclass
from typing import Any, cast

import msgspec

MAX_BODY = 64 << 20  # bytes of one message
MAX_HEADER = 8 << 10  # bytes of all header lines of one message
MAX_SKIPPED = 256 << 20  # bytes between two messages; past it the client speaks something else
PARSE_ERROR = -32700
INVALID_REQUEST = -32600

_BLOCK = re.compile(rb"((?:[A-Za-z0-9-]+[ \t]*:[^\r\n]*\r?\n)+)\r?\n")
_SPACE = re.compile(rb"[\r\n\t ]+")
# With what stands before it: two of them in one block are two headers, the first of them cut off.
_LENGTH = re.compile(rb"^([^\r\n]*?)content-length[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
# What can become a _BLOCK with more bytes.
_BLOCK_SO_FAR = re.compile(rb"(?:[A-Za-z0-9-]+[ \t]*:[^\r\n]*\r?\n)*(?:[A-Za-z0-9-]+(?:[ \t]*(?::[^\r\n]*)?)?)?\r?")
# What is a header even amid other bytes: bounded, so that searching is linear.
_HEADER = re.compile(
    rb"content-length[ \t]{0,16}:[ \t]{0,16}(\d{1,9})[ \t]{0,16}\r?\n"
    rb"(?:content-type[ \t]{0,16}:[^\r\n]{0,200}\r?\n)?\r?\n",
    re.IGNORECASE,
)
_LONGEST_HEADER = 512  # more than any match of _HEADER
_DIGITS = 12  # of a length that is worth reading as a number
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with what a client sent: an error code of JSON-RPC and a reason without any of its text."""

    code: int
    reason: str


class UnreadableError(Exception):
    """No message was found in MAX_SKIPPED bytes."""


def decode(body: bytes | str) -> Message | Fault:
    """The JSON object in a body. Half of a surrogate pair, which editors do send, becomes U+FFFD: as long in UTF-16."""
    value = _json(body)
    if isinstance(value, Fault):
        encoded = body.encode() if isinstance(body, str) else body
        mended = _ESCAPE.sub(_replace_half_pair, encoded)
        value = value if mended == encoded else _json(mended)
    if isinstance(value, dict | Fault):
        return cast(Message | Fault, value)
    return Fault(INVALID_REQUEST, "not an object: a message is one JSON object")


def _json(body: bytes | str) -> object:
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        return Fault(PARSE_ERROR, "JSON that is nested too deeply")
    except (msgspec.DecodeError, UnicodeError):
        return Fault(PARSE_ERROR, "not JSON")


def _replace_half_pair(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


def encode(body: bytes) -> bytes:
    """A message as it travels."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _length_in(lines: bytes) -> bytes | None:
    """The digits, where header lines tell one length."""
    lengths = {(before, length.strip(b" \t")) for before, length in _LENGTH.findall(lines)}
    before, length = lengths.pop() if len(lengths) == 1 else (b"", b"")
    return length if not before and length.isdigit() else None


class FrameParser:
    """Finds the messages in a stream of bytes: `feed` what arrived, then `take` until there is no more; or `pause`."""

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._length: int | None = None  # of the body that the buffer begins with; None before a header
        self._searched = 0  # bytes of that body that hold no header
        self._is_lost = False  # a fault was told; what follows is skipped up to the next header
        self._skipped = 0  # bytes since the last message
        # All of it mutates in feed, take and pause, which are for one thread.

    @property
    def is_amid_body(self) -> bool:
        return self._length is not None

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def pause(self) -> None:
        """Nothing came for a while. If what there is of a body is a message, more was promised than will come."""
        if self._length is not None and self._buffer.endswith(b"}"):  # the beginning of an object is no object
            whole = decode(bytes(self._buffer))
            self._length = self._length if isinstance(whole, Fault) else len(self._buffer)

    def take(self) -> Message | Fault | None:
        """The next message or fault; None when more bytes are needed. Raises UnreadableError."""
        if self._length is None:
            fault = self._take_header()
            if fault is not None:
                return fault
        return None if self._length is None else self._take_body(self._length)

    def _take_header(self) -> Fault | None:
        if (space := _SPACE.match(self._buffer)) is not None:
            del self._buffer[: space.end()]
        block = _BLOCK.match(self._buffer, 0, MAX_HEADER)
        if block is not None and (length := _length_in(block[1])) is not None:
            return self._begin(block.end(), length)
        if self._is_lost:
            return self._resume()
        if block is None and len(self._buffer) < MAX_HEADER and _BLOCK_SO_FAR.fullmatch(self._buffer):
            return None
        self._is_lost = True
        return Fault(PARSE_ERROR, "bytes that are no header with a Content-Length")

    def _resume(self) -> Fault | None:
        """Skip to the next header."""
        header = _HEADER.search(self._buffer)
        if header is None:
            self._skip(len(self._buffer) - _LONGEST_HEADER)
            return None
        return self._begin(header.end(), header[1])

    def _begin(self, end: int, length: bytes) -> Fault | None:
        del self._buffer[:end]
        self._is_lost = len(length) > _DIGITS or int(length) > self._max_body
        if self._is_lost:
            return Fault(INVALID_REQUEST, f"a message of more than {self._max_body >> 20} MiB")
        self._length = int(length)
        return None

    def _skip(self, count: int) -> None:
        if count > 0:
            del self._buffer[:count]
            self._skipped += count
        if self._skipped > MAX_SKIPPED:
            raise UnreadableError

    def _take_body(self, length: int) -> Message | Fault | None:
        end = self._next_header(self._searched, length)
        if end is None and len(self._buffer) < length:
            self._searched = max(0, len(self._buffer) - _LONGEST_HEADER)
            return None
        message = decode(bytes(self._buffer[: length if end is None else end]))
        if end is None:
            end = length
            if isinstance(message, Fault):
                message, end = self._mend(message, length)
        del self._buffer[:end]
        self._length, self._searched, self._skipped = None, 0, 0
        self._is_lost = isinstance(message, Fault) and message.code == PARSE_ERROR
        return message

    def _mend(self, fault: Fault, length: int) -> tuple[Message | Fault, int]:
        """The message, and where it ends, if the buffer begins with one and only the length is wrong."""
        until_header = self._next_header(0, len(self._buffer)) or len(self._buffer)
        until_brace = self._buffer.rfind(b"}", 0, length) + 1  # what follows may be a part of the next header
        for end in (until_header, until_brace):
            if end != length and not isinstance(message := decode(bytes(self._buffer[:end])), Fault):
                return message, end
        return fault, length

    def _next_header(self, start: int, end: int) -> int | None:
        """Where a header starts within the buffer's bytes from `start` to `end`."""
        if self._buffer.find(b"\n", start, end + _LONGEST_HEADER) < 0:  # nearly all JSON is on one line
            return None
        header = _HEADER.search(self._buffer, start, end + _LONGEST_HEADER)
        return header.start() if header is not None and header.start() < end else None
