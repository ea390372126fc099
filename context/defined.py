"""What a definition's node defines: mostly one name, under the field `name`.

A finder looks at one node and what is close below it. What it finds besides the node's own name (fields assigned in a
method, components of a record) belongs to the same scope or one below. This module walks no tree.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import tree_sitter

from .source import Source

MOST_LOOKED_AT = 128  # assignments of one method: each costs as much as it is nested deep
MOST_CHAINED = 8
MOST_INDENT = 128  # bytes
STATEMENT_STARTS = (b"\n", b";", b":", b",", b"{", b"}", b")")
# Kinds that are shown to their end where no body says that the header ends before it.
ALL_HEADER = frozenset({"function", "class", "struct", "interface", "enum", "trait"})


class Defined(NamedTuple):
    """A name, and the lines and the header that are its own."""

    name: str
    kind: str
    node: tree_sitter.Node
    stop: int | None  # the byte at which its body starts, None where that is unknown
    scope: str = ""  # below the scope of the node that was asked


Finder = Callable[[Source, tree_sitter.Node, str, str], Sequence[Defined]]  # source, node, kind, scope -> names


def named(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    return (Defined(own_name(source, node), kind, node, header_stop(node, kind)),)


def own_name(source: Source, node: tree_sitter.Node) -> str:
    return source.text(node.child_by_field_name("name"))


def header_stop(node: tree_sitter.Node, kind: str) -> int | None:
    body = node.child_by_field_name("body")
    if body is not None:
        return body.start_byte
    return node.end_byte if kind in ALL_HEADER else None


def every_name(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    return [Defined(source.text(name), kind, node, None) for name in node.children_by_field_name("name")]


def each_named(kind: str, source: Source, nodes: Sequence[tree_sitter.Node], scope: str = "") -> list[Defined]:
    return [Defined(own_name(source, node), kind, node, None, scope) for node in nodes]


def assigned(source: Source, method: tree_sitter.Node, pattern: re.Pattern[bytes], member: str) -> Iterator[Defined]:
    """Fields that a method assigns through `self` or `this`. Its statements are looked at where the text has some."""
    starts = (match.start() for match in pattern.finditer(source.encoded, method.start_byte, method.end_byte))
    for start in islice((start for start in starts if _starts_statement(source, start)), MOST_LOOKED_AT):
        found = method.descendant_for_byte_range(start, start + 4)
        target = found.parent if found is not None and found.type in ("identifier", "this") else None
        if target is None or target.type != member or (statement := target.parent) is None:
            continue
        targets = [target]
        if statement.type == "pattern_list" and statement.parent is not None:
            targets, statement = statement.children, statement.parent
        if statement.type in ("assignment", "assignment_expression"):
            for place in (*targets, *_assigned_too(statement)):
                if place.type == member and place.child_count == 3:
                    yield Defined(source.text(place.child(2)), "field", statement, None)


def _starts_statement(source: Source, start: int) -> bool:
    """Whether what starts there is not the right side of something."""
    before = source.encoded[max(start - MOST_INDENT, 0) : start].rstrip(b" \t")
    return not before or before[-1:] in STATEMENT_STARTS


def _assigned_too(statement: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """The further targets of `a = b = c`."""
    for _ in range(MOST_CHAINED):
        value = statement.child_by_field_name("right")
        if value is None or value.type != statement.type or (target := value.child_by_field_name("left")) is None:
            return
        yield target
        statement = value
