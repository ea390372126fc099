"""Where to ask: bodies that an added line leaves unfinished.

A function's body that holds nothing but a placeholder, and a line that opens a block with nothing in it. What is meant
to be empty is left alone: overloads, abstract methods, protocols. This module knows no model and no diff.
"""

import re
from collections.abc import Collection
from itertools import islice

import tree_sitter

from sc2lsp_review.places import Place, nodes_in, place_of

# A whole statement, in any of the languages.
PLACEHOLDER = re.compile(
    r"pass|\.\.\.|raise NotImplementedError\b.*|(todo|unimplemented)!\(.*\);?"
    r"|(throw new \w+|panic)\(.*\b(not|un)[ -]?implemented\b.*\);?",
    re.IGNORECASE,
)
MEANT_EMPTY = re.compile(rb"\b(overload|abstractmethod|abstract|Protocol|ABC|ABCMeta)\b")
MOST_BYTES = 200  # of one placeholder
MOST_PLACEHOLDERS = 200  # that are looked into, of one file
MOST_AROUND = 6  # nodes between a placeholder and the function or class that says what it is for


def unfinished(path: str, tree: tree_sitter.Tree, rows: list[str], lines: Collection[int]) -> list[Place]:
    """The placeholders in these 1-based lines, and the blocks that begin there and hold nothing, in order."""
    found = dict[int, Place]()
    nodes = [node for node, _ in nodes_in(tree, lines)]
    for node in islice(filter(_is_placeholder, nodes), MOST_PLACEHOLDERS):
        if _is_body(node) and not _is_meant(node):
            found[node.start_point.row] = place_of(path, "unfinished", node, rows)
    for node in nodes:
        if (row := _open_row(node)) is not None and row + 1 in lines:
            end = len(rows[row]) + 1
            found[row] = Place(path, "unfinished", row + 1, end, end, "")
    return [found[row] for row in sorted(found)]


def _is_placeholder(node: tree_sitter.Node) -> bool:
    text = node.text if node.end_byte - node.start_byte <= MOST_BYTES else None
    return bool(text) and PLACEHOLDER.fullmatch((text or b"").decode("utf-8", "replace")) is not None


def _is_body(node: tree_sitter.Node) -> bool:
    """Whether a statement stands for a whole body of a function."""
    block = node.parent
    function = block.parent if block is not None else None
    if block is None or function is None or block.type not in ("block", "statement_block", "compound_statement"):
        return False
    if not any(part in function.type for part in ("function", "method")):
        return False
    body = [child for child in block.named_children if "comment" not in child.type]
    return body[-1:] == [node] and all(_is_text(child) for child in body[:-1])


def _is_text(node: tree_sitter.Node) -> bool:
    return node.type == "expression_statement" and [child.type for child in node.named_children] == ["string"]


def _is_meant(node: tree_sitter.Node) -> bool:
    """Whether what is around a placeholder says that it is to stay."""
    around = node
    for _ in range(MOST_AROUND):
        if around.parent is None:
            return False
        around = around.parent
        body = around.child_by_field_name("body") or around.child_by_field_name("definition")
        header = (around.text or b"")[: body.start_byte - around.start_byte] if body is not None else b""
        if MEANT_EMPTY.search(header):
            return True
    return False


def _open_row(node: tree_sitter.Node) -> int | None:
    """The row in which a block opens that has nothing in it, not even brackets: half-written Python."""
    block = node.child_by_field_name("body") or node.child_by_field_name("consequence")
    colon = block.prev_sibling if block is not None else None
    if block is None or colon is None or block.type != "block" or block.child_count:
        return None
    return colon.end_point.row
