"""A runtime that is slow, hung, killed or does not start, with a script in the place of `sc2lsp serve`."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest

from sc2lsp import daemon
from sc2lsp.backend import BackendError, BackendTimeout, Delta, State
from sc2lsp.backends import own
from sc2lsp.backends.own import RuntimeBackend, decoder
from sc2lsp.config import Config
from sc2lsp.runtime.api import Chunk, SamplingParams
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

from .test_breaker import Clock

pytestmark = pytest.mark.usefixtures("own_runtime")

# Repeats one token; what has the seed 1 is computed for ever, what has the seed 2 ends the process.
SCRIPT = """
import os, sys, threading, time
from sc2lsp import daemon
from sc2lsp.runtime import server
from sc2lsp.runtime.api import NOTHING, Chunk, ModelFacts, RequestRefused
from sc2lsp.runtime.locate import model_folder
from sc2lsp.runtime.tokenizer import Tokenizer, read_tokenizer_json

class Generation:
    def __init__(self): self.aborted = threading.Event()
    def abort(self): self.aborted.set()

class Engine:
    tokenizer_json = read_tokenizer_json(model_folder("embedded"))
    facts = ModelFacts(sys.argv[1], 1, 1024, None, 4096, "cpu", "fp32", Tokenizer(tokenizer_json).sha256)
    def submit(self, request, emit):
        if request.sampling.seed == 2: os._exit(9)
        generation = Generation()
        threading.Thread(target=self.repeat, args=(request, emit, generation.aborted), daemon=True).start()
        return generation
    def repeat(self, request, emit, aborted):
        if request.sampling.seed == 1: aborted.wait()
        for _ in range(request.sampling.max_tokens):
            if aborted.wait(0.002): break
            emit(Chunk(request.id, (100,), (-0.5,)))
        emit(Chunk(request.id, (), (), "length", NOTHING))
    def forget_workspaces(self, names): pass
    def close(self): pass

model = sys.argv[1]
if model == "broken": sys.exit("no such model: give --model another")
place = daemon.endpoint(model)
with daemon.hold(place):
    server.serve(place.url, lambda progress: Engine(), place.token, 20.0)
"""
SHORT, FOREVER, DEADLY = SamplingParams(max_tokens=2), SamplingParams(seed=1), SamplingParams(seed=2)


class Faulty:
    """A backend over such a runtime: what was started for it, and what it told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: float | str) -> None:
        self.clock = Clock()
        self.starts = 0  # or searches for one that runs
        self.states: list[State] = []
        config = Config(**{"model": "faulty", "first_token_timeout": 20.0, **settings})  # type: ignore[arg-type]
        self.backend = RuntimeBackend(config, clock=self.clock)
        self.backend.on_state = self.states.append
        monkeypatch.setattr(daemon, "serve_command", self._command)

    def _command(self, model: str, place: daemon.Endpoint, idle_timeout: float, options: Sequence[str]) -> list[str]:
        self.starts += 1
        return [sys.executable, "-P", "-c", SCRIPT, model]

    async def answer(self, sampling: SamplingParams = SHORT) -> list[Delta]:
        async with aclosing(self.backend.generate("w", "d", (1,), sampling)) as deltas:
            return [delta async for delta in deltas]

    async def fails(self, sampling: SamplingParams = SHORT) -> str:
        with pytest.raises(BackendError) as failure:
            await self.answer(sampling)
        return str(failure.value)


@asynccontextmanager
async def faulty(monkeypatch: pytest.MonkeyPatch, **settings: float | str) -> AsyncIterator[Faulty]:
    it = Faulty(monkeypatch, **settings)
    try:
        yield it
    finally:
        await it.backend.close()
        for runtime in await daemon.running():
            await daemon.stop(runtime)


async def pid() -> int:
    [runtime] = await daemon.running()
    return runtime.hello.pid


async def test_one_that_computes_costs_its_suggestion_and_not_the_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    async with faulty(monkeypatch, first_token_timeout=0.1) as it:
        await it.backend.model()
        for _ in range(4):
            assert "larger first_token_timeout" in await it.fails(FOREVER)
        await asyncio.sleep(0.5)  # longer than a pong takes to come
        assert "larger first_token_timeout" in await it.fails(FOREVER)
        assert [state.kind for state in it.states] == ["starting", "ready"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
async def test_one_that_hangs_is_left_alone_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "PONG_SECONDS", 0.2)
    async with faulty(monkeypatch, first_token_timeout=1.0) as it:
        await it.backend.model()
        hung = await pid()
        os.kill(hung, signal.SIGSTOP)
        try:
            with pytest.raises(BackendTimeout):
                await it.answer()
            while it.states[-1].kind != "error":
                await asyncio.sleep(0.02)
            for _ in range(3):
                assert "the runtime does not respond; `sc2lsp stop` ends it" in await it.fails()
            with pytest.raises(BackendError, match="does not respond"):
                await it.backend.model()
        finally:
            os.kill(hung, signal.SIGCONT)
        it.clock.now += 31.0
        assert (await it.answer())[-1].finish_reason == "length"
        assert await pid() == hung
        assert it.states[-1].kind == "ready"


