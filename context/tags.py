"""A document's definitions, references and imports.

One shallow walk with a stack, never recursion: it enters what can define names (modules, classes) and skips what cannot
(function bodies). Words are counted by a regular expression, with or without a tree. This module knows no other file.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from sys import intern

import tree_sitter

from .document import Document
from .languages import SCOPE_KINDS, Language

WORD = re.compile(r"\b[^\W\d]\w*")
QUOTED = re.compile(r"""["'<`]([^"'<>`]+)["'>`]""")
WHOLE_LINES = 3  # a definition of up to so many lines is its own signature
HEADER_LINES = 8  # where a header does not say where it ends
MAX_SIGNATURE = 1000  # code points


@dataclass(frozen=True, slots=True)
class Tag:
    """A definition: 0-based lines, end exclusive; its header's source lines; the dotted names around it."""

    name: str
    kind: str
    start_line: int
    end_line: int
    signature: str
    scope: str

    @property
    def signature_end(self) -> int:
        return self.start_line + self.signature.count("\n")


@dataclass(frozen=True, slots=True)
class Import:
    """A module as written, what is taken from it, and how many packages up a relative one starts."""

    module: str
    names: tuple[tuple[str, str], ...]  # (name there, name here); "*" for all, "default" for a script's default
    alias: str  # what the module itself is called here, "" where it has no name of its own
    level: int


@dataclass(frozen=True, slots=True)
class FileTags:
    definitions: tuple[Tag, ...]
    words: tuple[str, ...]  # the identifiers that occur, each once, in order
    occurrences: int  # of words, each as often as it occurs
    imports: tuple[Import, ...]


def extract(document: Document) -> FileTags:
    """Everything a document defines, mentions and imports; without a tree, only what it mentions."""
    words = WORD.findall(document.text)
    definitions: list[Tag] = []
    imports: list[Import] = []
    source, starts = _source(document), _byte_starts(document)
    for node, outer, scope in _walk(document, source):
        if node.type in _language(document).imports:
            imports += _imports(_language(document), source, node)
        elif (tag := _tag(document, source, starts, node, outer, scope)) is not None:
            definitions.append(tag)
    return FileTags(tuple(definitions), tuple(map(intern, dict.fromkeys(words))), len(words), tuple(imports))


def imports(document: Document) -> tuple[Import, ...]:
    """What a document imports; without a tree, nothing."""
    language, source = document.language, _source(document)
    if language is None:
        return ()
    return tuple(
        found
        for node, _, _ in _walk(document, source)
        if node.type in language.imports
        for found in _imports(language, source, node)
    )


def _language(document: Document) -> Language:
    assert document.language is not None  # only a language has trees, and only trees are walked
    return document.language


def _walk(document: Document, source: bytes) -> Iterator[tuple[tree_sitter.Node, tree_sitter.Node, str]]:
    """(node, the node with its decorators or `export`, scope) of every definition and import, in source order."""
    if document.tree is None:
        return
    language = _language(document)
    stack = [(document.tree.root_node, document.tree.root_node, "")]
    while stack:
        node, outer, scope = stack.pop()
        kind = language.definitions.get(node.type)
        if kind is not None or node.type in language.imports:
            yield node, outer, scope
        inside = scope
        if node.type in language.scopes:
            owner = WORD.search(_text(source, node.child_by_field_name(language.scopes[node.type])))
            inside = _join(scope, owner[0] if owner else "")
        elif kind in SCOPE_KINDS:
            inside = _join(scope, _name(source, node)[0])
        elif kind is not None:
            continue
        wraps = node.type in language.wrappers
        for child in reversed(node.named_children):
            if _enters(language, child):
                stack.append((child, outer if wraps else child, inside))


def _enters(language: Language, node: tree_sitter.Node) -> bool:
    kind = node.type
    return (
        kind in language.definitions
        or kind in language.containers
        or kind in language.imports
        or kind in language.scopes
        or kind == "ERROR"  # half-typed code around a definition must not hide it
    )


def _tag(
    document: Document, source: bytes, starts: list[int], node: tree_sitter.Node, outer: tree_sitter.Node, scope: str
) -> Tag | None:
    name, owner = _name(source, node)
    if not WORD.fullmatch(name) or _is_mention(node):
        return None
    kind = _language(document).definitions[node.type]
    start, end = _line(starts, outer.start_byte), _line(starts, max(node.end_byte - 1, node.start_byte)) + 1
    signature = _signature(document, starts, node, kind, start, end)
    return Tag(intern(name), kind, start, end, signature, intern(owner or scope))


def _is_mention(node: tree_sitter.Node) -> bool:
    # `struct foo` in C without a body is a use of the name, not its definition.
    return node.type.endswith("_specifier") and node.child_by_field_name("body") is None


def _name(source: bytes, node: tree_sitter.Node) -> tuple[str, str]:
    """The name a definition node defines, and the scope it names itself: C++'s `A::b`, Go's receiver."""
    found = node.child_by_field_name("name") or node.child_by_field_name("property") or node.child_by_field_name("left")
    declarator = node
    while found is None:
        below = declarator.child_by_field_name("declarator")
        if below is None:
            found = declarator if declarator is not node else None
            break
        declarator = below
        found = declarator.child_by_field_name("name") if declarator.type != "qualified_identifier" else declarator
    *owners, name = _text(source, found).split("::")
    receiver = WORD.findall(_text(source, node.child_by_field_name("receiver")))
    return name.strip("*& "), owners[-1] if owners else receiver[-1] if receiver else ""


def _signature(document: Document, starts: list[int], node: tree_sitter.Node, kind: str, start: int, end: int) -> str:
    """The definition's header as whole lines, each with `\\n`; for Python the docstring's first line follows."""
    body = node.child_by_field_name("body")
    if end - start <= WHOLE_LINES and kind not in SCOPE_KINDS:
        stop = end
    elif body is not None:
        before = body.prev_sibling
        stop = _line(starts, max((before.end_byte if before else body.start_byte) - 1, 0)) + 1
    else:
        stop = _header_end(document, start, end)
    lines = [document.line(number) for number in range(start, stop)]
    if body is not None and stop < end and (docstring := _docstring(document, starts, body)):
        lines.append(docstring)
    return "".join(f"{line}\n" for line in lines)[:MAX_SIGNATURE]


def _header_end(document: Document, start: int, end: int) -> int:
    for number in range(start, min(end, start + HEADER_LINES)):
        if document.line(number).rstrip().endswith(("{", "(", "[")):
            return number + 1
    return min(end, start + HEADER_LINES)


def _docstring(document: Document, starts: list[int], body: tree_sitter.Node) -> str:
    """The first line of a Python docstring, closed where the line leaves it open."""
    first = body.named_children[0] if body.type == "block" and body.named_child_count else None
    string = first.named_children[0] if first is not None and first.type == "expression_statement" else None
    if string is None or string.type != "string":
        return ""
    line = document.line(_line(starts, string.start_byte)).rstrip()
    quotes = '"""' if '"""' in line else "'''"
    spans = _line(starts, string.end_byte - 1) > _line(starts, string.start_byte)
    return line + quotes if spans else line


def _imports(language: Language, source: bytes, node: tree_sitter.Node) -> list[Import]:
    if language.name == "python":
        return _python_imports(source, node)
    if language.name in ("javascript", "typescript", "tsx"):
        clause = next((child for child in node.named_children if child.type == "import_clause"), None)
        names = () if clause is None else tuple(WORD.findall(re.sub(r"\bas\s+\w+|\btype\b", "", _text(source, clause))))
        return [Import(_unquoted(_text(source, node.child_by_field_name("source"))), _same(names), "", 0)]
    if language.name in ("go", "c", "cpp"):
        return [Import(_unquoted(_text(source, node.child_by_field_name("path"))), (), "", 0)]
    return [Import(_text(source, node).split(maxsplit=1)[-1].removeprefix("static ").rstrip(";"), (), "", 0)]


def _same(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


def _python_imports(source: bytes, node: tree_sitter.Node) -> list[Import]:
    names = tuple(_imported(source, child) for child in node.children_by_field_name("name"))
    if node.type == "import_statement":
        return [Import(name, (), here if here != name else name.partition(".")[0], 0) for name, here in names]
    module = _text(source, node.child_by_field_name("module_name"))
    wildcard = any(child.type == "wildcard_import" for child in node.named_children)
    level = len(module) - len(module.lstrip("."))
    return [Import(module.lstrip("."), (("*", "*"),) if wildcard else names, "", level)]


def _imported(source: bytes, node: tree_sitter.Node) -> tuple[str, str]:
    """(name there, name here)"""
    if node.type != "aliased_import":
        return (_text(source, node),) * 2
    return _text(source, node.child_by_field_name("name")), _text(source, node.child_by_field_name("alias"))


def _unquoted(text: str) -> str:
    match = QUOTED.search(text)
    return match[1] if match else text


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope and name else scope or name


def _text(source: bytes, node: tree_sitter.Node | None) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace") if node is not None else ""


def _source(document: Document) -> bytes:
    # What the parser saw; asking a node for its text would read it anew from the parser's callback, block by block.
    return document.text.encode("utf-8", "surrogatepass")


def _byte_starts(document: Document) -> list[int]:
    """The byte at which each line starts: the parser counts bytes, and knows no line that ends at a lone \\r."""
    lines = document.lines
    starts = [lines.start(number) for number in range(len(lines))]
    if document.text.isascii():
        return starts
    pieces = (document.text[a:b] for a, b in pairwise(starts))
    return [0, *accumulate(len(piece.encode("utf-8", "surrogatepass")) for piece in pieces)]


def _line(starts: list[int], byte: int) -> int:
    return bisect_right(starts, byte) - 1
