"""Config: validated once, layered by trust.

Defaults, then the user's file, then the editor's settings, then the environment, then the command line. A workspace's
own `.sc2lsp.toml` may only tighten: exclude more, lower the budget, turn languages off.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from platformdirs import user_config_path

WORKSPACE_FILE = ".sc2lsp.toml"
ENVIRONMENT = {"SC2LSP_MODEL": "model", "SC2LSP_ENDPOINT": "endpoint", "SC2LSP_TOKEN": "token"}

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class ConfigError(Exception):
    """A setting cannot be used; the message names it and says what would do."""


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of sc2lsp. Times in seconds, budgets in tokens."""

    enabled: bool = True
    languages_off: tuple[str, ...] = ()
    folders_off: tuple[str, ...] = ()  # workspace folders, or folders around them; ~ is the user's own
    files_off: tuple[str, ...] = ()  # gitignore patterns: not completed, though other files may be shown them
    comments: bool = True  # whether to complete inside comments
    max_wait: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.3  # at most, for the next key; 0 asks at every key
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.25  # of all that is shown together; 0 shows all
    continuation: bool = True  # what follows a suggestion is computed while it is read
    statistics: bool = True  # counts and times of suggestions, never their text, kept on this machine
    model: str = "embedded"  # "embedded", a folder, or a hub id
    share_workspace: Literal["local", "always", "never"] = "local"  # whole files, for drafts, with which runtimes
    draft_model: str = ""  # a smaller one with the same tokenizer, which drafts for it: 3B for 7B
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8", "int4", "fp8"] = "auto"  # of a local runtime
    kv_cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 0  # for keys and values there; 0 takes what suits the device
    backend: Literal["runtime", "openai", "llama-server", "ollama"] = "runtime"  # what answers at the endpoint
    endpoint: str = ""  # unix:/path, tcp://127.0.0.1:port or http(s)://host/...; empty starts a runtime here
    token: str = ""  # for an endpoint that wants one
    tokenizer: str = ""  # of an HTTP backend's model: a folder, a hub id; empty takes the built-in one to count with
    proxy: str = ""  # for HTTP backends; empty takes what the environment says
    ca_file: str = ""  # certificates to trust beside the system's
    context: Literal["workspace", "file"] = "workspace"  # what a prompt may show beside the file itself
    order: Literal["spm", "psm"] = "spm"
    budget: Annotated[int, msgspec.Meta(ge=32)] = 2048  # tokens of a whole prompt; a shorter context lowers it
    max_tokens: Positive = 48  # tokens of a completion
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0
    first_token_timeout: Seconds = 3.0  # once the model is loaded
    token_timeout: Seconds = 2.0  # between two signs of life of an answer under way
    timeout: Seconds = 10.0  # for one completion
    load_timeout: Seconds = 600.0  # for starting a runtime and loading its model
    idle_timeout: Annotated[float, msgspec.Meta(ge=1)] = 1800.0  # a local runtime ends after so long without a client
    exclude: tuple[str, ...] = ()  # gitignore patterns, beside what the ignore files say
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 512  # for the indexes of all workspaces on disk; 0 keeps none


# What a workspace's own file may name; everything else belongs to the user alone.
TIGHTENING = frozenset({"enabled", "exclude", "budget", "context", "languages_off", "files_off", "comments"})

# What only concerns which answers are asked for and shown, not who answers.
ASKING = frozenset(
    {"enabled", "languages_off", "folders_off", "files_off", "comments", "max_wait", "min_confidence"}
    | {"continuation", "context", "order", "temperature"}
)


def differ_in_asking_only(one: Config, other: Config) -> bool:
    """Whether a change from one to the other leaves the backend as it is."""
    names = asdict(one).keys() - ASKING
    return all(getattr(one, name) == getattr(other, name) for name in names)


def load(
    editor: Mapping[str, Any] | None = None,
    command_line: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    user_file: Path | None = None,
) -> Config:
    """The user's configuration, without any workspace's. Raises ConfigError."""
    environment = os.environ if environment is None else environment
    path = user_file or Path(environment.get("SC2LSP_CONFIG", "") or user_config_path("sc2lsp") / "config.toml")
    config = _layer(Config(), _read(path), str(path))
    config = _layer(config, dict(editor or {}), "the editor's settings")
    from_environment = {field: environment[name] for name, field in ENVIRONMENT.items() if environment.get(name)}
    config = _layer(config, from_environment, "the environment")
    return _layer(config, {k: v for k, v in (command_line or {}).items() if v is not None}, "the command line")


def tighten(config: Config, root: Path) -> Config:
    """`config` for the workspace at `root`: its own file may add exclusions, lower the budget, turn languages off.

    Raises ConfigError when the file is unreadable or asks for anything else.
    """
    path = root / WORKSPACE_FILE
    values = _read(path)
    forbidden = sorted(values.keys() - TIGHTENING)
    if forbidden:
        raise ConfigError(f"{path} may not set {', '.join(forbidden)}: only the user's own configuration may")
    asked = _layer(Config(), values, str(path))
    return replace(
        config,
        enabled=config.enabled and asked.enabled,
        comments=config.comments and asked.comments,
        exclude=(*config.exclude, *asked.exclude),
        files_off=(*config.files_off, *asked.files_off),
        languages_off=(*config.languages_off, *asked.languages_off),
        context="file" if asked.context == "file" else config.context,
        budget=min(config.budget, asked.budget) if "budget" in values else config.budget,
    )


def _layer(config: Config, values: dict[str, Any], source: str) -> Config:
    known = asdict(config)
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise ConfigError(f"{source}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    try:
        return msgspec.convert(known | values, Config)
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"{source}: {wrong}") from None


def _read(path: Path) -> dict[str, Any]:
    """A TOML file's table, empty where there is no file."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise ConfigError(f"{path} cannot be read: {wrong}") from None
