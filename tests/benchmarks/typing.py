"""What typing costs and what staying costs: prompts of a recorded typing trace, stable beside re-ranked freely.

    python -m tests.benchmarks.typing ROOT...

Bodies of functions are taken out of two files of a repository and typed again as an editor would have it: indents and
closing brackets come by themselves, bursts end with a jump to another place or to the other file, which is then saved.
Every keystroke takes the server's own path up to the prompt; there is no model. Deterministic but for the times.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sc2lsp.backend import Model
from sc2lsp.completion import build_prompt, find_snippets, is_outdated, rank_snippets
from sc2lsp.config import Config
from sc2lsp.context.document import Document, Edit
from sc2lsp.context.index import Index
from sc2lsp.context.prompt import Prompt
from sc2lsp.context.tags import WORD, Tag
from sc2lsp.headless import Workspace, prompt_model
from sc2lsp.session import Session, Target

KEYSTROKES, BUDGETS, SEEDS = 500, (1024, 2048, 4096), (1, 2)
BURST = (40, 120)  # keystrokes until the next jump
BODY = (120, 1200)  # characters of a function that is typed
PLACES = 2  # that are worked on in turn, in each of the two files
SHORTEST_NAME = 4
CLOSER = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "`": "`"}


@dataclass(slots=True)
class Hole:
    """A body that is being typed: where the cursor is, what is left, and what the editor has put behind the cursor."""

    path: str
    cursor: int
    left: str
    closing: str = ""

    @property
    def is_done(self) -> bool:
        return not self.left and not self.closing


@dataclass(frozen=True, slots=True)
class Moment:
    """One keystroke's cursor, and where the names that are still to be typed are defined: (path, line)."""

    target: Target
    needed: frozenset[tuple[str, int]]


class Typist:
    """Types the holes of two open files into a session, which it alone changes meanwhile."""

    def __init__(self, workspace: Workspace, seed: int) -> None:
        self.session: Session = workspace.session
        self.folder = workspace.folder
        self._random = random.Random(seed)
        self._version = 1
        self._holes = self._cut_out(self._random.sample(_promising(self.folder.index), 2))
        # Mutated by every method that is not a query.

    def keystrokes(self, count: int) -> Iterator[Moment]:
        """Type on and on, and never look at what is suggested."""
        for hole, keys in self.bursts():
            for _ in range(min(count, keys)):
                if hole.is_done:
                    break
                self.type(hole)
                count -= 1
                yield Moment(self.target(hole), _needed(self.folder.index, hole.path, hole.left))
            if count == 0:
                return

    @property
    def paths(self) -> list[str]:
        return [*dict.fromkeys(hole.path for hole in self._holes)]

    def bursts(self) -> Iterator[tuple[Hole, int]]:
        """The places in turn, and how many keys each gets until the next jump; then its file is saved."""
        while True:
            turn = [hole for path in self.paths for hole in self._open(path)]
            assert turn, "the chosen files are too small"
            for hole in turn:
                yield hole, self._random.randint(*BURST)
                self.session.save(self.folder.root / hole.path)

    def target(self, hole: Hole) -> Target:
        document = self._document(hole.path)
        target = self.session.target(self.folder.root / hole.path, document.position(hole.cursor, "utf-32"), "utf-32")
        assert target is not None
        return target

    def accept(self, hole: Hole, text: str, replaces: int) -> None:
        """One key puts `text`, which comes next, in place of what the editor put right behind the cursor."""
        assert hole.left.startswith(text)
        self._replace(hole, text, replaces)
        hole.cursor, hole.left, hole.closing = hole.cursor + len(text), hole.left[len(text) :], hole.closing[replaces:]

    def delete(self, hole: Hole) -> bool:
        """Take back a character of a name, which is then to be typed again; False where there is none."""
        char = self._document(hole.path).text[hole.cursor - 1 : hole.cursor]
        if not WORD.fullmatch(char):
            return False
        hole.cursor, hole.left = hole.cursor - 1, char + hole.left
        self._replace(hole, "", 1)
        return True

    def _open(self, path: str) -> list[Hole]:
        return [hole for hole in self._holes if hole.path == path and not hole.is_done][:PLACES]

    def _cut_out(self, paths: Sequence[str]) -> list[Hole]:
        """Open the files without the bodies that will be typed."""
        holes: list[Hole] = []
        for path in paths:
            text = (self.folder.root / path).read_text("utf-8")
            document = Document.open(path, text)
            cut: list[Hole] = []
            for start, end in reversed(_bodies(self.folder.index, document)):
                for hole in cut:
                    hole.cursor -= end - start
                cut.insert(0, Hole(path, start, text[start:end]))
                text = text[:start] + text[end:]
            self.session.open(self.folder.root / path, text, self._version)
            self._random.shuffle(cut)
            holes += cut
        return holes

    def _document(self, path: str) -> Document:
        document = self.session.document(self.folder.root / path)
        assert document is not None
        return document

    def type(self, hole: Hole) -> None:
        """One key. What closes a bracket that the editor closed already only moves the cursor."""
        text = self._document(hole.path).text
        if hole.closing and not hole.left.startswith(hole.closing[0]) and not hole.left.strip():
            self._replace(hole, "", len(hole.closing))  # the editor was wrong: delete
            hole.closing = ""
        elif hole.closing and (moved := _overtyped(hole)):
            hole.cursor, hole.left, hole.closing = hole.cursor + moved, hole.left[moved:], hole.closing[moved:]
        elif hole.left[0] == "\n":
            self._newline(hole, text)
        else:
            char, hole.left = hole.left[0], hole.left[1:]
            closer = CLOSER.get(char, "") if _closes(char, text, hole.cursor) else ""
            self._replace(hole, char + closer, 0)
            hole.cursor, hole.closing = hole.cursor + 1, closer + hole.closing

    def _newline(self, hole: Hole, text: str) -> None:
        """The indent comes with it; between brackets, the closing one goes to a line of its own."""
        typed = "\n" + hole.left[1 : len(hole.left) - len(hole.left[1:].lstrip(" \t"))]
        hole.left = hole.left[len(typed) :]
        between = hole.closing and CLOSER.get(text[hole.cursor - 1]) == hole.closing[0] and hole.closing[0] in ")]}"
        line = text[text.rfind("\n", 0, hole.cursor) + 1 : hole.cursor]
        below = "\n" + line[: len(line) - len(line.lstrip())] if between else ""
        self._replace(hole, typed + below, 0)
        hole.cursor, hole.closing = hole.cursor + len(typed), below + hole.closing

    def _replace(self, hole: Hole, text: str, length: int) -> None:
        """Put `text` in place of what follows the cursor, and move the holes behind it."""
        document = self._document(hole.path)
        start, end = (document.position(hole.cursor + more, "utf-32") for more in (0, length))
        self._version += 1
        self.session.change(self.folder.root / hole.path, [Edit(start, end, text)], self._version, "utf-32")
        for other in self._holes:
            if other.path == hole.path and other is not hole and other.cursor > hole.cursor:
                other.cursor += len(text) - length


