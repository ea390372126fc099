"""Where a model's folder is on this machine. Downloads nothing."""

from pathlib import Path

EMBEDDED = "embedded"  # the name of the built-in model


def model_folder(model: str) -> Path | None:
    """The absolute folder of the built-in model or of a path; None for a hub id."""
    if model == EMBEDDED:
        return Path(__file__).parent / EMBEDDED
    path = Path(model).expanduser()
    return path.resolve() if path.is_dir() else None