def tokens_of(deltas: Sequence[Delta]) -> int:
    return sum(len(delta.tokens) for delta in deltas)


async def test_one_that_was_killed_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with faulty(monkeypatch) as it:
        await it.answer()
        for round in range(3):
            stream = it.backend.generate("w", "d", (1,), SamplingParams(max_tokens=4000))
            await anext(stream)
            os.kill(await pid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            with pytest.raises(BackendError, match="the runtime has gone"):
                async for _ in stream:
                    pass
            assert tokens_of(await it.answer()) == 2
            assert it.starts == round + 2
        assert [state.kind for state in it.states] == ["starting", "ready"] * 4


async def test_a_request_that_lost_its_runtime_before_its_first_token_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with faulty(monkeypatch) as it:
        await it.answer()
        os.kill(await pid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        assert tokens_of(await it.answer()) == 2
        assert it.starts == 2


async def test_a_request_that_kills_every_runtime_opens_the_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    async with faulty(monkeypatch) as it:
        for _ in range(5):
            assert "the runtime has gone" in await it.fails(DEADLY)
        assert it.starts <= 5
        assert it.states[-1].kind == "error"
        before = it.starts
        await it.fails()
        assert it.starts == before
        it.clock.now += 31.0
        assert tokens_of(await it.answer()) == 2


async def test_one_that_does_not_start_is_tried_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    async with faulty(monkeypatch, model="broken") as it:
        for pause, starts in ((0, 1), (0.9, 1), (0.2, 2), (1.9, 2), (0.2, 3), (3.9, 3), (0.2, 4)):
            it.clock.now += pause
            with pytest.raises(BackendError, match="no such model: give --model another"):
                await it.backend.model()
            assert it.starts == starts
        assert it.states[-1].kind == "error"
        assert it.states[-1].fix


async def test_a_runtime_elsewhere_that_is_not_there() -> None:
    backend = RuntimeBackend(Config(endpoint="tcp://127.0.0.1:9"))
    with pytest.raises(BackendError, match="no runtime at tcp://127"):
        await backend.model()
    await backend.close()


TEXTS = ["plain = 1\n", "naïve 「é」 𝒳", "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{WOMAN}", "a\x00\t\u2028"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_character_belongs_to_the_token_that_completes_it(text: str, size: int) -> None:
    folder = model_folder(EMBEDDED)
    assert folder is not None
    tokenizer = Tokenizer(read_tokenizer_json(folder))
    ids = tokenizer.encode(text)
    to_delta = decoder(tokenizer.bytes_of)
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    deltas = [to_delta(Chunk(1, tuple(part), (-1.0,) * len(part))) for part in parts]
    tokens = [token for delta in deltas for token in delta.tokens]
    assert len(tokens) == len(ids)
    for number in range(len(ids) + 1):
        whole = b"".join(tokenizer.bytes_of(id) for id in ids[:number]).decode("utf-8", "ignore")
        assert "".join(token.text for token in tokens[:number]) == whole


def test_answers_do_not_share_what_is_left_of_a_character() -> None:
    to_delta = decoder({0: b"\xc3", 1: b"\xa9"}.__getitem__)
    chunks = [Chunk(1, (token,), (0.0,), index=index) for token, index in ((0, 0), (0, 1), (1, 1), (1, 0))]
    assert [to_delta(chunk).tokens[0].text for chunk in chunks] == ["", "", "é", "é"]


HALF_OPEN = """
import asyncio, os, subprocess, sys
from sc2lsp.runtime import server
from sc2lsp.runtime.api import ModelFacts
from sc2lsp.runtime.client import RuntimeClient

class Engine:
    facts, tokenizer_json = ModelFacts("m", 1, 1024, None, 100, "cpu", "fp32", "00"), b"{}"
    def forget_workspaces(self, names): pass
    def close(self): pass

def network(state): subprocess.run(["ip", "link", "set", "lo", state], check=True)

async def main():
    network("up")
    served = asyncio.create_task(server.serve_async("tcp://127.0.0.1:18600", lambda progress: Engine(), "t"))
    await asyncio.sleep(0.5)
    client = await RuntimeClient.connect("tcp://127.0.0.1:18600", "t")
    await client.ready()
    network("down")
    if sys.argv[1] == "asked":
        print(await client.is_alive(0.2))
    for _ in range(120):
        await asyncio.sleep(0.1)
        if client.lost: break
    print(client.lost is not None)
    network("up")
    await (await RuntimeClient.connect("tcp://127.0.0.1:18600", "t")).close()
    served.cancel()

asyncio.run(main())
os._exit(0)
"""


def may_unshare() -> bool:
    command = ["unshare", "-Urn", "ip", "link", "set", "lo", "up"]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system's own waits are not to be shortened")
@pytest.mark.parametrize("when", ["idle", "asked"])
def test_a_network_that_goes_away_is_noticed_long_before_the_next_ping_would(when: str) -> None:
    """Pings alone take 25 s; half as long is waited here."""
    if not may_unshare():
        pytest.skip("a network of its own needs user namespaces and iproute2")
    command = ["unshare", "-Urn", sys.executable, "-P", "-c", HALF_OPEN, when]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == (["True"] if when == "idle" else ["False", "True"]), done.stderr
