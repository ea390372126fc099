"""What an editor can do with standard messages alone: switches, status, explanations, notebooks, unsaved documents."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from sc2lsp.server import create_server
from sc2lsp.status import TRY_AGAIN

from .editor import Editor, ResponseError, editor

pytestmark = pytest.mark.usefixtures("own_runtime")

STATUS = "$/sc2lsp/status"
LINE, CHARACTER = 48, 27  # of store.py, where the built-in model has something to say


def store(shelf: Path) -> Path:
    return shelf / "shelf" / "store.py"


async def command(window: Editor, name: str, *arguments: Any) -> Any:
    return await window.request("workspace/executeCommand", {"command": f"sc2lsp.{name}", "arguments": list(arguments)})


async def texts(window: Editor, path: Path) -> list[str]:
    return [item["insertText"] for item in await window.complete(path, LINE, CHARACTER)]


async def test_switches_of_a_window(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        assert await texts(window, path)
        starts = [status["busy"] for status in window.said(STATUS)].count(True)
        for scope in ("all", "language", "folder", "file"):
            off = await command(window, "toggle", scope, path.as_uri())
            assert (off["kind"], bool(off["message"])) == ("Inactive", True), scope
            assert await texts(window, path) == []
            on = await command(window, "toggle", scope, path.as_uri())
            assert on["kind"] == "Normal", scope
            assert await texts(window, path)
        paused = await command(window, "pause", 5)
        assert paused["kind"] == "Inactive"
        assert "5 min" in paused["message"]
        assert await texts(window, path) == []
        assert (await command(window, "resume"))["kind"] == "Normal"
        assert await texts(window, path)
        with pytest.raises(ResponseError) as wrong:
            await command(window, "toggle", "everything")
        assert wrong.value.code == -32602
        told = [status["kind"] for status in window.said(STATUS)]
        assert told.count("Inactive") == 5
        assert [status["busy"] for status in window.said(STATUS)].count(True) == starts, "nothing was started anew"
        assert await window.shutdown() == 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"enabled": False}, "turned off"),
        ({"languages_off": ["python"]}, "languages_off"),
        ({"files_off": ["store.*"]}, "files_off"),
        ({"folders_off": ["SHELF"]}, "folders_off"),
    ],
)
async def test_settings_hold_as_soon_as_they_are_changed(shelf: Path, settings: dict[str, Any], reason: str) -> None:
    path = store(shelf)
    settings = {name: [str(shelf)] if value == ["SHELF"] else value for name, value in settings.items()}
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        assert await texts(window, path)
        for sent in ({"sc2lsp": settings}, settings):  # the section, as Neovim sends it, or what is in it
            window.notify("workspace/didChangeConfiguration", {"settings": sent})
            assert await texts(window, path) == []
            status = await command(window, "status")
            assert status["kind"] == "Inactive"
            assert reason in status["message"]
            window.notify("workspace/didChangeConfiguration", {"settings": {}})
            assert await texts(window, path)


async def test_a_bad_setting_is_told_and_changes_nothing(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        window.notify("workspace/didChangeConfiguration", {"settings": {"sc2lsp": {"budget": "much"}}})
        assert await texts(window, path)
        assert any("budget" in params["message"] for params in window.said("window/showMessage"))


async def test_an_editor_that_shows_the_status_gets_no_messages_beside_it(shelf: Path, tmp_path: Path) -> None:
    path, folder = store(shelf), str(tmp_path / "none")
    async with editor() as window:
        capabilities = {"experimental": {"sc2lsp": {"status": True}}}
        await window.initialize(shelf, capabilities=capabilities)
        window.open(path)
        assert await texts(window, path)
        for settings, kind, action in (
            ({"budget": "much"}, "Warning", "sc2lsp.openSettings"),
            ({"model": folder}, "Error", "sc2lsp.model"),
        ):
            window.notify("workspace/didChangeConfiguration", {"settings": {"sc2lsp": settings}})
            await texts(window, path)
            status = await command(window, "status")
            assert (status["kind"], status["action"]["command"]) == (kind, action)
            assert status in window.said(STATUS)
        assert (await command(window, "model", *status["action"]["arguments"]))["kind"] == "Normal"
        assert await texts(window, path)
        assert not window.said("window/showMessage")


async def test_a_folder_that_may_not_be_read_is_told(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window, told = create_server(), list[str]()
    monkeypatch.setattr(window, "tell", told.append)
    monkeypatch.setattr(os, "access", lambda path, mode: path != shelf)  # root, who may run this, may read everything
    window.add_folder(shelf)
    assert (window.status.kind, window.status.action) == ("Warning", TRY_AGAIN)
    assert [str(shelf) in message for message in told] == [True]
    monkeypatch.undo()
    window.add_folder(shelf)
    assert window.status.kind == "Normal"
    await window.close()


async def test_context_of_the_file_alone(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        await asyncio.sleep(1.0)  # indexed
        snippets = {}
        for context in ("workspace", "file", "workspace"):
            window.notify("workspace/didChangeConfiguration", {"settings": {"context": context}})
            await window.complete(path, LINE, CHARACTER)
            snippets[context] = (await command(window, "explain"))["model"]["prompt"]["snippets"]
        assert snippets["workspace"] and not snippets["file"]


async def test_why_a_suggestion_is_what_it_is(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        await asyncio.sleep(1.0)  # indexed
        shown = await texts(window, path)
        why = await command(window, "explain", path.as_uri())
        assert [completion["text"] for completion in why["completions"]] == shown
        model = why["model"]
        assert "<fim_prefix><fim_suffix>" in model["prompt"]["text"]
        assert model["prompt"]["tokens"] >= model["cached_tokens"] >= 0
        assert all(snippet["why"] for snippet in model["prompt"]["snippets"])
        assert {"context", "prompt", "decode", "total"} <= model["timings_ms"].keys()
        assert model["answers"][0]["tokens"]
        window.type(path, LINE, CHARACTER, shown[0][0])
        left = [item["insertText"] for item in await window.complete(path, LINE, CHARACTER + 1)]
        assert left == [shown[0][1:]]
        assert (await command(window, "explain"))["source"] == "typed"


async def test_alternatives_on_an_explicit_request(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        params = {
            "textDocument": {"uri": path.as_uri()},
            "position": {"line": LINE, "character": CHARACTER},
            "context": {"triggerKind": 1},
        }
        result = await window.request("textDocument/inlineCompletion", params)
        alternatives = [item["insertText"] for item in result["items"]]
        assert len(set(alternatives)) == len(alternatives) >= 1


async def test_cells_are_completed_as_one_document(shelf: Path) -> None:
    uri = (shelf / "n.ipynb").as_uri()
    cells = [
        ("c1", 2, "python", "def area(width, height):\n    return width * height\n"),
        ("c2", 1, "markdown", "# Area"),
    ]
    cells.append(("c3", 2, "python", "total = are"))
    notebook = {
        "notebookDocument": {
            "uri": uri,
            "notebookType": "jupyter-notebook",
            "version": 1,
            "cells": [{"kind": kind, "document": f"{uri}#{name}"} for name, kind, _, _ in cells],
        },
        "cellTextDocuments": [
            {"uri": f"{uri}#{name}", "languageId": language, "version": 1, "text": text}
            for name, _, language, text in cells
        ],
    }

    async def ask(window: Editor, cell: str, line: int, character: int) -> list[dict[str, Any]]:
        position = {"line": line, "character": character}
        params = {"textDocument": {"uri": f"{uri}#{cell}"}, "position": position, "context": {"triggerKind": 2}}
        result = await window.request("textDocument/inlineCompletion", params)
        items: list[dict[str, Any]] = result["items"]
        return items

    async with editor() as window:
        sync = (await window.initialize(shelf))["capabilities"]["notebookDocumentSync"]
        assert sync["notebookSelector"]
        window.notify("notebookDocument/didOpen", notebook)
        (item, *_) = await ask(window, "c3", 0, 11)
        assert item["range"]["start"] == {"line": 0, "character": 11}
        assert item["insertText"].startswith("a(")
        assert await ask(window, "c2", 0, 6) == []  # prose
        place = {"line": 0, "character": 11}
        changed = {
            "document": {"uri": f"{uri}#c3", "version": 2},
            "changes": [{"range": {"start": place, "end": place}, "text": "a"}],
        }
        change = {"notebookDocument": {"uri": uri, "version": 2}, "change": {"cells": {"textContent": [changed]}}}
        window.notify("notebookDocument/didChange", change)
        (item, *_) = await ask(window, "c3", 0, 12)
        assert item["insertText"].startswith("(")
        why = await command(window, "explain")
        assert why["source"] == "typed"
        structure = {"array": {"start": 0, "deleteCount": 1}, "didClose": [{"uri": f"{uri}#c1"}]}
        change = {"notebookDocument": {"uri": uri, "version": 3}, "change": {"cells": {"structure": structure}}}
        window.notify("notebookDocument/didChange", change)
        assert await ask(window, "c3", 0, 12) is not None
        window.notify("notebookDocument/didClose", {"notebookDocument": {"uri": uri}, "cellTextDocuments": []})
        assert await window.shutdown() == 0


@pytest.mark.parametrize(
    "uri", ["untitled:Untitled-1", "vscode-remote://ssh-remote%2Bhost/home/me/a", "zipfile:///a::b"]
)
async def test_documents_that_are_no_files(shelf: Path, uri: str) -> None:
    text = "def area(width, height):\n    return width * "
    async with editor() as window:
        await window.initialize(shelf)
        item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        window.notify("textDocument/didOpen", {"textDocument": item})
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": 1, "character": 19},
            "context": {"triggerKind": 2},
        }
        result = await window.request("textDocument/inlineCompletion", params)
        assert result["items"][0]["insertText"].startswith(("width", "height"))


async def test_what_clients_of_other_servers_tell(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        before = (await command(window, "stats"))["overall"]
        (item, *_) = await window.complete(path, LINE, CHARACTER)
        window.notify("textDocument/didShowCompletion", {"item": item})
        window.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 3})
        params = {"item": item, "acceptedLength": 5, "unit": "word"}
        window.notify("textDocument/didPartiallyAcceptCompletion", params)
        window.notify("textDocument/didFocus", {"textDocument": {"uri": path.as_uri()}})
        for malformed in ({}, [], {"item": 1}, {"item": {"command": None}, "acceptedLength": "x"}):
            window.notify("textDocument/didPartiallyAcceptCompletion", malformed)
        await command(window, "accepted", *item["command"]["arguments"])
        after = before
        for _ in range(50):  # written by a thread of its own
            await asyncio.sleep(0.1)
            after = (await command(window, "stats"))["overall"]
            if after["accepted"] > before["accepted"]:
                break
        assert after["accepted"] == before["accepted"] + 1
        assert after["by_word"] == before["by_word"] + 1
        assert after["characters_accepted"] == before["characters_accepted"] + len(item["insertText"])


async def test_a_restart_finds_a_new_runtime(shelf: Path) -> None:
    path = store(shelf)
    async with editor() as window:
        await window.initialize(shelf)
        window.open(path)
        assert await texts(window, path)
        await command(window, "restart")
        window.type(path, LINE, CHARACTER, "z")
        assert await window.complete(path, LINE, CHARACTER + 1) is not None
        assert (await command(window, "status"))["kind"] == "Normal"
