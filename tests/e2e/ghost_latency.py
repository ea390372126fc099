"""How long ghost text takes in a real VS Code: from the last key to the frame that shows it, and our part of that.

    python -m tests.e2e.ghost_latency [--samples N] [--json]

The runtime answers at once (tests/benchmarks/instant.py), so that what is measured is the editor, the extension and
the language server. A sample is a name of four letters, typed 120 ms a key; its time ends at the first frame, noted
after it was drawn, with ghost text behind the last letter. Ours is what passes between the editor's request, once it
has arrived whole, and our answer, once it has: tests/e2e/tap.py stands between the two, so the server's pipes are ours.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from tests.benchmarks.standin import MARK, READY

from .browser import FLAGS, chromium
from .codeserver import serving
from .frames import Frame, Key, recorded
from .home import SERVER, Home, new_home
from .vsix import build
from .workbench import Workbench, workbench

ROOT = Path(__file__).parents[2]
TAP = Path(__file__).with_name("tap.py")
METHOD = "textDocument/inlineCompletion"
WORDS = ("alfa", "echo", "golf", "kilo", "lima", "mike", "papa", "zulu")
KEY_MS, READ_MS = 120.0, 700.0  # between keys; until the next line
GOALS_MS = {"last key to ghost text": 120.0, "of it ours": 5.0}


def measure(samples: int) -> dict[str, list[float]]:
    """Milliseconds of every sample."""
    with (
        new_home() as home,
        instant(home) as url,
        serving(home, build(), settings(home, url)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        with workbench(browser, server, home.workspace) as window:
            seen = typed(window, home, samples)
        browser.close()
        answers = [json.loads(line) for line in tap_file(home).read_text("utf-8").splitlines()]
    ours = [answer["seconds"] * 1000 for answer in answers if answer["method"] == METHOD and answer["items"]]
    return {"last key to ghost text": seen, "of it ours": ours}


@contextmanager
def instant(home: Home) -> Iterator[str]:
    """The runtime that answers at once; where it listens."""
    url = f"unix:{home.folder / 'instant'}"
    command = [sys.executable, "-m", "tests.benchmarks.instant", url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise SystemExit("the runtime that answers at once did not start")
        yield url
        process.stdin.close()


def tap_file(home: Home) -> Path:
    return home.folder / "tapped.jsonl"


def settings(home: Home, url: str) -> dict[str, object]:
    tapped = home.folder / "tapped"
    tapped.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then exec {SERVER} --version; fi\n'
        f'exec {sys.executable} {TAP} {tap_file(home)} {SERVER} "$@"\n'
    )
    tapped.chmod(0o755)
    return {"sc2lsp.server.path": str(tapped), "sc2lsp.endpoint": url}


def typed(window: Workbench, home: Home, samples: int) -> list[float]:
    """Milliseconds from the last key of each word to ghost text behind it; the first two words are for warming up."""
    file = home.workspace / "latency.py"
    file.write_text("import math\n", "utf-8")
    window.open(file)
    window.go(2)
    took: list[float] = []
    for number in range(samples + 2):
        word = WORDS[number % len(WORDS)]
        with recorded(window.page) as recording:
            window.type(word, delay=KEY_MS)
            window.page.wait_for_timeout(READ_MS)
        shown = first_shown(recording.keys[-1], recording.frames, word)
        if number >= 2:
            took.append(shown)
        window.press("Escape", "Enter")
    return took


def first_shown(last: Key, frames: Sequence[Frame], word: str) -> float:
    for frame in frames:
        if frame.at > last.at and frame.shown is not None and frame.shown.lines[0].startswith(word + MARK):
            return frame.at - last.at
    return float("inf")


def summary(took: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "samples": len(times),
            "p50_ms": round(float(np.percentile(times, 50)), 1),
            "p95_ms": round(float(np.percentile(times, 95)), 1),
            "goal_ms": GOALS_MS[name],
        }
        for name, times in took.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--json", action="store_true", dest="is_json")
    options = parser.parse_args()
    figures = summary(measure(options.samples))
    if options.is_json:
        print(json.dumps(figures))
        return
    table = Table("", "samples", "p50", "p95", "goal, p50", title="Milliseconds in VS Code", box=None)
    for name, row in figures.items():
        table.add_row(name, str(row["samples"]), *(f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "goal_ms")))
    Console().print(table)


if __name__ == "__main__":
    main()
