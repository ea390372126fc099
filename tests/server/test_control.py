"""A window's switches over settings, and what the status says of them."""

from pathlib import Path

import pytest

from sc2lsp.backend import State
from sc2lsp.config import Config
from sc2lsp.control import Control, file_pattern
from sc2lsp.status import Status, status_of
from sc2lsp.switches import why_off

READY = State("ready", "embedded")


@pytest.mark.parametrize(
    ("settings", "scope", "name", "is_off"),
    [
        (Config(), "all", "", True),
        (Config(enabled=False), "all", "", False),
        (Config(), "language", "python", True),
        (Config(languages_off=("python", "go")), "language", "python", False),
        (Config(), "language", "go", False),  # another one
        (Config(), "folder", "/w", True),
        (Config(), "file", file_pattern(Path("/w"), Path("/w/a/b.py")), True),
        (Config(), "file", file_pattern(Path("/w"), Path("/w/b.py")), False),
    ],
)
def test_toggling_turns_around_what_the_settings_say(settings: Config, scope: str, name: str, is_off: bool) -> None:
    control = Control()
    assert control.applied(settings) == settings
    control.toggle(scope, name)
    assert (why_off(control.applied(settings), Path("/w"), "a/b.py", "python") is not None) is is_off
    control.toggle(scope, name)
    assert control.applied(settings) == settings


@pytest.mark.parametrize(
    "name", ["a.py", "a[1].py", "what?.py", "star*.py", "#hash.py", "!not.py", "two words.py", "b\\s.py"]
)
def test_a_file_that_is_turned_off_is_no_other_file(name: str) -> None:
    control = Control()
    control.toggle("file", file_pattern(Path("/w"), Path("/w") / name))
    config = control.applied(Config())
    assert why_off(config, Path("/w"), name, None) is not None
    assert why_off(config, Path("/w"), f"x{name}", None) is None
    assert why_off(config, Path("/w"), f"in/{name}", None) is None


def test_a_pause_ends_by_itself() -> None:
    now = [0.0]
    control = Control(lambda: now[0])
    assert control.paused_seconds is None
    control.pause(2)
    assert control.paused_seconds == 120
    now[0] = 121
    assert control.paused_seconds is None
    control.pause(None)
    assert control.paused_seconds == float("inf")
    control.resume()
    assert control.paused_seconds is None


@pytest.mark.parametrize(
    ("state", "why", "paused", "expected"),
    [
        (READY, None, None, Status("Normal", "embedded")),
        (State("starting", "loading"), None, None, Status("Normal", "loading", busy=True)),
        (State("error", "no answer", "start it"), None, None, Status("Error", "no answer", "start it")),
        (READY, "off here", None, Status("Inactive", "off here")),
        (State("error", "no answer"), "off here", 60.0, Status("Inactive", "off here")),  # nobody misses it
        (
            READY,
            None,
            60.0,
            Status("Inactive", "completion is paused for 1 min more", "run the command sc2lsp.resume"),
        ),
        (
            READY,
            None,
            float("inf"),
            Status("Inactive", "completion is paused until resumed", "run the command sc2lsp.resume"),
        ),
    ],
)
def test_the_status_says_what_matters_most(
    state: State, why: str | None, paused: float | None, expected: Status
) -> None:
    assert status_of(state, why, paused) == expected
