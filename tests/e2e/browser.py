"""Chromium for tests: Debian's, driven by Playwright, that reaches nothing but this machine.

Import the fixture `browser` where it is used. It lasts for one module: while Playwright's synchronous interface runs,
no other event loop can run on the same thread, so async code wants a thread or a process of its own.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from .tools import ToolMissing, debian

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
FOREIGN = re.compile(rf"^(http|ws)s?://(?!({'|'.join(map(re.escape, LOOPBACK))})[:/])")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever the page's rules miss (service workers, WebSockets) finds no address.
    f"--host-resolver-rules=MAP * ~NOTFOUND, {', '.join(f'EXCLUDE {host}' for host in LOOPBACK)}",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A page, and the hosts other than this machine that it asked for, and did not get."""

    page: Page
    foreign: set[str]  # grows while the page is open


def chromium() -> Path:
    """The browser's executable. Raises ToolMissing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return Path(found)
    debian("chromium")
    found = shutil.which("chromium")
    if found is None:
        raise ToolMissing("Debian's package chromium brought no chromium")
    return Path(found)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
        yield launched
        launched.close()


@contextmanager
def open_page(browser: Browser, size: tuple[int, int] = (1280, 800), dark: bool = True) -> Iterator[Visit]:
    """An empty page of its own profile, `size` pixels wide and high."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
    )
    foreign = _blocked(context)
    try:
        yield Visit(context.new_page(), foreign)
    finally:
        context.close()


def _blocked(context: BrowserContext) -> set[str]:
    foreign = set[str]()

    def refuse(route: Route) -> None:
        foreign.add(urlsplit(route.request.url).netloc)
        route.abort()

    def watch(page: Page) -> None:
        page.on("websocket", lambda socket: FOREIGN.match(socket.url) and foreign.add(urlsplit(socket.url).netloc))

    context.route(FOREIGN, refuse)
    context.on("page", watch)
    return foreign
