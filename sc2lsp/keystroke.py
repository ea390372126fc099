"""The keystroke path: which requests reach a model, and what answers all others.

What is shown already and is typed through costs no model work; an answer under way is kept while the user types what it
says; what follows a suggestion is computed while that is read. Of a document only the newest request is answered.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from sc2lsp.alternatives import rank
from sc2lsp.backend import Backend
from sc2lsp.completion import ALTERNATIVES, Completion, complete, is_outdated, rank_snippets
from sc2lsp.config import Config
from sc2lsp.context.document import Document, Splice
from sc2lsp.desk import Ask, Desk, Flight, Given, Showing, Source, Suggestion
from sc2lsp.display import Hidden, place_of, rest
from sc2lsp.feedback import Feedback
from sc2lsp.known import Anchor
from sc2lsp.pace import Pace
from sc2lsp.session import Target
from sc2lsp.skips import why_not_here
from sc2lsp.spans import kept_characters
from sc2lsp.suggestions import Outcome

RANK_SECONDS = 0.01  # after a request was sent, context is looked for
RANK_SHARE = 0.1  # of the time, at most, is spent on that while somebody types
READING_SECONDS = 0.25  # a suggestion that is still there after so long is being read
KEPT_SECONDS = 30.0  # after which what is left of an accepted suggestion is counted


class Keystrokes:
    """All documents of one editor, with one backend."""

    def __init__(
        self, backend: Backend, config: Config, feedback: Feedback, document_of: Callable[[Path], Document | None]
    ) -> None:
        self._backend = backend
        self._pace = Pace(config.max_wait)
        self._reads_ahead = config.continuation and config.backend == "runtime"
        self._feedback = feedback
        self._document_of = document_of
        self._desks: dict[Path, Desk] = {}
        self._rank_after = 0.0  # when context may be looked for again
        # All of it mutates on the event loop.

    async def suggest(self, path: Path, ask: Ask) -> Suggestion | None:
        """The newest request of a document gets a suggestion, an older one None. Raises BackendError.

        Cancelling it ends what is generated for it, unless the user is typing just that.
        """
        desk = self._desks.setdefault(path, Desk())
        desk.supersede()
        started = monotonic()
        task = desk.asking = asyncio.ensure_future(self._suggest(desk, ask))
        try:
            suggestion = await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is None or not current.cancelling():
                return None  # superseded
            if desk.asking is task and desk.flight is not None and not desk.flight.is_typed_through():
                desk.drop_flight()
            raise
        finally:
            if desk.asking is task:
                desk.asking = None
        desk.last = ask, suggestion
        self._show(desk, ask, suggestion, (monotonic() - started) * 1e3)
        return suggestion

    def edited(self, path: Path, splices: Sequence[Splice]) -> None:
        """A document has changed: what is known and what is under way stay where they still hold."""
        desk = self._desks.get(path)
        if desk is None or not splices:
            return
        self._pace.key(monotonic())
        desk.supersede()
        desk.memory.follow(splices)
        if desk.flight is not None and not desk.flight.follow(splices):
            desk.drop_flight()
        for accepted in desk.accepted:
            for splice in splices:
                accepted.span = accepted.span.edited(splice.start, splice.end, len(splice.text))
        self._judge(path, desk, splices)

    def closed(self, path: Path) -> None:
        desk = self._desks.pop(path, None)
        if desk is not None:
            desk.supersede()
            desk.drop_flight()
            if desk.ranking is not None:
                desk.ranking.cancel()

    def close(self) -> None:
        for path in list(self._desks):
            self.closed(path)

    def last(self, path: Path) -> tuple[Ask, Suggestion] | None:
        """The document's last request and suggestion, for whoever asks why."""
        desk = self._desks.get(path)
        return None if desk is None else desk.last

    async def _suggest(self, desk: Desk, ask: Ask) -> Suggestion:
        known = _known(desk, ask)
        if known is not None:
            return known
        reason = why_not_here(ask.target, ask.is_explicit)
        if reason is not None:
            self._feedback.asked("skipped", 0.0)
            return Suggestion("", (), "known", reason=reason)
        flight, waited = desk.flight, 0.0
        if flight is None or not flight.serves(ask):
            if not ask.is_explicit:
                waited = self._pace.wait(monotonic())
                await asyncio.sleep(waited)
            if desk.accepted_at == ask.offset and ask.selected is None:
                ask = replace(ask, target=replace(ask.target, is_continuation=True))
            flight = self._launch(desk, ask, ask.anchor, "model")
            self._rank_soon(desk, ask.target)
        given = await asyncio.shield(flight.task)
        suggestion = _known(desk, ask) or _presented(given, ask.target)
        return replace(suggestion, source=given.source, waited_ms=waited * 1e3)

    def _rank_soon(self, desk: Desk, target: Target) -> None:
        """Look for context once the request is on its way, for the next keys; as often as its share of time allows."""
        desk.newest = target
        if desk.ranking is None:
            wait = max(RANK_SECONDS, self._rank_after - monotonic())
            desk.ranking = asyncio.get_running_loop().call_later(wait, self._rank, desk)

    def _rank(self, desk: Desk) -> None:
        desk.ranking = None
        if desk.newest is not None and is_outdated(desk.newest):
            started = monotonic()
            rank_snippets(desk.newest)
            self._rank_after = monotonic() + (monotonic() - started) / RANK_SHARE

    def _launch(self, desk: Desk, ask: Ask, anchor: Anchor, source: Source) -> Flight:
        desk.drop_flight()
        flight = desk.flight = Flight(ask, anchor, source)
        flight.task = asyncio.ensure_future(self._fly(desk, flight))
        flight.task.add_done_callback(_retrieve)
        return flight

    async def _fly(self, desk: Desk, flight: Flight) -> Given:
        ask = flight.ask
        outcome: Outcome = "failed"
        try:
            result = await complete(ask.target, self._backend, ALTERNATIVES if ask.is_explicit else 0, flight.watch)
            outcome = "shown" if result.completions else "empty"
        except asyncio.CancelledError:
            outcome = "cancelled"
            self._pace.cut_off(flight.elapsed)
            raise
        finally:
            self._feedback.asked(outcome, flight.elapsed * 1e3)
        self._pace.answered(flight.elapsed)
        completions = rank(result.completions, ask.target) if ask.is_explicit else result.completions
        given = Given(uuid.uuid4().hex, completions, result, flight.source, ask.is_explicit)
        if flight.anchor is not None:
            desk.memory.add(flight.anchor, given)
        return given

    def _show(self, desk: Desk, ask: Ask, suggestion: Suggestion, latency_ms: float) -> None:
        """It goes to the editor now: it may be accepted, and what follows it may be wanted next."""
        if desk.showing is not None and desk.showing.id != suggestion.id:
            self._feedback.rejected(desk.showing.id)
        desk.showing = None
        if not suggestion.completions:
            return
        best = suggestion.completions[0]
        language = ask.document.language.name if ask.document.language is not None else ""
        lines = best.text.count("\n") + 1
        self._feedback.shown(suggestion.id, language, len(best.text), lines, latency_ms, suggestion.source)
        if ask.selected is not None:
            return
        behind, texts = ask.anchor_behind(best), tuple(completion.text for completion in suggestion.completions)
        desk.showing = Showing(suggestion.id, replace(ask.anchor, stretch=behind.stretch), texts)
        if self._reads_ahead and not desk.memory.holds(behind):
            loop = asyncio.get_running_loop()
            desk.reading = loop.call_later(READING_SECONDS, self._read_ahead, desk, ask, best)

    def _read_ahead(self, desk: Desk, ask: Ask, completion: Completion) -> None:
        """What follows a suggestion, in case it is accepted."""
        desk.reading = None
        if desk.flight is None or desk.flight.task.done():
            self._launch(desk, ask.behind(completion), ask.anchor_behind(completion), "continuation")

    def _judge(self, path: Path, desk: Desk, splices: Sequence[Splice]) -> None:
        """What an edit says of the suggestion that is shown."""
        desk.accepted_at = None
        if desk.showing is None:
            return
        showing, accepted = desk.showing, desk.showing.accepted_by(splices)
        desk.showing = showing.follow(splices)
        if accepted is not None:
            self._feedback.accepted(showing.id)
            desk.showing, desk.accepted_at = None, accepted.span.end
            desk.accepted.append(accepted)
            asyncio.get_running_loop().call_later(KEPT_SECONDS, self._count_kept, path, desk)
        elif desk.showing is None:
            self._feedback.rejected(showing.id)

    def _count_kept(self, path: Path, desk: Desk) -> None:
        document, accepted = self._document_of(path), desk.accepted.pop(0)
        if document is not None:
            now = document.text[accepted.span.start : accepted.span.end]
            self._feedback.kept(accepted.id, kept_characters(accepted.text, now))


