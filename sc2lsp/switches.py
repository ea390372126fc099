"""Why nothing is completed in a file: what the settings say of it. Knows no editor."""

from functools import lru_cache
from pathlib import Path

import pathspec

from sc2lsp.config import Config


def why_off(config: Config, root: Path, path: str, language: str | None) -> str | None:
    """The setting that turns completion off in the file at `path` below `root`, in words; None where none does."""
    if not config.enabled:
        return "completion is turned off: enabled = false"
    if language in config.languages_off:
        return f"completion is turned off for {language}: languages_off"
    if any(root.is_relative_to(Path(folder).expanduser()) for folder in config.folders_off):
        return f"completion is turned off in {root.name}: folders_off"
    if _patterns(config.files_off).match_file(path):
        return "completion is turned off in this file: files_off"
    return None


@lru_cache(maxsize=64)
def _patterns(lines: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(lines)
