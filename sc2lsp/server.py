"""The language server's handlers, each short: unpack, call, convert."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from sc2lsp import __version__, daemon
from sc2lsp.backend import Backend, BackendError, State, absolute_model, create
from sc2lsp.config import Config, ConfigError, load
from sc2lsp.context.document import Encoding
from sc2lsp.control import Control, file_pattern
from sc2lsp.convert import (
    ACCEPTED,
    edit_of,
    items_of,
    partly_accepted,
    path_of,
    position_of,
    roots_of,
    selected_of,
    settings_of,
)
from sc2lsp.desk import Ask, Suggestion
from sc2lsp.explain import explained
from sc2lsp.feedback import Feedback, statistics_path
from sc2lsp.indexing import Indexing
from sc2lsp.keystroke import Keystrokes
from sc2lsp.progress import Progress
from sc2lsp.session import Folder, Session, index_cache
from sc2lsp.status import Status, status_of
from sc2lsp.transport import StdioServer

# What clients of Copilot's language server say of suggestions.
SHOWN, PARTLY_ACCEPTED = "textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"
STATUS = "$/sc2lsp/status"  # clients may ignore what begins with "$/"
SECTION = "sc2lsp"  # of an editor's settings
log = logging.getLogger("sc2lsp")


class Server(StdioServer):
    """The state behind the handlers."""

    def __init__(self, client_process_id: int | None) -> None:
        super().__init__("sc2lsp", __version__)
        self.client_process_id = client_process_id
        self.control = Control()
        self._editor: Mapping[str, Any] = {}  # the editor's settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()
        self._state = State("starting", "starting")
        self._known_status: Status | None = None  # as the editor knows it
        self.focused: Path | None = None  # the document that was worked in last
        self.feedback = Feedback(None)
        self._set_up(Config())
        # All of it mutates on the event loop only.

    def _set_up(self, config: Config) -> None:
        self.session = Session(config, index_cache(config))
        self._set_up_backend(config)

    def _set_up_backend(self, config: Config) -> None:
        self.backend: Backend = create(config)
        self.backend.on_state = self._on_state
        self.keystrokes = Keystrokes(self.backend, config, self.feedback, self.session.document)
        self.indexing = Indexing(self.session, self.backend, lambda title: Progress(self, title))

    @property
    def encoding(self) -> Encoding:
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    def start(self, params: types.InitializeParams) -> None:
        """Configure from what the client sent, or without it where it cannot be used."""
        self._editor = settings_of(params.initialization_options)
        config = self._load()
        self.feedback = Feedback(statistics_path() if config.statistics else None)
        self._set_up(config)
        for root in roots_of(params):
            self.add_folder(root)

    def follow(self) -> None:
        """Have the runtime ready before the first keystroke asks for it, and the folders indexed."""
        self.background(self._load_model())
        for folder in self.session.folders.values():
            self.indexing.follow(folder)

    async def configure(self, settings: Mapping[str, Any]) -> None:
        """Other settings from the editor."""
        self._editor = settings
        await self.apply()

    async def apply(self) -> None:
        """Let what is set and switched hold from now on."""
        config = self._load()
        if config == self.session.config:
            return
        await self._put_down()
        try:
            self.session.reconfigure(config)
        except ConfigError as wrong:
            self.tell(str(wrong))
        self._set_up_backend(config)
        self.follow()
        self.show_status()

    def _load(self) -> Config:
        """The settings; without the editor's where those cannot be used, and the defaults where the user's cannot."""
        for editor in (self._editor, {}):
            try:
                return self.control.applied(load(editor))
            except ConfigError as wrong:
                self.tell(str(wrong))
        return self.control.applied(Config())

    def add_folder(self, root: Path) -> Folder | None:
        try:
            return self.session.add_folder(root)
        except ConfigError as wrong:
            self.tell(f"{wrong}; nothing is completed in {root.name} until it is mended")
            return None

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, message: str) -> None:
        """Show a message once."""
        if message not in self._told:
            self._told.add(message)
            shown = types.ShowMessageParams(types.MessageType.Warning, f"sc2lsp: {message}")
            asyncio.get_running_loop().call_soon(self.window_show_message, shown)

    def _on_state(self, state: State) -> None:
        self._state = state
        self.show_status()

    @property
    def status(self) -> Status:
        """Of the document that was worked in last."""
        config = self.session.config
        why_off = None if config.enabled else "completion is turned off"
        if why_off is None and self.focused is not None and self.session.document(self.focused) is not None:
            why_off = self.session.why_off(self.focused)
        return status_of(self._state, why_off, self.control.paused_seconds)

    def show_status(self) -> None:
        status = self.status
        if status != self._known_status:
            self._known_status = status
            self.protocol.notify(STATUS, asdict(status))

    async def _load_model(self) -> None:
        async with Progress(self, "Loading model") as progress:
            self.backend.on_status = progress.report
            try:
                await self.backend.model()
            except BackendError as failure:
                self.tell(str(failure))
            finally:
                self.backend.on_status = None

    def changed(self, path: Path, edits: list[types.TextDocumentContentChangeEvent], version: int) -> None:
        self.indexing.typed(path)
        self.focus(path)
        splices = self.session.change(path, [edit_of(edit) for edit in edits], version, self.encoding)
        self.keystrokes.edited(path, splices)

    def focus(self, path: Path) -> None:
        if path != self.focused:
            self.focused = path
            self.show_status()

    def ask(self, path: Path, params: types.InlineCompletionParams) -> Ask | None:
        """What is asked for; None where nothing is completed."""
        target = self.session.target(path, position_of(params.position), self.encoding)
        if target is None or self.control.paused_seconds is not None:
            return None
        document, offset = target.document, target.offset
        selected = selected_of(params.context.selected_completion_info, document, self.encoding)
        is_explicit = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
        return Ask(document, offset, target.after(selected) if selected is not None else target, selected, is_explicit)

    async def suggest(self, path: Path, ask: Ask) -> Suggestion | None:
        """None where a newer request came. What goes wrong costs the suggestion, not the server."""
        nothing = Suggestion("", (), "model")
        try:
            return await self.keystrokes.suggest(path, ask)
        except BackendError as failure:
            self.tell(str(failure))
        except Exception as bug:  # noqa: BLE001 - the one guard
            self.report_server_error(bug, Keystrokes.suggest)
        return nothing

    def toggle(self, scope: str, path: Path | None) -> None:
        """Completion off where it is on, or back, for this window. Raises JsonRpcInvalidParams."""
        document = None if path is None else self.session.document(path)
        if scope == "all":
            self.control.toggle("all", "")
        elif path is not None and scope == "folder":
            self.control.toggle("folder", str(self.session.folder_of(path).root))
        elif path is not None and scope == "file":
            self.control.toggle("file", file_pattern(self.session.folder_of(path).root, path))
        elif scope == "language" and document is not None and document.language is not None:
            self.control.toggle("language", document.language.name)
        else:
            raise JsonRpcInvalidParams(
                "toggle takes all, language, folder or file; the latter three of an open document"
            )

    async def restart(self) -> None:
        """Another connection, to a new runtime where it is a local one."""
        config = self.session.config
        await self._put_down()
        try:
            for runtime in [] if config.endpoint else await daemon.running():
                if runtime.endpoint == daemon.endpoint(absolute_model(config.model)):
                    await daemon.stop(runtime)
        except daemon.DaemonError as failure:
            self.tell(str(failure))
        self._set_up_backend(config)
        self.follow()

    async def _put_down(self) -> None:
        self.indexing.close()
        self.keystrokes.close()
        await self.backend.close()

    async def stop(self) -> None:
        await self._put_down()
        await asyncio.to_thread(self.feedback.close)


def create_server(client_process_id: int | None = None) -> Server:
    """A server with its handlers; it ends when the process that its client names, or this one, has ended."""
    server = Server(client_process_id)
    _life(server)
    _documents(server)
    _suggestions(server)
    _commands(server)
    return server


def _life(server: Server) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.start(params)

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        server.follow()
        server.show_status()
        parent = server.process_id or server.client_process_id
        if parent is not None:
            server.background(server.end_with_parent(parent))

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        workspace = server.client_capabilities.workspace
        if params.settings is None and workspace is not None and workspace.configuration:
            asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
            (settings,) = await server.workspace_configuration_async(asked)
            await server.configure(settings_of(settings))
        else:
            await server.configure(settings_of(params.settings, SECTION))

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: None) -> None:
        await server.stop()


def _documents(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document, path = params.text_document, path_of(params.text_document.uri)
        server.keystrokes.closed(path)
        server.session.open(path, document.text, document.version)
        server.focus(path)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        server.changed(path_of(params.text_document.uri), list(params.content_changes), params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        server.session.save(path_of(params.text_document.uri))

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        path = path_of(params.text_document.uri)
        server.keystrokes.closed(path)
        server.indexing.refresh(server.session.close(path))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(params: types.DidChangeWatchedFilesParams) -> None:
        server.indexing.refresh(server.session.changed(path_of(change.uri) for change in params.changes))

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        for removed in params.event.removed:
            server.indexing.leave(path_of(removed.uri))
            server.session.remove_folder(path_of(removed.uri))
        for added in params.event.added:
            folder = server.add_folder(path_of(added.uri))
            if folder is not None:
                server.indexing.follow(folder)


def _suggestions(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList | None:
        path = path_of(params.text_document.uri)
        server.focus(path)
        ask = server.ask(path, params)
        if ask is None:
            return types.InlineCompletionList([])
        suggestion = await server.suggest(path, ask)
        return None if suggestion is None else types.InlineCompletionList(items_of(suggestion, ask, server.encoding))

    @server.feature(SHOWN)
    def did_show(_: Any) -> None:
        """Clients of Copilot's server say so; here a suggestion counts as shown when it is sent."""

    @server.feature(PARTLY_ACCEPTED)
    def did_partly_accept(params: Any) -> None:
        id, characters = partly_accepted(params)
        server.feedback.partly(id, characters, None)