def _known(desk: Desk, ask: Ask) -> Suggestion | None:
    """The latest answer that holds, without what was typed of it."""
    if ask.ahead is None:
        return None
    for typed, given in desk.memory.at(ask.offset, ask.ahead):
        if ask.is_explicit and not given.is_explicit:
            continue
        if not typed:
            return _presented(given, ask.target)
        left = _left(given, typed, ask.target)
        if left:
            return Suggestion(given.id, left, "typed", given.result)
    return None


def _presented(given: Given, target: Target) -> Suggestion:
    """The whole answer, where it was asked for."""
    moved = (
        _at(completion, completion.text, completion.end - completion.start, target) for completion in given.completions
    )
    source: Source = "continuation" if given.source == "continuation" else "known"
    return Suggestion(given.id, tuple(moved), source, given.result)


def _left(given: Given, typed: str, target: Target) -> tuple[Completion, ...]:
    """What is left of completions of which the beginning was typed."""
    begun = [one for one in given.completions if one.text.startswith(typed) and len(one.text) > len(typed)]
    if not begun:
        return ()
    left = [(one, one.text[len(typed) :]) for one in begun]
    if not _behind(target).strip():
        return tuple(_at(one, text, 0, target) for one, text in left if text.strip())
    place = place_of(target.document, target.outline_here, target.offset)
    shown = ((one, rest(text, place)) for one, text in left)
    return tuple(_at(one, there.text, there.replaces, target) for one, there in shown if not isinstance(there, Hidden))


def _behind(target: Target) -> str:
    """The rest of the cursor's line."""
    text, offset = target.document.text, target.offset
    return text[offset : text.find("\n", offset) + 1 or len(text)]


def _at(completion: Completion, text: str, replaces: int, target: Target) -> Completion:
    return replace(completion, text=text, start=target.offset, end=target.offset + replaces)


def _retrieve(task: asyncio.Task[Given]) -> None:
    """Nobody may be waiting for it any more: then nobody else asks for the exception."""
    if not task.cancelled():
        task.exception()
