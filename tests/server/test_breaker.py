"""The circuit, the pauses, the deadlines and the shared attempt, by a clock that tests turn."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial

import pytest

from sc2lsp.backend import BackendError, BackendRefused, BackendTimeout, Delta
from sc2lsp.backends.breaker import Backoff, Breaker, guarded
from sc2lsp.backends.waiting import Attempt, Deadlines, in_time


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except BackendError:
        return True
    return False


# What happens, word by word -> whether requests are let through afterwards. A number lets so many seconds pass.
CIRCUITS = [
    ("", True),
    ("fail fail", True),
    ("fail fail fail", False),
    ("fail fail succeed fail fail", True),
    ("fail fail abandon fail", False),
    ("trip", False),
    ("trip 29", False),
    ("trip 31", True),
    ("trip 31 begin", False),
    ("trip 31 begin 100", False),
    ("trip 31 abandon", True),
    ("trip 31 succeed", True),
    ("trip 31 succeed fail fail", True),
    ("trip 31 fail", False),
    ("trip 31 fail 31", True),
    ("trip 31 fail 31 succeed fail fail", True),
]


@pytest.mark.parametrize(("story", "lets_through"), CIRCUITS)
def test_a_circuit(story: str, lets_through: bool) -> None:
    clock = Clock()
    told: list[bool] = []
    breaker = Breaker(clock, lambda opened_by: told.append(opened_by is None))
    failure = BackendError("gone", "start it")
    acts: dict[str, Callable[[], None]] = {
        "begin": breaker.begin,
        "fail": partial(breaker.failed, failure),
        "succeed": breaker.succeeded,
        "abandon": breaker.abandoned,
        "trip": partial(breaker.trip, failure),
    }
    for word in story.split():
        if word.isdigit():
            clock.now += int(word)
            continue
        if word in ("fail", "succeed", "abandon"):
            breaker.begin()
        acts[word]()
    assert is_open(breaker) != lets_through
    assert told[-1:] in ([], [not breaker.is_open])


def test_what_opened_it_is_what_is_said_meanwhile() -> None:
    breaker = Breaker(Clock())
    breaker.trip(BackendError("gone", "start it"))
    for _ in range(2):
        with pytest.raises(BackendError, match="gone; start it") as again:
            breaker.begin()
        assert again.value.fix == "start it"


async def some(*items: Delta | BackendError) -> AsyncGenerator[Delta]:
    for item in items:
        if isinstance(item, BackendError):
            raise item
        yield item


DELTA = Delta(())
ANSWERS: Sequence[tuple[Sequence[Delta | BackendError], bool]] = [
    ([DELTA, DELTA], False),
    ([BackendError("x")], True),
    ([DELTA, BackendTimeout("x")], True),
    ([BackendRefused("x")], False),
]


@pytest.mark.parametrize(("items", "counts"), ANSWERS)
async def test_what_counts_of_an_answer(items: Sequence[Delta | BackendError], counts: bool) -> None:
    breaker = Breaker(Clock())
    for _ in range(3):
        try:
            async with aclosing(guarded(breaker, some(*items), (BackendRefused,))) as deltas:
                async for _ in deltas:
                    pass
        except BackendError:
            assert isinstance(items[-1], BackendError)
    assert is_open(breaker) == counts


async def test_an_answer_that_is_left_was_good_so_far() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.trip(BackendError("x"))
    clock.now += 31.0
    async with aclosing(guarded(breaker, some(DELTA, BackendError("x")), ())) as deltas:
        await anext(deltas)
    assert not breaker.is_open


async def test_an_answer_that_is_left_before_it_came_says_nothing() -> None:
    async def silent() -> AsyncGenerator[Delta]:
        await asyncio.sleep(60)
        yield DELTA

    clock = Clock()
    breaker = Breaker(clock)
    breaker.trip(BackendError("x"))
    clock.now += 31.0
    for _ in range(2):
        async with aclosing(guarded(breaker, silent(), ())) as deltas:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(deltas), 0.01)
    assert breaker.is_open
    assert not is_open(breaker), "the next one is the trial"


def test_pauses_double_up_to_half_a_minute_and_begin_anew() -> None:
    clock, pauses = Clock(), []
    backoff = Backoff(clock)
    for number in range(8):
        backoff.failed(BackendError(f"{number}"))
        began = clock.now
        while True:
            try:
                backoff.check()
                break
            except BackendError as failure:
                assert str(failure) == f"{number}"
                clock.now += 0.5
        pauses.append(clock.now - began)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    backoff.succeeded()
    backoff.check()
    backoff.failed(BackendError("again"))
    clock.now += 1.0
    backoff.check()


async def ticking(*pauses: float) -> AsyncGenerator[int]:
    for number, pause in enumerate(pauses):
        await asyncio.sleep(pause)
        yield number


STREAMS = [
    (ticking, (0.0, 0.0), Deadlines(5, 5, 5), 2, ""),
    (ticking, (60.0,), Deadlines(0.05, 5, 5), 0, "first_token_timeout"),
    (ticking, (0.0, 60.0), Deadlines(5, 0.05, 5), 1, "token_timeout"),
    (ticking, (0.0, 60.0), Deadlines(5, 5, 0.5), 1, "timeout"),
    (ticking, (60.0,), Deadlines(5, 5, 0.1), 0, "timeout"),
]


@pytest.mark.parametrize(("stream", "pauses", "deadlines", "items", "names"), STREAMS)
async def test_deadlines(
    stream: Callable[..., AsyncGenerator[int]], pauses: Sequence[float], deadlines: Deadlines, items: int, names: str
) -> None:
    seen: list[int] = []
    late = ""
    try:
        async for item in in_time(stream(*pauses), deadlines):
            seen.append(item)
    except BackendTimeout as failure:
        late = failure.fix
    assert len(seen) == items
    assert late.rpartition(" ")[2] == names


async def test_many_wait_for_one_attempt() -> None:
    begun: list[int] = []
    go = asyncio.Event()

    async def work() -> int:
        begun.append(1)
        await go.wait()
        return len(begun)

    attempt = Attempt(work)
    waiting: list[Awaitable[int]] = [asyncio.create_task(attempt.result()) for _ in range(3)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(attempt.result(), 0.01)
    go.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert await attempt.result() == 2, "the next one begins anew"


async def test_an_attempt_that_fails_fails_for_all_of_them() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        raise BackendError("no")

    attempt = Attempt(work)
    outcomes = await asyncio.gather(attempt.result(), attempt.result(), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no", "no"]
    attempt.begin()  # nobody waits for this one: its failure is no warning
    await asyncio.sleep(0.01)