def _commands(server: Server) -> None:
    @server.command(ACCEPTED)
    def accepted(*arguments: Any) -> None:
        """The id of a suggestion that was taken, and the number of the alternative."""
        if arguments:
            server.feedback.accepted(str(arguments[0]))

    @server.command("sc2lsp.explain")
    async def explain(*arguments: Any) -> Any:
        """Of a document's URI, or of the document that was worked in last: why its last suggestion is what it is."""
        path = path_of(str(arguments[0])) if arguments else server.focused
        last = None if path is None else server.keystrokes.last(path)
        return None if last is None else explained(*last, await server.backend.model())

    @server.command("sc2lsp.status")
    def status(*_: Any) -> Any:
        return asdict(server.status)

    @server.command("sc2lsp.pause")
    def pause(*arguments: Any) -> Any:
        """For so many minutes, or until `sc2lsp.resume`."""
        server.control.pause(float(arguments[0]) if arguments else None)
        server.show_status()
        return asdict(server.status)

    @server.command("sc2lsp.resume")
    def resume(*_: Any) -> Any:
        server.control.resume()
        server.show_status()
        return asdict(server.status)

    @server.command("sc2lsp.toggle")
    async def toggle(*arguments: Any) -> Any:
        """Completion off, or on again: "all", or "language", "folder" or "file" of a URI or of the last document."""
        scope, uri = (str(arguments[0]) if arguments else "all"), (str(arguments[1]) if arguments[1:] else None)
        server.toggle(scope, server.focused if uri is None else path_of(uri))
        await server.apply()
        return asdict(server.status)

    @server.command("sc2lsp.restart")
    async def restart(*_: Any) -> None:
        """Connect anew, to a runtime that is started anew where it is a local one of ours."""
        await server.restart()

    @server.command("sc2lsp.stats")
    async def stats(*arguments: Any) -> Any:
        """What `sc2lsp stats --json` prints; of the last days, if a number of them is given."""
        days = int(arguments[0]) if arguments else None
        from sc2lsp.stats import load as load_stats

        return msgspec.to_builtins(await asyncio.to_thread(load_stats, statistics_path(), days))
