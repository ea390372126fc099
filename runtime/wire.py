"""Frames between a runtime and its clients: one msgpack map per binary WebSocket message, tagged by `"type"`.

    client -> server   generate {id, document, prompt, sampling, workspace}   cancel {id}   tokenizer {}
                       indexed {workspace, document, tokens}
    server -> client   hello, status, chunk, refused, tokenizer {json}

Both directions distrust their peer: whatever the bytes, decoding returns a typed value or raises WireError. Knows
nothing of sockets, and whether a well-formed request makes sense is for the server to judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar, cast

import msgpack
import msgspec

from .api import Chunk, Indexed, ModelFacts, RefusalKind, Request

PROTOCOL = 2
STREAM_PATH = "/v1/stream"
MAX_TO_SERVER = 4 << 20  # bytes of one message
MAX_TO_CLIENT = 16 << 20  # a tokenizer.json is 2 to 8 MB
MAX_ARRAY_LEN = 65_536


class WireError(Exception):
    """A frame that cannot be sent, or bytes that are no frame; the message never quotes their content."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End generation `id` at the next decode step."""

    id: int


@dataclass(frozen=True, slots=True)
class TokenizerWanted:
    """Send the model's tokenizer.json once it is known."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The server's first frame."""

    protocol: int
    version: str
    pid: int


@dataclass(frozen=True, slots=True)
class Status:
    """Where the model stands; `fraction` of the loading is done, and `model` is known exactly when it is ready."""

    state: Literal["loading", "ready", "failed"]
    message: str
    fraction: float
    model: ModelFacts | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """`RequestRefused` of request `id`, as it travels."""

    id: int
    kind: RefusalKind
    message: str


@dataclass(frozen=True, slots=True)
class TokenizerJson:
    """The bytes of the model's tokenizer.json."""

    json: bytes


FromClient = Request | Cancel | TokenizerWanted | Indexed
FromServer = Hello | Status | Chunk | Refused | TokenizerJson
FROM_CLIENT: Mapping[str, type[FromClient]] = {
    "generate": Request,
    "cancel": Cancel,
    "tokenizer": TokenizerWanted,
    "indexed": Indexed,
}
FROM_SERVER: Mapping[str, type[FromServer]] = {
    "hello": Hello,
    "status": Status,
    "chunk": Chunk,
    "refused": Refused,
    "tokenizer": TokenizerJson,
}
TYPE_NAMES: Mapping[type, str] = {cls: name for table in (FROM_CLIENT, FROM_SERVER) for name, cls in table.items()}
Frame = TypeVar("Frame", FromClient, FromServer)


def encode(frame: FromClient | FromServer) -> bytes:
    """Raises WireError for what the peer would not accept: text that is not Unicode, a prompt past MAX_ARRAY_LEN."""
    if isinstance(frame, Request) and len(frame.prompt) > MAX_ARRAY_LEN:
        raise WireError(f"a prompt of {len(frame.prompt)} tokens; at most {MAX_ARRAY_LEN} can be sent")
    if isinstance(frame, Indexed) and len(frame.tokens) > MAX_ARRAY_LEN:
        raise WireError(f"a document of {len(frame.tokens)} tokens; at most {MAX_ARRAY_LEN} can be sent")
    fields = cast(dict[str, object], msgspec.to_builtins(frame, builtin_types=(bytes,)))
    try:
        data = msgpack.packb({"type": TYPE_NAMES[type(frame)], **fields})
    except (UnicodeEncodeError, OverflowError) as wrong:
        raise WireError(f"cannot be sent: {type(wrong).__name__}") from None
    assert isinstance(data, bytes)
    limit = MAX_TO_SERVER if isinstance(frame, FromClient) else MAX_TO_CLIENT
    if len(data) > limit:
        raise WireError(f"a frame of {len(data)} bytes; at most {limit} can be sent")
    return data


def decode_from_client(data: bytes | str) -> FromClient:
    """Raises WireError."""
    return _decode(data, MAX_TO_SERVER, FROM_CLIENT)


def decode_from_server(data: bytes | str) -> FromServer:
    """Raises WireError."""
    return _decode(data, MAX_TO_CLIENT, FROM_SERVER)


def _decode(data: bytes | str, limit: int, types: Mapping[str, type[Frame]]) -> Frame:
    if isinstance(data, str):
        raise WireError("a text message; frames are binary")
    if len(data) > limit:
        raise WireError(f"a message of {len(data)} bytes; at most {limit} are accepted")
    fields = _unpack(data)
    name = fields.get("type")
    cls = types.get(name) if isinstance(name, str) else None
    if cls is None:
        raise WireError("a frame of no known type")
    try:
        return msgspec.convert(fields, cls)
    except msgspec.ValidationError as wrong:
        raise WireError(f"not a {name} frame: {wrong}") from None


def _unpack(data: bytes) -> dict[str, object]:
    try:
        value: object = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=_unique,
            ext_hook=_refuse_extension,
            # An array claims its length before its items arrive: never more items than there are bytes.
            max_array_len=min(MAX_ARRAY_LEN, len(data)),
            max_map_len=64,
            max_str_len=2 << 20,
            max_bin_len=MAX_TO_CLIENT,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException) as wrong:
        raise WireError(f"not msgpack: {type(wrong).__name__}") from None
    if not isinstance(value, dict):
        raise WireError("not a map")
    return cast(dict[str, object], value)


def _unique(pairs: list[tuple[str | bytes, object]]) -> dict[str | bytes, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise WireError("a map that names a key twice")
    return fields


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise WireError("a msgpack extension type")
