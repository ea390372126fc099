"""The names that a piece of code uses without saying what they are, and whether they are anywhere.

Works on a syntax tree. When in doubt a name counts as known: members, keyword arguments, whatever the code may bind.
"""

import builtins
import re
from collections.abc import Iterator, Mapping

import tree_sitter

from sc2lsp.session import Target


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMES = _words(
    "identifier type_identifier shorthand_property_identifier shorthand_property_identifier_pattern"
    " shorthand_field_identifier"
)
BINDING = _words("left name pattern alias parameters parameter type_parameters declarator")  # fields of a node
CALLS = frozenset({"method_invocation"})  # whose `name` binds nothing
# Beginnings of the types of nodes in which no name is used.
OTHERWISE = ("import", "use_", "using_", "preproc_include", "package_", "attribute_item", "lifetime")
MEMBER = re.compile(rb"(?:(?<!\.)\.|\?\.|->|::)\s*\Z")  # before a name that is looked up in something
MOST_BEFORE = 128  # bytes of white space between

# What a language brings along, by family, as far as it is no keyword of its grammar. Of others no name is unknown.
BUILTINS: Mapping[str, frozenset[str]] = {
    "python": frozenset(dir(builtins)) | {"__file__", "__class__"},
    "script": _words(
        "Array BigInt Boolean Date Error Function Infinity Intl JSON Map Math NaN Number Object Partial Pick Promise"
        " Proxy Readonly Record Reflect RegExp Required Set String Symbol TypeError URL WeakMap WeakSet arguments"
        " clearInterval clearTimeout console document encodeURIComponent exports fetch globalThis isNaN module"
        " parseFloat parseInt process require setInterval setTimeout undefined window"
    ),
    "go": _words(
        "any append bool byte cap clear close comparable complex copy delete error false float32 float64 imag int int16"
        " int32 int64 int8 iota len make max min new nil panic print println real recover rune string true uint uint16"
        " uint32 uint64 uint8 uintptr"
    ),
    "java": _words(
        "Arrays Boolean Character Class Collections Double Exception IllegalArgumentException IllegalStateException"
        " Integer Iterable Long Math Number Object Objects Override Runnable RuntimeException String StringBuilder"
        " System Thread"
    ),
    "rust": _words(
        "Box Clone Copy Debug Default Drop Eq Err Fn FnMut FnOnce From Hash Into Iterator None Ok Option Ord PartialEq"
        " Result Self Send Some String Sync ToString Vec assert assert_eq dbg eprintln format matches panic print"
        " println todo unimplemented unreachable vec write writeln"
    ),
    "c": _words(
        "FILE NULL assert calloc errno exit false fprintf free malloc memcpy memset printf realloc size_t snprintf std"
        " stderr stdout strcmp string strlen true uint32_t uint64_t uint8_t vector"
    ),
}


def unknown(root: tree_sitter.Node, source: bytes, start: int, end: int, target: Target) -> frozenset[str]:
    """The names used in the bytes [start, end) of a parsed `source` that neither they nor the workspace know."""
    language = target.document.language
    if language is None or language.family not in BUILTINS:
        return frozenset()
    bound: set[str] = set()
    used: set[str] = set()
    for node, is_bound in _names(root, start, end):
        if is_bound:
            bound.add(_text(source, node))
        elif not MEMBER.search(source, max(node.start_byte - MOST_BEFORE, 0), node.start_byte):
            used.add(_text(source, node))
    unbound = used - bound - BUILTINS[language.family]
    return frozenset(name for name in unbound if not _is_known(name, target))


def _names(root: tree_sitter.Node, start: int, end: int) -> Iterator[tuple[tree_sitter.Node, bool]]:
    """The names that overlap [start, end), and whether each of them is, or may be, bound there."""
    stack = [(root, False)]
    while stack:
        node, is_bound = stack.pop()
        if node.type in NAMES:
            yield node, is_bound
        is_bound = is_bound or node.type.startswith(OTHERWISE)
        for number, child in enumerate(node.children):
            if child.end_byte > start and child.start_byte < end:
                binds = node.field_name_for_child(number) in BINDING and node.type not in CALLS
                stack.append((child, is_bound or binds))


def _is_known(name: str, target: Target) -> bool:
    """Whether a file of the workspace, or the text being written, has a name."""
    text = target.document.text
    if target.folder.index.mentions(name):
        return True
    return name in text and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _text(source: bytes, node: tree_sitter.Node) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")
