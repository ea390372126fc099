"""Which packages an optional part of sc2lsp needs, and how they are installed."""

from collections.abc import Mapping
from importlib.util import find_spec

from sc2lsp.headless import InputError

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "runtime": ("torch", "safetensors", "huggingface_hub", "uvicorn", "starlette"),
    "train": ("datasketch", "identify", "license_expression", "matplotlib", "ukkonen"),
    "eval": ("matplotlib", "rapidfuzz"),
}
_INSTALL: Mapping[str, str] = {"runtime": "torch==2.13.0 'sc2lsp[runtime]'"}


def require(extra: str) -> None:
    """Raises InputError where packages of an extra of pyproject.toml are missing."""
    missing = [name for name in _NEEDED[extra] if find_spec(name) is None]
    if missing:
        install = _INSTALL.get(extra, f"'sc2lsp[{extra}]'")
        raise InputError(f"{', '.join(missing)} not installed: pip install {install}")
