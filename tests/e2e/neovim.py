"""A real Neovim with our plugin, driven over its RPC: keys go in as a user presses them, the screen is what is seen.

Knows no particular test, and of the plugin only how a user sets it up.
"""

import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from .debian_tree import LIBRARIES, patched, tree
from .home import SERVER, Home
from .msgpack_rpc import Rpc, connected

PLUGIN = Path(__file__).parents[2] / "editors" / "neovim"
SUITES = {"0.12": "forky", "0.10": "trixie"}
WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.005  # between two looks
COLUMNS, LINES = 100, 30
T = TypeVar("T")

TEXT = """
local cursor = vim.api.nvim_win_get_cursor(0)
return { cursor[1], cursor[2], vim.api.nvim_buf_get_lines(0, 0, -1, false) }
"""

GHOST = """
local marks = {}
for name, namespace in pairs(vim.api.nvim_get_namespaces()) do
  if name == 'sc2lsp' or name == 'nvim.lsp.inline_completion' then
    vim.list_extend(marks, vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true }))
  end
end
local text = {}
for _, mark in ipairs(marks) do
  for _, chunk in ipairs(mark[4].virt_text_pos == 'inline' and mark[4].virt_text or {}) do
    table.insert(text, chunk[1])
  end
end
for _, mark in ipairs(marks) do
  for _, line in ipairs(mark[4].virt_lines or {}) do
    table.insert(text, '\\n')
    for _, chunk in ipairs(line) do
      if chunk[2] ~= 'Sc2lspHint' then table.insert(text, chunk[1]) end
    end
  end
end
return table.concat(text)
"""


@pytest.fixture(scope="module", params=SUITES)
def version(request: pytest.FixtureRequest) -> str:
    """Each Neovim that the tests run in."""
    return str(request.param)


@dataclass(frozen=True, slots=True)
class Installed:
    """A Neovim of a Debian release."""

    version: str

    @property
    def _root(self) -> Path:
        return tree(SUITES[self.version], ["neovim"])

    @property
    def program(self) -> Path:
        return patched(self._root, "usr/bin/nvim")

    @property
    def variables(self) -> Mapping[str, str]:
        """Where its own files are: the program would look for them where Debian puts them."""
        root = self._root
        lua = root / "usr/share/lua/5.1"
        return {
            "VIMRUNTIME": str(root / "usr/share/nvim/runtime"),
            "LUA_PATH": f"{lua}/?.lua;{lua}/?/init.lua;;",
            "LUA_CPATH": f"{root / LIBRARIES}/lua/5.1/?.so;;",
            "NVIM_LOG_FILE": "/dev/null",
        }


def configure(home: Home, init: str) -> None:
    """Our plugin as a native package of this home, as the README says with `ln -s`, and this init.lua."""
    package = home.folder / "data" / "nvim" / "site" / "pack" / "sc2lsp" / "start" / "sc2lsp"
    package.parent.mkdir(parents=True, exist_ok=True)
    if not package.exists():
        package.symlink_to(PLUGIN)
    file = home.folder / "config" / "nvim" / "init.lua"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"vim.o.swapfile = false\n{init}")


def setup(command: str = f"'{SERVER}', '--stdio'", **settings: Any) -> str:
    """The line of an init.lua that starts our plugin. `command` is Lua; settings are the server's."""
    written = ", ".join(f"{name} = {value!r}" for name, value in settings.items())
    return f"require('sc2lsp').setup({{ cmd = {{ {command} }}, settings = {{ {written} }} }})\n"