def _overtyped(hole: Hole) -> int:
    """How many characters the cursor moves over at one key: a bracket, or the line's end and indent before one."""
    blank = len(hole.closing) - len(hole.closing.lstrip())
    return blank + 1 if hole.left.startswith(hole.closing[: blank + 1]) else 0


def _closes(char: str, text: str, cursor: int) -> bool:
    """Whether an editor closes what is opened here: not before a word, and no quote behind a word or a quote."""
    free = text[cursor : cursor + 1] in ("", " ", "\t", "\r", "\n", ",", ";", ":", ")", "]", "}")
    before = text[cursor - 1 : cursor]
    return free and not (char in "\"'`" and (before.isalnum() or before in ("_", char)))


def _promising(index: Index) -> list[str]:
    """The files with the most names of other files in their functions, most first."""
    worth: dict[str, int] = {}
    for path in sorted(index.files):
        text = (index.root / path).read_text("utf-8")
        bodies = _bodies(index, Document.open(path, text))
        if len(bodies) >= PLACES:
            worth[path] = sum(len(_needed(index, path, text[start:end])) for start, end in bodies)
    return sorted(worth, key=lambda path: -worth[path])[:8]


def _bodies(index: Index, document: Document) -> list[tuple[int, int]]:
    """Where the bodies of functions are that name something of another file, from their first word to their last."""
    found: list[tuple[int, int]] = []
    for tag in index.files[document.path].tags.definitions:
        start, end = _body(document, tag)
        text = document.text[start:end]
        apart = not found or start > found[-1][1]
        if apart and BODY[0] <= len(text) <= BODY[1] and len(_needed(index, document.path, text)) > 1:
            found.append((start, end))
    return found


def _body(document: Document, tag: Tag) -> tuple[int, int]:
    if tag.kind not in ("function", "method") or tag.signature_end >= tag.end_line:
        return 0, 0
    start = document.lines.start(tag.signature_end)
    end = document.lines.start(tag.end_line) if tag.end_line < document.line_count else len(document.text)
    text = document.text[start:end]
    closed = text.rstrip().removesuffix("}") if document.path.endswith((".ts", ".tsx", ".js")) else text
    return start + len(text) - len(text.lstrip()), start + len(closed.rstrip())


