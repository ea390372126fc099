"""`sc2lsp doctor`: what this installation has, what it lacks, and how to mend it."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Literal

from sc2lsp import __version__, daemon
from sc2lsp.backend import BackendError, create, local_model, runs_here
from sc2lsp.config import Config
from sc2lsp.context.languages import LANGUAGES, grammar
from sc2lsp.extras import require
from sc2lsp.headless import InputError
from sc2lsp.runtime.locate import model_folder

NEOVIM = (0, 10)  # the first that our plugin knows


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `warn` limits something, `fail` means that nothing is suggested."""

    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def examine(config: Config) -> list[Finding]:
    """Every check, in the order in which a first completion would meet them."""
    findings = [Finding("sc2lsp", "ok", f"{__version__} on Python {sys.version.split()[0]}"), _grammars()]
    if not runs_here(config):
        findings.append(_elsewhere(config))
    else:
        findings += [_torch(), _accelerator(), _model(config), _daemon()]
    return [*findings, *_editors()]


def _grammars() -> Finding:
    missing = sorted(language.name for language in LANGUAGES if grammar(language) is None)
    if missing:
        advice = "pip install --force-reinstall sc2lsp; without a grammar a language is indexed by words only"
        return Finding("grammars", "warn", f"missing: {', '.join(missing)}", advice)
    return Finding("grammars", "ok", ", ".join(language.name for language in LANGUAGES))


def _torch() -> Finding:
    try:
        require("runtime")
    except InputError as missing:
        return Finding("torch", "fail", str(missing), "or set `endpoint` to a runtime elsewhere")
    return Finding("torch", "ok", version("torch"))


def _elsewhere(config: Config) -> Finding:
    async def model_there() -> str:
        backend = create(config)
        try:
            return (await backend.model()).name
        finally:
            await backend.close()

    where = f"{config.backend} at {config.endpoint or 'its usual port'}"
    try:
        return Finding("backend", "ok", f"{where}: {asyncio.run(model_there())}")
    except BackendError as failure:
        return Finding("backend", "fail", failure.reason, failure.fix or "is it running, and the token right?")


def _accelerator() -> Finding:
    """Asks the driver's own tool: importing torch here would take seconds."""
    if shutil.which("nvidia-smi"):
        names = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
        if names:
            return Finding("accelerator", "ok", names[0])
    if sys.platform == "darwin":
        return Finding("accelerator", "ok", "Apple GPU through MPS, where torch supports it")
    return Finding("accelerator", "warn", "no GPU", "the built-in model is meant for this; 3B and up will be slow")


def _model(config: Config) -> Finding:
    if model_folder(config.model) is None:
        if find_spec("huggingface_hub") is None:
            return Finding("model", "fail", f"{config.model} is not a folder", "pip install 'sc2lsp[runtime]'")
        return Finding("model", "ok", f"{config.model} from the Hugging Face hub, downloaded on first use")
    try:
        model = local_model(config)
    except BackendError as wrong:
        return Finding("model", "fail", str(wrong), "choose another with --model or SC2LSP_MODEL")
    assert model is not None
    return Finding("model", "ok", f"{config.model}, {model.context_length} tokens of context")


def _daemon() -> Finding:
    try:
        running = asyncio.run(daemon.running())
        folder = daemon.runtime_dir()
    except daemon.DaemonError as wrong:
        return Finding("runtime", "fail", str(wrong))
    return Finding("runtime", "ok", f"{len(running)} running, sockets in {folder}")


def _editors() -> Iterator[Finding]:
    if shutil.which("nvim"):
        match = re.match(r"NVIM v(\d+)\.(\d+)", _output("nvim", "--version"))
        found = (int(match[1]), int(match[2])) if match else (0, 0)
        advice = "" if found >= NEOVIM else f"the plugin wants {NEOVIM[0]}.{NEOVIM[1]} or later: update Neovim"
        yield Finding("neovim", "warn" if advice else "ok", f"{found[0]}.{found[1]}", advice)
    if shutil.which("code"):
        yield Finding("vs code", "ok", _output("code", "--version").partition("\n")[0])


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