@dataclass(frozen=True, slots=True)
class Neovim:
    """One that runs, with a screen of COLUMNS by LINES."""

    call: Rpc

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.call("nvim_exec_lua", code, arguments)

    def command(self, command: str) -> None:
        self.call("nvim_command", command)

    def type(self, keys: str, gap: float = 0.0) -> None:
        """Press keys one by one, `<Esc>` and such in their notation."""
        for key in _keys(keys):
            self.call("nvim_input", key)
            time.sleep(gap)

    def eventually(self, look: Callable[[], T], what: str, seconds: float = WAIT_SECONDS) -> T:
        """The first truth that `look` sees. Fails with the screen when none comes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if seen := look():
                return seen
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"{what}: not within {seconds:.0f} s. The screen:\n{self.screen}\n{self.messages}")

    @property
    def screen(self) -> str:
        """All that a user sees, blanks at the ends of lines left out."""
        rows: Sequence[str] = self.lua(
            """vim.cmd.redraw()
            return vim.iter(vim.fn.range(1, vim.o.lines)):map(function(row)
              return vim.iter(vim.fn.range(1, vim.o.columns)):map(function(column)
                return vim.fn.screenstring(row, column)
              end):join('')
            end):totable()"""
        )
        return "\n".join(row.rstrip() for row in rows).rstrip()

    @property
    def rows(self) -> list[str]:
        """The rows of the screen that show the file."""
        return [row for row in self.screen.split("\n")[: LINES - 2] if row != "~"]

    @property
    def ghost(self) -> str:
        """The text that is drawn but is not in the buffer, of ours or of Neovim's own."""
        return str(self.lua(GHOST))

    @property
    def text(self) -> str:
        """What is in the buffer, with the cursor as $0."""
        row, column, lines = self.lua(TEXT)  # at one moment
        line = lines[row - 1].encode()
        lines[row - 1] = f"{line[:column].decode()}$0{line[column:].decode()}"
        return "\n".join(lines)

    @property
    def messages(self) -> str:
        return str(self.lua("return vim.fn.execute('messages')"))

    @property
    def status(self) -> Mapping[str, Any]:
        return dict(self.lua("return require('sc2lsp.status').of()"))

    def open(self, file: Path, text: str) -> None:
        """A new file with this text in the editor, the cursor at its $0, in insert mode, once the server has it."""
        before, _, after = text.partition("$0")
        file.write_text(before + after)
        self.type("<Esc>")
        self.wait_for_mode("n")
        self.command(f"edit! {file}")
        self.wait_for_server()
        row, line = before.count("\n"), before.rpartition("\n")[2]
        self.lua("vim.api.nvim_win_set_cursor(0, { ... })", row + 1, len(line.encode()))
        self.type("A" if after.startswith("\n") else "i")
        self.wait_for_mode("i")

    def wait_for_model(self) -> None:
        """Until the server says that it completes."""
        self.eventually(lambda: self.status["kind"] == "Normal" and not self.status["busy"], "the model")

    def wait_for_mode(self, mode: str) -> None:
        self.eventually(lambda: self.lua("return vim.api.nvim_get_mode().mode") == mode, f"mode {mode}")

    def wait_for_text(self, expected: str) -> None:
        self.eventually(lambda: self.text == expected, f"{expected!r} in the buffer")

    def wait_for_ghost(self) -> str:
        return self.eventually(lambda: self.ghost, "ghost text")

    def wait_for_server(self) -> None:
        code = "local c = vim.lsp.get_clients({ name = 'sc2lsp', bufnr = 0 })[1]; return c and c.initialized or false"
        self.eventually(lambda: self.lua(code), "the server")

    def server_process(self) -> int:
        """The process id of the server, a child of this Neovim."""
        return int(self.lua("return vim.iter(vim.api.nvim_get_proc_children(vim.fn.getpid())):totable()[1] or 0"))


def _keys(keys: str) -> Iterator[str]:
    """Keys one by one, a name in angle brackets being one."""
    while keys:
        length = keys.index(">") + 1 if keys[0] == "<" and ">" in keys[2:] and keys[1].isupper() else 1
        yield "<lt>" if keys[:length] == "<" else keys[:length]
        keys = keys[length:]


@contextmanager
def running(version: str, home: Home, init: str, *arguments: str | Path) -> Generator[Neovim]:
    """A Neovim of this home with that init.lua, which opens the files given; ends with all that it started."""
    configure(home, f"vim.o.columns, vim.o.lines = {COLUMNS}, {LINES}\n{init}")
    installed = Installed(version)
    socket = home.folder / "n"
    socket.unlink(missing_ok=True)
    process = subprocess.Popen(
        [installed.program, "--headless", "--listen", socket, *arguments],
        env=home.environment(**installed.variables), cwd=home.workspace,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connected(socket) as call:
            yield Neovim(call)
    finally:
        process.terminate()  # its servers end with it
        process.wait(WAIT_SECONDS)
