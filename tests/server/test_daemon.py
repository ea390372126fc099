"""Processes that find, start, outlive and replace each other, with a script in the place of `sc2lsp serve`."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import filelock
import pytest

from sc2lsp import daemon
from sc2lsp.runtime.api import SamplingParams
from sc2lsp.runtime.client import ConnectionLost, RuntimeClient

# What `sc2lsp serve --model M` does, with an engine that repeats one token and a model that is called like its mood.
SCRIPT = """
import sys, threading, time
from sc2lsp import daemon
from sc2lsp.runtime import server
from sc2lsp.runtime.api import NOTHING, Chunk, ModelFacts

class Generation:
    def __init__(self): self.aborted = threading.Event()
    def abort(self): self.aborted.set()

class Engine:
    facts = ModelFacts(sys.argv[1], 1, 1024, None, 100, "cpu", "float32", "00")
    tokenizer_json = b"{}"
    def submit(self, request, emit):
        generation = Generation()
        threading.Thread(target=self.repeat, args=(request, emit, generation.aborted), daemon=True).start()
        return generation
    def repeat(self, request, emit, aborted):
        for _ in range(request.sampling.max_tokens):
            if aborted.wait(0.002): break
            emit(Chunk(request.id, (7,), (0.0,)))
        emit(Chunk(request.id, (), (), "length", NOTHING))
    def forget_workspaces(self, names): pass
    def close(self): pass

model = sys.argv[1]
if model == "broken":
    print("first line", file=sys.stderr)
    sys.exit("no such model: give --model another")
