"""What one import statement takes from where, language by language, with the names that it gives them here.

| language | module | names | alias |
|---|---|---|---|
| Python | dotted, `level` dots in front | of `from`; `("*", "*")` | the module's own name here |
| scripts | the specifier | `("default", here)` for a default; re-exports too | of `* as ns` |
| Go | the path | `("*", "*")` for a dot import | the package's name, as far as its path tells |
| Java | what stands before the last dot | the last name, or `("*", "*")` | |
| Rust | `::`-separated, seen from the file | what stands behind it, or `("*", "*")` | of `mod x;` and `use x;` |
| C, C++ | the path | | |

Which file a module is, is `resolve`'s business.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

import tree_sitter

from .definitions_script import pattern_names, required
from .source import Source, named_child
from .symbols import Import

ALL = (("*", "*"),)

Importer = Callable[[Source, tree_sitter.Node, str], Iterable[Import]]  # source, node, scope


def _text(source: Source, node: tree_sitter.Node, field: str) -> str:
    return source.text(node.child_by_field_name(field))


def _typed(node: tree_sitter.Node, node_type: str) -> Iterator[tree_sitter.Node]:
    return (child for child in node.children if child.type == node_type)


# Python

INSIDE = re.compile(rb"import[ \t(]")
MOST_INSIDE = 128  # of one function: each costs as much as it is nested deep


def python(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    names = tuple(_python_name(source, child) for child in node.children_by_field_name("name"))
    if node.type == "import_statement":
        return [Import(name, (), here if here != name else name.partition(".")[0], 0) for name, here in names]
    module = _text(source, node, "module_name")
    wildcard = any(_typed(node, "wildcard_import"))
    return (Import(module.lstrip("."), ALL if wildcard else names, "", len(module) - len(module.lstrip("."))),)


def _python_name(source: Source, node: tree_sitter.Node) -> tuple[str, str]:
    if node.type != "aliased_import":
        return (source.text(node),) * 2
    return _text(source, node, "name"), _text(source, node, "alias")


def python_inside(source: Source, function: tree_sitter.Node, scope: str) -> Iterator[Import]:
    """Imports in a function's body. Its statements are looked at where the text has some."""
    words = (match.start() for match in INSIDE.finditer(source.encoded, function.start_byte, function.end_byte))
    for word in islice((word for word in words if _imports(source, word)), MOST_INSIDE):
        found = function.descendant_for_byte_range(word, word + 6)
        statement = found.parent if found is not None and found.type == "import" else None
        if statement is not None:
            yield from python(source, statement, scope)


def _imports(source: Source, word: int) -> bool:
    before = source.encoded[source.line_start(word) : word].strip()
    return not before or before.startswith(b"from") or before.endswith((b":", b";"))


# JavaScript and TypeScript


