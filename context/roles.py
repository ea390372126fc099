"""What each kind of node is to the walk: a language's tables of names, turned into one of its grammar's numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import tree_sitter

from .defined import Finder, named, own_name
from .definitions import CORE_FINDERS, CORE_SCOPES
from .definitions_extra import EXTRA_FINDERS, EXTRA_SCOPES
from .definitions_script import SCRIPT_FINDERS, SCRIPT_SCOPES
from .imports import CORE_IMPORTERS, Importer
from .imports_extra import EXTRA_IMPORTERS
from .languages import SCOPE_KINDS, Language, grammar
from .source import Source

FINDERS = {**CORE_FINDERS, **SCRIPT_FINDERS, **EXTRA_FINDERS}
SCOPES = {**CORE_SCOPES, **SCRIPT_SCOPES, **EXTRA_SCOPES}
IMPORTERS = {**CORE_IMPORTERS, **EXTRA_IMPORTERS}
ERROR_KIND = 0xFFFF  # of a node around what the parser made nothing of


@dataclass(frozen=True, slots=True)
class Role:
    kind: str  # of the names it defines, where it has a finder
    finder: Finder | None
    importer: Importer | None
    enters: bool  # whether the walk looks at its children ...
    wraps: bool  # ... whose lines begin with its own ...
    scope: Callable[[Source, tree_sitter.Node], str] | None  # ... and whose scope this says


# Half-typed code around a definition must not hide it.
_ERROR = Role(kind="", finder=None, importer=None, enters=True, wraps=False, scope=None)


@cache
def roles(language: Language) -> Mapping[int, Role]:
    """Kind of node -> its role; a kind that is missing is of no interest, and neither is anything below it."""
    syntax = grammar(language)
    assert syntax is not None  # only a grammar makes trees, and only trees are walked
    found = {ERROR_KIND: _ERROR}
    for number in range(syntax.node_kind_count):
        name = syntax.node_kind_for_id(number)
        if name is not None and syntax.node_kind_is_named(number) and (role := _role(language, name)) is not None:
            found[number] = role
    return found


def _role(language: Language, node_type: str) -> Role | None:
    place, kind = (language.family, node_type), language.definitions.get(node_type, "")
    finder = FINDERS.get(place, named) if kind else None
    importer = IMPORTERS[place] if node_type in language.imports else None
    enters = node_type in language.containers or kind in SCOPE_KINDS
    if not (finder or importer or enters):
        return None
    scope = SCOPES.get(place, own_name)
    scopes = node_type in language.scopes or kind in SCOPE_KINDS
    return Role(kind, finder, importer, enters, node_type in language.wrappers, scope if scopes else None)
