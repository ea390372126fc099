"""Where to ask: the names that added lines use.

A syntax tree says what is a name, in every language that sc2lsp has a grammar for; files in others have no places.
Names that a line brings into being are nobody's to guess, and are left out. This module knows no model and no diff.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import tree_sitter

from sc2lsp.context.document import parse
from sc2lsp.context.languages import language_of

Kind = Literal["name", "unfinished"]

PARSE_SECONDS = 2.0  # of processor time, for one file
NOT_ASKED = frozenset({"self", "cls", "this", "super", "_"})
# What stands under one of these fields comes into being there, or is a keyword's name ...
BINDING = frozenset({"name", "alias", "left", "pattern", "parameter", "parameters", "declarator", "key", "label"})
# ... but for these fields of nodes whose type holds one of these words.
NOT_BINDING = {"name": ("call", "invocation", "scoped", "qualified", "template"), "left": ("binary", "comparison")}
USED = frozenset({"type", "value", "default_value"})  # fields of what is looked up, whatever is around it
BINDING_NODES = ("import", "use_declaration", "package", "include", "parameter", "global", "nonlocal")
STATEMENTS = ("statement", "definition", "declaration", "module", "program", "block")


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line that the model is asked for. 1-based; columns in characters, `end` is exclusive."""

    path: str
    kind: Kind
    line: int
    start: int
    end: int
    written: str


def tree_of(path: str, text: str) -> tree_sitter.Tree | None:
    """None in languages without a grammar, and for texts that take too long."""
    language = language_of(path)
    if language is None:
        return None
    return parse(language, text.encode("utf-8", "replace"), time.thread_time() + PARSE_SECONDS)


def names(path: str, tree: tree_sitter.Tree, rows: list[str], lines: Collection[int]) -> list[Place]:
    """The names used in these 1-based lines, in the order of the text."""
    nodes = (node for node, is_used in nodes_in(tree, lines) if is_used and _is_name(node))
    found = (place_of(path, "name", node, rows) for node in nodes)
    return [place for place in found if place.written not in NOT_ASKED]


def nodes_in(tree: tree_sitter.Tree, lines: Collection[int]) -> Iterator[tuple[tree_sitter.Node, bool]]:
    """The named nodes that begin in these 1-based lines, in the order of the text; whether a name there is used.

    A cursor alone takes a time that is proportional to the tree: asking a node for its parent does not.
    """
    first, last = min(lines) - 1, max(lines) - 1
    cursor, above = tree.walk(), list[tuple[str, bool]]()  # the types of the nodes around, and what they say of names
    is_used = True
    while (node := cursor.node) is not None:
        if node.is_named and node.start_point.row + 1 in lines:
            yield node, is_used
        if node.end_point.row >= first and node.start_point.row <= last and cursor.goto_first_child():
            above.append((node.type, is_used))
        else:
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return
                above.pop()
        is_used = _is_used(*above[-1], cursor.field_name)


def place_of(path: str, kind: Kind, node: tree_sitter.Node, rows: list[str]) -> Place:
    """Where a node begins, as far as it goes in its first line."""
    (row, column), text = node.start_point, rows[node.start_point.row]
    written = (node.text or b"").decode("utf-8", "replace").split("\n")[0].rstrip("\r")
    start = len(text.encode("utf-8", "replace")[:column].decode("utf-8", "replace")) + 1
    return Place(path, kind, row + 1, start, start + len(written), written)


def _is_name(node: tree_sitter.Node) -> bool:
    return node.type.endswith("identifier") and not node.child_count


def _is_used(parent: str, otherwise: bool, field: str | None) -> bool:
    """Whether a name has to be known already where it stands below a type of node, under one of its fields."""
    if field in USED:
        return True
    if any(part in parent for part in BINDING_NODES):
        return False
    if field in BINDING and not any(part in parent for part in NOT_BINDING.get(field, ())):
        return False
    return parent.endswith(STATEMENTS) or otherwise
