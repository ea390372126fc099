"""The language server's handlers, each short: unpack, call, convert."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any, cast

from lsprotocol import types
from pygls.uris import to_fs_path

from sc2lsp import __version__
from sc2lsp.backend import Backend, BackendError
from sc2lsp.completion import Completion, Result, complete
from sc2lsp.config import Config, ConfigError, load
from sc2lsp.context.document import Edit, Encoding, Position
from sc2lsp.context.scan import BACKGROUND, Step
from sc2lsp.context.workspace import is_news
from sc2lsp.feed import Feed
from sc2lsp.progress import Progress
from sc2lsp.session import Folder, Session, Target, index_cache
from sc2lsp.transport import StdioServer

ACCEPTED = "sc2lsp.accepted"
SLICE_SECONDS = 0.004  # so long indexing works between two looks at what the editor wants
IDLE_SECONDS = 0.01  # between two looks at what the workers say
TYPING_SECONDS = 0.5  # indexing rests until nothing was typed for so long
SETTLE_SECONDS = 0.3  # a pause in typing after which other files see what was typed
GATHER_SECONDS = 0.05  # changes on disk come in bursts
POLL_MS = 3000  # where the system has no watches left
WATCHED_STEP = 200  # changes looked at between two looks at what the editor wants
log = logging.getLogger("sc2lsp")


class Server(StdioServer):
    """The state behind the handlers: a session, a backend, and the requests under way."""

    def __init__(self, client_process_id: int | None) -> None:
        super().__init__("sc2lsp", __version__)
        self.client_process_id = client_process_id
        self.session = Session(Config())
        self.backend = Backend(self.session.config)
        self._running: dict[Path, asyncio.Task[Result]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()
        self.following: dict[Path, list[asyncio.Task[None]]] = {}  # folder -> what keeps its index
        self._stirred: defaultdict[Path, asyncio.Event] = defaultdict(
            asyncio.Event
        )  # folder -> set while something changed
        self._taken_in: defaultdict[Path, asyncio.Event] = defaultdict(asyncio.Event)  # folder -> set by a new index
        self._settling: dict[Path, asyncio.TimerHandle] = {}  # document -> when it is taken into the index
        self._typed = 0.0  # when
        # All of it mutates on the event loop only.

    @property
    def encoding(self) -> Encoding:
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    def start(self, params: types.InitializeParams) -> None:
        """Configure from what the client sent, or without it where it cannot be used."""
        options = params.initialization_options
        editor = cast(Mapping[str, Any], options) if isinstance(options, Mapping) else {}
        config = self._load(editor) or self._load({}) or Config()
        self.session = Session(config, index_cache(config))
        self.backend = Backend(config)
        for root in _roots(params):
            self.add_folder(root)

    def _load(self, editor: Mapping[str, Any]) -> Config | None:
        try:
            return load(editor)
        except ConfigError as wrong:
            self.tell(str(wrong))
            return None

    def add_folder(self, root: Path) -> Folder | None:
        try:
            return self.session.add_folder(root)
        except ConfigError as wrong:
            self.tell(f"{wrong}; nothing is completed in {root.name} until it is mended")
            return None

    def background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def tell(self, message: str) -> None:
        """Show a message once."""
        if message not in self._told:
            self._told.add(message)
            shown = types.ShowMessageParams(types.MessageType.Warning, f"sc2lsp: {message}")
            asyncio.get_running_loop().call_soon(self.window_show_message, shown)

    def follow(self, folder: Folder) -> None:
        """Index a folder, and keep the index as the disk is."""
        works = [self.index(folder), self.watch(folder)]
        if self.backend.may_index:
            works.append(self.feed(folder))
        self.following[folder.root] = [self.background(work) for work in works]

    def leave(self, root: Path) -> None:
        """The end of `follow`."""
        self._stirred.pop(root, None)
        self._taken_in.pop(root, None)
        for task in self.following.pop(root, ()):
            task.cancel()

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
        self._settling[path] = loop.call_later(SETTLE_SECONDS, self.settle, path)

    def settle(self, path: Path) -> None:
        self._settling.pop(path).cancel()
        self.session.save(path)
        self.refresh(self.session.changed([path]))

    async def index(self, folder: Folder) -> None:
        """Index a folder, and then what changes in it: one pass at a time, so that the later look wins."""
        async with Progress(self, f"Indexing {folder.name}") as progress:
            await self._run(folder.survey(BACKGROUND).scan(), progress)
        await self._catch_up(folder)
        await self.keep(folder)

    async def keep(self, folder: Folder) -> None:
        """Look at what changed, whenever something did."""
        stirred = self._stirred[folder.root]
        while True:
            await stirred.wait()
            await asyncio.sleep(GATHER_SECONDS)
            stirred.clear()
            await self._run(self.session.refresh(folder, BACKGROUND))
            await self._catch_up(folder)

    async def _catch_up(self, folder: Folder) -> None:
        """Let the search for similar code see what the index saw, between keystrokes."""
        slice_end = monotonic() + SLICE_SECONDS
        for _ in self.session.catch_up(folder):
            if monotonic() > slice_end:
                await asyncio.sleep(0)
                await self._until_typing_rests()
                slice_end = monotonic() + SLICE_SECONDS
        await asyncio.to_thread(folder.index.lexical.commit)
        self._taken_in[folder.root].set()

    async def feed(self, folder: Folder) -> None:
        """Let the runtime find drafts in what the index saw."""
        feed, taken_in = Feed(folder, self.backend), self._taken_in[folder.root]
        while True:
            await taken_in.wait()
            taken_in.clear()
            await feed.catch_up(self.session.texts(folder), self._until_typing_rests)

    async def _until_typing_rests(self) -> None:
        while monotonic() - self._typed < TYPING_SECONDS:  # noqa: ASYNC110 - a clock
            await asyncio.sleep(TYPING_SECONDS / 5)

    async def _run(self, steps: Generator[Step], progress: Progress | None = None) -> None:
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

    async def watch(self, folder: Folder) -> None:
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

    async def load_model(self) -> None:
        """Have the runtime ready before the first keystroke asks for it."""
        async with Progress(self, "Loading model") as progress:
            self.backend.on_status = progress.report
            try:
                await self.backend.model()
            except BackendError as failure:
                self.tell(str(failure))
            finally:
                self.backend.on_status = None

    def supersede(self, path: Path) -> None:
        """A newer keystroke in a document aborts what is generated for the older one."""
        running = self._running.pop(path, None)
        if running is not None:
            running.cancel()

    async def complete(self, path: Path, target: Target) -> Result | None:
        """The newest request of a document gets a result, an older one None. Raises BackendError."""
        self.supersede(path)
        task = self._running[path] = asyncio.ensure_future(complete(target, self.backend))
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # the client cancelled; pygls answers
            return None
        finally:
            if self._running.get(path) is task:
                del self._running[path]


def create_server(client_process_id: int | None = None) -> Server:
    """A server with its handlers; it ends when the process that its client names, or this one, has ended."""
    server = Server(client_process_id)

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.start(params)

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        server.background(server.load_model())
        for folder in server.session.folders.values():
            server.follow(folder)
        parent = server.process_id or server.client_process_id
        if parent is not None:
            server.background(server.end_with_parent(parent))

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        server.session.open(_path(document.uri), document.text, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        path = _path(params.text_document.uri)
        server.supersede(path)
        server.typed(path)
        edits = [_edit(change) for change in params.content_changes]
        server.session.change(path, edits, params.text_document.version, server.encoding)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        server.session.save(_path(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        path = _path(params.text_document.uri)
        server.supersede(path)
        server.refresh(server.session.close(path))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(params: types.DidChangeWatchedFilesParams) -> None:
        server.refresh(server.session.changed(_path(change.uri) for change in params.changes))

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        for removed in params.event.removed:
            server.leave(_path(removed.uri))
            server.session.remove_folder(_path(removed.uri))
        for added in params.event.added:
            folder = server.add_folder(_path(added.uri))
            if folder is not None:
                server.follow(folder)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList | None:
        path = _path(params.text_document.uri)
        position = Position(params.position.line, params.position.character)
        target = server.session.target(path, position, server.encoding)
        if target is None:
            return types.InlineCompletionList([])
        try:
            result = await server.complete(path, target)
        except BackendError as failure:
            server.tell(str(failure))
            return types.InlineCompletionList([])
        except Exception as bug:  # noqa: BLE001 - the one guard: a bug costs a suggestion, not the server
            server.report_server_error(bug, complete)
            return types.InlineCompletionList([])
        if result is None:
            return None
        items = [_item(completion, target, server.encoding) for completion in result.completions]
        return types.InlineCompletionList(items)

    @server.command(ACCEPTED)
    def accepted(*_: Any) -> None:
        """A suggestion was taken. Nothing is kept of it."""

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: None) -> None:
        for root in list(server.session.folders):
            server.leave(root)
        await server.backend.close()

    return server


def _item(completion: Completion, target: Target, encoding: Encoding) -> types.InlineCompletionItem:
    start, end = (target.document.position(offset, encoding) for offset in (completion.start, completion.end))
    return types.InlineCompletionItem(
        insert_text=completion.text,
        range=types.Range(types.Position(start.line, start.character), types.Position(end.line, end.character)),
        command=types.Command(title="accepted", command=ACCEPTED, arguments=[]),
    )


def _edit(change: types.TextDocumentContentChangeEvent) -> Edit:
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return Edit(None, None, change.text)
    start, end = change.range.start, change.range.end
    return Edit(Position(start.line, start.character), Position(end.line, end.character), change.text)


def _roots(params: types.InitializeParams) -> list[Path]:
    """The workspace folders, or the one root of older clients."""
    if params.workspace_folders:
        return [_path(folder.uri) for folder in params.workspace_folders]
    if params.root_uri:
        return [_path(params.root_uri)]
    return [Path(params.root_path)] if params.root_path else []


def _path(uri: str) -> Path:
    """A file's absolute path; a document that is no file gets a place that exists nowhere."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else Path("/untitled", uri.partition(":")[2].strip("/") or "untitled")
