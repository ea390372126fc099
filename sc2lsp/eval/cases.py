"""Cases: holes chosen evenly over a workspace's files, and each of them opened as if it were being written.

The index never sees a hole's text again once its case is open: what is indexed of a file is its open document. Asks
no model and keeps no score.
"""

from collections import deque
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from time import perf_counter

from sc2lsp.backend import Model
from sc2lsp.completion import build_prompt, find_snippets
from sc2lsp.context.document import Document, Edit, Position
from sc2lsp.context.languages import LANGUAGES, language_of
from sc2lsp.context.prompt import Order, Prompt
from sc2lsp.context.retrieve import Snippet
from sc2lsp.context.workspace import Skipped, read
from sc2lsp.eval.holes import Hole, Kind, cut, has_syntax
from sc2lsp.eval.records import Context
from sc2lsp.headless import InputError, Query, Workspace
from sc2lsp.session import Target

MOST_PER_FILE = 12  # of a small repository; a large one gives one of each file
TYPED = (1, 2, 3)  # characters between two suggestions


@dataclass(frozen=True, slots=True)
class Case:
    """A hole and the text of its file, hole included."""

    hole: Hole
    text: str

    @property
    def prefix(self) -> str:
        return self.text[: self.hole.start]

    @property
    def middle(self) -> str:
        return self.text[self.hole.start : self.hole.end]

    @property
    def suffix(self) -> str:
        return self.text[self.hole.end :]


@dataclass(frozen=True, slots=True)
class View:
    """A cursor, and what was found for it."""

    target: Target
    snippets: list[Snippet]
    context_ms: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A case's cursor, and the one after a keystroke more; None where the hole is no longer than that."""

    at_hole: View
    typed: Target | None

    def after_typing(self) -> View | None:
        return None if self.typed is None else _viewed(self.typed)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build the prompt."""

    context: Context
    order: Order


def build(
    model: Model, view: View, variant: Variant, limit: int, last: Prompt | None = None, healed: str = ""
) -> Prompt:
    """The prompt within `limit` tokens, as completion builds it behind the `last` one, without what is `healed`."""
    folder = view.target.folder
    target = replace(view.target, folder=replace(folder, config=replace(folder.config, order=variant.order)))
    return build_prompt(target, view.snippets if variant.context == "full" else [], model, limit, last, healed)


def languages_with_holes() -> tuple[str, ...]:
    return tuple(language.name for language in LANGUAGES if has_syntax(language))


def choose(
    workspace: Workspace, count: int, kinds: Sequence[Kind], languages: Collection[str], seed: int
) -> list[Case]:
    """At most `count` cases: a first hole of every file, then a second one, as far as that goes."""
    wanted = set(languages or languages_with_holes()) - set(workspace.folder.config.languages_off)
    paths = [
        path
        for path in sorted(workspace.folder.index.files)
        if (language := language_of(path)) is not None and language.name in wanted
    ]
    Random(seed).shuffle(paths)
    waiting = deque(_cases(workspace, path, kinds, seed) for path in paths)
    chosen: list[Case] = []
    while waiting and len(chosen) < count:
        of_file = waiting.popleft()
        case = next(of_file, None)
        if case is not None:
            chosen.append(case)
            waiting.append(of_file)
    return chosen


def _cases(workspace: Workspace, path: str, kinds: Sequence[Kind], seed: int) -> Iterator[Case]:
    text = read(workspace.folder.root, path)
    if not isinstance(text, Skipped):
        for hole in cut([(path, text)], kinds, MOST_PER_FILE, seed):
            yield Case(hole, text)


@contextmanager
def opened(workspace: Workspace, case: Case) -> Generator[Opened]:
    """The case's file without the hole, for as long as the `with` runs. Raises InputError where it may not be shown.

    What earlier cases opened and ranked has no part in it.
    """
    path, seen = case.hole.path, case.prefix + case.suffix
    place = Document.open(path, seen).position(case.hole.start, "utf-32")
    query = Query(path, path, place.line + 1, place.character + 1, seen)
    try:
        target = workspace.target(query)
        folder = replace(target.folder, rankings={}, prompts={})
        target = replace(target, folder=folder, recent=())
        yield Opened(_viewed(target), _typed(workspace, case, target, place))
    finally:
        workspace.close(query)


def _typed(workspace: Workspace, case: Case, target: Target, place: Position) -> Target | None:
    """The target after the first characters of the hole; how many is as good as random, and always the same."""
    count = Random(f"{case.hole}").choice(TYPED)
    text = case.middle[:count]
    if "\n" in text or len(case.middle) <= count:
        return None
    path = target.folder.root / case.hole.path
    workspace.session.change(path, [Edit(place, place, text)], target.document.version + 1, "utf-32")
    after = workspace.session.target(path, Position(place.line, place.character + count), "utf-32")
    if after is None:
        raise InputError(f"{case.hole.path} is excluded from completion")
    return replace(after, folder=target.folder, recent=())


def _viewed(target: Target) -> View:
    started = perf_counter()
    snippets = find_snippets(target)
    return View(target, snippets, (perf_counter() - started) * 1e3)
