"""Keeps the indexes of an editor's folders as the disk and the open documents are, between keystrokes.

One task a folder indexes, and then looks at what changed, one pass at a time, so that the later look wins; one watches
the disk; one lets the runtime have the files. All of them rest while somebody types.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from sc2lsp.backend import Backend
from sc2lsp.context.scan import BACKGROUND, Step
from sc2lsp.context.workspace import is_news
from sc2lsp.feed import Feed
from sc2lsp.session import Folder, Session

SLICE_SECONDS = 0.004  # so long indexing works between two looks at what the editor wants
IDLE_SECONDS = 0.01  # between two looks at what the workers say
TYPING_SECONDS = 0.5  # indexing rests until nothing was typed for so long
SETTLE_SECONDS = 0.3  # a pause in typing after which other files see what was typed
GATHER_SECONDS = 0.05  # changes on disk come in bursts
POLL_MS = 3000  # where the system has no watches left
WATCHED_STEP = 200  # changes looked at between two looks at what the editor wants
log = logging.getLogger("sc2lsp")


class Shown(Protocol):
    """How far work has come, as `progress.Progress` shows it."""

    def report(self, message: str, fraction: float | None = None) -> None: ...


ProgressOf = Callable[[str], AbstractAsyncContextManager[Shown]]  # by its title


class Indexing:
    """Of one session."""

    def __init__(self, session: Session, backend: Backend, progress: ProgressOf) -> None:
        self._session = session
        self._backend = backend
        self._progress = progress
        self._following: dict[Path, list[asyncio.Task[None]]] = {}  # folder -> what keeps its index
        # Of each folder, an event that is set while something changed, and one that is set by a new index.
        self._stirred: defaultdict[Path, asyncio.Event] = defaultdict(asyncio.Event)
        self._taken_in: defaultdict[Path, asyncio.Event] = defaultdict(asyncio.Event)
        self._settling: dict[Path, asyncio.TimerHandle] = {}  # document -> when it is taken into the index
        self._typed = 0.0  # when
        # All of it mutates on the event loop only.

    def follow(self, folder: Folder) -> None:
        """Index a folder, and keep the index as the disk is."""
        works: list[Coroutine[Any, Any, None]] = [self._index(folder), self._watch(folder)]
        if self._backend.may_index:
            works.append(self._feed(folder))
        self._following[folder.root] = [asyncio.ensure_future(work) for work in works]

    def leave(self, root: Path) -> None:
        """The end of `follow`."""
        self._stirred.pop(root, None)
        self._taken_in.pop(root, None)
        for task in self._following.pop(root, ()):
            task.cancel()

    def close(self) -> None:
        for root in list(self._following):
            self.leave(root)
        for timer in self._settling.values():
            timer.cancel()

    def refresh(self, folders: Iterable[Folder]) -> None:
        """Something changed in folders: their indexes are to follow."""
        for folder in folders:
            self._stirred[folder.root].set()

    def typed(self, path: Path) -> None:
        """A keystroke: indexing rests, and when typing pauses, other files see the document."""
        self._typed = monotonic()
        if path in self._settling:
            self._settling[path].cancel()
        loop = asyncio.get_running_loop()
        self._settling[path] = loop.call_later(SETTLE_SECONDS, self._settle, path)

    def _settle(self, path: Path) -> None:
        del self._settling[path]
        self._session.save(path)
        self.refresh(self._session.changed([path]))

    async def _index(self, folder: Folder) -> None:
        """Index a folder, and then what changes in it: one pass at a time, so that the later look wins."""
        async with self._progress(f"Indexing {folder.name}") as progress:
            await self._run(folder.survey(BACKGROUND).scan(), progress)
        await self._catch_up(folder)
        await self._keep(folder)

    async def _keep(self, folder: Folder) -> None:
        """Look at what changed, whenever something did."""
        stirred = self._stirred[folder.root]
        while True:
            await stirred.wait()
            await asyncio.sleep(GATHER_SECONDS)
            stirred.clear()
            await self._run(self._session.refresh(folder, BACKGROUND))
            await self._catch_up(folder)

    async def _catch_up(self, folder: Folder) -> None:
        """Let the search for similar code see what the index saw, between keystrokes."""
        slice_end = monotonic() + SLICE_SECONDS
        for _ in self._session.catch_up(folder):
            if monotonic() > slice_end:
                await asyncio.sleep(0)
                await self._until_typing_rests()
                slice_end = monotonic() + SLICE_SECONDS
        await asyncio.to_thread(folder.index.lexical.commit)
        self._taken_in[folder.root].set()

    async def _feed(self, folder: Folder) -> None:
        """Let the runtime find drafts in what the index saw."""
        feed, taken_in = Feed(folder, self._backend), self._taken_in[folder.root]
        while True:
            await taken_in.wait()
            taken_in.clear()
            await feed.catch_up(self._session.texts(folder), self._until_typing_rests)

    async def _until_typing_rests(self) -> None:
        while monotonic() - self._typed < TYPING_SECONDS:  # noqa: ASYNC110 - a clock
            await asyncio.sleep(TYPING_SECONDS / 5)

    async def _run(self, steps: Generator[Step], progress: Shown | None = None) -> None:
        """Take steps in slices between which keystrokes are served, and none while somebody types."""
        with closing(steps):
            slice_end = monotonic() + SLICE_SECONDS
            for step in steps:
                if not step.is_idle and monotonic() < slice_end:
                    continue
                if progress is not None:
                    progress.report(f"{step.done} files", min(step.done / step.total, 1.0) if step.total else None)
                await asyncio.sleep(IDLE_SECONDS if step.is_idle else 0)
                if step.is_ready:
                    await self._until_typing_rests()
                slice_end = monotonic() + SLICE_SECONDS

    async def _watch(self, folder: Folder) -> None:
        """Follow the folder's files on disk, by polling where the system has no watches left."""
        from watchfiles import awatch

        root = folder.root.resolve()
        for polling in (False, True):
            try:
                async for changes in awatch(
                    root, watch_filter=None, force_polling=polling, poll_delay_ms=POLL_MS, ignore_permission_denied=True
                ):
                    await self._gather(folder, [Path(path).relative_to(root).as_posix() for _, path in changes])
            except (OSError, RuntimeError) as limit:  # RuntimeError: what the watcher calls errors it has no name for
                log.warning("%s: changed files are found by polling", type(limit).__name__)
                folder.changed.add("")  # what was missed meanwhile
                self.refresh([folder])

    async def _gather(self, folder: Folder, changed: list[str]) -> None:
        for start in range(0, len(changed), WATCHED_STEP):
            folder.changed.update(path for path in changed[start : start + WATCHED_STEP] if is_news(path))
            await asyncio.sleep(0)
        if folder.changed:
            self.refresh([folder])
