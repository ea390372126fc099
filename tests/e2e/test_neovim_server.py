"""What our Neovim plugin does around the server: switched off, killed, missing, crashing, late; and its commands."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sc2lsp import __version__

from .home import SERVER, Home, home
from .instant import instant
from .neovim import GHOST, PLUGIN, Installed, Neovim, running, setup, version

__all__ = ["home", "version"]

LATE_SERVER = Path(__file__).with_name("late_server.py")
EAGER: dict[str, Any] = {"max_wait": 0, "min_confidence": 0}
STATUSLINE = "vim.o.statusline = '[%{v:lua.require(\"sc2lsp\").status()}]'\n"
TEXT = "import os\n\npath =$0\n"


@pytest.fixture(scope="module")
def editor(version: str, home: Home) -> Iterator[Neovim]:
    with instant() as runtime:
        runtime.answer("os.path")
        with running(version, home, STATUSLINE + setup(endpoint=runtime.url, **EAGER)) as started:
            yield started


@pytest.fixture
def file(home: Home, request: pytest.FixtureRequest) -> Path:
    return home.workspace / "shelf" / f"{re.sub(r'[^a-z0-9]+', '_', request.node.name)}.py"


def completed(editor: Neovim, file: Path) -> str:
    """The ghost text that a key brings in a new file."""
    editor.open(file, TEXT)
    editor.wait_for_model()
    editor.type(" ")
    return editor.wait_for_ghost()


def test_switched_off_and_on(editor: Neovim, file: Path) -> None:
    completed(editor, file)
    editor.eventually(lambda: "[sc2lsp]" in editor.screen, "the status")
    editor.command("Sc2lsp toggle")
    editor.eventually(lambda: "[sc2lsp off]" in editor.screen and not editor.ghost, "nothing shown")
    editor.type("s")
    editor.wait_for_text("import os\n\npath = s$0")
    assert editor.lua("return require('sc2lsp.inline').current() == nil")
    editor.command("Sc2lsp toggle")
    editor.eventually(lambda: "[sc2lsp]" in editor.screen, "on again")
    editor.type("<BS>")
    editor.wait_for_ghost()
    assert "stack traceback" not in editor.messages


def test_paused_and_resumed(editor: Neovim, file: Path) -> None:
    completed(editor, file)
    editor.command("Sc2lsp pause 5")
    editor.eventually(lambda: "[sc2lsp off]" in editor.screen, "paused")
    editor.eventually(lambda: "paused for 5 min" in editor.messages, "said so")
    editor.command("Sc2lsp resume")
    editor.eventually(lambda: "[sc2lsp]" in editor.screen, "resumed")


def test_a_server_that_was_killed_comes_back(editor: Neovim, file: Path) -> None:
    completed(editor, file)
    editor.command("messages clear")
    killed = editor.server_process()
    os.kill(killed, signal.SIGKILL)
    editor.eventually(lambda: editor.server_process() not in (0, killed), "another server")
    editor.wait_for_ghost()  # without another key
    assert "quit" not in editor.messages


def test_explained(editor: Neovim, file: Path) -> None:
    shown = completed(editor, file)
    editor.type("<Esc>")
    editor.wait_for_mode("n")
    editor.command("Sc2lsp explain")
    editor.eventually(lambda: "Suggested" in editor.text, "the explanation")
    for heading in ("Cost", "The prompt, as the model reads it", shown):
        assert heading in editor.text
    editor.type("q")
    editor.eventually(lambda: editor.text.startswith("import os"), "the file again")


@pytest.mark.parametrize(("command", "said"), [("stats", "shown"), ("stats 7", "shown"), ("log", "What Neovim")])
def test_shown_in_a_split(command: str, said: str, editor: Neovim, file: Path) -> None:
    completed(editor, file)
    editor.type("<Esc>")
    editor.wait_for_mode("n")
    editor.command(f"Sc2lsp {command}")
    editor.eventually(lambda: said in editor.text, said)
    editor.type("q")
    editor.eventually(lambda: editor.text.startswith("import os"), "the file again")


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("Sc2lsp re", ["restart", "resume"]),
        ("Sc2lsp toggle f", ["folder", "file"]),
        ("Sc2lsp model ", ["embedded"]),
        ("Sc2lsp status ", []),
    ],
)
def test_completed_on_the_command_line(line: str, candidates: list[str], editor: Neovim) -> None:
    assert sorted(editor.lua("return vim.fn.getcompletion(..., 'cmdline')", line)) == sorted(candidates)


def test_health_of_a_good_installation(editor: Neovim, file: Path) -> None:
    completed(editor, file)
    editor.type("<Esc>")
    editor.wait_for_mode("n")
    editor.command("checkhealth sc2lsp")
    editor.eventually(lambda: "Status:" in editor.text, "the report")
    assert "ERROR" not in editor.text
    assert "Status: instant" in editor.text
    assert "of keymaps" not in editor.text
    editor.command("bdelete")


def quiet(editor: Neovim, file: Path) -> None:
    """Keys are typed as if there were no plugin, and nothing is said of it."""
    said = editor.messages.strip()
    editor.type("i" + "abc " * 5)
    editor.wait_for_text("abc " * 5 + "$0x = 1")
    editor.type("<Esc>")
    editor.wait_for_mode("n")
    assert editor.messages.strip() == said


def test_a_missing_server_is_told_once(version: str, home: Home, file: Path) -> None:
    file.write_text("x = 1\n")
    with running(version, home, setup("'/nowhere/sc2lsp', '--stdio'"), file) as editor:
        editor.eventually(lambda: "there is no program /nowhere/sc2lsp: see" in editor.messages, "the notice")
        assert editor.messages.count("there is no program") == 1
        editor.type("<CR>")
        quiet(editor, file)
        editor.command("checkhealth sc2lsp")
        editor.eventually(lambda: "No buffer has the server" in editor.text, "the report")
        assert "ERROR There is no program /nowhere/sc2lsp" in editor.text
        assert "make install" in editor.text


def test_a_crashing_server_is_told_once(version: str, home: Home, file: Path) -> None:
    file.write_text("x = 1\n")
    with running(version, home, setup("'sh', '-c', 'echo broken >&2; exit 3'"), file) as editor:
        editor.eventually(lambda: "the server ended 5 times (status 3)" in editor.messages, "the notice")
        assert ":Sc2lsp restart" in editor.messages
        assert "quit with exit code" not in editor.messages
        assert editor.messages.count("sc2lsp:") == 1
        editor.type("<CR>")
        quiet(editor, file)


def test_wrong_options_are_told(version: str, home: Home, file: Path) -> None:
    file.write_text("x = 1\n")
    init = "require('sc2lsp').setup({ filetype = { 'python' }, cmd = 'sc2lsp', keymaps = { acept = '<Tab>' } })\n"
    with running(version, home, init, file) as editor:
        for problem in ('setup() has no option "filetype"', "cmd cannot be", 'keymaps has no option "acept"'):
            editor.eventually(lambda: problem in editor.messages, problem)  # noqa: B023


def test_late_answers_are_never_shown(version: str, home: Home, file: Path) -> None:
    with running(version, home, setup(f"'{sys.executable}', '{LATE_SERVER}', '0.3'")) as editor:
        editor.open(file, "x = $0\n")
        for count in range(40):
            editor.type("a", gap=0.02 if count % 10 else 0.25)  # often while an answer is on its way
            column, ghost = editor.lua(f"return {{ vim.fn.col('.') - 1, (function() {GHOST} end)() }}")
            assert ghost in ("", f"<{column}>")
        editor.eventually(lambda: editor.ghost == "<44>", "the answer to the last request")


def test_every_file_compiles(version: str) -> None:
    files = sorted(map(str, PLUGIN.rglob("*.lua")))
    assert len(files) > 10
    check = "for _, file in ipairs(arg) do assert(loadfile(file)) end"
    installed = Installed(version)
    script = "-"
    done = subprocess.run(
        [installed.program, "-l", script, *files],
        input=check, env={**os.environ, **installed.variables}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_help_has_its_tags(version: str, home: Home, editor: Neovim) -> None:
    doc = home.folder / "doc"
    doc.mkdir(exist_ok=True)
    (doc / "sc2lsp.txt").write_bytes((PLUGIN / "doc" / "sc2lsp.txt").read_bytes())
    editor.command(f"helptags {doc}")
    tags = {line.split("\t")[0] for line in (doc / "tags").read_text().splitlines()}
    assert {"sc2lsp", ":Sc2lsp", "sc2lsp.setup()", "sc2lsp-settings", "sc2lsp-troubles"} <= tags


def test_health_wants_no_later_server_than_this(editor: Neovim) -> None:
    needed = re.search(r"NEEDED = '([\d.]+)'", (PLUGIN / "lua" / "sc2lsp" / "health.lua").read_text())
    assert needed is not None
    assert editor.lua("return vim.version.le(...)", needed[1], __version__)


def test_trouble_is_told_once_with_what_mends_it(version: str, home: Home, file: Path) -> None:
    with running(version, home, setup(endpoint="unix:/nowhere/s", max_wait=0)) as editor:
        editor.open(file, TEXT)
        editor.type(" ")
        editor.eventually(lambda: editor.status["kind"] == "Error", "the trouble")
        editor.eventually(lambda: "sc2lsp: " in editor.messages, "the notice")
        assert ":Sc2lsp fix runs" in editor.messages
        editor.type("some more")
        editor.wait_for_text("import os\n\npath = some more$0")
        assert editor.messages.count("sc2lsp: ") == 1
        editor.command("Sc2lsp model embedded")
        editor.wait_for_model()


def test_neovims_own_inline_completion(home: Home, file: Path) -> None:
    with instant() as runtime:
        runtime.answer("total(1)")
        init = f"""
            vim.lsp.config('sc2lsp', {{
              cmd = {{ '{SERVER}', '--stdio' }},
              init_options = {{ endpoint = '{runtime.url}', max_wait = 0 }},
            }})
            vim.lsp.enable('sc2lsp')
            vim.lsp.inline_completion.enable()
            vim.keymap.set('i', '<Tab>', function()
              return vim.lsp.inline_completion.get() and '' or '<Tab>'
            end, {{ expr = true }})
        """
        with running("0.12", home, init) as editor:
            editor.open(file, "x =$0\n")
            editor.type(" ")
            assert editor.wait_for_ghost() == "total(1)"
            editor.type("<Tab>")
            editor.wait_for_text("x = total(1)$0")
