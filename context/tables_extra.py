"""What the syntax nodes of the languages behind `sc2lsp[languages]` mean to us, as data; see `tables`."""

from .tables import Language, kinds, types

_CSHARP = Language(
    name="csharp",
    family="csharp",
    suffixes=(".cs",),
    module="tree_sitter_c_sharp",
    factory="language",
    definitions=kinds(
        function="method_declaration constructor_declaration delegate_declaration",
        class_="class_declaration record_declaration",
        struct="struct_declaration",
        interface="interface_declaration",
        enum="enum_declaration",
        field="field_declaration event_field_declaration property_declaration enum_member_declaration",
    ),
    containers=types(
        "compilation_unit namespace_declaration declaration_list enum_member_declaration_list"
        " preproc_if preproc_elif preproc_else"
    ),
    wrappers=types(),
    scopes=types(),
    imports=types("using_directive"),
)

_RUBY = Language(
    name="ruby",
    family="ruby",
    suffixes=(".rb", ".rake"),
    module="tree_sitter_ruby",
    factory="language",
    definitions=kinds(
        function="method singleton_method alias",
        class_="class",
        module="module",
        value="assignment operator_assignment",
        field="call",
    ),
    containers=types("program body_statement singleton_class if unless then else begin call argument_list"),
    wrappers=types(),
    scopes=types(),
    imports=types("call"),
)

_PHP = Language(
    name="php",
    family="php",
    suffixes=(".php",),
    module="tree_sitter_php",
    factory="language_php",
    definitions=kinds(
        function="function_definition method_declaration",
        class_="class_declaration",
        interface="interface_declaration",
        trait="trait_declaration",
        enum="enum_declaration",
        field="property_element const_element enum_case",
    ),
    containers=types(
        "program namespace_definition compound_statement declaration_list enum_declaration_list property_declaration"
        " const_declaration if_statement expression_statement"
    ),
    wrappers=types(),
    scopes=types(),
    imports=types(
        "namespace_use_declaration include_expression include_once_expression require_expression"
        " require_once_expression"
    ),
)

_KOTLIN = Language(
    name="kotlin",
    family="kotlin",
    suffixes=(".kt", ".kts"),
    module="tree_sitter_kotlin",
    factory="language",
    definitions=kinds(
        function="function_declaration",
        class_="class_declaration object_declaration",
        type="type_alias",
        field="property_declaration enum_entry",
    ),
    containers=types("source_file class_body enum_class_body companion_object"),
    wrappers=types(),
    scopes=types(),
    imports=types("import"),
)

_SCALA = Language(
    name="scala",
    family="scala",
    suffixes=(".scala", ".sc"),
    module="tree_sitter_scala",
    factory="language",
    definitions=kinds(
        function="function_definition function_declaration",
        class_="class_definition",
        module="object_definition package_object",
        trait="trait_definition",
        enum="enum_definition",
        type="type_definition",
        value="val_definition var_definition val_declaration var_declaration given_definition",
        field="simple_enum_case full_enum_case",
    ),
    containers=types(
        "compilation_unit package_clause template_body enum_body enum_case_definitions extension_definition"
    ),
    wrappers=types(),
    scopes=types(),
    imports=types("import_declaration"),
)

_LUA = Language(
    name="lua",
    family="lua",
    suffixes=(".lua",),
    module="tree_sitter_lua",
    factory="language",
    definitions=kinds(function="function_declaration field", value="assignment_statement"),
    containers=types(
        "chunk variable_declaration assignment_statement expression_list table_constructor return_statement"
    ),
    wrappers=types("variable_declaration"),
    scopes=types("assignment_statement"),
    imports=types("assignment_statement function_call"),
)

_BASH = Language(
    name="bash",
    family="bash",
    suffixes=(".sh", ".bash"),
    module="tree_sitter_bash",
    factory="language",
    definitions=kinds(function="function_definition", value="variable_assignment"),
    containers=types("program declaration_command if_statement elif_clause else_clause"),
    wrappers=types("declaration_command"),
    scopes=types(),
    imports=types("command"),
)

EXTRA = (_CSHARP, _RUBY, _PHP, _KOTLIN, _SCALA, _LUA, _BASH)
