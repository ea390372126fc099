"""When something that failed is asked again: a circuit breaker for requests, pauses between attempts to start.

Knows the clock it is given and the errors of `backend`; not what is asked, nor how.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic

from sc2lsp.backend import BackendError, BackendUnavailable, Delta

FAILURES = 3  # in a row
OPEN_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds; each is twice the one before

Clock = Callable[[], float]
OnChange = Callable[[BackendError | None], None]  # what opened the circuit, each time; None: it is closed again


class Breaker:
    """Closed; open after FAILURES in a row, when everything fails at once; half-open after a while, for one trial.

    A trial that succeeds closes the circuit, one that fails opens it again (Nygard, Release It!, 2007).
    """

    def __init__(self, clock: Clock = monotonic, on_change: OnChange | None = None) -> None:
        self._clock = clock
        self._on_change = on_change
        self._failures = 0
        self._opened_by: BackendError | None = None
        self._trial_at = 0.0  # while open: when the next trial may begin
        self._on_trial = False
        # Mutated by: every method but `check`, on one thread.

    @property
    def is_open(self) -> bool:
        """Open or half-open."""
        return self._opened_by is not None

    def check(self) -> None:
        """Raises what opened the circuit, unless it is closed or a trial is due."""
        if self._opened_by is not None and (self._on_trial or self._clock() < self._trial_at):
            raise _again(self._opened_by)

    def begin(self) -> None:
        """A request begins; one of the other methods tells its end. Raises as `check` does."""
        self.check()
        self._on_trial = self.is_open

    def succeeded(self) -> None:
        self._failures, self._on_trial = 0, False
        if self.is_open:
            self._opened_by = None
            self._tell()

    def failed(self, failure: BackendError) -> None:
        self._failures += 1
        if self._failures >= FAILURES or self.is_open:
            self.trip(failure)

    def trip(self, sign: BackendError) -> None:
        """Open the circuit: a sign of death needs no others."""
        self._opened_by, self._on_trial, self._trial_at = sign, False, self._clock() + OPEN_SECONDS
        self._tell()

    def abandoned(self) -> None:
        """Nobody waited for the answer, or the failure was the request's own: nothing was learnt."""
        self._on_trial = False

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self._opened_by)


async def guarded(
    breaker: Breaker, answer: AsyncGenerator[Delta], spared: tuple[type[BackendError], ...]
) -> AsyncGenerator[Delta]:
    """`answer` where the circuit lets it through, its end counted; errors that are `spared` cost this answer alone.

    One that is left when something of it has come was good so far: whoever left it has all that will be shown.
    """
    breaker.begin()
    has_come = False
    try:
        async with aclosing(answer):
            async for delta in answer:
                has_come = True
                yield delta
        breaker.succeeded()
    except spared:
        raise
    except BackendError as failure:
        breaker.failed(failure)
        raise
    except (GeneratorExit, asyncio.CancelledError):
        if has_come:
            breaker.succeeded()
        raise
    finally:
        breaker.abandoned()


class Backoff:
    """Pauses of 1, 2, 4 ... seconds between attempts that fail one after the other, up to the `longest`."""

    def __init__(self, clock: Clock = monotonic, longest: float = LONGEST_PAUSE) -> None:
        self._clock = clock
        self._longest = longest
        self._failure: BackendError | None = None
        self._pause = 0.0
        self._next_at = 0.0
        # Mutated by: failed() and succeeded(), on one thread.

    def check(self) -> None:
        """Raises the last failure while the pause after it lasts."""
        if self._failure is not None and self._clock() < self._next_at:
            raise _again(self._failure)

    def failed(self, failure: BackendError) -> None:
        self._failure = failure
        self._pause = min(2 * self._pause, self._longest) or FIRST_PAUSE
        self._next_at = self._clock() + self._pause

    def succeeded(self) -> None:
        self._failure, self._pause = None, 0.0


def _again(failure: BackendError) -> BackendUnavailable:
    """The same for another caller: one exception that is raised again and again would keep all their tracebacks."""
    return BackendUnavailable(failure.reason, failure.fix)
