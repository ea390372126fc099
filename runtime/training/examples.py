"""Source files -> token rows in the formats the model will be prompted with.

A row is one repository excerpt: other files of the repository first, then one file, with a hole in it or plain, all
in StarCoder2's format (arXiv 2402.19173, section 5.1). Every segment is tokenised apart and holes are cut at any
character, so that a cursor in the middle of a word is nothing new to the model.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..tokenizer import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, REPO_NAME, Tokenizer
from .plan import SourceFile

_MIN_SNIPPET = 48  # tokens: less room than this is not worth another file


@dataclass(frozen=True, slots=True)
class ExampleParams:
    """`length` tokens a row; rates are probabilities. `short_hole_rate`: holes that end within a few lines."""

    length: int
    fim_rate: float = 0.7
    spm_rate: float = 0.5
    short_hole_rate: float = 0.7


class ExampleSource:
    """Draws rows from files, repositories weighted by the square root of their size."""

    def __init__(self, files: Sequence[SourceFile], tokenizer: Tokenizer, params: ExampleParams) -> None:
        self._repos: dict[str, list[SourceFile]] = {}
        for file in files:
            self._repos.setdefault(file.repo, []).append(file)
        self._names = sorted(self._repos)
        self._weights = [sum(len(f.text) for f in self._repos[name]) ** 0.5 for name in self._names]
        self._tokenizer = tokenizer
        self._control = tokenizer.control
        self._params = params
        sample = "".join(file.text[:2000] for file in files[:200])
        self._chars_per_token = len(sample) / max(1, len(tokenizer.encode(sample)))
        # Nothing mutates after construction; every draw takes its own generator.

    def draw(self, rng: random.Random) -> list[int]:
        """One row of at most `length` tokens; the same generator state gives the same row."""
        repo = rng.choices(self._names, self._weights)[0]
        files = self._repos[repo]
        target = rng.choice(files)
        head = [self._control[REPO_NAME], *self._tokenizer.encode(repo), self._control[FILE_SEP]]
        room = self._params.length - len(head) - 1
        body = self._target(rng, target, int(room * rng.uniform(0.35, 1.0)))
        context = self._context(rng, [file for file in files if file is not target], room - len(body))
        return [*head, *context, *body, self._control[END_OF_TEXT]]

    def _context(self, rng: random.Random, files: list[SourceFile], room: int) -> list[int]:
        """Excerpts of other files, each `path\\ntext<file_sep>`, that fill `room` tokens."""
        ids: list[int] = []
        while files and room - len(ids) >= _MIN_SNIPPET:
            file = rng.choice(files)
            size = rng.randint(200, 2400)
            start = _line_start(file.text, rng.randrange(max(1, len(file.text) - size)))
            excerpt = self._tokenizer.encode(f"{file.path}\n{file.text[start : start + size]}")
            ids += [*excerpt[: room - len(ids) - 1], self._control[FILE_SEP]]
        return ids

    def _target(self, rng: random.Random, file: SourceFile, room: int) -> list[int]:
        """A window of `file` in at most `room` tokens: a hole with its surroundings, or plain text."""
        chars = int(room * self._chars_per_token)
        while True:
            start = _line_start(file.text, rng.randrange(max(1, len(file.text) - chars // 2)))
            window = file.text[start : start + chars]
            holed = rng.random() < self._params.fim_rate
            ids = self._hole(rng, file.path, window) if holed else self._plain(file, window)
            if len(ids) <= room or chars == 0:
                return ids[:room]
            chars = int(chars * 0.8 * room / len(ids))

    def _plain(self, file: SourceFile, window: str) -> list[int]:
        return self._tokenizer.encode(f"{file.path}\n{window}")

    def _hole(self, rng: random.Random, path: str, window: str) -> list[int]:
        start, end = _short_hole(rng, window) if rng.random() < self._params.short_hole_rate else _any_hole(rng, window)
        segments = (f"{path}\n{window[:start]}", window[end:], window[start:end])
        prefix, suffix, middle = (self._tokenizer.encode(segment) for segment in segments)
        pre, suf, mid = (self._control[name] for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE))
        if rng.random() < self._params.spm_rate:
            return [pre, suf, *suffix, mid, *prefix, *middle]
        return [pre, *prefix, suf, *suffix, mid, *middle]


def _any_hole(rng: random.Random, window: str) -> tuple[int, int]:
    """StarCoder2's own: two cuts at characters drawn uniformly."""
    first, second = rng.randint(0, len(window)), rng.randint(0, len(window))
    return min(first, second), max(first, second)


def _short_hole(rng: random.Random, window: str) -> tuple[int, int]:
    """From anywhere in a line to the end of that line (half of the holes) or of one of the next few."""
    start = rng.randint(0, len(window))
    end = start
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        newline = window.find("\n", end + (end > start))
        end = len(window) if newline < 0 else newline
    return start, end


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1
