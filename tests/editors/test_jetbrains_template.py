"""The folder that LSP4IJ imports: the keys that it reads, settings and languages that the server knows.

Keys as read in redhat-developer/lsp4ij, src/main/java/com/redhat/devtools/lsp4ij: templates/ServerTemplate.java,
templates/ServerTemplateJsonDeserializer.java, launching/templates/*; and in its
docs/UserDefinedLanguageServerTemplate.md. What it does not know, it silently leaves out.
There is no installer.json: the package is on no index yet, and whoever took its name there could run what they like.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from sc2lsp.config import Config, load
from sc2lsp.language_ids import language_for_id

TEMPLATE = Path(__file__).parents[2] / "editors/jetbrains/sc2lsp"


def read(name: str) -> Any:
    return json.loads((TEMPLATE / name).read_text("utf-8"))


def test_only_files_that_are_read_are_there() -> None:
    names = "template settings settings.schema initializationOptions experimental clientSettings".split()
    assert {path.name for path in TEMPLATE.iterdir()} <= {f"{name}.json" for name in names} | {"README.md"}


def test_template() -> None:
    template = read("template.json")
    assert template.keys() == {"id", "name", "programArgs", "fileTypeMappings"}
    assert template["programArgs"] == {"default": "sc2lsp --stdio"}


def test_every_pattern_is_of_the_language_that_is_named() -> None:
    seen = set[str]()
    for mapping in read("template.json")["fileTypeMappings"]:
        assert mapping.keys() == {"fileType", "languageId"}
        assert mapping["fileType"].keys() == {"patterns"}
        suffixes = [pattern.removeprefix("*") for pattern in mapping["fileType"]["patterns"]]
        assert language_for_id(mapping["languageId"]) in suffixes
        assert seen.isdisjoint(suffixes)
        seen.update(suffixes)
    assert {".py", ".js", ".jsx", ".ts", ".tsx", ".go", ".java", ".rs", ".c", ".h", ".cpp"} <= seen


def test_the_schema_has_every_setting_as_the_server_checks_it() -> None:
    schema = read("settings.schema.json")
    jsonschema.Draft7Validator.check_schema(schema)
    settings = schema["properties"]["sc2lsp"]["properties"]
    expected = json.loads(json.dumps(msgspec.json.schema(Config)))["$defs"]["Config"]["properties"]
    assert {name: without_description(setting) for name, setting in settings.items()} == expected
    assert all(setting["description"].endswith(".") for setting in settings.values())


def without_description(setting: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in setting.items() if key != "description"}


def test_settings_are_accepted_by_the_server_and_by_the_schema(tmp_path: Path) -> None:
    settings = read("settings.json")
    jsonschema.validate(settings, read("settings.schema.json"))
    assert settings.keys() == {"sc2lsp"}
    # The two are merged: what stood in the first alone could not be taken out of the second.
    assert settings["sc2lsp"] == read("initializationOptions.json")
    assert load(settings["sc2lsp"], environment={}, user_file=tmp_path / "none").max_wait == 0


@pytest.mark.parametrize("wrong", [{"sc2lsp": {"modle": "x"}}, {"sc2lsp": {"max_wait": "soon"}}, {"max_wait": 0}])
def test_the_schema_refuses_what_the_server_would(wrong: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, read("settings.schema.json"))