def script(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    """`import ... from`, `import x = require()`, and `export ... from`."""
    clause = next((child for child in node.children if child.type in _CLAUSES), None)
    module = node.child_by_field_name("source")
    if module is None and clause is not None:
        module = clause.child_by_field_name("source")
    if module is None:
        return ()
    names, alias = _CLAUSES[clause.type](source, clause) if clause is not None else (_bare(node), "")
    return (Import(_unquoted(source, module), names, alias, 0),)


_Taken = tuple[tuple[tuple[str, str], ...], str]  # names, alias


def _bare(node: tree_sitter.Node) -> tuple[tuple[str, str], ...]:
    return ALL if node.type == "export_statement" else ()


def _import_clause(source: Source, clause: tree_sitter.Node) -> _Taken:
    names, alias = list[tuple[str, str]](), ""
    for child in clause.children:
        if child.type == "identifier":
            names.append(("default", source.text(child)))
        elif child.type == "namespace_import":
            alias = _last(source, child)
        elif child.type == "named_imports":
            names += _specifiers(source, child, "import_specifier")
    return tuple(names), alias


def _export_clause(source: Source, clause: tree_sitter.Node) -> _Taken:
    return tuple(_specifiers(source, clause, "export_specifier")), ""


def _namespace(source: Source, clause: tree_sitter.Node) -> _Taken:
    return (), _last(source, clause)


def _require_clause(source: Source, clause: tree_sitter.Node) -> _Taken:
    return (), source.text(named_child(clause, 0))


def _specifiers(source: Source, clause: tree_sitter.Node, node_type: str) -> Iterator[tuple[str, str]]:
    for child in _typed(clause, node_type):
        name = _text(source, child, "name")
        yield name, _text(source, child, "alias") or name


_CLAUSES: Mapping[str, Callable[[Source, tree_sitter.Node], _Taken]] = {
    "import_clause": _import_clause,
    "export_clause": _export_clause,
    "namespace_export": _namespace,
    "import_require_clause": _require_clause,
}


def script_require(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    """`const {a, b: c} = require('./x')`, `const x = require('./x').y`, a bare `require('./x')`."""
    value = node.child_by_field_name("value") if node.type == "variable_declarator" else named_child(node, 0)
    module = required(source, value)
    if value is None or module is None:
        return ()
    name, member = node.child_by_field_name("name"), value.child_by_field_name("property")
    names: tuple[tuple[str, str], ...] = ()
    alias = ""
    if name is not None and name.type == "object_pattern":
        names = tuple(pattern_names(source, name))
    elif name is not None and member is not None:
        names = ((source.text(member), source.text(name)),)
    elif name is not None:
        alias = source.text(name)
    return (Import(_unquoted(source, module), names, alias, 0),)


def _unquoted(source: Source, string: tree_sitter.Node) -> str:
    return source.text(string)[1:-1]


def _last(source: Source, node: tree_sitter.Node) -> str:
    return source.text(named_child(node, -1))


# Go

VERSION = re.compile(r"v\d+")
NOT_THE_PACKAGE = re.compile(r"^go-|[-.]go$|\.v\d+$")  # what a path has and its package's name has not


def go(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    module, alias = _text(source, node, "path")[1:-1], _text(source, node, "name")
    if alias == ".":
        return (Import(module, ALL, "", 0),)
    if alias == "_":
        return (Import(module, (), "", 0),)
    return (Import(module, (), alias or _go_package(module), 0),)


def _go_package(module: str) -> str:
    elements = module.split("/")
    if len(elements) > 1 and VERSION.fullmatch(elements[-1]):
        elements.pop()
    return NOT_THE_PACKAGE.sub("", elements[-1])


# Java


def java(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    path = next(
        (source.text(child) for child in node.children if child.type in ("scoped_identifier", "identifier")), ""
    )
    if any(_typed(node, "asterisk")):
        return (Import(path, ALL, "", 0),)
    module, _, name = path.rpartition(".")
    return (Import(module, ((name, name),), "", 0),)


# Rust


MOST_PATH = 1024  # code points


def rust(source: Source, node: tree_sitter.Node, scope: str) -> Iterable[Import]:
    """One import a module that `use a::{b, c::d}` takes something from."""
    taken: dict[str, list[tuple[str, str]]] = {}
    aliases: dict[str, str] = {}
    argument = node.child_by_field_name("argument")
    for path, name, here in _rust_leaves(source, argument) if argument is not None else ():
        module = _from_file(path, scope)
        names = taken.setdefault(module, [])
        if name:
            names.append((name, here))
        else:
            aliases[module] = here
    return [Import(module, tuple(names), aliases.get(module, ""), 0) for module, names in taken.items()]


def _rust_leaves(source: Source, use: tree_sitter.Node) -> Iterator[tuple[str, str, str]]:
    """(module, name there, name here) of each leaf of a `use` tree; no name where the module itself is meant."""
    stack = [("", use)]
    while stack:
        around, node = stack.pop()
        if len(around) > MOST_PATH:
            continue
        if node.type in ("scoped_use_list", "use_list"):
            inside = _path(around, _text(source, node, "path"))
            branches = node.child_by_field_name("list") or node
            stack += [(inside, child) for child in reversed(branches.children) if child.is_named]
        elif node.type == "use_wildcard":
            yield _path(around, source.text(named_child(node, 0))), "*", "*"
        elif node.type == "use_as_clause":
            yield _rust_leaf(_path(around, _text(source, node, "path")), _text(source, node, "alias"))
        elif node.type not in ("line_comment", "block_comment", "ERROR"):
            yield _rust_leaf(_path(around, source.text(node)), "")


def _rust_leaf(path: str, here: str) -> tuple[str, str, str]:
    module, _, name = path.removesuffix("::self").rpartition("::")
    return (module, name, here or name) if module else (name, "", here or name)


def _path(around: str, inside: str) -> str:
    return f"{around}::{inside}" if around and inside else around or inside.removeprefix("::")


def _from_file(module: str, scope: str) -> str:
    """A module as the file itself would name it; `scope` is the inline modules around the `use`, with dots."""
    around, path = scope.split(".") if scope else [], module.split("::")
    if not around or path[0] not in ("self", "super"):
        return module
    up = next((count for count, step in enumerate(path) if step != "super"), len(path))
    if up > len(around):
        return "::".join(["super"] * (up - len(around)) + path[up:])
    return "::".join(["self", *around[: len(around) - up], *path[up or 1 :]])


def rust_module(source: Source, node: tree_sitter.Node, scope: str) -> Iterable[Import]:
    """`mod x;`: the file x of this module."""
    if node.child_by_field_name("body") is not None:
        return ()
    name = _text(source, node, "name")
    return (Import(_from_file(f"self::{name}", scope), (), name, 0),)


def rust_crate(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    name = _text(source, node, "name")
    return (Import(name, (), _text(source, node, "alias") or name, 0),)


# C and C++


def c(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    path = node.child_by_field_name("path")
    if path is None or path.type not in ("string_literal", "system_lib_string"):  # a macro says which
        return ()
    return (Import(_unquoted(source, path), (), "", 0),)


CORE_IMPORTERS: Mapping[tuple[str, str], Importer] = {
    ("python", "import_statement"): python,
    ("python", "import_from_statement"): python,
    ("python", "function_definition"): python_inside,
    ("script", "import_statement"): script,
    ("script", "export_statement"): script,
    ("script", "variable_declarator"): script_require,
    ("script", "expression_statement"): script_require,
    ("go", "import_spec"): go,
    ("java", "import_declaration"): java,
    ("rust", "use_declaration"): rust,
    ("rust", "mod_item"): rust_module,
    ("rust", "extern_crate_declaration"): rust_crate,
    ("c", "preproc_include"): c,
}
