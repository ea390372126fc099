"""The recipe of a corpus: an explicit list of packages and folders, and what is never to be in it.

Reads and checks `recipe.toml`; fetches nothing. The `[plan.NAME]` tables beside it are the training's.
"""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from sc2lsp.context.languages import EXTRA_LANGUAGES, LANGUAGES
from sc2lsp.runtime.training.plan import Plan

from . import CorpusError
from .licences import is_permissive

# Never trained on: what completion quality is measured with, here and in the public benchmark.
EVALUATION = frozenset("flask httpx trio rich zod fastapi sqlalchemy jedi aider django hugo gson pyright".split())

Registry = Literal["pypi", "npm"]
_LANGUAGES: dict[Registry, frozenset[str]] = {
    "pypi": frozenset({"python"}),
    "npm": frozenset({"javascript", "typescript", "tsx"}),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A `package` of a registry with its `version`, or a `folder`; `licence` is an SPDX expression.

    A folder of one's own may state `LicenseRef-...`: it is recorded, whatever its files say is not needed.
    """

    licence: str = ""
    package: str = ""
    version: str = ""
    registry: Registry = "pypi"
    folder: str = ""

    @property
    def name(self) -> str:
        return self.package or Path(self.folder).expanduser().resolve().name

    @property
    def key(self) -> str:
        """A file name of its own for every source."""
        return "-".join(filter(None, (self.registry, self.name.replace("/", "+"), self.version or "folder")))

    @property
    def is_own(self) -> bool:
        return bool(self.folder) and self.licence.startswith("LicenseRef-")


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the sources is taken. `opt_out`: names of repositories, SWHIDs, or path patterns as in .gitignore."""

    languages: tuple[str, ...] = ("python",)
    opt_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    source: tuple[Source, ...]
    held_out: tuple[Source, ...] = ()
    corpus: Selection = field(default_factory=Selection)
    plan: dict[str, Plan] = field(default_factory=dict[str, Plan])

    def within(self, languages: tuple[str, ...]) -> "Recipe":
        """The same, for files in `languages` only, and without the packages that can have none."""

        def may_have(source: Source) -> bool:
            return bool(source.folder) or not _LANGUAGES[source.registry].isdisjoint(languages)

        chosen = tuple(language for language in self.corpus.languages if language in languages)
        sources = tuple(source for source in self.source if may_have(source))
        held_out = tuple(source for source in self.held_out if may_have(source))
        return replace(self, source=sources, held_out=held_out, corpus=replace(self.corpus, languages=chosen))


def read_recipe(path: Path) -> Recipe:
    """Raises CorpusError: unreadable, of the wrong shape, not permissive, or naming an evaluation repository."""
    try:
        recipe = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Recipe)
    except OSError as wrong:
        raise CorpusError(f"{path} cannot be read: {wrong.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as wrong:
        raise CorpusError(f"{path}: {wrong}") from None
    for source in (*recipe.source, *recipe.held_out):
        if bool(source.package and source.version) == bool(source.folder):
            raise CorpusError(f"{path}: a source needs either package and version, or folder")
    for source in recipe.source:
        _check(path, source)
    keys = [source.key for source in recipe.source]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise CorpusError(f"{path}: {twice[0]} is named twice")
    known = {language.name for language in (*LANGUAGES, *EXTRA_LANGUAGES)}
    if unknown := sorted(set(recipe.corpus.languages) - known):
        raise CorpusError(f"{path}: no language is called {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return recipe


def _check(path: Path, source: Source) -> None:
    if source.name.lower() in EVALUATION:
        raise CorpusError(f"{path}: {source.name} is kept for evaluation and is never trained on")
    if not source.licence:
        raise CorpusError(f"{path}: {source.name} states no licence")
    if not source.is_own and not is_permissive(source.licence):
        raise CorpusError(f"{path}: {source.name} is under {source.licence}, which is not on the permissive list")
