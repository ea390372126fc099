"""Which names a definition's node defines in Python, Go, Java, Rust, C and C++, where that is not just its `name`."""

import re
from collections.abc import Callable, Mapping, Sequence

import tree_sitter

from .defined import Defined, Finder, assigned, each_named, every_name, header_stop, named, own_name
from .source import Source, named_child
from .words import WORD

# Python

SELF = re.compile(rb"self\.\w+[ \t]*(?::[^=\n]*)?=(?!=)")


def _python_function(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    found = _python_header(source, node, kind, scope)
    return [*found, *assigned(source, node, SELF, "attribute")] if scope else found


def _python_header(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    body = node.child_by_field_name("body")
    stop = body.start_byte if body is not None else node.end_byte
    if b"#" in source.encoded[node.start_byte : stop]:  # a comment below the header is not of it
        stop = next((child.end_byte for child in reversed(node.children) if child.type == ":"), stop)
    return (Defined(own_name(source, node), kind, node, stop),)


def _python_assignment(source: Source, node: tree_sitter.Node, _kind: str, scope: str) -> Sequence[Defined]:
    kind = "field" if scope else "value"
    left, names = node.child_by_field_name("left"), list[str]()
    right: tree_sitter.Node | None = node
    while left is not None and right is not None:
        targets = [left] if left.type == "identifier" else left.children if left.type == "pattern_list" else []
        names += [source.text(target) for target in targets if target.type == "identifier"]
        right = right.child_by_field_name("right")
        left = right.child_by_field_name("left") if right is not None and right.type == "assignment" else None
    return [Defined(name, kind, node, None) for name in names]


def _python_type(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    left = WORD.search(source.text(node.child_by_field_name("left")))  # which may have parameters
    return (Defined(left[0] if left else "", kind, node, None),)


# Go


def _go_field(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    found = every_name(source, node, kind, scope)
    if found:
        return found
    embedded = source.text(node.child_by_field_name("type")).partition("[")[0]  # its type's name is its name
    return (Defined(embedded.rpartition(".")[2].strip("*"), kind, node, None),)


def _go_method(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    receiver = WORD.findall(source.text(node.child_by_field_name("receiver")).partition("[")[0])
    return (Defined(own_name(source, node), kind, node, header_stop(node, kind), receiver[-1] if receiver else ""),)


# Java


def _java_field(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    declarators = node.children_by_field_name("declarator")
    return [Defined(own_name(source, declarator), kind, node, None) for declarator in declarators]


def _java_record(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    found = named(source, node, kind, scope)
    parameters = node.child_by_field_name("parameters")
    components = [child for child in (parameters.children if parameters is not None else ()) if child.is_named]
    return [*found, *each_named("field", source, components, found[0].name)]


# Rust


def _rust_struct(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    body = node.child_by_field_name("body")  # a tuple's types are part of its header
    stop = body.start_byte if body is not None and body.type == "field_declaration_list" else node.end_byte
    return (Defined(own_name(source, node), kind, node, stop),)


def _rust_module(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    return () if node.child_by_field_name("body") is None else named(source, node, kind, scope)


def _rust_implemented(source: Source, node: tree_sitter.Node) -> str:
    words = WORD.findall(source.text(node.child_by_field_name("type")).partition("<")[0])
    return words[-1] if words else ""


# C and C++

QUALIFIED = frozenset({"qualified_identifier", "template_type", "template_function"})
TYPEDEF_LINES = 12  # a type definition of up to so many lines is shown whole
TEMPLATE_ARGUMENTS = re.compile(r"<[^<>]*>")


def _c_declared(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    """Every declarator's name: `int a, *b, f(void)`."""
    body = node.child_by_field_name("body")
    stop = body.start_byte if body is not None else None
    if kind == "type" and node.end_point[0] - node.start_point[0] < TYPEDEF_LINES:  # its name is in its last line
        stop = node.end_byte
    return [_c_declarator(source, node, kind, below, stop) for below in node.children_by_field_name("declarator")]


def _c_declarator(
    source: Source, node: tree_sitter.Node, kind: str, declarator: tree_sitter.Node, stop: int | None
) -> Defined:
    is_function = False
    while True:
        # Parentheses and references name no field: what they hold is their last named child.
        below = declarator.child_by_field_name("declarator") or (
            named_child(declarator, -1)
            if declarator.type in ("parenthesized_declarator", "reference_declarator")
            else None
        )
        if below is None:
            break
        is_function = declarator.type == "function_declarator" and below.type != "parenthesized_declarator"
        declarator = below
    owner, name = _c_qualified(source.text(declarator))
    if is_function and kind in ("value", "field"):
        kind = "function"
    return Defined(name, kind, node, node.end_byte if stop is None and kind == "function" else stop, owner)


def _c_qualified(text: str) -> tuple[str, str]:
    """(owner with dots, name) of `a::B<T>::c`."""
    if "<" not in text and ":" not in text:
        return "", text
    while (plain := TEMPLATE_ARGUMENTS.sub("", text)) != text:
        text = plain
    *owners, name = (part.strip() for part in text.split("::"))
    return ".".join(filter(None, owners)), name


def _c_specifier(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    body = node.child_by_field_name("body")
    if body is None:  # `struct foo x;` is a use of the name
        return ()
    owner, name = _c_qualified(own_name(source, node))
    return (Defined(name, kind, node, body.start_byte, owner),)


def _c_macro(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    value = node.child_by_field_name("value")  # without one it guards a header or switches something
    return () if value is None else (Defined(own_name(source, node), kind, node, value.start_byte),)


def _c_inside(source: Source, node: tree_sitter.Node) -> str:
    """The members of a nameless struct belong to the name that is declared with it."""
    specifier = node.child_by_field_name("type")
    if specifier is None or specifier.child_by_field_name("body") is None or own_name(source, specifier):
        return ""
    names = [found.name for found in _c_declared(source, node, "", "")]
    return names[0] if names else ""


def _c_scope(source: Source, node: tree_sitter.Node) -> str:
    owner, name = _c_qualified(own_name(source, node))
    return f"{owner}.{name}" if owner else name


CORE_FINDERS: Mapping[tuple[str, str], Finder] = {
    ("python", "function_definition"): _python_function,
    ("python", "class_definition"): _python_header,
    ("python", "assignment"): _python_assignment,
    ("python", "type_alias_statement"): _python_type,
    ("go", "const_spec"): every_name,
    ("go", "var_spec"): every_name,
    ("go", "field_declaration"): _go_field,
    ("go", "method_declaration"): _go_method,
    ("java", "field_declaration"): _java_field,
    ("java", "constant_declaration"): _java_field,
    ("java", "record_declaration"): _java_record,
    ("rust", "struct_item"): _rust_struct,
    ("rust", "mod_item"): _rust_module,
    **{
        ("c", node_type): _c_declared
        for node_type in ("function_definition", "declaration", "field_declaration", "type_definition")
    },
    **{("c", f"{name}_specifier"): _c_specifier for name in ("struct", "union", "enum", "class")},
    ("c", "preproc_def"): _c_macro,
    ("c", "preproc_function_def"): _c_macro,
}

CORE_SCOPES: Mapping[tuple[str, str], Callable[[Source, tree_sitter.Node], str]] = {
    ("rust", "impl_item"): _rust_implemented,
    ("c", "namespace_definition"): _c_scope,
    **{("c", node_type): _c_inside for node_type in ("declaration", "field_declaration", "type_definition")},
    **{("c", f"{name}_specifier"): _c_scope for name in ("struct", "union", "enum", "class")},
}
