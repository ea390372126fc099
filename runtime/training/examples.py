"""Source files -> documents of token ids, in the format in which the model will be prompted.

    <repo_name>{repo}<file_sep>{path}\\n{excerpt}\\n<file_sep>...   then a file, plain or with a hole:
    PSM:  <fim_prefix>{path}\\n{prefix}<fim_suffix>{suffix}<fim_middle>{middle}<|endoftext|>
    SPM:  <fim_prefix><fim_suffix>{suffix}<fim_middle>{path}\\n{prefix}{middle}<|endoftext|>

Source: arXiv 2402.19173, section 5.1. Every segment is tokenised apart, as when a prompt is built, so that a cursor in
the middle of a word is nothing new to the model.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..tokenizer import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, REPO_NAME, Tokenizer
from .holes import hole, line_start
from .plan import Example, SourceFile

_MIN_EXCERPT = 48  # tokens: less room than this is not worth another file


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities. `append`: nothing stands after the hole; `begin`: nothing before it."""

    fim: float = 0.7
    spm: float = 0.5
    append: float = 0.08
    begin: float = 0.03


class ExampleSource:
    """Draws documents from files, repositories weighted by the square root of their size."""

    def __init__(self, files: Sequence[SourceFile], tokenizer: Tokenizer, rates: Rates | None = None) -> None:
        self._repos: dict[str, list[SourceFile]] = {}
        for file in files:
            self._repos.setdefault(file.repo, []).append(file)
        self._names = sorted(self._repos)
        self._weights = [sum(len(f.text) for f in self._repos[name]) ** 0.5 for name in self._names]
        self._tokenizer = tokenizer
        self._control = tokenizer.control
        self._rates = rates or Rates()
        sample = "".join(file.text[:2000] for file in files[:200])
        self._chars_per_token = len(sample) / max(1, len(tokenizer.encode(sample)))
        # Nothing mutates after construction; every draw takes its own generator, on any thread.

    def draw(self, rng: random.Random, length: int) -> Example:
        """One document of at most `length` tokens; the same generator state gives the same document."""
        files = self._repos[rng.choices(self._names, self._weights)[0]]
        target = rng.choice(files)
        head = [self._control[REPO_NAME], *self._tokenizer.encode(target.repo), self._control[FILE_SEP]]
        room = length - len(head) - 1
        body, middle = self._target(rng, target, int(room * rng.uniform(0.3, 1.0)))
        context = self._context(rng, [file for file in files if file is not target], room - len(body))
        ids = (*head, *context, *body)[: length - 1]
        return Example((*ids, self._control[END_OF_TEXT]), len(ids) - middle if middle >= 0 else len(ids) + 1)

    def _context(self, rng: random.Random, files: list[SourceFile], room: int) -> list[int]:
        """Excerpts of other files, whole lines, that fill `room` tokens."""
        ids: list[int] = []
        newline = self._tokenizer.encode("\n")
        while files and room - len(ids) >= _MIN_EXCERPT:
            file = rng.choice(files)
            size = min(rng.randint(150, 2400), int((room - len(ids)) * self._chars_per_token))
            start = line_start(file.text, rng.randrange(max(1, len(file.text) - size)))
            end = max(line_start(file.text, start + size), start)
            path, text = self._tokenizer.encode(file.path), file.text[start:end].rstrip()
            left = room - len(ids) - len(path) - len(newline) - 1
            excerpt = self._tokenizer.encode(f"\n{text}")[: max(0, left)]
            if left <= 0:
                break
            ids += [*path, *excerpt, *newline, self._control[FILE_SEP]]
        return ids

    def _target(self, rng: random.Random, file: SourceFile, room: int) -> tuple[list[int], int]:
        """A window of `file` in at most `room` tokens, and how many of them fill its hole; -1 where it has none."""
        chars = int(room * self._chars_per_token)
        holed = rng.random() < self._rates.fim
        while True:
            start = line_start(file.text, rng.randrange(max(1, len(file.text) - chars // 2)))
            window = file.text[start : start + chars]
            ids, middle = self._hole(rng, file.path, window) if holed else (self._plain(file, window), -1)
            if len(ids) <= room or chars == 0:
                return ids[:room], min(middle, room)
            chars = int(chars * 0.8 * room / len(ids))

    def _plain(self, file: SourceFile, window: str) -> list[int]:
        return self._tokenizer.encode(f"{file.path}\n{window}")

    def _hole(self, rng: random.Random, path: str, window: str) -> tuple[list[int], int]:
        start, end = hole(rng, window)
        prefix, middle, suffix = window[:start], window[start:end], window[end:]
        edge = rng.random()
        if edge < self._rates.append:
            suffix = ""
        elif edge < self._rates.append + self._rates.begin:
            prefix = ""
        segments = (f"{path}\n{prefix}", suffix, middle)
        pre, suf, mid = (self._control[name] for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE))
        before, after, inside = (self._tokenizer.encode(segment) for segment in segments)
        if rng.random() < self._rates.spm:
            return [pre, suf, *after, mid, *before, *inside], len(inside)
        return [pre, *before, suf, *after, mid, *inside], len(inside)
