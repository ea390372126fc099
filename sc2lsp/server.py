"""The language server's handlers, each short: unpack, call, convert."""

import asyncio
from dataclasses import asdict
from typing import Any

import msgspec
from lsprotocol import types

from sc2lsp.convert import ACCEPTED, edit_of, items_of, number_in, partly_accepted, path_of, settings_of
from sc2lsp.feedback import statistics_path
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.window import Window

SECTION = "sc2lsp"  # of an editor's settings
# What clients of Copilot's language server say of suggestions.
SHOWN, PARTLY_ACCEPTED = "textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"


def create_server(client_process_id: int | None = None) -> Window:
    """A server with its handlers; it ends when the process that its client names, or this one, has ended."""
    window = Window(client_process_id)
    _life(window)
    _documents(window)
    _suggestions(window)
    _commands(window)
    return window


def _life(window: Window) -> None:
    @window.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        window.start(params)

    @window.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        window.follow()
        window.show_status()
        parent = window.process_id or window.client_process_id
        if parent is not None:
            window.watchdog = asyncio.ensure_future(window.end_with_parent(parent))

    @window.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        workspace = window.client_capabilities.workspace
        if params.settings is None and workspace is not None and workspace.configuration:
            asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
            (settings,) = await window.workspace_configuration_async(asked)
            window.configure(settings_of(settings))
        else:
            window.configure(settings_of(params.settings, SECTION))


def _documents(window: Window) -> None:
    @window.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        window.open_document(path_of(document.uri), document.text, document.version, document.language_id)

    @window.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        edits = [edit_of(change) for change in params.content_changes]
        window.change_document(path_of(params.text_document.uri), edits, params.text_document.version)

    @window.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        window.session.save(path_of(params.text_document.uri))

    @window.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        window.close_document(path_of(params.text_document.uri))

    @window.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def did_open_notebook(params: types.DidOpenNotebookDocumentParams) -> None:
        path, notebook = window.notebooks.open(params)
        window.open_document(path, notebook.text, params.notebook_document.version, notebook.language_id)

    @window.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def did_change_notebook(params: types.DidChangeNotebookDocumentParams) -> None:
        path, edits = window.notebooks.change(params, window.encoding)
        document = window.session.document(path)
        if document is not None:  # the versions are ours: an editor counts one up for several changes
            window.change_document(path, edits, document.version + 1)

    @window.feature(types.NOTEBOOK_DOCUMENT_DID_SAVE)
    def did_save_notebook(params: types.DidSaveNotebookDocumentParams) -> None:
        window.session.save(path_of(params.notebook_document.uri))

    @window.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def did_close_notebook(params: types.DidCloseNotebookDocumentParams) -> None:
        window.close_document(window.notebooks.close(params))

    @window.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(params: types.DidChangeWatchedFilesParams) -> None:
        window.indexing.refresh(window.session.changed(path_of(change.uri) for change in params.changes))

    @window.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        for removed in params.event.removed:
            window.indexing.leave(path_of(removed.uri))
            window.session.remove_folder(path_of(removed.uri))
        for added in params.event.added:
            folder = window.add_folder(path_of(added.uri))
            if folder is not None:
                window.indexing.follow(folder)


def _suggestions(window: Window) -> None:
    @window.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList | None:
        spot = window.notebooks.spot(params.text_document.uri)
        window.focus(spot.path)
        ask = window.ask(spot, params.position, params.context)
        if ask is None:
            return types.InlineCompletionList([])
        suggestion = await window.suggest(spot.path, ask)
        if suggestion is None:
            return None

        def out_of(offset: int) -> types.Position:
            return spot.out_of(ask.document.position(offset, window.encoding))

        return types.InlineCompletionList(items_of(suggestion, ask, out_of, window.replaces))

    @window.feature(SHOWN)
    def did_show(_: Any) -> None:
        """Clients of Copilot's server say so; here a suggestion counts as shown when it is sent."""

    @window.feature(PARTLY_ACCEPTED)
    def did_partly_accept(params: Any) -> None:
        window.feedback.partly(*partly_accepted(params))


def _commands(window: Window) -> None:
    @window.command(ACCEPTED)
    def accepted(*arguments: Any) -> None:
        """The id of a suggestion that was taken, and the number of the alternative."""
        if arguments:
            window.feedback.accepted(str(arguments[0]))

    @window.command("sc2lsp.explain")
    async def explain(*arguments: Any) -> Any:
        """Of a document's URI, or of the document that was worked in last: why its last suggestion is what it is."""
        from sc2lsp.explain import explained

        path = path_of(str(arguments[0])) if arguments else window.focused
        last = None if path is None else window.keystrokes.last(path)
        return None if last is None else explained(*last, await window.backend.model())

    @window.command("sc2lsp.status")
    def status(*_: Any) -> Any:
        return asdict(window.status)

    @window.command("sc2lsp.pause")
    def pause(*arguments: Any) -> Any:
        """For so many minutes, or until `sc2lsp.resume`."""
        window.control.pause(number_in(arguments))
        window.show_status()
        return asdict(window.status)

    @window.command("sc2lsp.resume")
    def resume(*_: Any) -> Any:
        window.control.resume()
        window.show_status()
        return asdict(window.status)

    @window.command("sc2lsp.toggle")
    def toggle(*arguments: Any) -> Any:
        """Completion off, or on again: "all", or "language", "folder" or "file" of a URI or of the last document."""
        scope, uri = (str(arguments[0]) if arguments else "all"), (str(arguments[1]) if arguments[1:] else None)
        window.toggle(scope, window.focused if uri is None else path_of(uri))
        window.apply()
        return asdict(window.status)

    @window.command("sc2lsp.model")
    def model(*arguments: Any) -> Any:
        """Another model for this window, until its settings change: "embedded", a folder, a hub id."""
        window.choose_model(str(arguments[0]) if arguments else EMBEDDED)
        return asdict(window.status)

    @window.command("sc2lsp.restart")
    async def restart(*_: Any) -> None:
        """Connect anew, to a runtime that is started anew where it is a local one of ours."""
        await window.restart()

    @window.command("sc2lsp.stats")
    async def stats(*arguments: Any) -> Any:
        """What `sc2lsp stats --json` prints; of the last days, if a number of them is given."""
        days = number_in(arguments)
        from sc2lsp.stats import load as load_stats

        return msgspec.to_builtins(
            await asyncio.to_thread(load_stats, statistics_path(), None if days is None else int(days))
        )
