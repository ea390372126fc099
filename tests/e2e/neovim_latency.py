"""How long ghost text takes in a real Neovim: from the last key to the extmark that shows it, ours and Neovim's own.

    python -m tests.e2e.neovim_latency [--samples N]

The runtime answers at once (tests/benchmarks/instant.py). Both times are noted within Neovim, by its own clock.
"""

import argparse
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from .home import SERVER, new_home
from .instant import instant
from .neovim import running, setup

NOTE = """
_G.key, _G.mark = 0, 0
vim.on_key(function() _G.key = vim.uv.hrtime() end)
local set = vim.api.nvim_buf_set_extmark
vim.api.nvim_buf_set_extmark = function(...) _G.mark = vim.uv.hrtime() return set(...) end
"""
BUILT_IN = """
require('sc2lsp.options').set({{ cmd = {{ '{server}', '--stdio' }}, settings = {{ endpoint = '{url}' }} }})
vim.lsp.enable('sc2lsp')
vim.lsp.inline_completion.enable()
"""
KEY_SECONDS, SETTLE_SECONDS, READ_SECONDS = 0.06, 0.25, 0.6
WAYS = (("0.12", "our plugin"), ("0.10", "our plugin"), ("0.12", "vim.lsp.inline_completion"))


def measure(version: str, way: str, samples: int) -> list[float]:
    """Milliseconds of every sample: a line is begun, and after a rest a blank is typed behind it."""
    with new_home() as home, instant() as runtime:
        runtime.answer("total(1, 2)")
        ours = setup(endpoint=runtime.url)
        init = ours if way == "our plugin" else BUILT_IN.format(server=SERVER, url=runtime.url)
        with running(version, home, init) as neovim:
            neovim.open(home.workspace / "shelf" / "latency.py", "x =$0\n")
            neovim.lua(NOTE)
            took: list[float] = []
            for number in range(samples + 2):  # the first two are for warming up
                neovim.type(f"<Esc>ov{number} =", gap=KEY_SECONDS)
                time.sleep(SETTLE_SECONDS)
                neovim.lua("_G.mark = 0")
                neovim.type(" ")
                time.sleep(READ_SECONDS)
                milliseconds = neovim.lua("return _G.mark ~= 0 and (_G.mark - _G.key) / 1e6 or math.huge")
                took.append(float(milliseconds))
    return took[2:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=30)
    samples = parser.parse_args().samples
    table = Table("Neovim", "drawn by", "p50", "p95", title="Last key to ghost text, ms", box=None)
    for version, way in WAYS:
        took = measure(version, way, samples)
        table.add_row(version, way, *(f"{np.percentile(took, percent):.1f}" for percent in (50, 95)))
    Console().print(table)


if __name__ == "__main__":
    main()
