"""The long runs of tests/soak at a size for every day: each counts what goes wrong, and nothing may."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.soak import canary, cancels, clients, drift, runtimes
from tests.soak.home import own_home
from tests.soak.positions import changed, offset_of, place_of

RUNS: Mapping[str, Callable[[], AsyncIterator[Any]]] = {
    "drift": lambda: drift.drift(500),
    "disorder": lambda: drift.disorder(500),
    "cancels": lambda: cancels.cancels(200),
    "an editor that does not read": lambda: cancels.deaf(300, 1.0),
    "interleavings": lambda: cancels.interleavings(300),
    "killed editors": lambda: clients.clients(2),
    "killed runtimes": lambda: runtimes.runtimes(2),
    "canary": lambda: canary.canary(1, is_real=False),
    "canary in the runtime": lambda: canary.canary(1, is_real=True),
}


async def last(run: AsyncIterator[Any]) -> Any:
    """The figures in the end."""
    return [figures async for figures in run][-1]


@pytest.fixture
def home() -> Iterator[None]:
    with own_home():
        yield


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
async def test_nothing_goes_wrong(run: Callable[[], AsyncIterator[Any]]) -> None:
    figures = await last(run())
    # How long it took is for `python -m tests.soak` to say: machines are shared.
    timeless = replace(figures, next_answer_ms=0.0) if isinstance(figures, cancels.Cancels) else figures
    assert timeless.faults == 0, figures


@pytest.mark.parametrize(
    ("text", "place", "encoding", "offset"),
    [
        ("ab\ncd", (1, 1), "utf-16", 4),
        ("ab\ncd", (0, 9), "utf-16", 2),
        ("ab\r\ncd", (0, 9), "utf-16", 2),
        ("ab\rcd", (1, 0), "utf-16", 3),
        ("ab\fcd\u2028e\u0085", (0, 6), "utf-16", 6),
        ("ab", (7, 0), "utf-16", 2),
        ("\U0001f600a", (0, 1), "utf-16", 0),
        ("\U0001f600a", (0, 2), "utf-16", 1),
        ("\U0001f600a", (0, 4), "utf-8", 1),
        ("\u00e9a", (0, 2), "utf-8", 1),
        ("\U0001f600a", (0, 1), "utf-32", 1),
    ],
)
def test_the_oracle_reads_positions_as_the_protocol_has_them(
    text: str, place: tuple[int, int], encoding: Any, offset: int
) -> None:
    assert offset_of(text, place, encoding) == offset
    assert changed(text, place, place, "|", encoding) == f"{text[:offset]}|{text[offset:]}"
    assert offset_of(text, place_of(text, offset, encoding), encoding) == offset


async def test_a_session_that_reads_positions_otherwise_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sc2lsp.context.document._units", lambda text, encoding: len(text))
    assert (await last(drift.drift(50))).drifted
