"""Bytes as clients send them, right and wrong, and the messages found in them."""

import random
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2lsp.framing import MAX_BODY, MAX_SKIPPED, Fault, FrameParser, Message, UnreadableError, decode, encode

A = b'{"jsonrpc":"2.0","id":"a","method":"first"}'
B = b'{"jsonrpc":"2.0","id":"b","method":"second"}'
PARSE, INVALID = -32700, -32600


def frame(body: bytes, wrong_by: int = 0, header: bytes = b"Content-Length: %d\r\n\r\n") -> bytes:
    return header % (len(body) + wrong_by) + body


def parse(*chunks: bytes) -> list[Message | Fault]:
    parser, found = FrameParser(), []
    for chunk in chunks:
        parser.feed(chunk)
        while (message := parser.take()) is not None:
            found.append(message)
    return found


def brief(messages: Iterable[Message | Fault]) -> list[object]:
    return [message.code if isinstance(message, Fault) else message["id"] for message in messages]


HTTP = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(A)
PRETTY = b'{\n  "jsonrpc": "2.0",\n\n  "id": "a",\n  "method": "Content-Length: 7"\n}'
LITERAL = rb'{"jsonrpc":"2.0","id":"a","method":"Content-Length: 9\r\n\r\n"}'  # escapes, no line breaks
ACCENTS = '{"jsonrpc":"2.0","id":"a","method":"éééééééé"}'.encode()

