"""Whose rows are computed next, and what becomes of them.

Every step takes rows of all answers under way through the model: those that decode first, each with its draft, then
what a budget of rows leaves for prompts, first come first served. So a cold prompt of one user delays another's next
token by the rows of one step. All of it runs on the engine's thread; knows neither sockets nor text.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

import torch
from torch import Tensor

from .answer import Answer, NotFinite, Progress
from .api import Chunk, Indexed, Request, RequestRefused, Usage
from .cache_lm import TRUST, Nearby, mix
from .draft import GAP, LIKELY, Draft, Known, Source
from .draft_model import DraftModel
from .forced import Vocabulary
from .load import Loaded
from .runner import Runner, Work
from .sampler import choose, seed_of
from .sessions import TAIL, Session, Sessions
from .stops import Stops
from .token_index import TokenIndex
from .tokenizer import Tokenizer

Emit = Callable[[Chunk | RequestRefused], None]

MAX_RUNNING = 64  # answers of one step
RECENT, RECENT_CONTEXT = 16, 8  # answers of a workspace, and tokens before each, in which drafts are found


class Generation:
    """A request under way; `abort` is honoured at the next step."""

    def __init__(self, request: Request, emit: Emit) -> None:
        self.request = request
        self.emit = emit
        self.submitted = perf_counter()
        self._aborted = threading.Event()
        # Mutated by: abort(), on any thread.

    def abort(self) -> None:
        self._aborted.set()

    @property
    def aborted(self) -> bool:
        return self._aborted.is_set()


@dataclass(slots=True, eq=False)
class _Totals:
    """Of all answers to a request together; times of the clock."""

    unfinished: int = 1
    started: float | None = None
    prefilled: float | None = None
    cached: int = 0
    drafted: int = 0
    accepted: int = 0


@dataclass(slots=True, eq=False)
class _Task:
    """Answer number `index` to a request; the first one continues its document's session, the others nobody's."""

    generation: Generation
    index: int
    totals: _Totals
    session: Session = field(default_factory=Session)
    answer: Answer | None = None  # once it runs
    nearby: Nearby | None = None

    @property
    def request(self) -> Request:
        return self.generation.request


@dataclass(slots=True, eq=False)
class _Workspace:
    """Where drafts are looked for beside the prompt, and what the model's own guess is mixed with."""

    index: TokenIndex = field(default_factory=TokenIndex)
    recent: deque[list[int]] = field(default_factory=lambda: deque(maxlen=RECENT))  # answers and what stood before them


Planned = tuple[_Task, Answer, Work]

CANCELLED = Progress([], [], "cancelled", [])


