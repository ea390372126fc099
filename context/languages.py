"""Which language a file is in, and what its syntax nodes mean to us, as data.

A grammar is imported on first use; where its wheel is missing or does not load, the language has no trees and the rest
of the package works on words. This module knows no document and walks no tree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import cast

import tree_sitter

# Kinds whose inside defines further names; what a function or a value holds inside is its own business.
SCOPE_KINDS = frozenset({"class", "interface", "struct", "enum", "trait", "type", "module"})


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language: its files, its grammar's wheel, and the node types that define, contain and import names."""

    name: str
    suffixes: tuple[str, ...]
    comment: str  # what starts a comment to the end of the line
    module: str  # the Python module that holds the grammar ...
    factory: str  # ... and the function of it that returns the grammar
    definitions: Mapping[str, str]  # node type -> kind of the name it defines
    containers: frozenset[str]  # node types whose children may define names of the same scope
    wrappers: frozenset[str]  # containers that belong to the one definition inside them: decorators, `export`
    scopes: Mapping[str, str]  # node types that open a scope without defining it -> the field with its name
    imports: frozenset[str]


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _kinds(**kinds: str) -> Mapping[str, str]:
    return {node_type: kind for kind, names in kinds.items() for node_type in names.split()}


_PYTHON = Language(
    name="python",
    suffixes=(".py", ".pyi", ".pyw"),
    comment="#",
    module="tree_sitter_python",
    factory="language",
    definitions=_kinds(
        function="function_definition",
        **{"class": "class_definition"},
        value="assignment",
        type="type_alias_statement",
    ),
    containers=_types(
        "module block decorated_definition expression_statement if_statement elif_clause else_clause"
        " try_statement except_clause finally_clause with_statement"
    ),
    wrappers=_types("decorated_definition"),
    scopes={},
    imports=_types("import_statement import_from_statement"),
)

_JAVASCRIPT_DEFINITIONS = _kinds(
    function="function_declaration generator_function_declaration method_definition",
    **{"class": "class_declaration"},
    value="variable_declarator",
    field="field_definition",
)
_JAVASCRIPT_CONTAINERS = _types("program export_statement lexical_declaration variable_declaration class_body")

_JAVASCRIPT = Language(
    name="javascript",
    suffixes=(".js", ".jsx", ".mjs", ".cjs"),
    comment="//",
    module="tree_sitter_javascript",
    factory="language",
    definitions=_JAVASCRIPT_DEFINITIONS,
    containers=_JAVASCRIPT_CONTAINERS,
    wrappers=_types("export_statement"),
    scopes={},
    imports=_types("import_statement"),
)


def _typescript(name: str, suffixes: tuple[str, ...]) -> Language:
    return Language(
        name=name,
        suffixes=suffixes,
        comment="//",
        module="tree_sitter_typescript",
        factory=f"language_{name}",
        definitions={
            **_JAVASCRIPT_DEFINITIONS,
            **_kinds(
                function="function_signature method_signature abstract_method_signature",
                **{"class": "abstract_class_declaration"},
                interface="interface_declaration",
                type="type_alias_declaration",
                enum="enum_declaration",
                module="internal_module module",
                field="public_field_definition property_signature enum_assignment",
            ),
        },
        containers=_JAVASCRIPT_CONTAINERS
        | _types("ambient_declaration interface_body object_type enum_body statement_block expression_statement"),
        wrappers=_types("export_statement ambient_declaration"),
        scopes={},
        imports=_types("import_statement"),
    )


_GO = Language(
    name="go",
    suffixes=(".go",),
    comment="//",
    module="tree_sitter_go",
    factory="language",
    definitions=_kinds(
        function="function_declaration method_declaration method_elem",
        type="type_spec type_alias",
        value="const_spec var_spec",
        field="field_declaration",
    ),
    containers=_types(
        "source_file type_declaration const_declaration var_declaration var_spec_list struct_type interface_type"
        " field_declaration_list import_declaration import_spec_list"
    ),
    wrappers=frozenset(),
    scopes={},
    imports=_types("import_spec"),
)

_JAVA = Language(
    name="java",
    suffixes=(".java",),
    comment="//",
    module="tree_sitter_java",
    factory="language",
    definitions=_kinds(
        function="method_declaration constructor_declaration compact_constructor_declaration",
        **{"class": "class_declaration record_declaration"},
        interface="interface_declaration annotation_type_declaration",
        enum="enum_declaration",
        field="field_declaration constant_declaration enum_constant",
    ),
    containers=_types("program class_body interface_body enum_body enum_body_declarations annotation_type_body"),
    wrappers=frozenset(),
    scopes={},
    imports=_types("import_declaration"),
)

_RUST = Language(
    name="rust",
    suffixes=(".rs",),
    comment="//",
    module="tree_sitter_rust",
    factory="language",
    definitions=_kinds(
        function="function_item function_signature_item",
        struct="struct_item union_item",
        enum="enum_item",
        trait="trait_item",
        type="type_item associated_type",
        value="const_item static_item",
        module="mod_item",
        macro="macro_definition",
        field="field_declaration enum_variant",
    ),
    containers=_types("source_file declaration_list field_declaration_list enum_variant_list"),
    wrappers=frozenset(),
    scopes={"impl_item": "type"},
    imports=_types("use_declaration"),
)

_C_DEFINITIONS = _kinds(
    function="function_definition",
    value="declaration",
    struct="struct_specifier union_specifier",
    enum="enum_specifier",
    type="type_definition",
    macro="preproc_def preproc_function_def",
    field="field_declaration enumerator",
)
_C_CONTAINERS = _types(
    "translation_unit preproc_ifdef preproc_if preproc_else preproc_elif linkage_specification declaration_list"
    " field_declaration_list enumerator_list"
)

_C = Language(
    name="c",
    suffixes=(".c", ".h"),
    comment="//",
    module="tree_sitter_c",
    factory="language",
    definitions=_C_DEFINITIONS,
    containers=_C_CONTAINERS,
    wrappers=frozenset(),
    scopes={},
    imports=_types("preproc_include"),
)

_CPP = Language(
    name="cpp",
    suffixes=(".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".ipp", ".cu", ".cuh"),
    comment="//",
    module="tree_sitter_cpp",
    factory="language",
    definitions={
        **_C_DEFINITIONS,
        **_kinds(**{"class": "class_specifier"}, type="alias_declaration concept_definition"),
    },
    containers=_C_CONTAINERS | _types("template_declaration"),
    wrappers=_types("template_declaration"),
    scopes={"namespace_definition": "name"},
    imports=_types("preproc_include"),
)

LANGUAGES = (
    _PYTHON,
    _JAVASCRIPT,
    _typescript("typescript", (".ts", ".mts", ".cts")),
    _typescript("tsx", (".tsx",)),
    _GO,
    _JAVA,
    _RUST,
    _C,
    _CPP,
)
_BY_SUFFIX = {suffix: language for language in LANGUAGES for suffix in language.suffixes}


def language_of(path: str) -> Language | None:
    """The language a file name stands for, or None where we know none."""
    _, dot, suffix = path.rpartition(".")
    return _BY_SUFFIX.get(f".{suffix}".lower()) if dot else None


@cache
def grammar(language: Language) -> tree_sitter.Language | None:
    """The language's grammar, or None where its wheel is missing or too old or new for the parser."""
    try:
        factory = cast(Callable[[], object], getattr(import_module(language.module), language.factory))
        return tree_sitter.Language(factory())
    except (ImportError, AttributeError, ValueError):
        return None
