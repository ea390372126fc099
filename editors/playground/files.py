"""What the page may see of a workspace: the files that the language server itself would read, and no others.

Reads only. Knows nothing of HTTP.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sc2lsp.config import Config, tighten
from sc2lsp.context.workspace import Reader, Rules, Skipped, in_private_folder

MAX_FILES = 2000  # in the page's list


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page begins, and what it types there; line and column count from 1, the path from the root."""

    path: str
    line: int
    column: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder as the page shows it, with the settings that its language servers start with."""

    root: Path  # resolved
    exclude: Sequence[str] = ()
    start: Place | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def listing(self) -> dict[str, Any]:
        """What the page begins with, as JSON."""
        return {
            "name": self.root.name,
            "uri": self.root.as_uri(),
            "files": sorted(islice(self._files(), MAX_FILES)),
            "start": None if self.start is None else asdict(self.start),
            "settings": self.settings,
        }

    def _files(self) -> Iterator[str]:
        if not in_private_folder(f"{self.root.as_posix()}/"):
            yield from (found for found in Rules(self.root, self.exclude).survey() if isinstance(found, str))

    def text(self, path: str) -> str | None:
        """Of a root-relative path; None for whatever is not in the listing's rules, or cannot be read."""
        if in_private_folder(f"{self.root.as_posix()}/{path}"):
            return None
        if not Rules(self.root, self.exclude).is_candidate(path):
            return None
        text = Reader(self.root).read(path)
        return None if isinstance(text, Skipped) else text


def workspace_of(root: Path, config: Config) -> Workspace:
    """The user's own folder, by its own rules too. Raises ConfigError."""
    root = root.resolve()
    # What is tried out here says nothing about the suggestions that the user works with.
    return Workspace(root, tighten(config, root).exclude, settings={"statistics": False})
