"""A document's definitions, references and imports.

One shallow walk with a stack, never recursion: it enters what can define names (modules, classes) and skips what cannot
(function bodies). Words are counted with or without a tree. This module knows no other file.
"""

from collections.abc import Iterable, Iterator
from sys import intern

import tree_sitter

from .defined import Defined
from .document import Document
from .languages import Language
from .roles import Role, roles
from .signature import MAX_SIGNATURE, docstring, signature
from .source import Source
from .symbols import FileTags, Import, Tag
from .words import WORD, identifiers

__all__ = ["MAX_DEFINITIONS", "WORD", "FileTags", "Import", "Tag", "extract", "extract_nodes", "imports"]

# Beyond these a text was written by a machine, which can nest and repeat without end.
MAX_DEFINITIONS = 1 << 13
MAX_SCOPE = 256  # code points


def extract(document: Document) -> FileTags:
    """Everything a document defines, mentions and imports; without a tree, only what it mentions."""
    source = Source.of(document.text)
    letters = document.language.letters if document.language is not None else ""
    words, occurrences = identifiers(source.encoded, letters)
    if document.language is None or document.tree is None:
        return FileTags((), words, occurrences, ())
    definitions, found = extract_nodes(document.language, source, document.tree.root_node.children)
    return FileTags(tuple(definitions), words, occurrences, tuple(found))


def imports(document: Document) -> tuple[Import, ...]:
    """What a document imports; without a tree, nothing."""
    if document.language is None or document.tree is None:
        return ()
    source = Source.of(document.text)
    return tuple(
        found
        for child in document.tree.root_node.children
        for role, node, _, scope in _walk(document.language, source, child)
        if role.importer is not None
        for found in role.importer(source, node, scope)
    )


def extract_nodes(
    language: Language, source: Source, nodes: Iterable[tree_sitter.Node]
) -> tuple[list[Tag], list[Import]]:
    """Definitions and imports of some children of the root, in source order: what each of them says alone.

    The definitions are the first MAX_DEFINITIONS.
    """
    definitions: list[Tag] = []
    found: list[Import] = []
    for child in nodes:
        fields: set[tuple[str, str]] = set()
        for role, node, outer, scope in _walk(language, source, child):
            if role.importer is not None:
                found += role.importer(source, node, scope)
            if role.finder is None or len(definitions) >= MAX_DEFINITIONS:
                continue
            for defined in role.finder(source, node, role.kind, scope):
                place = (_inside(scope, defined.scope), defined.name)
                if not language.is_name(defined.name) or (defined.kind == "field" and place in fields):
                    continue
                if defined.kind == "field":  # a later assignment is no definition
                    fields.add(place)
                lines_of = outer if defined.node is node else defined.node
                definitions.append(_tag(language, source, defined, lines_of, place[0]))
    return definitions[:MAX_DEFINITIONS], found


def _walk(
    language: Language, source: Source, top: tree_sitter.Node
) -> Iterator[tuple[Role, tree_sitter.Node, tree_sitter.Node, str]]:
    """(role, node, the node with its decorators or `export`, scope) of what defines or imports, in source order."""
    of_kind = roles(language)
    first = of_kind.get(top.kind_id)
    stack = [(first, top, top, "")] if first is not None else []
    while stack:
        role, node, outer, scope = stack.pop()
        if role.finder is not None or role.importer is not None:
            yield role, node, outer, scope
        if not role.enters:
            continue
        inside = scope if role.scope is None else _inside(scope, role.scope(source, node))
        for child in reversed(node.children):
            below = of_kind.get(child.kind_id)
            if below is not None:
                stack.append((below, child, outer if role.wraps else child, inside))


def _tag(language: Language, source: Source, defined: Defined, outer: tree_sitter.Node, scope: str) -> Tag:
    name, kind, node, stop, _ = defined
    start, end = source.first_line(outer), source.last_line(node) + 1
    text = signature(source, kind, end - start, outer.start_byte, node.end_byte, stop)
    if len(text) == MAX_SIGNATURE and outer is not node:  # decorators left no room for the name
        return _tag(language, source, defined, node, scope)
    if language.family == "python" and kind in ("function", "class") and text.count("\n") < end - start:
        first = docstring(source, node.child_by_field_name("body"))
        text += first if len(text) + len(first) <= MAX_SIGNATURE else ""
    return Tag(intern(name), kind, start, end, text, intern(scope))


def _inside(scope: str, name: str) -> str:
    """A scope below another one; the same for what is no dotted name: nothing, a string, a pattern, half a line."""
    if not name.replace(".", "_").isidentifier():
        return scope
    inside = f"{scope}.{name}" if scope else name
    return inside if len(inside) <= MAX_SCOPE else scope
