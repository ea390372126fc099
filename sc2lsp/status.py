"""How completion stands in a window, in words: what an editor's status bar says, why, and what to do.

The kinds are those of the status that Copilot's language server reports, which editors show already.
"""

from dataclasses import dataclass
from typing import Literal

from sc2lsp.backend import State


@dataclass(frozen=True, slots=True)
class Status:
    """`message` says what is, or why nothing is completed; `fix` what would change that."""

    kind: Literal["Normal", "Inactive", "Warning", "Error"]
    message: str
    fix: str = ""
    busy: bool = False


def status_of(state: State, why_off: str | None, paused_seconds: float | None) -> Status:
    """Of a backend's state, of the reason why a document is not completed, and of a pause that lasts so long yet."""
    if why_off is not None:
        return Status("Inactive", why_off)
    if paused_seconds is not None:
        left = "until resumed" if paused_seconds == float("inf") else f"for {paused_seconds / 60:.0f} min more"
        return Status("Inactive", f"completion is paused {left}", "run the command sc2lsp.resume")
    if state.kind == "error":
        return Status("Error", state.message, state.fix)
    return Status("Normal", state.message, busy=state.kind == "starting")
