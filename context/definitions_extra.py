"""Which names a definition's node defines in the languages behind `sc2lsp[languages]`; see `definitions`."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import tree_sitter

from .defined import Defined, Finder, each_named, header_stop, named, own_name
from .source import Source, named_child


def _below(node: tree_sitter.Node, *node_types: str) -> list[tree_sitter.Node]:
    """What hangs below a node by a path of types."""
    found = [node]
    for node_type in node_types:
        found = [child for each in found for child in each.children if child.type == node_type]
    return found


def _first(node: tree_sitter.Node, node_types: Iterable[str]) -> tree_sitter.Node | None:
    return next((child for child in node.children if child.type in node_types), None)


# C#


def _csharp_field(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    declarators = _below(node, "variable_declaration", "variable_declarator")
    return [Defined(own_name(source, declarator), kind, node, None) for declarator in declarators]


def _csharp_record(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    found = named(source, node, kind, scope)
    return [*found, *each_named("field", source, _below(node, "parameter_list", "parameter"), found[0].name)]


# Ruby

ATTRIBUTES = frozenset({"attr_accessor", "attr_reader", "attr_writer"})  # every symbol is a name
MACROS = frozenset({"belongs_to", "define_method", "has_many", "has_one", "scope"})  # the first symbol is a name


def _ruby_method(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    return (Defined(own_name(source, node).rstrip("?!="), kind, node, header_stop(node, kind)),)


def _ruby_class(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    owner, _, name = _ruby_scope(source, node).rpartition(".")
    return (Defined(name, kind, node, header_stop(node, kind), owner),)


def _ruby_assignment(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    left = node.child_by_field_name("left")
    targets = left.children if left is not None and left.type == "left_assignment_list" else [left]
    return [
        Defined(source.text(target), kind, node, None)
        for target in targets
        if target is not None and target.type == "constant"
    ]


def _ruby_call(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    method = source.text(node.child_by_field_name("method"))
    if method not in ATTRIBUTES and method not in MACROS:
        return ()
    symbols = _below(node, "argument_list", "simple_symbol")
    found = [Defined(source.text(symbol).strip(":?!="), kind, node, None) for symbol in symbols]
    return found if method in ATTRIBUTES else found[:1]


def _ruby_scope(source: Source, node: tree_sitter.Node) -> str:
    return own_name(source, node).replace("::", ".")


# PHP


def _php_variable(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    return (Defined(own_name(source, node).removeprefix("$"), kind, node, None),)


def _php_constant(source: Source, node: tree_sitter.Node, _kind: str, scope: str) -> Sequence[Defined]:
    return (Defined(source.text(named_child(node, 0)), "field" if scope else "value", node, None),)


def _php_method(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    promoted = _below(node, "formal_parameters", "property_promotion_parameter")
    fields = [_php_variable(source, parameter, "field", scope)[0] for parameter in promoted]
    return [*named(source, node, kind, scope), *fields]


# Kotlin

KOTLIN_BODIES = ("class_body", "enum_class_body", "function_body")


def _kotlin_bodied(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    body = _first(node, KOTLIN_BODIES)
    return (Defined(own_name(source, node), kind, node, node.end_byte if body is None else body.start_byte),)


def _kotlin_class(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    if _first(node, ("interface",)) is not None:
        kind = "interface"
    elif _first(node, ("enum_class_body",)) is not None:
        kind = "enum"
    found = _kotlin_bodied(source, node, kind, scope)
    properties = [
        Defined(source.text(_first(parameter, ("identifier",))), "field", parameter, None, found[0].name)
        for parameter in _below(node, "primary_constructor", "class_parameters", "class_parameter")
        if _first(parameter, ("val", "var")) is not None
    ]
    return [*found, *properties]


def _kotlin_property(source: Source, node: tree_sitter.Node, _kind: str, scope: str) -> Sequence[Defined]:
    names = _below(node, "variable_declaration", "identifier")
    names += _below(node, "multi_variable_declaration", "variable_declaration", "identifier")
    return [Defined(source.text(name), "field" if scope else "value", node, None) for name in names]


def _kotlin_alias(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    return (Defined(source.text(node.child_by_field_name("type")), kind, node, None),)


def _kotlin_entry(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    return (Defined(source.text(_first(node, ("identifier",))), kind, node, None),)


# Scala


def _scala_class(source: Source, node: tree_sitter.Node, kind: str, scope: str) -> Sequence[Defined]:
    found = named(source, node, kind, scope)
    is_case = _first(node, ("case",)) is not None
    parameters = [
        parameter
        for parameter in _below(node, "class_parameters", "class_parameter")
        if is_case or _first(parameter, ("val", "var")) is not None
    ]
    return [*found, *each_named("field", source, parameters, found[0].name)]


def _scala_value(source: Source, node: tree_sitter.Node, _kind: str, scope: str) -> Sequence[Defined]:
    name = node.child_by_field_name("pattern") or node.child_by_field_name("name")
    names = [] if name is None else name.children if name.type == "tuple_pattern" else [name]
    return [Defined(source.text(each), "field" if scope else "value", node, None) for each in names]


# Lua


def lua_required(source: Source, value: tree_sitter.Node | None) -> str:
    """The `a.b` of `require("a.b")`, "" where a value is something else."""
    if value is None or value.type != "function_call" or own_name(source, value) != "require":
        return ""
    match = re.search(r"""["']([^"']+)["']""", source.text(value.child_by_field_name("arguments")))
    return match[1] if match else ""


def lua_assigned(node: tree_sitter.Node) -> list[tuple[tree_sitter.Node, tree_sitter.Node | None]]:
    """Each variable of an assignment with its value."""
    names = [name for each in _below(node, "variable_list") for name in each.children_by_field_name("name")]
    values = [value for each in _below(node, "expression_list") for value in each.children_by_field_name("value")]
    return [(name, values[place] if place < len(values) else None) for place, name in enumerate(names)]


def _lua_name(text: str) -> tuple[str, str]:
    owner, _, name = text.replace(":", ".").rpartition(".")
    return owner, name


def _lua_function(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    owner, name = _lua_name(own_name(source, node))
    parameters = node.child_by_field_name("parameters")  # a body that is empty is not there
    return (Defined(name, kind, node, parameters.end_byte if parameters is not None else None, owner),)


def _lua_assignment(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    found: list[Defined] = []
    for variable, value in lua_assigned(node):
        owner, name = _lua_name(source.text(variable))
        if lua_required(source, value):
            continue
        if value is not None and value.type == "function_definition":
            parameters = value.child_by_field_name("parameters")
            stop = parameters.end_byte if parameters is not None else None
            found.append(Defined(name, "function", node, stop, owner))
        else:
            found.append(Defined(name, "field" if owner else kind, node, None, owner))
    return found


def _lua_field(source: Source, node: tree_sitter.Node, kind: str, _scope: str) -> Sequence[Defined]:
    value = node.child_by_field_name("value")
    if value is None or value.type != "function_definition":
        return ()
    return (Defined(own_name(source, node), kind, node, None),)


def _lua_scope(source: Source, node: tree_sitter.Node) -> str:
    return next((source.text(name) for name, _ in lua_assigned(node)), "")


EXTRA_FINDERS: Mapping[tuple[str, str], Finder] = {
    ("csharp", "field_declaration"): _csharp_field,
    ("csharp", "event_field_declaration"): _csharp_field,
    ("csharp", "record_declaration"): _csharp_record,
    ("ruby", "method"): _ruby_method,
    ("ruby", "singleton_method"): _ruby_method,
    ("ruby", "alias"): _ruby_method,
    ("ruby", "class"): _ruby_class,
    ("ruby", "module"): _ruby_class,
    ("ruby", "assignment"): _ruby_assignment,
    ("ruby", "operator_assignment"): _ruby_assignment,
    ("ruby", "call"): _ruby_call,
    ("php", "property_element"): _php_variable,
    ("php", "const_element"): _php_constant,
    ("php", "method_declaration"): _php_method,
    ("kotlin", "function_declaration"): _kotlin_bodied,
    ("kotlin", "object_declaration"): _kotlin_bodied,
    ("kotlin", "class_declaration"): _kotlin_class,
    ("kotlin", "property_declaration"): _kotlin_property,
    ("kotlin", "type_alias"): _kotlin_alias,
    ("kotlin", "enum_entry"): _kotlin_entry,
    ("scala", "class_definition"): _scala_class,
    **{("scala", f"{of}_{what}"): _scala_value for of in ("val", "var") for what in ("definition", "declaration")},
    ("lua", "function_declaration"): _lua_function,
    ("lua", "assignment_statement"): _lua_assignment,
    ("lua", "field"): _lua_field,
}

EXTRA_SCOPES: Mapping[tuple[str, str], Callable[[Source, tree_sitter.Node], str]] = {
    ("ruby", "class"): _ruby_scope,
    ("ruby", "module"): _ruby_scope,
    ("lua", "assignment_statement"): _lua_scope,
}
