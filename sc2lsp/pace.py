"""When to ask: how long a request waits for the next key before a model is asked.

Learns how fast somebody types and how fast the model answers. Waiting costs whoever pauses that long; not waiting costs
the model's work where the next key comes before the answer. Knows no document and no editor; times are in seconds.
"""

import statistics
from collections import deque

KEYS, ANSWERS = 32, 8  # that are remembered
PAUSE = 1.0  # whoever types nothing for so long has paused: a gap like any longer one
FIRST_GAPS = (0.15, PAUSE)  # of somebody not known yet
FIRST_ANSWER = 0.15
WASTE = 0.5  # what a second of the model's work for nothing costs, in seconds of waiting
MARGIN, SLACK = 1.02, 0.002  # beyond a gap seen before: clocks and typists are not exact


class Pace:
    """The rhythm of one typist and one model."""

    def __init__(self, max_wait: float) -> None:
        self._max_wait = max_wait
        self._gaps: deque[float] = deque(FIRST_GAPS, KEYS)
        self._answers: deque[float] = deque([FIRST_ANSWER], ANSWERS)
        self._last_key: float | None = None
        # Mutated by: key, answered, cut_off; on the event loop.

    def key(self, now: float) -> None:
        """A key was struck."""
        if self._last_key is not None:
            self._gaps.append(min(now - self._last_key, PAUSE))
        self._last_key = now

    def answered(self, seconds: float) -> None:
        """The model took so long."""
        self._answers.append(seconds)

    def cut_off(self, seconds: float) -> None:
        """The model was stopped after so long, and had not answered: it takes longer than that."""
        if seconds > self.latency:
            self._answers.append(seconds)

    @property
    def latency(self) -> float:
        return statistics.median(self._answers)

    def wait(self, now: float) -> float:
        """How long a request made now waits, at most. What has passed since the key is lost either way."""
        since = 0.0 if self._last_key is None else now - self._last_key
        gaps = [gap for gap in self._gaps if gap > since]
        if not gaps or not self._max_wait:
            return 0.0
        waits = (gap * MARGIN + SLACK - since for gap in gaps if gap < PAUSE)
        possible = (0.0, *(wait for wait in waits if wait <= self._max_wait))
        return min(possible, key=lambda wait: self._cost([gap - since for gap in gaps], wait))

    def _cost(self, gaps: list[float], after: float) -> float:
        """Expected seconds lost by asking `after` now, if no key has come until then; one comes after a gap."""
        latency = self.latency
        wasted = sum(min(gap - after, latency) for gap in gaps if after < gap <= after + latency)
        waited = sum(after for gap in gaps if gap > after + latency)
        return (WASTE * wasted + waited) / len(gaps)
