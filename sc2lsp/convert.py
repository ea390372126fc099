"""Between the protocol's types and ours. Lines count from 0 in both; characters are in code units of an encoding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.uris import to_fs_path

from sc2lsp.completion import Completion
from sc2lsp.context.document import Edit, Position
from sc2lsp.desk import Ask, Suggestion
from sc2lsp.feedback import Unit

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
    return {name: setting for name, setting in settings.items() if setting is not None and name != "access_token"}


def says(params: types.InitializeParams, name: str) -> Any:
    """What an editor says of itself in `capabilities.experimental.sc2lsp`; None where it does not.

    `status` true: it shows what `$/sc2lsp/status` says. `replaces` false: it only inserts, and keeps what follows.
    """
    experimental: Any = params.capabilities.experimental
    try:
        return experimental["sc2lsp"][name]
    except (LookupError, TypeError):
        return None


def position_of(position: types.Position) -> Position:
    return Position(position.line, position.character)


def edit_of(change: types.TextDocumentContentChangeEvent) -> Edit:
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return Edit(None, None, change.text)
    return Edit(position_of(change.range.start), position_of(change.range.end), change.text)


def items_of(
    suggestion: Suggestion, ask: Ask, out_of: Callable[[int], types.Position], replaces: bool = True
) -> list[types.InlineCompletionItem]:
    """Each with a command that tells us when it is taken; `out_of` has the position of a code point."""
    completions = list(enumerate(suggestion.completions))
    if not replaces:
        cut = [(number, insertable(completion, ask.document.text)) for number, completion in completions]
        completions = [(number, completion) for number, completion in cut if completion is not None]
    return [
        types.InlineCompletionItem(
            insert_text=completion.text if ask.selected is None else ask.selected.text + completion.text,
            range=types.Range(*map(out_of, _replaced(completion, ask))),
            command=types.Command(title="accepted", command=ACCEPTED, arguments=[suggestion.id, number]),
        )
        for number, completion in completions
    ]


def insertable(completion: Completion, text: str) -> Completion | None:
    """What of a completion stands before the text that it takes the place of; None where nothing does."""
    place = completion.text.rfind(text[completion.start : completion.end])
    return replace(completion, text=completion.text[:place], end=completion.start) if place > 0 else None


def _replaced(completion: Completion, ask: Ask) -> tuple[int, int]:
    """Code points of the document that an item takes the place of."""
    if ask.selected is None:
        return completion.start, completion.end
    return ask.selected.start, max(ask.selected.end, ask.offset) + completion.end - completion.start


def partly_accepted(params: Any) -> tuple[str, int, Unit | None]:
    """Of `{item, acceptedLength, unit}` the id, how many characters were accepted by now, and what was taken at once.

    Raises JsonRpcInvalidParams.
    """
    try:
        unit = params.get("unit")
        id, characters = str(params["item"]["command"]["arguments"][0]), int(params["acceptedLength"])
        return id, characters, unit if unit in ("word", "line") else None
    except (AttributeError, LookupError, TypeError, ValueError):
        raise JsonRpcInvalidParams("an item with our command, and acceptedLength, are wanted") from None


def number_in(arguments: Sequence[Any]) -> float | None:
    """The number that a command was given, None where it was given nothing. Raises JsonRpcInvalidParams."""
    if not arguments or arguments[0] is None:
        return None
    if isinstance(arguments[0], bool) or not isinstance(arguments[0], int | float) or arguments[0] < 0:
        raise JsonRpcInvalidParams("a number is wanted")
    return float(arguments[0])
