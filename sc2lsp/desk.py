"""What the keystroke path keeps of one document: who asks, what is under way, what is known, what is on the screen.

Values and their rules only; `keystroke` decides what happens.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Literal

from sc2lsp.completion import Completion, Result
from sc2lsp.context.document import Document, Splice
from sc2lsp.known import Anchor, Memory, Stretch
from sc2lsp.session import Target
from sc2lsp.spans import Span

Source = Literal["model", "typed", "known", "continuation"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for suggestions at `offset` in a document, code points; `target` is where they are wanted.

    The target is that place, or, where the editor has an item of its own list selected, behind that item.
    """

    document: Document
    offset: int
    target: Target
    selected: Splice | None = None
    is_explicit: bool = False

    @property
    def ahead(self) -> str | None:
        """What the selected item adds to what is typed; None where it says something else."""
        if self.selected is None:
            return ""
        typed = self.document.text[self.selected.start : self.offset]
        is_more = self.selected.end == self.offset and self.selected.text.startswith(typed)
        return self.selected.text[len(typed) :] if is_more else None

    @property
    def anchor(self) -> Anchor:
        """Where an answer holds: behind the line up to the target."""
        return self._anchor(self.selected or Splice(self.offset, self.offset, ""))

    def anchor_behind(self, completion: Completion) -> Anchor:
        """Where an answer to the request that follows a completion would hold."""
        return self._anchor(Splice(completion.start, completion.end, completion.text))

    def behind(self, completion: Completion) -> "Ask":
        """The request that an editor will send once a completion is accepted."""
        splice = Splice(completion.start, completion.end, completion.text)
        return replace(self, target=replace(self.target.after(splice), is_continuation=True))

    def _anchor(self, splice: Splice) -> Anchor:
        """Behind the cursor's line with a splice made in it."""
        start = self.document.lines.start(self.document.lines.line_of(splice.start))
        text = self.document.text
        before = text[start : splice.start] + splice.text
        return Anchor(Stretch(start, text[start : max(splice.end, self.offset)]), before)


@dataclass(frozen=True, slots=True)
class Given:
    """What a model answered, once; `id` is the suggestion's for as long as it is shown."""

    id: str
    completions: tuple[Completion, ...]
    result: Result
    source: Source
    is_explicit: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is shown for one request; offsets are those of its target's document. Without completions, `reason`."""

    id: str
    completions: tuple[Completion, ...]
    source: Source
    result: Result | None = None
    waited_ms: float = 0.0
    reason: str = ""


class Flight:
    """A generation under way, for a request or ahead of one."""

    def __init__(self, ask: Ask, anchor: Anchor, source: Source) -> None:
        self.ask = ask
        self.anchor: Anchor | None = anchor
        self.source: Source = source
        self.text = ""  # so far
        self._started = monotonic()
        self.task: asyncio.Task[Given]
        # Mutated by: watch, and the Keystrokes that started it, on the event loop.

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return monotonic() - self._started

    def watch(self, text: str) -> None:
        self.text = text

    def follow(self, splices: Sequence[Splice]) -> bool:
        """Whether what is being typed may still be what it is writing."""
        self.anchor = None if self.anchor is None else self.anchor.follow(splices)
        return self.anchor is not None and self.anchor.admits(self.text)

    def serves(self, ask: Ask) -> bool:
        """Whether its answer will be one to a request."""
        if self.task.done() or (ask.is_explicit and not self.ask.is_explicit):
            return False
        if self.anchor is None or ask.ahead is None:
            return False
        typed = self.anchor.typed(ask.offset, ask.ahead)
        return typed is not None and (not typed or (bool(self.text) and self.anchor.admits(self.text)))

    def is_typed_through(self) -> bool:
        """Whether the text has gone on since it was asked for."""
        return self.anchor is not None and self.anchor.stretch.text != self.anchor.before


@dataclass(frozen=True, slots=True)
class Showing:
    """What an editor shows, as far as we know, and where."""

    id: str
    anchor: Anchor
    texts: tuple[str, ...]

    def follow(self, splices: Sequence[Splice]) -> "Showing | None":
        """After edits; None where nothing of it can be shown any more."""
        anchor = self.anchor.follow(splices)
        if anchor is None or not any(anchor.admits(text) for text in self.texts):
            return None
        return replace(self, anchor=anchor)

    def accepted_by(self, splices: Sequence[Splice]) -> "Accepted | None":
        """The suggestion where edits put a whole one in at once; who types does so key by key."""
        anchor = self.anchor.follow(splices)
        if anchor is None or len(splices[-1].text) < 2:
            return None
        said, start = anchor.stretch.text, anchor.stretch.start + len(anchor.before)
        text = next((text for text in self.texts if said == anchor.before + text), None)
        return None if text is None else Accepted(self.id, text, Span(start, start + len(text)))


@dataclass(slots=True)
class Accepted:
    """A suggestion that was accepted: its text, and where it is by now."""

    id: str
    text: str
    span: Span


@dataclass(slots=True)
class Desk:
    """Of one document. Mutated by the Keystrokes that owns it, on the event loop."""

    memory: Memory[Given] = field(default_factory=Memory)
    asking: asyncio.Task[Suggestion] | None = None
    flight: Flight | None = None
    reading: asyncio.TimerHandle | None = None  # until what follows the suggestion is computed
    newest: Target | None = None  # that was asked for
    ranking: asyncio.TimerHandle | None = None  # until context is looked for there
    showing: Showing | None = None
    accepted_at: int | None = None  # the end of a suggestion that the last edit accepted
    accepted: list[Accepted] = field(default_factory=list)  # whose fate is still watched
    last: tuple[Ask, Suggestion] | None = None

    def supersede(self) -> None:
        """Nobody waits for the newest request any more; what it waits for goes on."""
        if self.asking is not None:
            self.asking.cancel()
            self.asking = None
        if self.reading is not None:
            self.reading.cancel()
            self.reading = None

    def drop_flight(self) -> None:
        if self.flight is not None:
            self.flight.task.cancel()
            self.flight = None