place = daemon.endpoint(model)
with daemon.hold(place):
    print("holding")
    server.serve(place.url, lambda progress: Engine(), place.token, float(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    monkeypatch.setenv("SC2LSP_RUNTIME_DIR", str(folder))
    return folder


def command(model: str = "m", idle: float = 20.0) -> list[str]:
    return [sys.executable, "-P", "-c", SCRIPT, model, str(idle)]


@contextlib.asynccontextmanager
async def connected(model: str = "m", idle: float = 20.0) -> AsyncGenerator[RuntimeClient]:
    """A connection to a runtime that is stopped afterwards, however the test ends."""
    client = await daemon.connect(model, command=command(model, idle))
    try:
        yield client
    finally:
        await client.close()
        for runtime in await daemon.running():
            await daemon.stop(runtime)


async def answer(client: RuntimeClient) -> list[int]:
    return [
        token async for chunk in client.generate("d", (1,), SamplingParams(max_tokens=2)) for token in chunk.token_ids
    ]


def wait_for_the_end(place: daemon.Endpoint) -> None:
    with filelock.FileLock(place.lock, timeout=5.0):
        pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_start_share_find_and_stop(folder: Path) -> None:
    async with connected() as client:
        assert await answer(client) == [7, 7]
        assert (await client.ready()).name == "m"
        place = daemon.endpoint("m")
        assert [mode(path) for path in (folder, place.log, place.lock)] == [0o700, 0o600, 0o600]
        assert mode(folder / f"{place.lock.stem}.sock") == 0o600

        second = await daemon.connect("m", command=["/must/not/be/started"])
        assert second.hello.pid == client.hello.pid
        await second.close()

        [runtime] = await daemon.running()
        assert runtime.hello == client.hello
        assert runtime.status.model == await client.ready()
        assert os.getsid(client.hello.pid) == client.hello.pid  # detached: a closing terminal does not reach it
        await daemon.stop(runtime)
        assert await daemon.running() == []
        assert not (folder / f"{place.lock.stem}.sock").exists()
        with pytest.raises(ConnectionLost):
            await answer(client)


async def test_a_race_has_one_winner() -> None:
    async with connected("other"):
        clients = await asyncio.gather(*(daemon.connect("m", command=command()) for _ in range(3)))
        assert len({client.hello.pid for client in clients}) == 1
        assert [await answer(client) for client in clients] == [[7, 7]] * 3
        assert len(await daemon.running()) == 2
        for client in clients:
            await client.close()


async def test_the_loser_leaves_silently() -> None:
    async with connected():
        loser = await asyncio.to_thread(subprocess.run, command(), capture_output=True, timeout=20)
        assert (loser.returncode, loser.stdout, loser.stderr) == (0, b"", b"")


async def test_a_killed_runtime_is_noticed_and_replaced() -> None:
    async with connected() as client:
        stream = client.generate("d", (1,), SamplingParams(max_tokens=4096))
        await anext(stream)
        killed = time.monotonic()
        os.kill(client.hello.pid, signal.SIGKILL)
        with pytest.raises(ConnectionLost):
            async for _ in stream:
                pass
        assert time.monotonic() - killed < 0.2
        with pytest.raises(ConnectionLost):
            await answer(client)
        again = await daemon.connect("m", command=command())  # over the socket file that the dead one left
        assert again.hello.pid != client.hello.pid
        assert await answer(again) == [7, 7]
        await again.close()


async def test_a_client_that_comes_while_the_runtime_leaves_gets_the_next_one() -> None:
    async with connected() as client:
        [runtime] = await daemon.running()
        os.kill(runtime.hello.pid, signal.SIGTERM)
        again = client
        started = time.monotonic()
        while again.hello.pid == client.hello.pid:  # else caught in the last moment of the old one
            again = await daemon.connect("m", command=command())
        assert time.monotonic() - started < 1.9  # not held up by uvicorn's grace for connections
        assert await answer(again) == [7, 7]
        await again.close()


async def test_a_start_that_lost_to_a_leaving_runtime_is_repeated() -> None:
    leaving = filelock.FileLock(daemon.endpoint("m").lock)
    leaving.acquire()
    connecting = asyncio.create_task(daemon.connect("m", command=command()))
    await asyncio.sleep(1.0)  # meanwhile ours starts, finds the lock held and exits
    leaving.release()
    client = await connecting
    await client.close()
    async with connected() as again:
        assert again.hello.pid == client.hello.pid


async def test_an_idle_runtime_ends_and_the_next_client_starts_another() -> None:
    async with connected(idle=0.3) as client:
        first = client.hello.pid
        await client.close()
        await asyncio.to_thread(wait_for_the_end, daemon.endpoint("m"))
    async with connected() as client:
        assert client.hello.pid != first


async def test_a_runtime_that_cannot_start_says_why() -> None:
    with pytest.raises(daemon.DaemonError, match="did not start: no such model: give --model another"):
        await daemon.connect("broken", command=command("broken"))
    with pytest.raises(daemon.DaemonError, match="cannot start /no/such/python"):
        await daemon.connect("m", command=["/no/such/python"])


async def test_a_runtime_that_never_listens_is_given_up() -> None:
    with pytest.raises(daemon.DaemonError, match=r"after 0\.3 s"):
        await daemon.connect("m", command=[sys.executable, "-c", "import time; time.sleep(1)"], within=0.3)


def test_without_unix_sockets_a_port_and_a_token_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.delattr(socket, "AF_UNIX")
        place = daemon.endpoint("m")
        assert daemon.endpoint("m") == place
    assert place.url.startswith("tcp://127.0.0.1:")
    assert place.token is not None
    assert len(place.token) == 64
    assert mode(folder / f"{place.lock.stem}.tcp") == 0o600
    assert [path.suffix for path in folder.iterdir()] == [".tcp"]  # no draft stays behind


def test_the_command_runs_our_package_only(folder: Path) -> None:
    place = daemon.endpoint("/models/m")
    options = ["--model", "/models/m", "--listen", place.url, "--idle-timeout", "900"]
    assert daemon.serve_command("/models/m", place, 900.0) == [sys.executable, "-P", "-m", "sc2lsp", "serve", *options]


def test_models_have_places_of_their_own(folder: Path) -> None:
    places = {daemon.endpoint(model).url for model in ("a", "b", "a", "../../a")}
    assert len(places) == 3
    assert all(Path(url.removeprefix("unix:")).parent == folder for url in places)


@pytest.mark.parametrize("squat", ["open", "link", "file", "stranger"])
def test_a_squatted_folder_is_refused(folder: Path, tmp_path: Path, squat: str) -> None:
    match squat:
        case "open":
            folder.mkdir()
            folder.chmod(0o755)
        case "link":
            (tmp_path / "target").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "target")
        case "file":
            folder.touch()
        case _:
            if os.getuid() != 0:
                pytest.skip("only root can make a folder of somebody else")
            folder.mkdir(mode=0o700)
            os.chown(folder, 12345, 12345)
    with pytest.raises(daemon.DaemonError, match="SC2LSP_RUNTIME_DIR"):
        daemon.runtime_dir()


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SC2LSP_RUNTIME_DIR", str(tmp_path / ("x" * 100)))
    with pytest.raises(daemon.DaemonError, match="shorter"):
        daemon.endpoint("m")


def test_the_folder_follows_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SC2LSP_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert daemon.runtime_dir() == tmp_path / "sc2lsp"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert daemon.runtime_dir() == tmp_path / f"sc2lsp-{os.getuid()}"
