"""Edit sessions through the session, beside the plain positions of `positions`; and changes in a wrong order."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sc2lsp.config import Config
from sc2lsp.context.document import Edit, Position
from sc2lsp.session import Session

from . import positions
from .positions import Encoding, Place, changed, offset_of, place_of

PIECES = (
    *("a", "word ", "if x:", "    ", "\t", "(", '"', '"""', "{", "/*", "\n", "\n", "\n    ", "\r\n", "\r"),
    *("\f", "\v", "\x1c", "\u0085", "\u2028", "\u2029", "\u00e9", "\u4e2d", "\U0001f600", "e\u0301", "\ud83d", "\0"),
)
NAMES = ("a.py", "a.ts", "a.go", "a.txt")
EDITS, PIECES_OF_A_TEXT, PIECES_OF_AN_EDIT = 6, 40, 4
PAST = 4  # lines and code units past the end at most
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
FOLDER = Path("/nowhere").absolute()


@dataclass(slots=True)
class Drift:
    """Sessions after which text or places differed from the oracle's."""

    sessions: int = 0
    edits: int = 0
    drifted: int = 0
    misplaced: int = 0

    @property
    def faults(self) -> int:
        return self.drifted + self.misplaced


@dataclass(slots=True)
class Disorder:
    """Changes that came twice, too late or too early, and from which text was offered to complete then.

    `unknowable`: a change that came too early was applied, and the one it left out had not come yet.
    """

    delivered: int = 0
    offered: int = 0
    unknowable: int = 0
    wrong: int = 0

    @property
    def faults(self) -> int:
        return self.wrong


async def drift(sessions: int) -> AsyncIterator[Drift]:
    figures = Drift()
    for number in range(sessions):
        _one(figures, random.Random(number))
        yield figures
        await asyncio.sleep(0)


def _one(figures: Drift, source: random.Random) -> None:
    path, encoding = FOLDER / source.choice(NAMES), source.choice(ENCODINGS)
    session, text = Session(Config()), _text(source, PIECES_OF_A_TEXT)
    session.open(path, text, 1)
    for version in range(2, 2 + EDITS):
        edits = list[Edit]()
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            edit, text = _edit(source, text, encoding)
            edits.append(edit)
        session.change(path, edits, version, encoding)
        figures.edits += len(edits)
    document = session.document(path)
    assert document is not None
    figures.sessions += 1
    figures.drifted += document.text != text
    place, offset = _place(source, text), source.randrange(len(text) + 1)
    back = document.position(offset, encoding)
    right = document.offset(Position(*place), encoding) == offset_of(text, place, encoding)
    figures.misplaced += not (right and (back.line, back.character) == place_of(text, offset, encoding))


def _edit(source: random.Random, text: str, encoding: Encoding) -> tuple[Edit, str]:
    new = _text(source, PIECES_OF_AN_EDIT)
    if source.random() < 0.03:
        return Edit(None, None, new), new
    start, end = sorted((_place(source, text), _place(source, text)))
    if source.random() < 0.6:
        end = start
    return Edit(Position(*start), Position(*end), new), changed(text, start, end, new, encoding)


def _text(source: random.Random, most: int) -> str:
    return "".join(source.choices(PIECES, k=source.randrange(most + 1)))


def _place(source: random.Random, text: str) -> Place:
    """Somewhere in a text, or past the end of it or of a line."""
    lines = positions.lines_of(text)
    line = source.randrange(len(lines) + PAST)
    content = lines[line][0] if line < len(lines) else ""
    return line, source.randrange(len(content) * 2 + PAST)


async def disorder(changes: int) -> AsyncIterator[Disorder]:
    """Changes in a wrong order, in rounds of a hundred with the whole text in between."""
    figures = Disorder()
    for number in range(-(-changes // 100)):
        _round(figures, random.Random(number), min(100, changes - figures.delivered))
        yield figures
        await asyncio.sleep(0)


def _round(figures: Disorder, source: random.Random, changes: int) -> None:
    path, session = FOLDER / "a.py", Session(Config())
    texts, sent = {1: "one\n"}, dict[int, Edit]()
    for version in range(2, 2 + changes):
        sent[version], texts[version] = _edit(source, texts[version - 1], "utf-16")
    session.open(path, texts[1], 1)
    missing = set[int]()
    came = {1}
    for version in _mixed(source, sorted(sent)):
        if source.random() < 0.05:  # what an editor does that starts anew
            session.change(path, [Edit(None, None, texts[version])], version, "utf-16")
            came |= set(range(1, version + 1)) if version > max(came) else set()
        else:
            session.change(path, [sent[version]], version, "utf-16")
        came.add(version)
        missing = set(range(1, max(came))) - came
        figures.delivered += 1
        target = session.target(path, Position(0, 0), "utf-16")
        if target is not None:
            figures.offered += 1
            is_wrong = target.document.text != texts[target.document.version]
            figures.wrong += is_wrong and not missing
            figures.unknowable += is_wrong and bool(missing)


def _mixed(source: random.Random, versions: list[int]) -> list[int]:
    """One in ten swapped with the next, one in twenty again a little later."""
    mixed = versions.copy()
    for at in range(len(mixed) - 1):
        if source.random() < 0.1:
            mixed[at], mixed[at + 1] = mixed[at + 1], mixed[at]
    for at in range(len(mixed) - 1, 0, -1):
        if source.random() < 0.05:
            mixed.insert(min(at + source.randrange(1, 5), len(mixed)), mixed[at])
    return mixed