class Scheduler:
    """Requests from their arrival to their last token."""

    def __init__(self, loaded: Loaded, rows: int, ended: Callable[[Generation], None]) -> None:
        """`rows`: of one step, at most. `ended` hears of every generation once it is over."""
        runner, tokenizer = loaded.runner, loaded.tokenizer
        self.rows = rows
        self._vocabulary = Vocabulary(tokenizer)
        self._likely = LIKELY[runner.network.device.type]
        self._trust = TRUST.get(loaded.facts.name)
        self._workspaces: defaultdict[str, _Workspace] = defaultdict(_Workspace)
        self.sessions = Sessions(runner.cache)
        self.drafted, self.accepted = Counter[Source](), Counter[Source]()  # tokens
        self._runner, self._drafter, self._tokenizer, self._ended = runner, loaded.drafter, tokenizer, ended
        self._banned = _banned(runner, tokenizer)
        self._never_drafted = None if loaded.drafter is None else _banned(loaded.drafter, tokenizer)
        self._waiting: deque[_Task] = deque()
        self._running: list[_Task] = []
        # Mutated by every method.

    @property
    def busy(self) -> bool:
        return bool(self._running or self._waiting)

    def enqueue(self, generation: Generation) -> None:
        """A new request, behind those that wait. It is the only one of its document that anybody still wants."""
        for task in self._unfinished():
            if task.request.document == generation.request.document:
                task.generation.abort()
        self._waiting.append(_Task(generation, 0, _Totals()))

    def put_document(self, indexed: Indexed) -> None:
        """Look for drafts there from now on."""
        index = self._workspaces[indexed.workspace].index
        if indexed.tokens:
            index.put(indexed.document, indexed.tokens)
        else:
            index.remove(indexed.document)

    def forget_workspaces(self, names: Collection[str]) -> None:
        for name in names:
            self._workspaces.pop(name, None)

    def forget_answers(self) -> None:
        """No draft is made of earlier answers."""
        for workspace in self._workspaces.values():
            workspace.recent.clear()

    def abort_all(self) -> None:
        for task in self._unfinished():
            self._finish(task, CANCELLED)

    def step(self) -> None:
        """End what was aborted, begin what there is room for, and compute the next rows of all that runs."""
        for task in self._unfinished():
            if task.generation.aborted:
                self._finish(task, CANCELLED)
        while self._waiting and len(self._running) < MAX_RUNNING and self._started(self._waiting[0]):
            self._running.append(self._waiting.popleft())
        if planned := self._planned():
            self._compute(planned)

    def _unfinished(self) -> list[_Task]:
        return [*self._running, *self._waiting]

    def _started(self, task: _Task) -> bool:
        """Whether the task got its pages: all it can ever need, so that nothing under way runs out of them."""
        request, cache = task.request, self._runner.cache
        session = self.sessions.take(request.document) if task.index == 0 else task.session
        cached = cache.adopt(session.sequence, request.prompt)
        task.session = session
        if not self.sessions.reserve(session.sequence, len(request.prompt) + request.sampling.max_tokens):
            self._leave(task)
            return False
        if task.index == 0:
            task.totals.started, task.totals.cached = perf_counter(), cached
        task.answer, task.nearby = self._answer(task), self.nearby(request)
        return True

    def _answer(self, task: _Task) -> Answer:
        prompt, params = task.request.prompt, task.request.sampling
        tail, sequence = self._bytes(prompt[-TAIL:]), task.session.sequence
        draft = Draft(prompt, self._known(task, tail), self._likely)
        task.session.shown = tail
        stops = Stops(params, self._tokenizer.control_ids, self._tokenizer.bytes_of)
        todo, owed = list(prompt[len(sequence.tokens) :]), params.forced.encode()
        return Answer(params, seed_of(params, task.index), sequence, todo, draft, stops, self._vocabulary, owed)

    def _known(self, task: _Task, tail: bytes) -> Known:
        encode, forced = self._tokenizer.encode, task.request.sampling.forced
        workspace, rest = self._workspaces[task.request.workspace], task.session.rest(tail)
        shown = encode(rest) if rest.startswith(forced) else []
        recent = [token for answer in workspace.recent for token in (*answer, GAP)]
        return Known(encode(forced), shown, recent, workspace.index, task.request.document, self._draft_model())

    def _draft_model(self) -> DraftModel | None:
        return None if self._drafter is None else DraftModel(self._drafter, self._never_drafted)

    def _planned(self) -> list[Planned]:
        left = self.rows
        planned: list[Planned] = []
        for task in sorted(self._running, key=lambda task: not (task.answer and task.answer.produced)):
            if left == 0:
                break
            assert task.answer is not None
            work = task.answer.work(left)
            left -= len(work.tokens)
            planned.append((task, task.answer, work))
        return planned

    def _compute(self, planned: list[Planned]) -> None:
        try:
            logits = self._runner.run([work for _, _, work in planned])
            tokens, logprobs = self._chosen(logits, planned)
        except torch.OutOfMemoryError:
            self.sessions.clear()
            self._fail(planned[-1][0], "out of memory; caches dropped. A smaller model or prompt helps")
            return
        except RuntimeError as failure:  # torch's own: the youngest request fails, the others try again
            self._fail(planned[-1][0], f"the model failed: {type(failure).__name__}")
            return
        chosen = iter(zip(tokens, logprobs, strict=True))
        for task, answer, work in planned:
            of_task = list(islice(chosen, work.wanted))
            if task in self._running:  # else another answer to its prompt failed just now
                self._take(task, answer, work, of_task)

    def _chosen(self, logits: Tensor, planned: list[Planned]) -> tuple[list[int], list[float]]:
        """A token for every wanted row, and its log probability given what was typed."""
        if not len(logits):
            return [], []
        asked = ((task.nearby, context) for task, answer, work in planned for context in answer.contexts(work))
        logits = self.mixed(logits, asked)
        owed = [text for _, answer, work in planned for text in answer.owing(work)]
        draws = [draw for _, answer, work in planned for draw in answer.draws(work)]
        return choose(self._vocabulary.narrowed(logits, owed), draws, self._banned)

    def nearby(self, request: Request) -> Nearby | None:
        """Where the model's guesses for a request are to be looked up; None for a model that does not gain by it."""
        if self._trust is None:
            return None
        return Nearby(request.prompt, self._workspaces[request.workspace].index, request.document)

    def mixed(self, logits: Tensor, asked: Iterable[tuple[Nearby | None, Sequence[int]]]) -> Tensor:
        """[rows, vocab] logits, mixed with what followed each row's context nearby."""
        if self._trust is None:
            return logits
        found = [None if nearby is None else nearby.continuations(context) for nearby, context in asked]
        return mix(logits, found, self._trust) if any(found) else logits

    def _take(self, task: _Task, answer: Answer, work: Work, chosen: list[tuple[int, float]]) -> None:
        try:
            progress = answer.take(work, chosen)
        except NotFinite:
            self._fail(task, "the model failed: its logits are not finite")
            return
        self._runner.cache.commit(answer.sequence, progress.computed)
        if chosen and task.totals.prefilled is None:
            task.totals.prefilled = perf_counter()
            self._add_answers(task)
        if progress.reason is not None:
            self._finish(task, progress)
        elif progress.tokens:
            task.generation.emit(_chunk(task, progress))

    def _add_answers(self, first: _Task) -> None:
        """The other answers to a prompt, which find its pages."""
        others = [_Task(first.generation, index, first.totals) for index in range(1, first.request.sampling.n)]
        first.totals.unfinished += len(others)
        self._waiting.extendleft(reversed(others))

    def _finish(self, task: _Task, last: Progress) -> None:
        self._end(task)
        task.totals.unfinished -= 1
        usage = None if task.totals.unfinished else _usage(task)
        task.generation.emit(_chunk(task, last, usage))
        if usage is not None:
            self._ended(task.generation)

    def _fail(self, failed: _Task, message: str) -> None:
        """End a request with all of its answers. Nobody finds the keys and values that it leaves."""
        for task in self._unfinished():
            if task.generation is failed.generation:
                self._runner.cache.discard(task.session.sequence)
                self._end(task)
        failed.generation.emit(RequestRefused("failed", message))
        self._ended(failed.generation)

    def _end(self, task: _Task) -> None:
        """Take a task out, and leave what it computed to the next request of its document."""
        if task.answer is None:
            self._waiting.remove(task)
            return
        self._running.remove(task)
        task.answer.draft.close()
        self.drafted.update(task.answer.drafted)
        self.accepted.update(task.answer.accepted)
        task.totals.drafted += task.answer.drafted.total()
        task.totals.accepted += task.answer.accepted.total()
        task.session.shown += self._bytes(task.answer.produced)
        before = task.request.prompt[-RECENT_CONTEXT:]
        self._workspaces[task.request.workspace].recent.append([*before, *task.answer.produced])
        self._leave(task)

    def _leave(self, task: _Task) -> None:
        if task.index == 0:
            self.sessions.put(task.request.document, task.session)
        else:
            self._runner.cache.drop(task.session.sequence)

    def _bytes(self, tokens: Sequence[int]) -> bytes:
        return b"".join(map(self._tokenizer.bytes_of, tokens))


def _chunk(task: _Task, progress: Progress, usage: Usage | None = None) -> Chunk:
    tokens, logprobs = tuple(progress.tokens), tuple(progress.logprobs)
    return Chunk(task.request.id, tokens, logprobs, progress.reason, usage, task.index)


def _usage(task: _Task) -> Usage:
    now, totals = perf_counter(), task.totals
    started = totals.started or now
    prefilled = totals.prefilled or now
    return Usage(
        prompt_tokens=len(task.request.prompt),
        cached_tokens=totals.cached,
        drafted_tokens=totals.drafted,
        accepted_tokens=totals.accepted,
        queue_ms=(started - task.generation.submitted) * 1e3,
        prefill_ms=(prefilled - started) * 1e3,
        decode_ms=(now - prefilled) * 1e3,
    )


def _banned(runner: Runner, tokenizer: Tokenizer) -> Tensor | None:
    """Ids that no answer holds and none ends with: control tokens of other kinds of text, and what is no token."""
    vocabulary = runner.network.config.vocab_size
    banned = sorted((tokenizer.control_ids - tokenizer.end_ids) | set(range(tokenizer.vocab_size, vocabulary)))
    return torch.tensor(banned, device=runner.network.device) if banned else None
