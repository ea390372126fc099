"""Which language a file is in, and its grammar.

A grammar is imported on first use; where its wheel is missing or does not load, the language has no trees and the rest
of the package works on words. This module knows no document and walks no tree.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import cast

import tree_sitter

from .tables import CORE, SCOPE_KINDS, Language
from .tables_extra import EXTRA

__all__ = ["EXTRA_LANGUAGES", "LANGUAGES", "SCOPE_KINDS", "Language", "family_of", "grammar", "language_of"]

LANGUAGES = CORE  # whose grammars come with every installation
EXTRA_LANGUAGES = EXTRA  # whose grammars come with `sc2lsp[languages]`
_BY_SUFFIX = {suffix: language for language in (*CORE, *EXTRA) for suffix in language.suffixes}


@lru_cache(maxsize=1 << 16)
def language_of(path: str) -> Language | None:
    """The language a file name stands for, or None where we know none."""
    _, dot, suffix = path.rpartition(".")
    return _BY_SUFFIX.get(f".{suffix}".lower()) if dot else None


def family_of(path: str) -> str:
    """The family of the language a file name stands for, "" where we know none."""
    language = language_of(path)
    return language.family if language is not None else ""


@cache
def grammar(language: Language) -> tree_sitter.Language | None:
    """The language's grammar, or None where its wheel is missing or too old or new for the parser."""
    try:
        factory = cast(Callable[[], object], getattr(import_module(language.module), language.factory))
        return tree_sitter.Language(factory())
    except (ImportError, AttributeError, ValueError):
        return None
