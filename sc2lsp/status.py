"""How completion stands in a window, in words: what an editor's status bar says, why, and what to do.

The kinds are those of the status that Copilot's language server reports, which editors show already.
"""

from dataclasses import dataclass
from typing import Literal

from sc2lsp.backend import State, runs_here
from sc2lsp.config import Config
from sc2lsp.runtime.locate import EMBEDDED


@dataclass(frozen=True, slots=True)
class Action:
    """A button: a command of the server, or `sc2lsp.openSettings`, which is the editor's own."""

    title: str
    command: str
    arguments: tuple[str, ...] = ()


TRY_AGAIN = Action("Try again", "sc2lsp.restart")
RESUME = Action("Resume", "sc2lsp.resume")
TURN_ON = Action("Turn on", "sc2lsp.toggle", ("all",))
BUILT_IN = Action("Use the built-in model", "sc2lsp.model", (EMBEDDED,))
OPEN_SETTINGS = Action("Open settings", "sc2lsp.openSettings")


@dataclass(frozen=True, slots=True)
class Status:
    """`message` says what is, or why nothing is completed; `fix` what would change that, `action` does it."""

    kind: Literal["Normal", "Inactive", "Warning", "Error"]
    message: str
    fix: str = ""
    busy: bool = False
    action: Action | None = None


def status_of(
    config: Config, state: State, warning: Status | None, why_off: str | None, paused_seconds: float | None
) -> Status:
    """Of a backend's state, of what else is wrong, of the reason why a document is not completed, and of a pause that
    lasts so long yet. What the user did comes first, then what the user has to do.
    """
    if not config.enabled:
        return Status("Inactive", "completion is turned off", action=TURN_ON)
    if paused_seconds is not None:
        left = "until resumed" if paused_seconds == float("inf") else f"for {paused_seconds / 60:.0f} min more"
        return Status("Inactive", f"completion is paused {left}", "run the command sc2lsp.resume", action=RESUME)
    if warning is not None:
        return warning
    if why_off is not None:
        return Status("Inactive", why_off)
    if state.kind == "error":
        other_model = runs_here(config) and config.model != EMBEDDED
        return Status("Error", state.message, state.fix, action=BUILT_IN if other_model else TRY_AGAIN)
    return Status("Normal", state.message, busy=state.kind == "starting")