def _needed(index: Index, path: str, text: str) -> frozenset[tuple[str, int]]:
    """The definitions of names in `text` that exactly one other file of the index has."""
    names = {name for name in WORD.findall(text) if len(name) >= SHORTEST_NAME and index.owners(name) == 1}
    places = (index.defining(name)[0] for name in names)
    suffix = Path(path).suffix
    return frozenset((there, tag.start_line) for there, tag in places if there != path and there.endswith(suffix))


@dataclass(slots=True)
class Figures:
    """What was counted and timed, one entry a keystroke."""

    reuse: list[float] = field(default_factory=list)
    prefilled: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    appends: int = 0
    rebuilds: int = 0
    recall: list[float] = field(default_factory=list)
    free_recall: list[float] = field(default_factory=list)
    context_ms: list[float] = field(default_factory=list)
    prompt_ms: list[float] = field(default_factory=list)

    def take(self, last: Prompt | None, prompt: Prompt) -> None:
        if last is None:
            return
        same = common(last.token_ids, prompt.token_ids)
        self.reuse.append(same / len(prompt.token_ids))
        self.prefilled.append(len(prompt.token_ids) - same)
        self.lengths.append(len(prompt.token_ids))
        stayed = prompt.block.groups[: len(last.block.groups)] == last.block.groups
        self.rebuilds += not stayed
        self.appends += stayed and prompt.block.groups != last.block.groups

    @property
    def loss(self) -> float:
        return statistics.fmean(self.free_recall) - statistics.fmean(self.recall)


def measure(root: Path, seed: int, count: int, budget: int, model: Model) -> Figures:
    """One trace over one repository: prompts that stay where they are, and beside them prompts made anew."""
    typist = Typist(Workspace.open(root, Config()), seed)
    figures, last = Figures(), dict[str, Prompt]()
    for moment in typist.keystrokes(count):
        path = moment.target.document.path
        started = time.perf_counter()
        snippets = find_snippets(moment.target)
        ranked = time.perf_counter()
        prompt = build_prompt(moment.target, snippets, model, budget, last.get(path))
        built = time.perf_counter()
        figures.context_ms.append((ranked - started) * 1e3)
        figures.prompt_ms.append((built - ranked) * 1e3)
        figures.take(last.get(path), prompt)
        if moment.needed:
            figures.recall.append(recall(prompt, moment.needed))
            figures.free_recall.append(recall(build_prompt(moment.target, snippets, model, budget), moment.needed))
        last[path] = prompt
        if is_outdated(moment.target):
            rank_snippets(moment.target)  # while nobody waits
    return figures


def recall(prompt: Prompt, needed: frozenset[tuple[str, int]]) -> float:
    shown = [(item.snippet.path, item.snippet.start_line, item.snippet.end_line) for item in prompt.snippets]
    found = [(path, line) for path, line in needed if any(path == p and s <= line < e for p, s, e in shown)]
    return len(found) / len(needed)


def common(old: Sequence[int], new: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike."""
    differing = (place for place, (was, now) in enumerate(zip(old, new, strict=False)) if was != now)
    return next(differing, min(len(old), len(new)))


def _row(name: str, budget: int, figures: Figures) -> list[str]:
    context, prompt = (statistics.quantiles(times, n=20) for times in (figures.context_ms, figures.prompt_ms))
    return [
        name,
        f"{budget}",
        f"{statistics.fmean(figures.lengths):.0f}",
        f"{statistics.fmean(figures.reuse):.4f}",
        f"{statistics.quantiles(figures.reuse, n=20)[0]:.3f}",
        f"{figures.rebuilds} / {figures.appends}",
        f"{statistics.fmean(figures.prefilled):.0f}",
        f"{statistics.fmean(figures.recall):.3f} / {statistics.fmean(figures.free_recall):.3f}",
        f"{figures.loss:+.4f}",
        f"{context[9]:.1f} / {context[18]:.1f}",
        f"{prompt[9]:.2f} / {prompt[18]:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--keystrokes", type=int, default=KEYSTROKES)
    arguments = parser.parse_args()
    model = asyncio.run(prompt_model(Config()))
    table = Table(
        "trace", "budget", "tokens", "reused", "p5", "anew / grown", "prefill a key", "recall / free", "loss",
        "retrieve p50 / p95 ms", "prompt p50 / p95 ms",
    )  # fmt: skip
    for root in arguments.roots:
        for seed in SEEDS:
            for budget in arguments.budgets:
                figures = measure(root, seed, arguments.keystrokes, budget, model)
                table.add_row(*_row(f"{root.name} {seed}", budget, figures))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
