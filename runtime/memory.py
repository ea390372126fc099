"""Whether a model fits a device, and which of the published ones would. Arithmetic and one question to the system;
allocates nothing.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .config import ModelConfig
from .errors import ModelError
from .locate import EMBEDDED

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Footprint:
    """Numbers that a model keeps in memory: its weights, and the keys and values of one document at full length."""

    name: str
    weights: int
    cache: int

    def bytes(self, dtype: torch.dtype) -> int:
        return (self.weights + self.cache) * dtype.itemsize


# Largest first. Parameters; then keys and values: 2 * layers * kv_heads * head_dim * positions.
PUBLISHED = (
    Footprint("bigcode/starcoder2-15b", 15_957_889_024, 2 * 40 * 4 * 128 * 16384),
    Footprint("bigcode/starcoder2-7b", 7_173_923_840, 2 * 32 * 4 * 128 * 16384),
    Footprint("bigcode/starcoder2-3b", 3_030_371_328, 2 * 30 * 2 * 128 * 16384),
    Footprint("bigcode/starcoderbase-1b", 1_137_207_296, 2 * 24 * 1 * 128 * 8192),
)


def footprint(name: str, config: ModelConfig, parameters: int) -> Footprint:
    width = config.num_kv_heads * config.head_dim
    return Footprint(name, parameters, 2 * config.num_layers * width * config.context_length)


def require(
    model: Footprint, dtype: torch.dtype, device: str, free: int | None, others: Sequence[Footprint] = PUBLISHED
) -> None:
    """Raises ModelError where `free` bytes do not hold the model: what it needs, what there is, what would fit."""
    needed = model.bytes(dtype)
    if free is None or needed <= free:
        return
    kind = str(dtype).removeprefix("torch.")
    parts = f"{_gib(model.weights * dtype.itemsize)} of weights, {_gib(model.cache * dtype.itemsize)} for one document"
    fits = next((other for other in others if other.bytes(dtype) <= free), None)
    instead = f"the built-in model ({EMBEDDED})" if fits is None else f"{fits.name} ({_gib(fits.bytes(dtype))})"
    raise ModelError(
        f"{model.name} needs {_gib(needed)} in {kind} ({parts}), and {device} has {_gib(free)} left; "
        f"{instead} would fit"
    )


def free_bytes(device: torch.device) -> int | None:
    """What a device has left for us; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _free_system_bytes()


def _free_system_bytes() -> int | None:
    """Of main memory, inside the limit of a container; what file caches hold counts as free."""
    rooms = [room for room in (_linux_available(), *map(_left_in_group, _GROUPS)) if room is not None]
    if not rooms and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(rooms, default=None)


def _linux_available() -> int | None:
    kib = _field(Path("/proc/meminfo"), "MemAvailable:")
    return None if kib is None else kib << 10


_CGROUP = Path("/sys/fs/cgroup")
_GROUPS = (  # limit, statistics, what in them cannot be given back; of version 2 and version 1
    (_CGROUP / "memory.max", _CGROUP / "memory.stat", "anon"),
    (_CGROUP / "memory/memory.limit_in_bytes", _CGROUP / "memory/memory.stat", "total_rss"),
)


def _left_in_group(group: tuple[Path, Path, str]) -> int | None:
    limit, statistics, key = group
    try:
        most = int(limit.read_text("ascii"))
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return None
    used = _field(statistics, key)
    return None if used is None else max(0, most - used)


def _field(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    found = (line.split() for line in lines if line.startswith(f"{key} "))
    return next((int(words[1]) for words in found), None)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
