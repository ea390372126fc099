"""Layers of configuration, by trust."""

from pathlib import Path

import pytest

from sc2lsp.config import Config, ConfigError, load, tighten


def user_file(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_later_layers_win(tmp_path: Path) -> None:
    path = user_file(tmp_path, 'model = "from-file"\nbudget = 1000\nmax_tokens = 9')
    config = load({"budget": 1500}, {"model": None}, {"SC2LSP_MODEL": "from-env"}, path)
    assert (config.model, config.budget, config.max_tokens) == ("from-env", 1500, 9)
    assert load({}, {"model": "from-cli"}, {"SC2LSP_MODEL": "from-env"}, path).model == "from-cli"


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert load({}, {}, {}, tmp_path / "none.toml") == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budgett = 1", "unknown setting 'budgett'"),
        ('budget = "much"', "Expected `int`"),
        ("budget = 31", ">= 32"),
        ('order = "xyz"', "order"),
        ("budget = ", "cannot be read"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load({}, {}, {}, user_file(tmp_path, text))
    assert "config.toml" in str(caught.value)


def test_a_workspace_tightens(tmp_path: Path) -> None:
    (tmp_path / ".sc2lsp.toml").write_text('exclude = ["gen/"]\nbudget = 500\nlanguages_off = ["c"]')
    config = tighten(Config(exclude=("a/",)), tmp_path)
    assert (config.exclude, config.budget, config.languages_off) == (("a/", "gen/"), 500, ("c",))
    (tmp_path / ".sc2lsp.toml").write_text("budget = 99999")
    assert tighten(Config(), tmp_path).budget == Config().budget


@pytest.mark.parametrize("setting", ['endpoint = "tcp://evil:1"', 'model = "/evil"', 'token = "x"', "timeout = 1.0"])
def test_a_workspace_cannot_redirect(tmp_path: Path, setting: str) -> None:
    (tmp_path / ".sc2lsp.toml").write_text(setting)
    with pytest.raises(ConfigError, match="may not set"):
        tighten(Config(), tmp_path)
