"""What the syntax nodes of the core languages mean to us, as data.

A family shares node types and the code that reads them. This module loads no grammar and walks no tree.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Kinds whose inside defines further names; what a function or a value holds inside is its own business.
SCOPE_KINDS = frozenset({"class", "interface", "struct", "enum", "trait", "type", "module"})


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language: its files, its grammar's wheel, and the node types that define, contain and import names."""

    name: str
    family: str
    suffixes: tuple[str, ...]
    module: str  # the Python module that holds the grammar ...
    factory: str  # ... and the function of it that returns the grammar
    definitions: Mapping[str, str]  # node type -> kind of the names it defines
    containers: frozenset[str]  # node types whose children may define names, beside the definitions of SCOPE_KINDS
    wrappers: frozenset[str]  # containers that belong to the one definition inside them: decorators, `export`
    scopes: frozenset[str]  # containers that name the scope of their children
    imports: frozenset[str]
    letters: str = ""  # that names may hold beside letters, digits and the underscore

    def is_name(self, text: str) -> bool:
        """Whether a text could be an identifier."""
        return text.translate(dict.fromkeys(map(ord, self.letters), "_")).isidentifier()


def types(names: str = "") -> frozenset[str]:
    return frozenset(names.split())


def kinds(**of: str) -> Mapping[str, str]:
    return {node_type: kind.rstrip("_") for kind, names in of.items() for node_type in names.split()}


_PYTHON = Language(
    name="python",
    family="python",
    suffixes=(".py", ".pyi", ".pyw"),
    module="tree_sitter_python",
    factory="language",
    definitions=kinds(
        function="function_definition",
        class_="class_definition",
        value="assignment",
        type="type_alias_statement",
    ),
    containers=types(
        "module block decorated_definition expression_statement if_statement elif_clause else_clause"
        " try_statement except_clause finally_clause with_statement"
    ),
    wrappers=types("decorated_definition"),
    scopes=types(),
    imports=types("import_statement import_from_statement function_definition"),
)

_JAVASCRIPT_DEFINITIONS = kinds(
    function="function_declaration generator_function_declaration method_definition pair",
    class_="class_declaration",
    value="variable_declarator assignment_expression",
    field="field_definition",
)
_JAVASCRIPT_CONTAINERS = types(
    "program export_statement lexical_declaration variable_declaration variable_declarator class class_body"
    " expression_statement assignment_expression object"
)
_JAVASCRIPT_SCOPES = types("variable_declarator assignment_expression class")
_JAVASCRIPT_IMPORTS = types("import_statement export_statement variable_declarator expression_statement")

_JAVASCRIPT = Language(
    name="javascript",
    family="script",
    suffixes=(".js", ".jsx", ".mjs", ".cjs"),
    module="tree_sitter_javascript",
    factory="language",
    definitions=_JAVASCRIPT_DEFINITIONS,
    containers=_JAVASCRIPT_CONTAINERS,
    wrappers=types("export_statement"),
    scopes=_JAVASCRIPT_SCOPES,
    imports=_JAVASCRIPT_IMPORTS,
    letters="$",
)


def _typescript(name: str, suffixes: tuple[str, ...]) -> Language:
    return Language(
        name=name,
        family="script",
        suffixes=suffixes,
        module="tree_sitter_typescript",
        factory=f"language_{name}",
        definitions={
            **_JAVASCRIPT_DEFINITIONS,
            **kinds(
                function="function_signature method_signature abstract_method_signature",
                class_="abstract_class_declaration",
                interface="interface_declaration",
                type="type_alias_declaration",
                enum="enum_declaration",
                module="internal_module module",
                field="public_field_definition property_signature enum_body",
            ),
        },
        containers=_JAVASCRIPT_CONTAINERS
        | types("ambient_declaration interface_body object_type statement_block as_expression satisfies_expression"),
        wrappers=types("export_statement ambient_declaration"),
        scopes=_JAVASCRIPT_SCOPES,
        imports=_JAVASCRIPT_IMPORTS,
        letters="$",
    )


_GO = Language(
    name="go",
    family="go",
    suffixes=(".go",),
    module="tree_sitter_go",
    factory="language",
    definitions=kinds(
        function="function_declaration method_declaration method_elem",
        type="type_spec type_alias",
        value="const_spec var_spec",
        field="field_declaration",
    ),
    containers=types(
        "source_file type_declaration const_declaration var_declaration var_spec_list struct_type interface_type"
        " field_declaration_list import_declaration import_spec_list"
    ),
    wrappers=types(),
    scopes=types(),
    imports=types("import_spec"),
)

_JAVA = Language(
    name="java",
    family="java",
    suffixes=(".java",),
    module="tree_sitter_java",
    factory="language",
    definitions=kinds(
        function="method_declaration constructor_declaration compact_constructor_declaration"
        " annotation_type_element_declaration",
        class_="class_declaration record_declaration",
        interface="interface_declaration annotation_type_declaration",
        enum="enum_declaration",
        field="field_declaration constant_declaration enum_constant",
    ),
    containers=types("program class_body interface_body enum_body enum_body_declarations annotation_type_body"),
    wrappers=types(),
    scopes=types(),
    imports=types("import_declaration"),
)

_RUST = Language(
    name="rust",
    family="rust",
    suffixes=(".rs",),
    module="tree_sitter_rust",
    factory="language",
    definitions=kinds(
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
    containers=types(
        "source_file impl_item foreign_mod_item declaration_list field_declaration_list enum_variant_list"
    ),
    wrappers=types(),
    scopes=types("impl_item"),
    imports=types("use_declaration mod_item extern_crate_declaration"),
)

_C_DEFINITIONS = kinds(
    function="function_definition",
    value="declaration",
    struct="struct_specifier union_specifier",
    enum="enum_specifier",
    type="type_definition",
    macro="preproc_def preproc_function_def",
    field="field_declaration enumerator",
)
# Declarations are containers, too: of the struct that they define beside their own names.
_C_CONTAINERS = types(
    "translation_unit preproc_ifdef preproc_if preproc_else preproc_elif linkage_specification declaration_list"
    " field_declaration_list enumerator_list declaration field_declaration"
)
_C_SCOPES = types("declaration field_declaration")

_C = Language(
    name="c",
    family="c",
    suffixes=(".c", ".h"),
    module="tree_sitter_c",
    factory="language",
    definitions=_C_DEFINITIONS,
    containers=_C_CONTAINERS,
    wrappers=types(),
    scopes=_C_SCOPES,
    imports=types("preproc_include"),
)

_CPP = Language(
    name="cpp",
    family="c",
    suffixes=(".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".ipp", ".cu", ".cuh"),
    module="tree_sitter_cpp",
    factory="language",
    definitions={
        **_C_DEFINITIONS,
        **kinds(class_="class_specifier", type="type_definition alias_declaration concept_definition"),
    },
    containers=_C_CONTAINERS | types("namespace_definition template_declaration"),
    wrappers=types("template_declaration"),
    scopes=_C_SCOPES | types("namespace_definition"),
    imports=types("preproc_include"),
)

CORE = (
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
