"""The real server, over its pipes, before a client that behaves as LSP4IJ does."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..server.conftest import own_runtime, shelf
from ..server.editor import TIMEOUT, ResponseError, editor
from ..server.fake_dialects import PATHS, answering, openai_lines
from ..server.fake_http import SILENT, FakeServer, Reply, Request, serving
from .lsp4ij import DEBOUNCE, Lsp4ij

__all__ = ["own_runtime", "shelf"]
pytestmark = pytest.mark.usefixtures("own_runtime")
TEMPLATE = Path(__file__).parents[2] / "editors/jetbrains/sc2lsp"


def template(name: str) -> dict[str, Any]:
    return dict(json.loads((TEMPLATE / name).read_text("utf-8")))


@asynccontextmanager
async def ide(text: str, root: Path, answers: Sequence[Reply]) -> AsyncGenerator[tuple[Lsp4ij, FakeServer]]:
    """A file of the workspace; the model behind the server gives these answers, the last one from then on."""
    left = list(answers)

    def complete(_: Request) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    async with serving(answering(complete)) as model, editor() as window:
        options = template("initializationOptions.json") | {"backend": "openai", "endpoint": model.url}
        client = Lsp4ij(window, root / "shelf/new.py", text)
        await client.start(root, options, template("settings.json"), template("experimental.json"))
        yield client, model


def answer(text: str) -> Reply:
    return Reply.lines(openai_lines([text]))


def completions_of(model: FakeServer) -> int:
    return sum(request.path in PATHS.values() for request in model.requests)


async def check(text: str, root: Path, written: str) -> None:
    """What is accepted is in the file as the item says, and begins as the model wrote it."""
    async with ide(text, root, [answer(written)]) as (client, _):
        result = await asyncio.wait_for(client.ask(), TIMEOUT)
        (item,) = result["items"]
        ((*_, grey),) = client.made_of(result)
        assert isinstance(item["insertText"], str)  # a snippet would be shown with its place holders
        assert written.startswith(grey.text)
        expected = client.after(item)
        client.accept(client.made_of(result)[0])
        assert client.text == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("def total(a, b):\n    return $0\n", "a + b\n", id="line"),
        pytest.param("def total(a, b):\n$0", "    return a + b\n", id="block"),
        pytest.param('title = "𝒯𝒽𝑒 🐍"; name = $0\n', "title.lower()\n", id="non-BMP before the caret"),
        pytest.param('title = $0\nlast = "🐍"\n', '"𝒯𝒽𝑒 🐍"\n', id="non-BMP in the answer"),
        pytest.param("ä = 1\r\nö = $0\r\n", "ä + 1\n", id="CRLF"),
    ],
)
async def test_accepting_puts_into_the_file_what_the_item_says(shelf: Path, text: str, written: str) -> None:
    await check(text, shelf, written)


async def test_a_bracket_that_was_closed_by_itself_is_not_doubled(shelf: Path) -> None:
    await check("def total(a, b):\n    print($0)\n", shelf, "a + b)\n")


async def test_what_the_server_offers(shelf: Path) -> None:
    async with ide("x = $0\n", shelf, [answer("1\n")]) as (client, _):
        offered = client.offered
    assert offered["inlineCompletionProvider"] == {}  # LSP4IJ looks for the key
    assert offered["positionEncoding"] == "utf-16"
    synchronization = offered["textDocumentSync"]
    assert synchronization["change"] == 2
    assert not synchronization.get("willSaveWaitUntil")  # it would hold up every save


async def test_no_suggestion_is_nothing_to_show(shelf: Path) -> None:
    async with ide("x = $0\n", shelf, [answer("1\n")]) as (client, _):
        assert await client.variants()
        client.window.notify("workspace/didChangeConfiguration", {"settings": {"sc2lsp": {"enabled": False}}})
        result = await asyncio.wait_for(client.ask(), TIMEOUT)
        assert result == {"items": []}
        assert client.made_of(result) == []
        client.window.notify("workspace/didChangeConfiguration", {"settings": template("settings.json")})
        assert await client.variants()


async def test_of_two_requests_the_newer_one_is_answered(shelf: Path) -> None:
    async with ide("x = $0\n", shelf, [replace(answer("12\n"), pause=0.05)]) as (client, model):
        older = client.ask()
        while not completions_of(model):
            await asyncio.sleep(0.01)
        newer = client.ask()
        assert await asyncio.wait_for(older, TIMEOUT) is None
        assert client.made_of(None) == []
        assert client.made_of(await asyncio.wait_for(newer, TIMEOUT))


async def test_what_is_typed_cancels_what_is_asked_for(shelf: Path) -> None:
    async with ide("x = $0\n", shelf, [SILENT, answer("2\n")]) as (client, model):
        asked = client.ask()
        while not completions_of(model):
            await asyncio.sleep(0.01)
        client.type("1")
        with pytest.raises(ResponseError) as cancelled:
            await asyncio.wait_for(asked, TIMEOUT)
        assert cancelled.value.code == -32800
        assert await client.variants()


async def test_the_built_in_model_from_key_to_key(shelf: Path) -> None:
    path = shelf / "shelf/report.py"
    text = path.read_text("utf-8")
    async with editor() as window:
        client = Lsp4ij(window, path, f"{text}\n\nclass 𝒮:\n    def total(self, loans$0")
        names = ("initializationOptions.json", "settings.json", "experimental.json")
        await client.start(shelf, *map(template, names))
        for char in ": list[Loan":
            client.type(char)
        await asyncio.sleep(DEBOUNCE)
        (elements, *_) = await client.variants()
        before = client.text
        client.accept(elements)
        assert client.text == before + elements[-1].text
        assert elements[-1].text.strip()
        assert await window.shutdown() == 0
