"""What a user switches in one window for as long as it is open: a pause, a model, and
completion on or off for something.

Changes nothing on disk. Knows no editor.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from sc2lsp.config import Config
from sc2lsp.runtime.locate import EMBEDDED


class Control:
    """One window's switches."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._paused_until = 0.0
        self._flipped: set[tuple[str, str]] = set()  # scope, and what of it
        self._model: str | None = None
        # Mutated by the commands, on the event loop.

    def pause(self, minutes: float | None) -> None:
        """Suggest nothing for so long, or until `resume`."""
        self._paused_until = float("inf") if minutes is None else self._clock() + max(minutes, 0.0) * 60

    def resume(self) -> None:
        self._paused_until = 0.0

    @property
    def paused_seconds(self) -> float | None:
        """How long it is paused yet."""
        left = self._paused_until - self._clock()
        return left if left > 0 else None

    def toggle(self, scope: str, name: str) -> None:
        """Turn completion off where the settings have it on, or back; `name` is of the language, folder or file."""
        self._flipped ^= {(scope, name)}

    def choose(self, model: str | None) -> None:
        """Another model than the settings say; None goes back to theirs."""
        self._model = model

    def applied(self, config: Config) -> Config:
        """The settings with what was toggled."""
        for scope, name in sorted(self._flipped):
            match scope:
                case "all":
                    config = replace(config, enabled=not config.enabled)
                case "language":
                    config = replace(config, languages_off=_flipped(config.languages_off, name))
                case "folder":
                    config = replace(config, folders_off=_flipped(config.folders_off, name))
                case _:
                    config = replace(config, files_off=_flipped(config.files_off, f"/{name}"))
        return config if self._model is None else _with_model(config, self._model)


def _with_model(config: Config, model: str) -> Config:
    """The built-in model is here, whatever answers elsewhere."""
    if model == EMBEDDED:
        config = replace(config, backend="runtime", endpoint="")
    return replace(config, model=model, draft_model="")


def _flipped(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name) if name in names else (*names, name)


def file_pattern(root: Path, path: Path) -> str:
    """A file's name for `toggle`, which no other file of the folder has."""
    return "".join(f"\\{char}" if char in "\\*?[]!# " else char for char in path.relative_to(root).as_posix())
