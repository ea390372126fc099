"""A language server with a document open and a stand-in for its model, typed into from outside as an editor does it.

Ours or the peer's: what differs is how it is started and how it is asked. Measures nothing.
"""

import asyncio
import random
import sysconfig
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.server.editor import Editor, editor

from . import tabby
from .crowd import at_rest
from .instant import runtime
from .keystroke import joined
from .standin import Asked, Steered

AUTOMATIC = 2  # LSP 3.18, InlineCompletionTriggerKind: nobody asked for it by hand
INDEX_SECONDS = 900.0
NOTICED_SECONDS = 0.6  # after which a stand-in has read all of what it was asked


@dataclass(slots=True)
class Place:
    """Where is typed; moves with what is typed."""

    path: Path
    line: int
    character: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A server, the model behind it, and how an editor asks it for completions."""

    window: Editor
    model: Steered
    method: str = "textDocument/inlineCompletion"

    @property
    def pid(self) -> int:
        return self.window.process.pid

    def type(self, place: Place, text: str) -> None:
        self.window.type(place.path, place.line, place.character, text)
        lines = text.split("\n")
        place.line += len(lines) - 1
        place.character = len(lines[-1]) + (place.character if len(lines) == 1 else 0)

    def ask(self, place: Place) -> tuple[int, asyncio.Future[Any]]:
        position = {"line": place.line, "character": place.character}
        params = {"textDocument": {"uri": place.path.as_uri()}, "position": position}
        return self.window.start(self.method, {**params, "context": {"triggerKind": AUTOMATIC}})

    async def noted(self) -> list[Asked]:
        """What reached the model since the last call, but for what was asked ahead."""
        await asyncio.sleep(NOTICED_SECONDS)
        return [asked for asked in await self.model.noted() if not asked.is_ahead]


@dataclass(slots=True)
class Typist:
    """Types into a document, each time on a new line of its own."""

    subject: Subject
    places: Iterator[Place]
    text: str

    async def next_line(self) -> Place:
        """An empty line below one of the document's, completed once already."""
        place = next(self.places)
        above = self.text.split("\n")[place.line]
        self.subject.type(place, "\n" + above[: len(above) - len(above.lstrip())])
        await self.subject.ask(place)[1]
        await self.subject.noted()
        return place


def opened(subject: Subject, root: Path, lines: int) -> Typist:
    """Real Python of so many lines, open in the server."""
    text = joined([Path(sysconfig.get_path("stdlib"))], ".py", lines)
    assert text is not None
    path = root / f"main{lines}.py"
    subject.window.open(path, text)
    return Typist(subject, places(path, text), text)


def places(path: Path, text: str) -> Iterator[Place]:
    """Ends of statements in the middle half, the last one first: what is typed there moves none of the others."""
    lines = text.split("\n")
    middle = [number for number in range(len(lines) // 4, len(lines) * 3 // 4) if lines[number].strip().endswith(")")]
    for number in sorted(random.Random(0).sample(middle, min(len(middle), 40)), reverse=True):
        yield Place(path, number, len(lines[number]))


@asynccontextmanager
async def ours(root: Path, settings: Mapping[str, Any], *options: str) -> AsyncIterator[Subject]:
    """sc2lsp, its folder indexed; `options` are those of `instant`."""
    with TemporaryDirectory(prefix="sc2") as home:
        own = {"XDG_CACHE_HOME": home, "XDG_DATA_HOME": home, "SC2LSP_CONFIG": f"{home}/none.toml"}
        async with runtime(*options) as (url, model), editor(SC2LSP_ENDPOINT=url, **own) as window:
            await window.initialize(root, initializationOptions=dict(settings))
            while not any(said["value"]["kind"] == "end" for said in window.said("$/progress")):
                await asyncio.sleep(0.1)
            await at_rest(window.process.pid, INDEX_SECONDS)
            yield Subject(window, model)


@asynccontextmanager
async def peer(folder: Path, root: Path, is_patient: bool) -> AsyncIterator[Subject]:
    """tabby-agent; patient: with its own debounce, else asking at every key."""
    async with tabby.agent(folder, root, is_patient) as (window, model):
        await at_rest(window.process.pid, INDEX_SECONDS)
        yield Subject(window, model, "textDocument/completion")
