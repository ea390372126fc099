"""A window's switches over settings, and what the status says of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from sc2lsp.backend import State
from sc2lsp.config import Config
from sc2lsp.control import Control, file_pattern
from sc2lsp.status import BUILT_IN, OPEN_SETTINGS, RESUME, TRY_AGAIN, TURN_ON, Status, status_of
from sc2lsp.switches import why_off

READY = State("ready", "embedded")
DOWN = State("error", "no answer", "start it")
DOWN_ELSEWHERE = Status("Error", "no answer", "start it", action=TRY_AGAIN)
PAUSED, RUN, INFINITE = "completion is paused {}", "run the command sc2lsp.resume", float("inf")


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


WRONG = Status("Warning", "no such setting", action=OPEN_SETTINGS)
MINE = Config(model="mine")


@pytest.mark.parametrize(
    ("config", "state", "warning", "why", "paused", "expected"),
    [
        (Config(), READY, None, None, None, Status("Normal", "embedded")),
        (Config(), State("starting", "loading"), None, None, None, Status("Normal", "loading", busy=True)),
        (Config(), DOWN, None, None, None, Status("Error", "no answer", "start it", action=TRY_AGAIN)),
        (MINE, DOWN, None, None, None, Status("Error", "no answer", "start it", action=BUILT_IN)),
        (replace(MINE, endpoint="tcp://x:1"), DOWN, None, None, None, DOWN_ELSEWHERE),
        (Config(), READY, None, "off here", None, Status("Inactive", "off here")),
        (Config(), DOWN, None, "off here", None, Status("Inactive", "off here")),  # nobody misses it
        (Config(), READY, WRONG, "off here", None, WRONG),
        (Config(), READY, None, None, 60.0, Status("Inactive", PAUSED.format("for 1 min more"), RUN, action=RESUME)),
        (
            Config(),
            READY,
            WRONG,
            None,
            INFINITE,
            Status("Inactive", PAUSED.format("until resumed"), RUN, action=RESUME),
        ),
        (
            Config(enabled=False),
            DOWN,
            WRONG,
            None,
            60.0,
            Status("Inactive", "completion is turned off", action=TURN_ON),
        ),
    ],
)
def test_the_status_says_what_matters_most(
    config: Config, state: State, warning: Status | None, why: str | None, paused: float | None, expected: Status
) -> None:
    assert status_of(config, state, warning, why, paused) == expected


def test_a_chosen_model_goes_with_what_it_was_chosen_over() -> None:
    control, elsewhere = Control(), Config(backend="ollama", endpoint="http://x", model="a", draft_model="b")
    control.choose("other")
    assert control.applied(elsewhere) == replace(elsewhere, model="other", draft_model="")
    control.choose("embedded")
    assert control.applied(elsewhere) == Config()
    control.choose(None)
    assert control.applied(elsewhere) == elsewhere
