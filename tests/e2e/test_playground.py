"""The playground in Chromium, with the built-in model: what somebody sees who has just installed sc2lsp."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from sc2lsp.playground import monaco

from . import node
from .browser import Visit, browser, open_page
from .home import SERVER, Home, home
from .tools import ToolMissing, installed, say

__all__ = ["browser", "home"]

SIZE = (1280, 760)
PATIENCE = 60_000  # milliseconds: the first suggestion waits for the model, and machines may be busy
GHOST = '[class*="ghost-text"]'
# What somebody types into the sample: a method of another file.
MOOR = ["", "", "def moor(harbour: Harbour, ship: Ship) -> str:", '    """Moor a ship, and say where."""', ""]
ASKING = "    berth = harbour.berth_for("
ADDRESS = re.compile(r"playground: (http://127\.0\.0\.1:\d+/#\S+)")
BROWSER = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
# Milliseconds from a key to the ghost text that it brings, as the page itself sees both.
WATCH = """() => {
  let typed = 0; window.waits = [];
  addEventListener("keydown", () => { typed = performance.now(); }, true);
  new MutationObserver(() => {
    if (typed && document.querySelector('[class*="ghost-text"]')) { waits.push(performance.now() - typed); typed = 0; }
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def editor() -> Path:
    """Monaco, fetched as the command fetches it."""

    def fetch(folder: Path) -> None:
        try:
            url = monaco.archive_url({**os.environ, **node.environment(folder / "commands")})
            monaco.fetch(url, folder, lambda _: None)
        except monaco.MonacoError as missing:
            raise ToolMissing(str(missing)) from None

    folder = monaco.kept(installed(f"monaco-{monaco.VERSION}", fetch))
    assert folder is not None
    return folder


class Playground:
    """A page in which something was opened; `sent` is what it told its servers."""

    def __init__(self, visit: Visit, process: subprocess.Popen[str]) -> None:
        self.page: Page = visit.page
        self.foreign = visit.foreign
        self.process = process
        self.sent: list[dict[str, Any]] = []
        self.page.on("websocket", lambda socket: socket.on("framesent", self._keep))

    def _keep(self, frame: str | bytes) -> None:
        self.sent.append(json.loads(frame))

    def pane(self, number: int = 0) -> Locator:
        return self.page.locator(".pane").nth(number)

    def ghost(self, number: int = 0) -> Locator:
        return self.pane(number).locator(GHOST).first

    def text(self, number: int = 0) -> str:
        return str(self.page.evaluate("number => monaco.editor.getEditors()[number].getValue()", number))

    def set_end(self, lines: Sequence[str], last: str) -> None:
        """Have the sample's file end with these lines, the last one typed."""
        self.page.keyboard.press("Escape")
        self.page.evaluate(
            """text => { const editor = monaco.editor.getEditors()[0], model = editor.getModel();
            editor.executeEdits("test", [{ range: model.getFullModelRange().collapseToEnd(), text }]);
            editor.setPosition(model.getFullModelRange().getEndPosition());
            editor.revealLine(model.getLineCount()); editor.focus(); }""",
            "\n".join(["", *lines]),
        )
        self.page.keyboard.type(last, delay=40)

    def prompt(self, number: int = 0) -> str:
        return str(self.pane(number).locator(".prompt pre").text_content())


@contextmanager
def playing(browser: Browser, home: Home, editor: Path, *arguments: str) -> Iterator[Playground]:
    """What the command starts a browser with, opened, or what it prints; no other machine was asked for anything."""
    started = home.folder / "started-with"
    started.unlink(missing_ok=True)
    environment = home.environment(BROWSER=f"{sys.executable} -c {shlex.quote(BROWSER)} {started} %s")
    command = [str(SERVER), "playground", "--monaco", str(editor), *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            printed = ADDRESS.fullmatch(process.stderr.readline().strip())
            assert printed is not None
            address = printed[1] if "--no-browser" in arguments else _eventually(started)
            with open_page(browser, SIZE) as visit:
                opened = Playground(visit, process)
                opened.page.goto(address)
                expect(opened.pane().locator(".view-line").first).to_be_visible(timeout=PATIENCE)
                yield opened
                assert not visit.foreign
        finally:
            process.send_signal(signal.SIGINT)


def _eventually(path: Path) -> str:
    """What is written to a file by another process."""
    deadline = perf_counter() + PATIENCE / 1000
    while not path.exists() or not (text := path.read_text()):
        assert perf_counter() < deadline
        sleep(0.05)
    return text


def test_a_newcomer_sees_it_work(browser: Browser, home: Home, editor: Path, screenshots: Path) -> None:
    """A suggestion without a key pressed, beside it why, and Tab takes it."""
    started = perf_counter()
    with playing(browser, home, editor) as opened:
        usable = perf_counter() - started
        page, pane = opened.page, opened.pane()
        expect(opened.ghost()).to_be_attached(timeout=PATIENCE)
        say(f"playground: usable after {usable:.1f} s, first suggestion after {perf_counter() - started:.1f} s")
        assert "#" not in page.url  # the token is not left where it would be copied
        expect(pane.locator(".timings .stage").last).to_have_text("total")
        expect(pane.locator(".token").first).to_be_visible()
        expect(pane.locator(".latency")).to_contain_text("ms")
        expect(pane.locator(".status.Normal")).to_be_visible()
        expect(page.locator("footer")).to_contain_text("nothing is written")
        page.wait_for_timeout(300)
        page.screenshot(path=screenshots / "playground.png")
        before = opened.text()
        page.keyboard.press("Tab")
        expect(opened.ghost()).not_to_be_attached()
        accepted = opened.text().removeprefix(before)
        assert accepted
        told = [message for message in opened.sent if message.get("method") == "workspace/executeCommand"]
        assert "sc2lsp.accepted" in [message["params"]["command"] for message in told]
        page.reload()
        expect(opened.ghost()).to_be_attached(timeout=PATIENCE)


def test_why(browser: Browser, home: Home, editor: Path) -> None:
    """The snippets of other files, each with its text, and the prompt to the last token."""
    with playing(browser, home, editor, "--no-browser") as opened:
        page, pane = opened.page, opened.pane()
        expect(opened.ghost()).to_be_attached(timeout=PATIENCE)
        snippet = pane.locator(".snippet").first
        snippet.locator("summary").click()
        place = re.fullmatch(r"(\S+):(\d+)(?:-(\d+))?", snippet.locator(".place").inner_text())
        assert place is not None
        lines = (Path(monaco.__file__).parent / "sample" / place[1]).read_text().splitlines()
        wanted = "\n".join(lines[int(place[2]) - 1 : int(place[3] or place[2])])
        expect(snippet.locator("pre")).to_have_text(wanted)
        assert snippet.locator(".why").inner_text()
        assert "<file_sep>" in opened.prompt()
        assert opened.prompt().count("<fim_prefix>") == 1
        page.keyboard.press("Escape")
        page.locator("nav button", has_text="board.ts").click()
        expect(pane.locator(".view-lines")).to_contain_text("The board at the quay")
        assert "fetch(" not in opened.text()


def test_two_contexts_side_by_side(browser: Browser, home: Home, editor: Path, screenshots: Path) -> None:
    """The same text and cursor; what the second pane's prompt holds follows its switch, and what is typed both."""
    with playing(browser, home, editor) as opened:
        page = opened.page
        expect(opened.ghost()).to_be_attached(timeout=PATIENCE)
        page.locator("#compare").click()
        expect(opened.ghost(1)).to_be_attached(timeout=PATIENCE)
        for number in range(2):
            expect(opened.pane(number).locator(".timings .stage").last).to_have_text("total", timeout=PATIENCE)
            expect(opened.pane(number).locator(".latency")).to_contain_text("ms")
        assert "harbour/ships.py" in opened.prompt(0)
        assert "harbour/ships.py" not in opened.prompt(1)
        expect(opened.pane(1)).to_contain_text("Nothing from other files.")
        page.keyboard.press("Tab")
        expect(opened.ghost(0)).not_to_be_attached()
        opened.set_end(MOOR, ASKING)
        for number in range(2):
            expect(opened.pane(number).locator(".prompt pre")).to_contain_text("Moor a ship", timeout=PATIENCE)
        page.wait_for_timeout(500)
        page.screenshot(path=screenshots / "playground-compare.png")
        assert opened.text(0) == opened.text(1)
        opened.pane(1).locator("select").select_option("workspace")
        expect(opened.pane(1).locator(".snippet").first).to_be_attached(timeout=PATIENCE)
        assert "harbour/ships.py" in opened.prompt(1)
        page.locator("#compare").click()
        assert page.locator(".pane").count() == 1


def test_ones_own_workspace(browser: Browser, home: Home, editor: Path) -> None:
    """Secrets are not listed, what is typed is not written, and a model that is none is told with a way out."""
    (home.workspace / "secrets.py").write_text("KEY = 1\n")
    files = {path: path.read_bytes() for path in home.workspace.rglob("*") if path.is_file()}
    with playing(browser, home, editor, str(home.workspace)) as opened:
        page, pane = opened.page, opened.pane()
        names = page.locator("nav button").all_inner_texts()
        assert "store.py" in names
        assert "secrets.py" not in names
        page.locator("nav button", has_text="store.py").click()
        expect(pane.locator(".view-lines")).to_contain_text("class")
        page.keyboard.press("Control+Home")
        page.keyboard.type("# typed here\n")
        page.keyboard.press("Control+S")
        assert opened.text().startswith("# typed here\n")
        pane.locator(".settings input").fill(str(home.folder / "no-model"))
        pane.locator(".settings input").press("Enter")
        expect(pane.locator(".status.Error")).to_be_visible(timeout=PATIENCE)
        pane.locator(".settings input").fill("")
        pane.locator(".settings input").press("Enter")
        expect(pane.locator(".status.Normal")).to_be_visible(timeout=PATIENCE)
    assert {path: path.read_bytes() for path in home.workspace.rglob("*") if path.is_file()} == files


def test_the_server_gone(browser: Browser, home: Home, editor: Path) -> None:
    """What was typed stays in the page, which says what to do."""
    with playing(browser, home, editor) as opened:
        expect(opened.pane().locator(".status.Normal")).to_be_visible(timeout=PATIENCE)
        before = opened.text()
        opened.process.kill()
        opened.process.wait(10)
        expect(opened.pane().locator(".status.Error")).to_contain_text("sc2lsp playground")
        expect(opened.pane().locator(".status button")).to_have_text("Connect again")
        assert opened.text() == before


@pytest.mark.skipif(sys.platform == "win32", reason="measured where the project is measured")
def test_how_fast(browser: Browser, home: Home, editor: Path) -> None:
    """Reported, not judged. Both answers are known already, so this is what is added to the model's time."""
    with playing(browser, home, editor) as opened:
        expect(opened.ghost()).to_be_attached(timeout=PATIENCE)
        opened.page.keyboard.press("Escape")
        opened.page.evaluate(WATCH)
        for _ in range(5):
            opened.page.keyboard.press("Backspace")
            opened.page.wait_for_timeout(400)
            opened.page.keyboard.press("Escape")
            opened.page.wait_for_timeout(100)
            opened.page.keyboard.press("(")
            expect(opened.ghost()).to_be_attached(timeout=PATIENCE)
        waits = sorted(opened.page.evaluate("waits"))
        assert waits
        say(f"playground: last key to ghost text p50 {median(waits):.0f} ms, worst {waits[-1]:.0f} ms of {len(waits)}")
