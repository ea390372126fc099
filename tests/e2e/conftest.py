"""Every test here is in a real editor; one whose tool cannot be installed is skipped, with the reason."""

from collections.abc import Generator
from pathlib import Path

import pytest

from .tools import ToolMissing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="Keep the screenshots for the documentation in this folder.")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """What a fixture cannot install skips the tests that want it."""
    try:
        return (yield)
    except ToolMissing as missing:
        pytest.skip(f"NOT RUN: {missing}")


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests put pictures: the documentation's folder with --screenshots, else a temporary one."""
    named: Path | None = request.config.getoption("--screenshots")
    folder = named.absolute() if named is not None else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
