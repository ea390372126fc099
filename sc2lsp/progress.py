"""Work-done progress that says nothing to clients without it (LSP 3.18, "Work Done Progress")."""

import asyncio
from types import TracebackType
from uuid import uuid4

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

CONSENT_SECONDS = 2.0


class Progress:
    """A progress bar in the editor for as long as the `async with` runs."""

    def __init__(self, server: LanguageServer, title: str) -> None:
        window = server.client_capabilities.window
        self._wanted = bool(window and window.work_done_progress)
        self._bar = server.work_done_progress
        self._token = str(uuid4())
        self._title = title
        self._shown = ""

    async def __aenter__(self) -> "Progress":
        if self._wanted:
            try:
                await asyncio.wait_for(self._bar.create_async(self._token), CONSENT_SECONDS)
            except (JsonRpcException, TimeoutError):
                self._wanted = False  # the client may refuse, and some never answer
        if self._wanted:
            self._bar.begin(self._token, types.WorkDoneProgressBegin(title=self._title))
        return self

    def report(self, message: str, fraction: float | None = None) -> None:
        """`fraction` of the work done, 0 to 1, where it is known. The same message again says nothing."""
        if self._wanted and message != self._shown:
            self._shown = message
            percentage = None if fraction is None else round(fraction * 100)
            self._bar.report(self._token, types.WorkDoneProgressReport(message=message, percentage=percentage))

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wanted:
            self._bar.end(self._token, types.WorkDoneProgressEnd())
