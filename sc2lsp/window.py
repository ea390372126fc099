"""One editor window's state behind the handlers: settings, session, backend, and what it tells the editor of them."""

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from sc2lsp import __version__, daemon
from sc2lsp.backend import Backend, BackendError, State, absolute_model, create, runs_here
from sc2lsp.config import Config, ConfigError, differ_in_asking_only, load
from sc2lsp.context.document import Edit, Encoding
from sc2lsp.context.languages import language_of
from sc2lsp.control import Control, file_pattern
from sc2lsp.convert import roots_of, says, settings_of
from sc2lsp.desk import Ask, Suggestion
from sc2lsp.feedback import Feedback, statistics_path
from sc2lsp.indexing import Indexing
from sc2lsp.keystroke import Keystrokes
from sc2lsp.language_ids import language_for_id
from sc2lsp.notebooks import SELECTOR, Notebooks, Spot
from sc2lsp.progress import Progress
from sc2lsp.session import Folder, Session, index_cache
from sc2lsp.status import OPEN_SETTINGS, TRY_AGAIN, Action, Status, status_of
from sc2lsp.transport import LspServer

STATUS = "$/sc2lsp/status"  # clients may ignore what begins with "$/"


class Window(LspServer):
    """The state behind the handlers."""

    def __init__(self, client_process_id: int | None) -> None:
        super().__init__("sc2lsp", __version__)
        self.client_process_id = client_process_id
        self._notebook_document_sync = SELECTOR
        self.notebooks = Notebooks()
        self.control = Control()
        self._initial: Mapping[str, Any] = {}  # the editor's settings as it started ...
        self._editor: Mapping[str, Any] = {}  # ... and with what it changed since
        self._tasks: set[asyncio.Task[None]] = set()
        self.watchdog: asyncio.Task[None] | None = None  # outlives `close`: an editor may die before its `exit`
        self._told: set[str] = set()
        self._shows_status = False  # the editor does, by itself
        self.replaces = True  # the editor, what follows the cursor
        self._warnings: dict[Path | None, Status] = {}  # what cannot be used: folders, and of the settings at None
        self._known_status: Status | None = None  # as the editor knows it
        self.focused: Path | None = None  # the document that was worked in last
        self.feedback = Feedback(None)
        self._set_up(Config())
        # All of it mutates on the event loop only.

    def _set_up(self, config: Config) -> None:
        self.session = Session(config, index_cache(config))
        self._set_up_backend(config)

    def _set_up_backend(self, config: Config) -> None:
        self._state = State("starting", "starting")
        self.backend = self._backend(config)
        self.backend.on_state = self._on_state
        self._set_up_work(config)

    def _set_up_work(self, config: Config) -> None:
        self.keystrokes = Keystrokes(self.backend, config, self.feedback, self.session.document)
        self.indexing = Indexing(self.session, self.backend, lambda title: Progress(self, title))

    def _backend(self, config: Config) -> Backend:
        try:
            return create(config)
        except (ConfigError, BackendError) as wrong:
            self._warn(None, str(wrong), OPEN_SETTINGS)
            return create(Config())

    @property
    def encoding(self) -> Encoding:
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    def start(self, params: types.InitializeParams) -> None:
        """Configure from what the client sent, or without it where it cannot be used."""
        self._shows_status = says(params, "status") is True
        self.replaces = says(params, "replaces") is not False
        self._editor = self._initial = settings_of(params.initialization_options)
        config = self._load()
        self.feedback = Feedback(statistics_path() if config.statistics else None)
        self._set_up(config)
        for root in roots_of(params):
            self.add_folder(root)

    def follow(self) -> None:
        """Have the runtime ready before the first keystroke asks for it, and the folders indexed."""
        self.background(self._load_model())
        self._follow_folders()

    def _follow_folders(self) -> None:
        for folder in self.session.folders.values():
            self.indexing.follow(folder)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Other settings from the editor."""
        self._editor = {**self._initial, **settings}
        self.control.choose(None)
        self.apply()
        self.show_status()

    def choose_model(self, model: str) -> None:
        """Until the settings change."""
        self.control.choose(model)
        self.apply()

    def apply(self) -> None:
        """Let what is set and switched hold from the next message on."""
        was_wrong = None in self._warnings  # then the backend is another than was asked for
        config, last = self._load(), self.session.config
        if config == last and not was_wrong:
            return
        keeps_backend = differ_in_asking_only(config, last) and not was_wrong
        self._put_down()
        try:
            self.session.reconfigure(config)
        except ConfigError as wrong:
            self._warn(None, str(wrong), OPEN_SETTINGS)
        if keeps_backend:
            self._set_up_work(config)
        else:
            self.background(self.backend.close())
            self._set_up_backend(config)
            self.background(self._load_model())
        self._follow_folders()
        self.show_status()

    def _load(self) -> Config:
        """The settings; without the editor's where those cannot be used, and the defaults where the user's cannot."""
        self._warnings.pop(None, None)
        for editor in (self._editor, {}):
            try:
                return self.control.applied(load(editor))
            except ConfigError as wrong:
                self._warn(None, str(wrong), OPEN_SETTINGS)
        return self.control.applied(Config())

    def add_folder(self, root: Path) -> Folder | None:
        self._warnings.pop(root, None)
        is_unreadable = root.exists() and not os.access(root, os.R_OK | os.X_OK)
        if is_unreadable:
            self._warn(root, f"{root} may not be read: nothing is known of its files; let yourself read it", TRY_AGAIN)
        try:
            return self.session.add_folder(root)
        except ConfigError as wrong:
            if not is_unreadable:
                self._warn(root, f"{wrong}; nothing is completed in {root.name} until it is mended", TRY_AGAIN)
            return None

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _warn(self, about: Path | None, message: str, action: Action) -> None:
        self._warnings[about] = Status("Warning", message, action=action)
        self.tell(message)

    def tell(self, message: str) -> None:
        """Show a message once, unless the editor shows the status, and it says so."""
        said = {status.message for status in self._warnings.values()} | {self._state.text}
        if message not in self._told and not (self._shows_status and message in said):
            self._told.add(message)
            shown = types.ShowMessageParams(types.MessageType.Warning, f"sc2lsp: {message}")
            asyncio.get_running_loop().call_soon(self.window_show_message, shown)

    def _on_state(self, state: State) -> None:
        self._state = state
        self.show_status()

    @property
    def status(self) -> Status:
        """Of the document that was worked in last."""
        why_off = None
        if self.focused is not None and self.session.document(self.focused) is not None:
            why_off = self.session.why_off(self.focused)
        warning = next(iter(self._warnings.values()), None)
        return status_of(self.session.config, self._state, warning, why_off, self.control.paused_seconds)

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

    def open_document(self, path: Path, text: str, version: int, language_id: str) -> None:
        self.keystrokes.closed(path)
        self.session.open(path, text, version, language_of(f"x{language_for_id(language_id) or ''}"))
        self.focus(path)

    def change_document(self, path: Path, edits: Sequence[Edit], version: int) -> None:
        self.indexing.typed(path)
        self.focus(path)
        self.keystrokes.edited(path, self.session.change(path, edits, version, self.encoding))

    def close_document(self, path: Path) -> None:
        self.keystrokes.closed(path)
        self.indexing.refresh(self.session.close(path))

    def focus(self, path: Path) -> None:
        if path != self.focused:
            self.focused = path
            self.show_status()

    def ask(self, spot: Spot, position: types.Position, context: types.InlineCompletionContext) -> Ask | None:
        """What is asked for; None where nothing is completed."""
        target = self.session.target(spot.path, spot.into(position), self.encoding)
        if target is None or not spot.is_completed or self.control.paused_seconds is not None:
            return None
        info, selected, document, offset = context.selected_completion_info, None, target.document, target.offset
        if info is not None:
            edit = Edit(spot.into(info.range.start), spot.into(info.range.end), info.text)
            selected = document.splice_of(edit, self.encoding)
            target = target.after(selected)
        is_explicit = context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
        return Ask(document, offset, target, selected, is_explicit)

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
        """Another connection, to a new runtime where it is a local one; what could not be read is read again."""
        config = self.session.config
        self._put_down()
        self.background(self.backend.close())
        try:
            for runtime in await daemon.running() if runs_here(config) else ():
                if runtime.endpoint == daemon.endpoint(absolute_model(config.model)):
                    await daemon.stop(runtime)
        except daemon.DaemonError as failure:
            self.tell(str(failure))
        for root in [root for root in self._warnings if root is not None]:
            self.add_folder(root)
        self._set_up_backend(config)
        self.follow()
        self.show_status()

    def _put_down(self) -> None:
        self.indexing.close()
        self.keystrokes.close()

    async def close(self) -> None:
        """The end of everything that works for this window."""
        self._put_down()
        for task in self._tasks:
            task.cancel()
        await self.backend.close()
        await asyncio.to_thread(self.feedback.close)