# name: (what is sent before the good message B, what is found of it)
STREAMS = {
    "nothing": (b"", []),
    "another message": (frame(A), ["a"]),
    "lower case": (frame(A, header=b"content-length: %d\r\n\r\n"), ["a"]),
    "upper case": (frame(A, header=b"CONTENT-LENGTH: %d\r\n\r\n"), ["a"]),
    "no space": (frame(A, header=b"Content-Length:%d\r\n\r\n"), ["a"]),
    "much space": (frame(A, header=b"Content-Length \t:  %d \t\r\n\r\n"), ["a"]),
    "line feeds alone": (frame(A, header=b"Content-Length: %d\n\n"), ["a"]),
    "leading zeros": (frame(A, header=b"Content-Length: 00%d\r\n\r\n"), ["a"]),
    "type before": (frame(A, header=b"Content-Type: x; charset=utf-8\r\nContent-Length: %d\r\n\r\n"), ["a"]),
    "type after": (frame(A, header=b"Content-Length: %d\r\nContent-Type: x\r\n\r\n"), ["a"]),
    "headers nobody knows": (frame(A, header=b"X-A: 1\r\nContent-Length: %d\r\nX-B:\r\n\r\n"), ["a"]),
    "empty lines between": (frame(A) + b"\r\n\r\n \n", ["a"]),
    "the same length twice": (b"Content-Length: %d\r\n" % len(A) + frame(A), ["a"]),
    "indented JSON": (frame(PRETTY), ["a"]),
    "a header in a string": (frame(LITERAL), ["a"]),
    # A length that is wrong: what is between two headers is a message all the same.
    "1 too long": (frame(A, 1), ["a"]),
    "10 too long": (frame(A, 10), ["a"]),
    "1000 too long": (frame(A, 1000), ["a"]),
    "1 too short": (frame(A, -1), ["a"]),
    "10 too short": (frame(A, -10), ["a"]),
    "zero": (frame(A, -len(A)), ["a"]),
    "characters, not bytes": (frame(ACCENTS, -8), ["a"]),
    # Lengths that are none, or too much.
    "10^9": (frame(A, 10**9), [INVALID]),
    "10^12": (frame(A, 10**12), [INVALID]),
    "5000 digits": (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + A, [INVALID]),
    "just too much": (b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + A, [INVALID]),
    "negative": (b"Content-Length: -5\r\n\r\n" + A, [PARSE]),
    "hexadecimal": (b"Content-Length: 0x2b\r\n\r\n" + A, [PARSE]),
    "no number": (b"Content-Length: many\r\n\r\n" + A, [PARSE]),
    "empty": (b"Content-Length:\r\n\r\n" + A, [PARSE]),
    "two lengths": (frame(A, header=b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n"), [PARSE, "a"]),
    "a header amid another": (b"Content-Length: 99\r\nContent-Ty", [PARSE]),
    "the same, and too much": (b"Content-Length: 599999999997\r\n9999", [PARSE]),
    "a length as a value": (b"Content-Length: 99\r\nX-A: ", [PARSE]),
    "no length": (b"Content-Type: x\r\n\r\n" + A, [PARSE]),
    # Bytes between messages.
    "a word": (b"garbage", [PARSE]),
    "a line": (b"Traceback (most recent call last):\r\n", [PARSE]),
    "a line after": (frame(A) + b"printed\n", ["a", PARSE]),
    "JSON lines": (A + b"\n" + A + b"\n", [PARSE]),
    "HTTP": (HTTP + A, [PARSE, "a"]),
    "zeros": (bytes(5000), [PARSE]),
    "high bytes": (bytes(range(128, 256)) * 99, [PARSE]),
    "a long header": (b"X: " + b"y" * 9000 + b"\r\n" + frame(A), [PARSE, "a"]),
    "many headers": (b"X: y\r\n" * 2000 + frame(A), [PARSE, "a"]),
    "a header cut off": (b"Content-Length: 4", [PARSE]),
    "UTF-16": (frame(A.decode().encode("utf-16")), [PARSE]),
    # Bodies that are no message.
    "no JSON": (frame(b"{nonsense}"), [PARSE]),
    "half of a message": (frame(A[:20]), [PARSE]),
    "invalid UTF-8": (frame(A.replace(b"first", b"\xff\xfe")), [PARSE]),
    "deep arrays": (frame(b"[" * 100_000), [PARSE]),
    "deep objects": (frame(b'{"a":' * 100_000), [PARSE]),
    "deep and whole": (frame(b"[" * 100_000 + b"]" * 100_000), [PARSE]),
    "not a number": (frame(A.replace(b'"a"', b"NaN")), [PARSE]),
    "infinity": (frame(A.replace(b'"a"', b"1e999")), [PARSE]),
    "5000 digits as an id": (frame(A.replace(b'"a"', b"9" * 5000)), [PARSE]),
    "a batch": (frame(b"[" + A + b"," + A + b"]"), [INVALID]),
    "an empty batch": (frame(b"[]"), [INVALID]),
    "a string": (frame(b'"hello"'), [INVALID]),
    "null": (frame(b"null"), [INVALID]),
    "a number": (frame(b"12"), [INVALID]),
    "only space": (frame(b"   "), [PARSE]),
    "bad, then strange headers": (frame(b"{") + frame(A, header=b"Content-Length: %d\r\nX: 1\r\n\r\n"), [PARSE, "a"]),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_found(name: str) -> None:
    sent, found = STREAMS[name]
    expected = [*found, "b"]
    assert brief(parse(sent + frame(B))) == expected
    assert brief(parse(sent + frame(B), frame(B))) == [*expected, "b"], "it goes on"


# Where the bytes are cut: a length too short cannot be mended before the rest has arrived.
CUT_ANYWHERE = STREAMS.keys() - {"1 too short", "10 too short", "zero", "characters, not bytes", "a header cut off"}


@pytest.mark.parametrize("name", sorted(CUT_ANYWHERE))
def test_cuts_change_nothing(name: str) -> None:
    sent, _ = STREAMS[name]
    stream = sent + frame(B)
    whole = brief(parse(stream))
    for size in (1, 7, 100) if len(stream) < 5000 else (997, 4096):
        cut = parse(*(stream[start : start + size] for start in range(0, len(stream), size)))
        assert brief(cut) == whole, size


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\ud83d", "�"),
        (rb"\ude00x", "�x"),
        (rb"\ud83d\ud83d\ude00", "�\U0001f600"),
        (rb"\ud83dA", "�A"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\�"),
    ],
)
def test_half_of_a_surrogate_pair(body: bytes, text: str) -> None:
    """An editor that splits an emoji sends them; to refuse the change would lose the document."""
    assert decode(b'{"text":"' + body + b'"}') == {"text": text}


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (frame(A, 10), ["a"]),
        (frame(A, 10)[:-1], []),
        (frame(A) + frame(B, 1000), ["a", "b"]),
        (b"Content-Length: 99\r\n" + frame(B), [PARSE, "b"]),
        (b"Content-Length: 4", []),
        (b"", []),
    ],
)
def test_a_pause(sent: bytes, found: list[object]) -> None:
    """A client that promised too much waits for its answer; one that is slow is waited for."""
    parser, taken = FrameParser(), []
    for step in (lambda: parser.feed(sent), parser.pause, parser.pause):
        step()
        while (message := parser.take()) is not None:
            taken.append(message)
    assert brief(taken) == found


