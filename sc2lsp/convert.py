"""Between the protocol's types and ours. Lines count from 0 in both; characters are in code units of an encoding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.uris import to_fs_path

from sc2lsp.completion import Completion
from sc2lsp.context.document import Document, Edit, Encoding, Position, Splice
from sc2lsp.desk import Ask, Suggestion

ACCEPTED = "sc2lsp.accepted"


def path_of(uri: str) -> Path:
    """A file's absolute path; a document that is no file gets a place that exists nowhere."""
    scheme, _, rest = uri.partition(":")
    path = to_fs_path(uri) if scheme == "file" else None
    return Path(path) if path else Path(f"/{scheme or 'untitled'}", rest.strip("/") or "untitled")


def roots_of(params: types.InitializeParams) -> list[Path]:
    """The workspace folders, or the one root of older clients."""
    if params.workspace_folders:
        return [path_of(folder.uri) for folder in params.workspace_folders]
    if params.root_uri:
        return [path_of(params.root_uri)]
    return [Path(params.root_path)] if params.root_path else []


def settings_of(value: Any, section: str | None = None) -> Mapping[str, Any]:
    """Settings as an editor sends them, or of the `section` in them where there is one, without those that are null."""
    settings = cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}
    if section is not None and section in settings:
        return settings_of(settings[section])
    return {name: setting for name, setting in settings.items() if setting is not None}


def position_of(position: types.Position) -> Position:
    return Position(position.line, position.character)


def edit_of(change: types.TextDocumentContentChangeEvent) -> Edit:
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return Edit(None, None, change.text)
    return Edit(position_of(change.range.start), position_of(change.range.end), change.text)


def selected_of(info: types.SelectedCompletionInfo | None, document: Document, encoding: Encoding) -> Splice | None:
    """The item that is selected in the editor's own list, as the edit it would make."""
    if info is None:
        return None
    edit = Edit(position_of(info.range.start), position_of(info.range.end), info.text)
    return document.splice_of(edit, encoding)


def items_of(suggestion: Suggestion, ask: Ask, encoding: Encoding) -> list[types.InlineCompletionItem]:
    """Each with a command that tells us when it is taken."""
    return [
        types.InlineCompletionItem(
            insert_text=completion.text if ask.selected is None else ask.selected.text + completion.text,
            range=_range(completion, ask, encoding),
            command=types.Command(title="accepted", command=ACCEPTED, arguments=[suggestion.id, number]),
        )
        for number, completion in enumerate(suggestion.completions)
    ]


def _range(completion: Completion, ask: Ask, encoding: Encoding) -> types.Range:
    start, end = completion.start, completion.end
    if ask.selected is not None:  # offsets are those behind the selected item
        start, end = ask.selected.start, max(ask.selected.end, ask.offset) + end - start
    first, last = (ask.document.position(offset, encoding) for offset in (start, end))
    return types.Range(types.Position(first.line, first.character), types.Position(last.line, last.character))


def partly_accepted(params: Any) -> tuple[str, int]:
    """The id in `{item, acceptedLength}`, and how many characters were accepted by now."""
    return str(params.item.command.arguments[0]), int(params.acceptedLength)
