"""What one import takes from where, in the languages behind `sc2lsp[languages]`; see `imports`.

| language | module | names | alias |
|---|---|---|---|
| C# | namespace, or class of `using static` | `("*", "*")`, or of `using A = B.C` | |
| Ruby, PHP's `require` | the path; level 1 where it starts at the file's folder | | |
| PHP's `use` | the namespace, with backslashes | the last name | |
| Kotlin, Scala | what stands before the last dot | the last name, or `("*", "*")` | |
| Lua | as required | | the variable |
| Bash | the path behind what only the shell knows; level 1 | | |
"""

import re
from collections.abc import Iterable, Mapping

import tree_sitter

from .definitions_extra import lua_assigned, lua_required
from .imports import ALL, Importer
from .source import Source, named_child
from .symbols import Import

QUOTED = re.compile(r"""["']([^"'$]+)["']""")
SCALA_CLAUSE = re.compile(r"([\w.]+)\.(?:\{([^}]*)\}|(\w+|\*)(?:\s+as\s+(\w+))?)")
SCALA_RENAMED = re.compile(r"\s*(?:=>|\bas\b)\s*")
SHELL_VALUE = re.compile(r"""^["']?(?:\$\{?\w+\}?|\$\(.*\))/""")  # `$DIR/`, `$(dirname "$0")/`


def _csharp(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    alias = source.text(node.child_by_field_name("name"))
    path = source.text(named_child(node, -1))
    if not alias:
        return (Import(path, ALL, "", 0),)
    module, _, name = path.rpartition(".")
    return (Import(module, ((name, alias),), "", 0),)


def _ruby(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    method = source.text(node.child_by_field_name("method"))
    if method not in ("require", "require_relative", "load", "autoload"):
        return ()
    match = QUOTED.search(source.text(node.child_by_field_name("arguments")))
    return (Import(match[1], (), "", int(method == "require_relative")),) if match else ()


def _php_use(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    around = "".join(source.text(child) + "\\" for child in node.children if child.type == "namespace_name")
    group = node.child_by_field_name("body") or node
    for clause in group.children:
        if clause.type == "namespace_use_clause":
            path = around + source.text(named_child(clause, 0))
            module, _, name = path.strip("\\").rpartition("\\")
            yield Import(module, ((name, source.text(clause.child_by_field_name("alias")) or name),), "", 0)


def _php_include(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    text = source.text(node)
    match = QUOTED.search(text)
    if match is None:
        return ()
    here = "__DIR__" in text or "__FILE__" in text
    return (Import(match[1].lstrip("/") if here else match[1], (), "", int(here)),)


def _kotlin(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    path, *alias = (source.text(child) for child in node.children if child.is_named)
    if any(child.type == "*" for child in node.children):
        return (Import(path, ALL, "", 0),)
    module, _, name = path.rpartition(".")
    return (Import(module, ((name, alias[0] if alias else name),), "", 0),)


def _scala(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    for module, selectors, name, alias in SCALA_CLAUSE.findall(source.text(node)):
        pairs = [SCALA_RENAMED.split(each.strip()) for each in selectors.split(",")] if selectors else [[name, alias]]
        names = [("*", "*") if there in ("_", "*") else (there, (*here, "")[0] or there) for there, *here in pairs]
        yield Import(module, tuple(names), "", 0)


def _lua(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    if node.type == "function_call":
        module, around = lua_required(source, node), node.parent
        if around is not None and around.parent is not None and around.parent.type == "assignment_statement":
            return ()  # which is asked itself
        return (Import(module, (), "", 0),) if module else ()
    return [
        Import(module, (), source.text(name), 0)
        for name, value in lua_assigned(node)
        if (module := lua_required(source, value))
    ]


def _bash(source: Source, node: tree_sitter.Node, _scope: str) -> Iterable[Import]:
    if source.text(node.child_by_field_name("name")) not in ("source", "."):
        return ()
    path = SHELL_VALUE.sub("", source.text(node.child_by_field_name("argument"))).strip("\"'")
    return (Import(path, (), "", 1),) if path and "$" not in path else ()


EXTRA_IMPORTERS: Mapping[tuple[str, str], Importer] = {
    ("csharp", "using_directive"): _csharp,
    ("ruby", "call"): _ruby,
    ("php", "namespace_use_declaration"): _php_use,
    **{("php", f"{how}_expression"): _php_include for how in ("include", "include_once", "require", "require_once")},
    ("kotlin", "import"): _kotlin,
    ("scala", "import_declaration"): _scala,
    ("lua", "assignment_statement"): _lua,
    ("lua", "function_call"): _lua,
    ("bash", "command"): _bash,
}