def test_a_pause_loses_nothing() -> None:
    parser, taken = FrameParser(), []
    for at in range(len(stream := frame(A) + frame(B))):
        parser.feed(stream[at : at + 1])
        parser.pause()
        while (message := parser.take()) is not None:
            taken.append(message)
    assert brief(taken) == ["a", "b"]


def test_faults_quote_nothing() -> None:
    for sent, _ in STREAMS.values():
        for fault in parse(sent.replace(b"first", b"canary")):
            assert not isinstance(fault, Fault) or "canary" not in fault.reason


@pytest.mark.parametrize("length", [b"1000000000", b"1000000000000", b"9" * 5000])
def test_a_promised_length_costs_nothing(length: bytes) -> None:
    tracemalloc.start()
    try:
        parser = FrameParser()
        parser.feed(b"Content-Length: " + length + b"\r\n\r\n")
        assert isinstance(parser.take(), Fault)
        for _ in range(200):  # 50 MiB of what was promised
            parser.feed(b"x" * (256 << 10))
            assert parser.take() is None
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_it_gives_up_where_no_message_comes() -> None:
    parser, noise = FrameParser(), b"\x00" * (1 << 20)
    with pytest.raises(UnreadableError):
        for _ in range((MAX_SKIPPED >> 20) + 2):
            parser.feed(noise)
            parser.take()


def test_the_largest_message() -> None:
    body = b'{"id":"a","x":"' + b"x" * (MAX_BODY - 17) + b'"}'
    assert len(body) == MAX_BODY
    assert brief(parse(encode(body) + frame(B))) == ["a", "b"]
    assert brief(parse(encode(body + b" ") + frame(B))) == [INVALID, "b"]


@pytest.mark.parametrize("line", [b"\n", b"\n\r\n", b"Content-Length: 1\r\n", b"Content-Type: x\n", b"\t ", b'{"a":'])
def test_hostile_repetition_takes_linear_time(line: bytes) -> None:
    """4 MiB of what begins like something; a quadratic search would run into the test's own timeout."""
    for start in (b"", b"Content-Length: 60000000\r\n\r\n"):
        noise = start + line * ((4 << 20) // len(line))
        parser = FrameParser()
        for at in range(0, len(noise), 64 << 10):
            parser.feed(noise[at : at + (64 << 10)])
            while parser.take() is not None:
                pass


def mutate(random: random.Random, stream: bytes) -> bytes:
    """Wrong in a few places: bytes flipped, cut out, doubled, put in."""
    data = bytearray(stream)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) or 1)
        piece = bytes(data[at : at + random.randint(1, 40)])
        noise = [b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"{", b"}", b'"', b"9" * 10, b"\x00", b"\xff", piece]
        if random.random() < 0.5:
            del data[at : at + len(piece)]
        data[at:at] = random.choice(noise)
    return bytes(data)


@pytest.mark.parametrize("seed", range(40))
def test_after_mutated_frames_the_next_good_one_is_found(seed: int) -> None:
    chance = random.Random(seed)
    parser = FrameParser()
    for number in range(50):
        good = b'{"jsonrpc":"2.0","id":%d,"method":"m"}' % number
        parser.feed(mutate(chance, frame(A)) + frame(good))
        found = []
        while (message := parser.take()) is not None:
            found.append(message)
        assert number in [message.get("id") for message in found if not isinstance(message, Fault)], number


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.sampled_from([frame(A), b"Content-Length: ", b"\r\n\r\n", A]), max_size=8))
def test_any_bytes(chunks: list[bytes]) -> None:
    parser = FrameParser()
    for chunk in chunks:
        parser.feed(chunk)
        for _ in range(len(b"".join(chunks)) + 2):
            if parser.take() is None:
                break
        else:
            pytest.fail("more messages than bytes")
