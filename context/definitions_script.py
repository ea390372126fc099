"""Which names a definition's node defines in JavaScript and TypeScript."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import tree_sitter

from .defined import Defined, Finder, assigned, header_stop, named, own_name
from .source import Source, named_child

THIS = re.compile(rb"this\.\w+[ \t]*=(?![=>])")
FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function"})
CLASSES = frozenset({"class"})


def required(source: Source, value: tree_sitter.Node | None) -> tree_sitter.Node | None:
    """The `'./x'` of a value that starts with `require('./x')`."""
    while value is not None and value.type == "member_expression":
        value = value.child_by_field_name("object")
    if value is None or value.type != "call_expression":
        return None
    if source.text(value.child_by_field_name("function")) != "require":
        return None
    arguments = value.child_by_field_name("arguments")
    first = named_child(arguments, 0)
    return first if first is not None and first.type == "string" else None


def _valued(name: str, kind: str, node: tree_sitter.Node, value: tree_sitter.Node | None, scope: str = "") -> Defined:
    """A name for a value: a function's or a class's name where that is what the value is."""
    if value is not None and value.type in FUNCTIONS:
        return Defined(name, "function", node, header_stop(value, "function"), scope)
    if value is not None and value.type in CLASSES:
        return Defined(name, "class", node, header_stop(value, "class"), scope)
    return Defined(name, kind, node, None, scope)


def _script_variable(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None or required(source, value) is not None:
        return ()
    if name.type == "object_pattern":
        return [Defined(here, kind, node, None) for _, here in pattern_names(source, name)]
    return (_valued(source.text(name), kind, node, value),)


def pattern_names(source: Source, pattern: tree_sitter.Node) -> Iterator[tuple[str, str]]:
    """(name there, name here) of `{a, b: c, d = 1}`, one level deep."""
    for child in pattern.children:
        if child.type == "shorthand_property_identifier_pattern":
            yield (source.text(child),) * 2
        elif child.type == "object_assignment_pattern":
            yield (source.text(child.child_by_field_name("left")),) * 2
        elif child.type == "pair_pattern":
            yield source.text(child.child_by_field_name("key")), source.text(child.child_by_field_name("value"))


def _script_field(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    name = node.child_by_field_name("name") or node.child_by_field_name("property")
    return (_valued(source.text(name), kind, node, node.child_by_field_name("value")),)


def _script_pair(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    value = node.child_by_field_name("value")
    if value is None or value.type not in FUNCTIONS:
        return ()
    return (_valued(source.text(node.child_by_field_name("key")), kind, node, value),)


def _script_method(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    found = named(source, node, kind, scope)
    if found[0].name != "constructor":
        return found
    parameters = node.child_by_field_name("parameters")
    properties = [
        Defined(source.text(parameter.child_by_field_name("pattern")), "field", parameter, None)
        for parameter in (parameters.children if parameters is not None else ())
        if parameter.child_count
        and (first := parameter.child(0))
        and first.type in ("accessibility_modifier", "readonly")
    ]
    return [*found, *properties, *assigned(source, node, THIS, "member_expression")]


def _script_enum(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    members = [child for child in node.children if child.type in ("property_identifier", "enum_assignment")]
    return [Defined(own_name(source, member) or source.text(member), kind, member, None) for member in members]


def _script_assignment(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    """`exports.x = ...`, `module.exports = class X ...`, `X.prototype.m = function ...`; no other assignment."""
    owner, name = _assigned_to(source, node)
    value = node.child_by_field_name("right")
    if value is None or value.type == "identifier":  # another name for what is defined elsewhere
        return ()
    if not name:
        return (_valued(own_name(source, value), kind, node, value),)
    if owner == "exports" or (value.type in FUNCTIONS and owner.replace(".", "_").isidentifier()):
        return (_valued(name, kind, node, value, "" if owner == "exports" else owner),)
    return ()


def _assigned_to(source: Source, node: tree_sitter.Node) -> tuple[str, str]:
    """(owner, name) of an assignment's left side; no name where all of the module's exports are assigned."""
    left = source.text(node.child_by_field_name("left")).removeprefix("module.")
    if left == "exports":
        return "exports", ""
    owner, _, name = left.replace(".prototype", "").rpartition(".")
    return owner, name


def _script_scope(source: Source, node: tree_sitter.Node) -> str:
    value = node.child_by_field_name("right")
    if value is None or value.type == "assignment_expression":  # `exports = module.exports = ...`
        return ""
    owner, name = _assigned_to(source, node)
    return name if owner in ("", "exports") else f"{owner}.{name}"


SCRIPT_FINDERS: Mapping[tuple[str, str], Finder] = {
    ("script", "variable_declarator"): _script_variable,
    ("script", "field_definition"): _script_field,
    ("script", "public_field_definition"): _script_field,
    ("script", "method_definition"): _script_method,
    ("script", "pair"): _script_pair,
    ("script", "enum_body"): _script_enum,
    ("script", "assignment_expression"): _script_assignment,
}

SCRIPT_SCOPES: Mapping[tuple[str, str], Callable[[Source, tree_sitter.Node], str]] = {
    ("script", "assignment_expression"): _script_scope,
}
