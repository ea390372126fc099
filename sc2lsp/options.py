"""What several commands share: their options, and the configuration with what was given on the command line."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sc2lsp.config import Config

PATH = click.Path(path_type=Path)
with_root = click.option("--root", type=PATH, help="The workspace; by default the nearest project root.")
with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
with_batch = click.option("--batch", is_flag=True, help="Queries as JSON lines on standard input, answers in order.")
with_model = click.option("--model", help='"embedded", a folder, or a hub id such as bigcode/starcoder2-3b.')


def configured(model: str | None, **settings: str | int | None) -> "Config":
    from sc2lsp.config import load

    return load(command_line={"model": model, **settings})


def patient(config: "Config") -> "Config":
    """For whoever does not type on meanwhile: an answer may take as long as loading its model."""
    longest = max(config.timeout, config.load_timeout)
    return replace(config, first_token_timeout=longest, token_timeout=longest, timeout=longest)
