"""The window of VS Code as its user has it: keys in, what is on the screen out. Knows nothing of what is behind it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from playwright.sync_api import Browser, Locator, expect

from .browser import Visit, open_page
from .codeserver import CodeServer
from .frames import Shown, look

START_MS = 90_000.0
SOON_MS = 15_000.0
# What follows stands three times in it: it is suggested whatever else is in the workspace.
REPEATED = (
    "".join(
        f"def {name}(price: int, quantity: int, postage: int) -> int:\n    return price * quantity + postage\n\n\n"
        for name in ("book", "letter", "parcel")
    )
    + "def crate(price: int, quantity: int, postage: int) -> int:\n    return "
)
LOOK_MS = 100.0
NOTHING_MS = 2_000.0
REST_MS = 500.0  # until what is faded in has been
DIALOGUE_TRIES = 10
STILL = 3  # looks in a row that see the same
NOTICES = r"""() => [...document.querySelectorAll('.notification-toast')].map(toast => [
    toast.querySelector('.notification-list-item-message').textContent,
    [...toast.querySelectorAll('.notification-list-item-buttons-container .monaco-button')].map(b => b.textContent),
])"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification."""

    message: str
    buttons: tuple[str, ...]


class Workbench:
    """One window. Lines and columns count from 1, as VS Code shows them."""

    def __init__(self, visit: Visit) -> None:
        self.page = visit.page
        self.foreign = visit.foreign  # other machines that it asked for

    @property
    def editor(self) -> Locator:
        return self.page.locator(".editor-group-container.active .editor-instance")

    def open(self, file: Path) -> None:
        """In the editor. By its whole path: a search may not know yet what was written just now."""
        self.press("Control+p")
        self.page.locator(".quick-input-widget input").fill(str(file))
        self.row(file.name).click()
        tab = self.page.locator(".editor-group-container.active .tab.active")
        expect(tab).to_have_attribute("data-resource-name", file.name)
        self.editor.locator(".view-lines").wait_for()

    def go(self, line: int, column: int = 1) -> None:
        """Put the cursor there."""
        self.press("Control+g")
        self.page.locator(".quick-input-widget input").fill(f":{line}:{column}")
        self.press("Enter")
        self.at(line, column)

    def at(self, line: int, column: int) -> None:
        """The cursor comes to stand there."""
        expect(self.page.locator("[id='status.editor.selection']")).to_contain_text(f"Ln {line}, Col {column}")

    def type(self, text: str, delay: float = 60.0) -> None:
        """A key after the other, `delay` milliseconds apart."""
        self.page.keyboard.type(text, delay=delay)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def save(self) -> None:
        """The file is on disk afterwards."""
        self.press("Control+s")
        expect(self.page.locator(".editor-group-container.active .tab.active.dirty")).to_have_count(0)

    def run(self, title: str) -> None:
        """A command by its title in the palette."""
        self.press("F1")
        self.page.locator(".quick-input-widget input").fill(f">{title}")
        self.row(title).click()

    def choose(self, label: str) -> None:
        """A row of the quick pick that is open."""
        self.row(label).click()
        self.page.locator(".quick-input-widget").wait_for(state="hidden")

    def choose_file(self, file: Path) -> None:
        """In the dialogue that asks for one."""
        widget = self.page.locator(".quick-input-widget")
        widget.locator("input").wait_for()
        for _ in range(DIALOGUE_TRIES):  # it looks at the path by and by, and takes no answer before
            widget.locator("input").fill(str(file))
            self.page.wait_for_timeout(REST_MS)
            if widget.locator("input").input_value() != str(file):
                continue  # what it proposes by itself has come later
            widget.locator(".quick-input-action .monaco-button, .monaco-text-button").first.click()
            self.page.wait_for_timeout(REST_MS)
            if not widget.is_visible():
                return
        raise AssertionError(f"the dialogue does not take {file}")

    def row(self, text: str) -> Locator:
        """Of the quick pick that is open."""
        return self.page.locator(".quick-input-list .monaco-list-row").filter(has_text=text).first

    def rows(self) -> list[str]:
        """What the quick pick that is open offers."""
        self.page.locator(".quick-input-list .monaco-list-row").first.wait_for()
        labels = self.page.locator(".quick-input-list .monaco-list-row .quick-input-list-entry .label-name")
        return labels.all_inner_texts()

    def shown(self) -> Shown | None:
        return look(self.page)

    def ghost(self, within: float = SOON_MS, other_than: Shown | None = None) -> Shown:
        """Ghost text, once there is some that stays."""
        last, looks = self.shown(), 1
        for _ in range(round(within / LOOK_MS)):
            if last is not None and last != other_than and looks == STILL:
                return last
            self.page.wait_for_timeout(LOOK_MS)
            found = self.shown()
            last, looks = found, looks + 1 if found == last else 1
        raise AssertionError(f"no ghost text in {within / 1000:.0f} s: {last}; {self.status()}; {self.notices()}")

    def stays_without_ghost(self) -> bool:
        """Whether none is to be seen for as long as one would have taken to come."""
        for _ in range(round(NOTHING_MS / LOOK_MS)):
            if self.shown() is not None:
                return False
            self.page.wait_for_timeout(LOOK_MS)
        return True

    def until(self, happened: Callable[[], bool], what: str, within: float = SOON_MS) -> None:
        """Wait for something that is not in the window; `what` is said where it does not come."""
        give_up = monotonic() + within / 1000
        while not happened():
            assert monotonic() < give_up, f"{what}: not within {within / 1000:.0f} s; {self.status()}"
            self.page.wait_for_timeout(LOOK_MS)

    def menu(self) -> None:
        """The menu of the status bar's item, open."""
        self.status_item().click()
        self.page.locator(".quick-input-list .monaco-list-row").first.wait_for()

    def status_item(self) -> Locator:
        return self.page.locator(".statusbar-item[id^='sc2lsp.']")

    def status(self) -> str:
        """The item in the status bar: its text, and what it says when the mouse rests on it."""
        item = self.status_item()
        return f"{item.inner_text()} ({item.get_attribute('aria-label')})" if item.count() else "no status item"

    def notices(self) -> list[Notice]:
        """The notifications that are on the screen, newest first."""
        return [Notice(message, tuple(buttons)) for message, buttons in self.page.evaluate(NOTICES)]

    def notice(self, part: str, within: float = SOON_MS) -> Notice:
        """The one notification whose message holds `part`, once there is one."""
        for _ in range(round(within / LOOK_MS)):
            if found := [notice for notice in self.notices() if part in notice.message]:
                (only,) = found
                return only
            self.page.wait_for_timeout(LOOK_MS)
        raise AssertionError(f"no notification {part!r} in {within / 1000:.0f} s: {self.notices()}; {self.status()}")

    def answer(self, part: str, button: str) -> None:
        """Press a button of a notification."""
        self.toast(part).locator(".monaco-button").filter(has_text=button).click()

    def toast(self, part: str) -> Locator:
        return self.page.locator(".notification-toast").filter(has_text=part)

    def picture(self, file: Path) -> None:
        self.page.wait_for_timeout(REST_MS)
        self.page.screenshot(path=file)


@contextmanager
def workbench(
    browser: Browser, server: CodeServer, folder: Path, size: tuple[int, int] = (1000, 640)
) -> Iterator[Workbench]:
    """A window on a folder, once it can be worked in; at the end, it has asked for nothing but this machine."""
    with open_page(browser, size) as visit:
        visit.page.goto(f"{server.url}/?folder={folder}", timeout=START_MS)
        visit.page.locator(".explorer-folders-view .monaco-list-row").first.wait_for(timeout=START_MS)
        visit.page.locator(".statusbar-item[id='status.notifications']").wait_for(timeout=START_MS)
        yield Workbench(visit)
        assert not visit.foreign
