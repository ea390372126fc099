"""Why nothing is completed in a file: what the settings say of it. Knows no editor and no text."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pathspec

from sc2lsp.config import Config
from sc2lsp.context.languages import language_of
from sc2lsp.language_ids import language_for_id


def why_off(config: Config, root: Path, path: str, language: str | None) -> str | None:
    """The setting that turns completion off in the file at `path` below `root`, in words; None where none does."""
    if not config.enabled:
        return "completion is turned off: enabled = false"
    named = next((name for name in config.languages_off if _means(name, path, language)), None)
    if named is not None:
        return f"completion is turned off for {named}: languages_off"
    if config.folders_off and _is_below((root / path).parent, config.folders_off):
        return f"completion is turned off in {root.name}: folders_off"
    try:
        is_off = _patterns(config.files_off).match_file(path)
    except ValueError:  # what it may have meant is not completed by mistake
        return "completion is turned off everywhere: files_off holds what is no gitignore pattern"
    return "completion is turned off in this file: files_off" if is_off else None


def _means(name: str, path: str, language: str | None) -> bool:
    """Whether a name, ours or an editor's, is that of a file's language."""
    suffix = language_for_id(name) or ""
    if language is None:
        return bool(suffix) and path.lower().endswith(suffix)
    named = language_of(f"x{suffix}")
    return name.lower() == language or (named is not None and named.name == language)


@lru_cache(maxsize=1 << 10)
def _is_below(folder: Path, others: tuple[str, ...]) -> bool:
    """Whether a folder is one of others, or in one, by the names that were given or by those that links lead to."""
    seen = (folder, folder.resolve())
    return any(one.is_relative_to(other) for one in seen for name in others for other in _places(name))


def _places(name: str) -> tuple[Path, ...]:
    place = Path(name)
    with suppress(RuntimeError):  # nobody's home
        place = place.expanduser()
    return place, place.resolve()


@lru_cache(maxsize=64)
def _patterns(lines: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(lines)
