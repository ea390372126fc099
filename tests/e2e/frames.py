"""Ghost text as a page of VS Code draws it, now and in every frame while somebody types. Knows no server.

It is in pieces: coloured spans within a line, and lines below that are none of the document, out of order. What a user
sees are whole lines from the cursor's on, ghost text in its place.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Page

# The lines from the cursor's on and what of them is ghost text; null where none is.
LOOK = r"""() => {
    const editor = document.querySelector('.editor-group-container.active .editor-instance');
    if (!editor) return null;
    const within = [...editor.querySelectorAll('.view-lines [class*="ghost-text-decoration"]')];
    const below = [...editor.querySelectorAll('.suggest-preview-text .view-line')];
    if (!within.length && !below.length) return null;
    const text = element => element.textContent.replaceAll('\u00a0', ' ');
    const top = element => parseFloat(element.style.top);
    const cursor = top(editor.querySelector('.cursors-layer .cursor'));
    const here = [...editor.querySelectorAll('.view-lines > .view-line')].find(line => top(line) === cursor);
    const rest = below.sort((a, b) => top(a) - top(b)).map(text);
    return { lines: [here ? text(here) : '', ...rest], ghost: [within.map(text).join(''), ...rest] };
}"""
# A frame is noted right after it was drawn.
START = f"""() => {{
    const look = {LOOK};
    const noted = window.sc2lspNoted = {{ keys: [], frames: [] }};
    const drawn = new MessageChannel();
    const key = event => noted.keys.push([event.timeStamp, event.key]);
    document.addEventListener('keydown', key, true);
    noted.stop = () => {{ document.removeEventListener('keydown', key, true); drawn.port1.close(); }};
    const next = () => requestAnimationFrame(() => drawn.port2.postMessage(null));
    drawn.port1.onmessage = () => {{ noted.frames.push([performance.now(), look()]); next(); }};
    next();
}}"""
STOP = "() => { window.sc2lspNoted.stop(); return [window.sc2lspNoted.keys, window.sc2lspNoted.frames]; }"


@dataclass(frozen=True, slots=True)
class Shown:
    """The lines as they look with ghost text, the cursor's first, and what of each is ghost text."""

    lines: tuple[str, ...]
    ghost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """`at`: milliseconds on the page's clock, of the event itself."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Frame:
    """`at`: milliseconds on the page's clock. `shown` None: no ghost text."""

    at: float
    shown: Shown | None


@dataclass(slots=True)
class Recording:
    """Filled when it ends."""

    keys: Sequence[Key] = field(default=())
    frames: Sequence[Frame] = field(default=())


def look(page: Page) -> Shown | None:
    """The ghost text that is on the screen."""
    return _shown(page.evaluate(LOOK))


@contextmanager
def recorded(page: Page) -> Iterator[Recording]:
    """Every key and every frame while the body runs."""
    recording = Recording()
    page.evaluate(START)
    try:
        yield recording
    finally:
        keys, frames = page.evaluate(STOP)
        recording.keys = [Key(*key) for key in keys]
        recording.frames = [Frame(at, _shown(found)) for at, found in frames]


def _shown(found: dict[str, list[str]] | None) -> Shown | None:
    return None if found is None else Shown(tuple(found["lines"]), tuple(found["ghost"]))
