"""A file in a JetBrains IDE with LSP4IJ, as the server meets it: what is sent, what is made of the answers.

Read in redhat-developer/lsp4ij of June 2026 (0.20): features/inlineCompletion/*, client/LanguageClientImpl.java,
server/definition/launching/UserDefinedLanguageClient.java, internal/capabilities/ClientCapabilitiesFactory.java; and,
for what the platform does with an accepted text, in JetBrains/intellij-community of 2024,
platform-impl/.../inline/completion/{InlineCompletionHandler,InlineCompletionInsertHandler}.kt. Knows no server.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..server.editor import TIMEOUT, Editor

DEBOUNCE = 0.3  # seconds after the last key
AUTOMATIC = 2
# Of the client's capabilities, those that a server of inline completion could look at; there is none of that name.
CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"], "staleRequestSupport": {"cancel": True, "retryOnContentModified": []}},
    "textDocument": {"synchronization": {"willSave": True, "willSaveWaitUntil": True, "didSave": True}},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}, "showMessage": {}},
    "workspace": {
        "applyEdit": True,
        "configuration": True,
        "workspaceFolders": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
        "executeCommand": {"dynamicRegistration": True},
    },
}


@dataclass(frozen=True, slots=True)
class Element:
    """A piece of what is shown: grey text, or text of the file that stands in it."""

    text: str
    is_skipped: bool = False


class Lsp4ij:
    """One open file. Offsets and lengths count UTF-16 code units, as in Java's strings."""

    def __init__(self, window: Editor, path: Path, text: str) -> None:
        """`$0` in the text is the caret."""
        before, _, after = text.partition("$0")
        self.window = window
        self.path = path
        self._before, self._after = _units(before), _units(after)
        self.offered = dict[str, Any]()  # the server's capabilities, once it has started
        self._asked: tuple[int, asyncio.Future[Any]] | None = None
        # Mutated by typing and accepting, on the event loop.

    @property
    def text(self) -> str:
        return (self._before + self._after).decode("utf-16-le")

    async def start(
        self, root: Path, options: Mapping[str, Any], settings: Mapping[str, Any], experimental: Mapping[str, Any]
    ) -> None:
        """Start the server with what the template's files hold, and open the file; the settings follow at once."""
        result = await self.window.initialize(
            root,
            capabilities={**CAPABILITIES, "experimental": experimental},
            initializationOptions=options,
            clientInfo={"name": "PyCharm 2026.1", "version": "PyCharm (build PY-261.1)"},
            trace="off",
        )
        self.offered = result["capabilities"]
        self.window.notify("workspace/didChangeConfiguration", {"settings": settings})
        self.window.open(self.path, self.text)

    def type(self, text: str) -> None:
        """What is asked for is not wanted any more once the file has changed."""
        if self._asked is not None and not self._asked[1].done():
            self.window.notify("$/cancelRequest", {"id": self._asked[0]})
        line, character = self._position(len(self._before) // 2)
        self.window.type(self.path, line, character, text)
        self._before += _units(text)

    def ask(self) -> asyncio.Future[Any]:
        """The request that goes out once nothing was typed for `DEBOUNCE` seconds."""
        line, character = self._position(len(self._before) // 2)
        params = {
            "textDocument": {"uri": self.path.as_uri()},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": AUTOMATIC},
        }
        self._asked = self.window.start("textDocument/inlineCompletion", params)
        return self._asked[1]

    async def variants(self) -> list[list[Element]]:
        """What the IDE could show: the alternatives, each in its pieces."""
        return self.made_of(await asyncio.wait_for(self.ask(), TIMEOUT))

    def made_of(self, result: Any) -> list[list[Element]]:
        items = [] if result is None else result if isinstance(result, list) else result["items"]
        return [self._elements(item) for item in items if _text_of(item).strip()]

    def _elements(self, item: Mapping[str, Any]) -> list[Element]:
        caret = len(self._before) // 2
        text, elements = _units(_text_of(item)), list[Element]()
        if (place := item.get("range")) is not None:
            start, end = self._offset(place["start"]), self._offset(place["end"])
            typed = caret - start
            if start < caret <= end and typed < len(text) // 2:
                text = text[2 * typed :]
            if end > caret:
                elements.append(Element(self._after[: 2 * (end - caret)].decode("utf-16-le"), is_skipped=True))
        return [*elements, Element(text.decode("utf-16-le"))]

    def accept(self, elements: Sequence[Element]) -> None:
        """The platform puts all pieces at the caret, then takes away what stood behind it, by its length."""
        skipped = sum(len(_units(element.text)) for element in elements if element.is_skipped)
        self._before += _units("".join(element.text for element in elements))
        self._after = self._after[skipped:]

    def after(self, item: Mapping[str, Any]) -> str:
        """The file once an item is in it as the protocol has it."""
        start, end = self._offset(item["range"]["start"]), self._offset(item["range"]["end"])
        units = self._before + self._after
        return (units[: 2 * start] + _units(_text_of(item)) + units[2 * end :]).decode("utf-16-le")

    def _position(self, offset: int) -> tuple[int, int]:
        before = (self._before + self._after)[: 2 * offset].decode("utf-16-le")
        return before.count("\n"), len(_units(before.rpartition("\n")[2])) // 2

    def _offset(self, position: Mapping[str, int]) -> int:
        lines = self.text.split("\n")
        return sum(len(_units(line)) // 2 + 1 for line in lines[: position["line"]]) + position["character"]


def _text_of(item: Mapping[str, Any]) -> str:
    """A snippet would be shown as it is written."""
    text = item["insertText"]
    return str(text["value"] if isinstance(text, dict) else text)


def _units(text: str) -> bytes:
    return text.encode("utf-16-le")
