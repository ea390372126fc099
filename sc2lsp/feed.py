"""A folder's files as tokens in the runtime, where drafts are looked for in them; kept as the index is.

To a runtime of the user's own on this machine, and to one elsewhere only where the configuration says so. What is sent
stays in the runtime's memory, and leaves it with the connection.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sc2lsp.backend import Backend, BackendError, Model
from sc2lsp.context.lexical import TextOf
from sc2lsp.session import Folder, names_of

MOST_TOKENS = 1 << 20  # of a folder; some four megabytes of code
LONGEST = 1 << 16  # tokens of a file


class Feed:
    """Which of a folder's files the runtime has, and as of which content."""

    def __init__(self, folder: Folder, backend: Backend) -> None:
        self._folder = folder
        self._backend = backend
        self._model: Model | None = None
        self._sent: dict[str, tuple[bytes, int]] = {}  # path -> the file's digest, and how many tokens were sent
        self._tokens = 0  # of all of them
        # Mutated by: catch_up(), on the event loop, one call at a time.

    async def catch_up(self, text_of: TextOf, rest: Callable[[], Awaitable[None]]) -> None:
        """Send what changed since the last call, and everything to a runtime that is new; `rest` before every file."""
        try:
            model = await self._backend.model()
            if model is not self._model:
                self._model, self._sent, self._tokens = model, {}, 0
            for path in self._gone():
                self._tokens -= self._sent.pop(path)[1]
                await self._backend.put_document(*names_of(self._folder, path), ())
            for path in self._stale():
                await rest()
                await self._send(path, text_of(path), model)
        except BackendError:
            self._model = None  # the next call finds a runtime again, or none

    def _gone(self) -> list[str]:
        return [path for path in self._sent if path not in self._folder.index.files]

    def _stale(self) -> list[str]:
        digests = {path: entry.digest for path, entry in self._folder.index.files.items()}
        return [path for path, digest in digests.items() if path not in self._sent or self._sent[path][0] != digest]

    async def _send(self, path: str, text: str | None, model: Model) -> None:
        entry = self._folder.index.files.get(path)
        if text is None or entry is None:
            return
        tokens = tuple(await asyncio.to_thread(model.tokenize, text))
        self._tokens -= self._sent.pop(path, (b"", 0))[1]
        if len(tokens) > min(LONGEST, MOST_TOKENS - self._tokens):
            tokens = ()
        self._tokens += len(tokens)
        self._sent[path] = entry.digest, len(tokens)
        await self._backend.put_document(*names_of(self._folder, path), tokens)
