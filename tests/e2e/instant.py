"""For editors: a runtime that answers at once, or as late as it is told, with the text that it is told.

`tests.benchmarks.instant` in its own process, steered from a test that waits for an editor.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.benchmarks.instant import runtime
from tests.benchmarks.standin import Settings, Steered


@dataclass(frozen=True, slots=True)
class Instant:
    """`url` is what the setting `endpoint` wants."""

    url: str
    _steered: Steered
    _portal: BlockingPortal

    def answer(self, text: str, delay: float = 0.0) -> None:
        """Answer with this from now on, `delay` seconds after the request."""
        self._portal.call(self._steered.set, Settings(text, delay))


@contextmanager
def instant() -> Generator[Instant]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(runtime()) as (url, steered):
        yield Instant(url, steered, portal)
