"""The language server as an editor meets it: started over pipes, with the built-in model behind it."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sc2lsp import daemon
from sc2lsp.server import ACCEPTED

from .editor import Editor, ResponseError, editor

pytestmark = pytest.mark.usefixtures("own_runtime")


def report(shelf: Path) -> Path:
    return shelf / "shelf" / "report.py"


async def type_ten(window: Editor, path: Path) -> tuple[int, int]:
    """Type ten characters, one change each, at the end of the line of `days =`; where the cursor is then."""
    lines = path.read_text("utf-8").split("\n")
    line = next(number for number, text in enumerate(lines) if "days = " in text)
    character = len(lines[line])
    for char in "\n    total":
        window.type(path, line, character, char)
        line, character = (line + 1, 0) if char == "\n" else (line, character + 1)
    return line, character


async def test_from_the_first_keystroke_to_a_killed_runtime(shelf: Path) -> None:
    path = report(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        line, character = await type_ten(window, path)
        items = await window.complete(path, line, character)
        assert items
        assert items[0]["insertText"].strip()
        place = {"line": line, "character": character}
        assert items[0]["range"]["start"] == place

        command = items[0]["command"]
        assert command["command"] == ACCEPTED
        params = {"command": command["command"], "arguments": command.get("arguments", [])}
        assert await window.request("workspace/executeCommand", params) is None

        id, answer = window.ask(path, 0, 0)  # where nothing is known yet: the model has to be asked
        window.notify("$/cancelRequest", {"id": id})
        with pytest.raises(ResponseError) as cancelled:
            await asyncio.wait_for(answer, 10)
        assert cancelled.value.code == -32800

        killed = await kill_runtime()
        known = await window.complete(path, line, character)  # costs no runtime
        assert [item["insertText"] for item in known] == [item["insertText"] for item in items]
        for typed in " = day":
            window.type(path, line, character, typed)
            character += 1
        assert (await window.complete(path, line, character))[0]["insertText"].strip()
        (runtime,) = await daemon.running()
        assert runtime.hello.pid != killed
        assert await window.shutdown() == 0


async def kill_runtime() -> int:
    (runtime,) = await daemon.running()
    os.kill(runtime.hello.pid, signal.SIGKILL)
    return runtime.hello.pid


async def test_the_newest_request_wins(shelf: Path) -> None:
    path = report(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        line, character = await type_ten(window, path)
        older = [window.ask(path, line, character)[1] for _ in range(3)]
        items = await window.complete(path, line, character)
        assert items
        assert await asyncio.gather(*older) == [None, None, None]


async def test_capabilities_and_encodings(shelf: Path) -> None:
    for offered, chosen in ((["utf-8", "utf-16"], "utf-8"), (["utf-32"], "utf-32"), (["utf-16"], "utf-16")):
        async with editor() as window:
            result = await window.initialize(shelf, encodings=offered)
            capabilities = result["capabilities"]
            assert capabilities["inlineCompletionProvider"] == {}
            assert capabilities["positionEncoding"] == chosen
            assert capabilities["textDocumentSync"]["change"] == 2
            assert ACCEPTED in capabilities["executeCommandProvider"]["commands"]
            assert result["serverInfo"]["name"] == "sc2lsp"


@pytest.mark.parametrize(("encoding", "character"), [("utf-16", 12), ("utf-8", 14), ("utf-32", 11)])
async def test_ranges_are_in_the_clients_encoding(shelf: Path, encoding: str, character: int) -> None:
    path = shelf / "emoji.py"
    text = 's = "😀"; x = \n'
    async with editor() as window:
        await window.initialize(shelf, encodings=[encoding])
        window.open(path, text)
        items = await window.complete(path, 0, character)
        assert all(item["range"]["start"] == {"line": 0, "character": character} for item in items)


async def test_full_sync_and_reopening(shelf: Path) -> None:
    path = report(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        change = {"text": (shelf / "shelf" / "store.py").read_text("utf-8")}
        document = {"uri": path.as_uri(), "version": 2}
        window.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        assert (await window.complete(path, 48, 27))[0]["range"]["start"] == {"line": 48, "character": 27}
        window.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})
        assert await window.complete(path, 48, 27) == []  # not open
        window.open(path)
        assert await window.complete(path, 20, 4) is not None


async def test_life_cycle_errors(shelf: Path) -> None:
    async with editor() as window:
        with pytest.raises(ResponseError) as early:
            await window.request("textDocument/inlineCompletion", {})
        assert early.value.code == -32002
        await window.initialize(shelf)
        with pytest.raises(ResponseError) as malformed:
            await window.request("textDocument/inlineCompletion", {"position": "here"})
        assert malformed.value.code == -32602
        assert "data" not in malformed.value.error
        with pytest.raises(ResponseError) as unknown:
            await window.request("textDocument/nonsense", {})
        assert unknown.value.code == -32601
        await window.request("shutdown", None)
        with pytest.raises(ResponseError) as late:
            await window.request("textDocument/inlineCompletion", {})
        assert late.value.code == -32600
        window.notify("exit", None)
        assert await asyncio.wait_for(window.process.wait(), 10) == 0


async def test_exit_without_shutdown_and_end_of_input(shelf: Path) -> None:
    async with editor() as window:
        await window.initialize(shelf)
        window.notify("exit", None)
        assert await asyncio.wait_for(window.process.wait(), 10) == 1
    async with editor() as window:
        await window.initialize(shelf)
        assert window.process.stdin is not None
        window.process.stdin.close()
        assert await asyncio.wait_for(window.process.wait(), 10) == 1


async def test_ends_with_the_editor(shelf: Path) -> None:
    """A process that is gone, while the pipes stay open: what a killed editor can leave behind."""
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    async with editor() as window:
        await window.initialize(shelf, processId=gone.pid)
        assert await asyncio.wait_for(window.process.wait(), 10) == 1
    async with editor("--clientProcessId", str(gone.pid)) as window:
        await window.initialize(shelf, processId=None)
        assert await asyncio.wait_for(window.process.wait(), 10) == 1


async def test_progress_of_indexing_and_loading(shelf: Path) -> None:
    async with editor() as window:
        await window.initialize(shelf)
        window.open(report(shelf))
        await window.complete(report(shelf), 20, 4)
        await asyncio.sleep(0.2)
        values = [params["value"] for params in window.said("$/progress")]
        assert {value["title"] for value in values if value["kind"] == "begin"} == {"Indexing shelf", "Loading model"}
        assert sum(value["kind"] == "end" for value in values) == 2


async def test_a_model_that_is_not_there_is_told_once(shelf: Path) -> None:
    async with editor(SC2LSP_MODEL=str(shelf / "nothing")) as window:
        await window.initialize(shelf)
        window.open(report(shelf))
        for _ in range(3):
            assert await window.complete(report(shelf), 20, 4) == []
        messages = [params["message"] for params in window.said("window/showMessage")]
        assert len(messages) == 1
        assert "no such model" in messages[0]
        assert await window.shutdown() == 0


@pytest.mark.parametrize("settings", [{"budget": "all"}, {"nonsense": 1}])
async def test_a_bad_editor_setting_is_told_and_defaults_stay(shelf: Path, settings: dict[str, Any]) -> None:
    async with editor() as window:
        await window.initialize(shelf, initializationOptions=settings)
        window.open(report(shelf))
        assert await window.complete(report(shelf), 20, 4) is not None
        assert any(next(iter(settings)) in params["message"] for params in window.said("window/showMessage"))


async def test_two_folders_and_a_file_outside_of_both(shelf: Path, tmp_path: Path) -> None:
    other, outside = tmp_path / "other", tmp_path / "outside.py"
    other.mkdir()
    (other / "a.py").write_text("def area(width, height):\n    return width * ")
    outside.write_text("x = ")
    async with editor() as window:
        await window.initialize(shelf, other)
        for path, line, character in ((report(shelf), 20, 4), (other / "a.py", 1, 19), (outside, 0, 4)):
            window.open(path)
            assert await window.complete(path, line, character) is not None
        removed = {"removed": [{"uri": other.as_uri(), "name": "other"}], "added": []}
        window.notify("workspace/didChangeWorkspaceFolders", {"event": removed})
        assert await window.complete(other / "a.py", 1, 19) is not None


async def test_no_completion_where_secrets_live(shelf: Path) -> None:
    path = shelf / "secrets.py"
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path, "TOKEN = ")
        assert await window.complete(path, 0, 8) == []


async def test_nothing_typed_is_logged(shelf: Path, own_runtime: Path) -> None:
    canary = "canary_7f3a9"
    async with editor() as window:
        await window.initialize(shelf)
        window.open(report(shelf), f"{canary} = 1\nprint(")
        await window.complete(report(shelf), 1, 6)
        with pytest.raises(ResponseError):
            await window.request("textDocument/inlineCompletion", {"textDocument": {"uri": canary}})
        window.notify("textDocument/didChange", {"textDocument": canary})
        await window.shutdown()
        assert window.process.stderr is not None
        assert canary.encode() not in await window.process.stderr.read()
    written = [path for path in own_runtime.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if canary.encode() in path.read_bytes()]


async def test_start_and_memory(shelf: Path) -> None:
    """Generous bounds that a torch import would break; figures are measured by the benchmark."""
    started = time.monotonic()
    async with editor() as window:
        await window.initialize(shelf)
        assert time.monotonic() - started < 10
        status = Path(f"/proc/{window.process.pid}/status")
        if status.exists():
            resident = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            assert int(resident.split()[1]) < 150_000
            maps = Path(f"/proc/{window.process.pid}/maps").read_text()
            assert "libtorch" not in maps
