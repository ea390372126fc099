"""How long each stage of one request took."""

from collections.abc import Generator
from contextlib import contextmanager
from time import perf_counter


class Trace:
    """Milliseconds by stage name; entering a stage twice adds up."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self.ms: dict[str, float] = {}

    @contextmanager
    def span(self, stage: str) -> Generator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.add(stage, (perf_counter() - started) * 1e3)

    def add(self, stage: str, milliseconds: float) -> None:
        self.ms[stage] = self.ms.get(stage, 0.0) + milliseconds

    @property
    def total_ms(self) -> float:
        return (perf_counter() - self._started) * 1e3
