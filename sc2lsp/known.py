"""What is known of a document already: answers that still hold where the text says what they began with.

An answer holds at a line that reads as when it was asked, or as if some of the answer had been typed: after typing
through what is shown, after backspacing to where it was shown, after accepting what it continues. Texts are followed
through edits, so that a keystroke costs nothing for the rest of the document. Knows no model and no editor.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sc2lsp.context.document import Splice

REMEMBERED = 32  # answers of a document
CLOSERS = ")]}>\"'`"  # what editors put behind the cursor by themselves


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a document, from its code point `start`: what it says by now."""

    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def follow(self, splice: Splice) -> "Stretch | None":
        """After an edit inside it; None when something else has changed."""
        if splice.start < self.start or splice.end > self.end:
            return None
        start, end = splice.start - self.start, splice.end - self.start
        return Stretch(self.start, self.text[:start] + splice.text + self.text[end:])


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where an answer holds: its line says `before`, the text the answer continues, and then some of the answer."""

    stretch: Stretch
    before: str

    def follow(self, splices: Iterable[Splice]) -> "Anchor | None":
        """After edits; None when they were made elsewhere."""
        stretch: Stretch | None = self.stretch
        for splice in splices:
            stretch = stretch.follow(splice) if stretch is not None else None
        return None if stretch is None else replace(self, stretch=stretch)

    def typed(self, offset: int, ahead: str = "") -> str | None:
        """What was typed of the answer before a cursor, with what is imagined there; None where it does not hold."""
        if not self.stretch.start <= offset <= self.stretch.end:
            return None
        said = self.stretch.text[: offset - self.stretch.start] + ahead
        return said[len(self.before) :] if said.startswith(self.before) else None

    def admits(self, answer: str) -> bool:
        """Whether the line may still become what it was with some of the answer, as far as there is an answer."""
        whole = self.before + answer
        said = self.stretch.text
        return any(
            self.before.startswith(text) or (answer and (whole.startswith(text) or text.startswith(whole)))
            for text in (said, said.rstrip(CLOSERS))
        )


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Known(Generic[Answer]):
    """An answer, and where it holds."""

    anchor: Anchor
    answer: Answer


class Memory(Generic[Answer]):
    """The last answers in one document."""

    def __init__(self) -> None:
        self._known: deque[Known[Answer]] = deque(maxlen=REMEMBERED)
        # Mutated by: follow, add; on the event loop.

    def follow(self, splices: Iterable[Splice]) -> None:
        """Forget what edits made doubtful."""
        followed = ((known.anchor.follow(splices), known.answer) for known in self._known)
        kept = [Known(anchor, answer) for anchor, answer in followed if anchor is not None]
        self._known = deque(kept, REMEMBERED)

    def add(self, anchor: Anchor, answer: Answer) -> None:
        self._known.append(Known(anchor, answer))

    def holds(self, anchor: Anchor) -> bool:
        """Whether there is an answer for just that place."""
        return any(
            known.anchor.before == anchor.before and known.anchor.stretch.start == anchor.stretch.start
            for known in self._known
        )

    def at(self, offset: int, ahead: str = "") -> list[tuple[str, Answer]]:
        """What was typed, and the answer it may begin, of all that may hold at a cursor: the latest first."""
        found = ((known.anchor.typed(offset, ahead), known.answer) for known in reversed(self._known))
        return [(typed, answer) for typed, answer in found if typed is not None]
