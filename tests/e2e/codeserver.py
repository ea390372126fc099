"""code-server: VS Code itself with its window in a browser, installed from npm, and reached from this machine only.

Knows nothing of what is in the window: see `workbench`.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

from . import node
from .home import Home
from .tools import debian, installed, run

VERSION = "4.139.1"  # with VS Code 1.139
INSTALL_SECONDS = 900.0
START_SECONDS = 60.0
END_SECONDS = 5.0
LISTENING = re.compile(r"HTTP server listening on (http://127\.0\.0\.1:\d+)")
# Without one it asks a public gallery.
NO_GALLERY = json.dumps(dict.fromkeys(["serviceUrl", "itemUrl", "resourceUrlTemplate", "controlUrl"], ""))
QUIET = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.minimap.enabled": False,
    "editor.stickyScroll.enabled": False,
    "workbench.enableExperiments": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "chat.disableAIFeatures": True,
    "files.autoSave": "off",
    "git.enabled": False,
    "remote.autoForwardPorts": False,
    # Its own list of words is open at every key otherwise, and takes Tab before ghost text does.
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.wordBasedSuggestions": "off",
}
FLAGS = (
    "--auth", "none",
    "--bind-addr", "127.0.0.1:0",
    "--disable-telemetry",
    "--disable-update-check",
    "--disable-workspace-trust",
    "--disable-getting-started-override",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodeServer:
    """One that runs; `profile` is its user's folder: settings, logs, state.

    To VS Code it is a remote machine, which has settings of its own beside the user's: what names programs and
    addresses counts there alone.
    """

    url: str
    profile: Path

    @property
    def settings(self) -> Path:
        return self.profile / "Machine" / "settings.json"

    def change(self, settings: Mapping[str, Any]) -> None:
        """Settings into the file, as by hand; None takes one out. VS Code notices by itself."""
        changed = {name: value for name, value in {**self.read(), **settings}.items() if value is not None}
        self.settings.write_text(json.dumps(changed, indent=2), "utf-8")

    def read(self) -> dict[str, Any]:
        """The settings as they are on disk now."""
        return dict(json.loads(self.settings.read_text("utf-8")))

    def logs(self) -> str:
        """All that VS Code and its extensions logged."""
        files = [path for path in sorted(self.profile.glob("logs/**/*")) if path.is_file()]
        return "\n".join(f"{path.name}:\n{path.read_text('utf-8', 'replace')}" for path in files)


def code_server() -> Path:
    """Its entry point, for node. Raises ToolMissing."""
    folder = installed(f"code-server-{VERSION}", _install)
    return folder / "node_modules" / "code-server" / "out" / "node" / "entry.js"


def _install(folder: Path) -> None:
    """Its native modules are compiled, for this Node and not the system's."""
    debian("libkrb5-dev", "pkg-config", "g++", "make", "python3")
    (folder / "package.json").write_text('{"private": true}')
    environment = {**node.environment(folder / "bin"), "npm_config_unsafe_perm": "true"}
    run(["npm", "install", f"code-server@{VERSION}", "--no-fund", "--no-audit"], INSTALL_SECONDS, environment, folder)


@contextmanager
def serving(
    home: Home, extension: Path, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[CodeServer]:
    """A code-server with a fresh profile and an extension; all its processes end with it. Raises ToolMissing."""
    profile = Path(mkdtemp(prefix="code", dir=home.folder))
    for folder, known in {"User": QUIET, "Machine": settings}.items():
        (profile / folder).mkdir()
        (profile / folder / "settings.json").write_text(json.dumps(known, indent=2), "utf-8")
    # VSCODE_CLI: the environment is this one, not what the user's login shell makes of it.
    own = home.environment(EXTENSIONS_GALLERY=NO_GALLERY, VSCODE_CLI="1") | dict(environment or {})
    command = [
        str(node.NODE), str(code_server()), "--config", str(profile / "config.yaml"), "--user-data-dir", str(profile),
        "--extensions-dir", str(profile / "extensions"),
    ]  # fmt: skip
    run([*command, "--install-extension", extension], START_SECONDS, own)
    printed = profile / "code-server.log"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [*command, *FLAGS, str(home.workspace)],
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield CodeServer(_url(process, printed), profile)
    finally:
        _end(process)


def _url(process: "subprocess.Popen[bytes]", printed: Path) -> str:
    """Where it says that it listens."""
    give_up = monotonic() + START_SECONDS
    while process.poll() is None and monotonic() < give_up:
        if (found := LISTENING.search(printed.read_text("utf-8", "replace"))) is not None:
            return found[1]
        sleep(0.05)
    raise AssertionError(f"code-server did not start: {printed.read_text('utf-8', 'replace')[-500:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It and all that it started, but for the runtimes of sc2lsp, which have groups of their own."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        give_up = monotonic() + END_SECONDS
        while _lives(process.pid) and monotonic() < give_up:
            process.poll()
            sleep(0.05)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
