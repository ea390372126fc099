"""Frames survive the journey, and nothing else gets in."""

import math
import random
from pathlib import Path

import msgpack
import pytest

from sc2lsp.runtime import listen, wire
from sc2lsp.runtime.api import Chunk, Indexed, ModelFacts, Request, SamplingParams, Usage
from sc2lsp.runtime.wire import Cancel, Hello, Refused, Status, TokenizerJson, TokenizerWanted, WireError

FACTS = ModelFacts("m", 10**10, 16_384, None, 49_152, "cpu", "float32", "00")
SAMPLING = SamplingParams(max_tokens=7, temperature=0.5, top_p=0.9, seed=3, stop=("\n", "é"))
FROM_CLIENT = [
    Request(1, "file:///a.py", (0, 5, 2**40), SAMPLING, "/a"),
    Cancel(9),
    TokenizerWanted(),
    Indexed("/a", "b.py", (3, 1)),
    Indexed("/a", "b.py", ()),
]
FROM_SERVER = [
    Hello(1, "0.1.0", 17),
    Status("loading", "reading", 0.25),
    Status("ready", "", 1.0, FACTS),
    Chunk(1, (4, 5), (-0.5, -math.inf)),
    Chunk(1, (), (), "stop", Usage(3, 2, 1, 0, 0.1, 0.2, 0.3)),
    Refused(1, "busy", "later"),
    TokenizerJson(b"\x00\xff{}"),
]


@pytest.mark.parametrize("frame", FROM_CLIENT, ids=repr)
def test_client_frames_survive(frame: wire.FromClient) -> None:
    assert wire.decode_from_client(wire.encode(frame)) == frame


@pytest.mark.parametrize("frame", FROM_SERVER, ids=repr)
def test_server_frames_survive(frame: wire.FromServer) -> None:
    assert wire.decode_from_server(wire.encode(frame)) == frame


def generate(**changed: object) -> dict[str, object]:
    return {"type": "generate", "id": 1, "document": "d", "prompt": [1], "sampling": {}} | changed


BAD = {
    "empty": b"",
    "text": "{}",
    "trailing": msgpack.packb({"type": "tokenizer"}) + b"\x00",
    "truncated": msgpack.packb(generate())[:-1],
    "array": msgpack.packb([1]),
    "no type": msgpack.packb({"id": 1}),
    "type a list": msgpack.packb({"type": ["cancel"]}),
    "type of the other side": msgpack.packb({"type": "hello", "protocol": 1, "version": "", "pid": 1}),
    "missing field": msgpack.packb({"type": "cancel"}),
    "bool for int": msgpack.packb({"type": "cancel", "id": True}),
    "float for int": msgpack.packb({"type": "cancel", "id": 1.0}),
    "bytes for str": msgpack.packb(generate(document=b"d")),
    "prompt of strings": msgpack.packb(generate(prompt=["a"])),
    "prompt too long": msgpack.packb(generate(prompt=[1] * 65_537)),
    "bytes key": msgpack.packb({"type": "cancel", b"id": 1}),
    "int key": msgpack.packb({"type": "cancel", "id": 1, 2: 3}),
    "key twice": b"\x83\xa4type\xa6cancel\xa2id\x01\xa2id\x02",
    "map too long": msgpack.packb({"type": "tokenizer"} | {f"k{i}": i for i in range(64)}),
    "extension": msgpack.packb({"type": "cancel", "id": msgpack.ExtType(5, b"x")}),
    "empty extension": b"\x81\xa4type\xc7\x00\x05",
    "timestamp": msgpack.packb({"type": "cancel", "id": msgpack.Timestamp(1)}),
    "not utf-8": b"\x81\xa4type\xa1\xff",
    "claims 4 billion items": b"\x81\xa4type\xdd\xff\xff\xff\xff",
    "claims 4 billion bytes": b"\x81\xa4type\xc6\xff\xff\xff\xff",
    "deep": b"\x91" * 100_000,
    "wide and deep": b"\xdd\x00\x01\x00\x00" * 1000 + b"\x00" * 100_000,
    "string too long": msgpack.packb(generate(document="x" * (2 << 20 | 1))),
    "message too long": msgpack.packb(generate(document="x")) + b"\x00" * wire.MAX_TO_SERVER,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_bad_bytes_are_wire_errors(data: bytes | str) -> None:
    with pytest.raises(WireError):
        wire.decode_from_client(data)


def test_unknown_fields_are_left_for_newer_peers() -> None:
    assert wire.decode_from_client(msgpack.packb({"type": "cancel", "id": 4, "since": "1.2"})) == Cancel(4)


@pytest.mark.parametrize(
    "frame",
    [
        Request(1, "file:///\udcff", (1,), SAMPLING),
        Request(1, "d", (1,), SamplingParams(stop=("\ud800",))),
        Request(1, "d", (2**70,), SAMPLING),
        Request(1, "d", (1,) * 65_537, SAMPLING),
        TokenizerJson(b"x" * wire.MAX_TO_CLIENT),
    ],
    ids=["path not unicode", "stop not unicode", "huge id", "long prompt", "large tokenizer"],
)
def test_what_the_peer_would_refuse_is_not_sent(frame: wire.FromClient | wire.FromServer) -> None:
    with pytest.raises(WireError):
        wire.encode(frame)


def test_mutated_frames_raise_nothing_but_wire_errors() -> None:
    rng = random.Random(20)
    frames = [wire.encode(frame) for frame in FROM_CLIENT + FROM_SERVER]
    outcomes = {True: 0, False: 0}
    for _ in range(8000):
        data = mutated(rng.choice(frames), frames, rng)
        for decode in (wire.decode_from_client, wire.decode_from_server):
            try:
                decode(data)
                outcomes[True] += 1
            except WireError:
                outcomes[False] += 1
    assert min(outcomes.values()) > 400  # both a frame and a refusal are common: the mutations reach every layer


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    buffer = bytearray(data)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(buffer) + 1)
        match rng.randrange(5):
            case 0 if at < len(buffer):
                buffer[at] ^= 1 << rng.randrange(8)
            case 1:
                buffer[at:at] = rng.randbytes(rng.randint(1, 4))
            case 2:
                del buffer[at : at + rng.randint(1, 4)]
            case 3:
                buffer[at:] = rng.choice(others)[at:]
            case _:
                buffer[at : at + 1] = bytes([rng.choice(range(0x80, 0x100))])
    return bytes(buffer)


@pytest.mark.parametrize(("mode", "private"), [(0o700, True), (0o750, False), (0o701, False), (0o777, False)])
def test_private_folders(tmp_path: Path, mode: int, private: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    assert listen.is_private(folder) == private


def test_a_link_to_a_private_folder_is_not_private(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(folder)
    assert not listen.is_private(tmp_path / "link")
