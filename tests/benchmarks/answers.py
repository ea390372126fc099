"""What the built-in model answers in holes of repositories, token by token with probabilities; kept in a file.

Prompts are the server's: context of the whole workspace, the word at the cursor left to the answer. The rest of a line
is asked for up to the line's end, a block up to a blank line. Judges nothing.
"""

import queue
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

import msgspec

from sc2lsp.backend import Model, Token
from sc2lsp.config import Config
from sc2lsp.eval.cases import Case, Variant, build, choose, opened
from sc2lsp.eval.holes import KINDS, Kind
from sc2lsp.eval.measure import Subject, teach, teach_all
from sc2lsp.headless import Workspace
from sc2lsp.runtime.api import Chunk, Request, RequestRefused, SamplingParams
from sc2lsp.runtime.evaluate import Scorer
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.runtime.tokenizer import Tokenizer

HOLES, SEED = 150, 0  # of each repository: those of `sc2lsp eval --cases 150`
SPM = Variant("full", "spm")
STOPS: dict[Kind, str] = {"line": "\n", "tail": "\n", "block": "\n\n"}


@dataclass(frozen=True, slots=True)
class Way:
    """How answers are drawn; a temperature of 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to one hole in one way: tokens without what was typed already, and why each of them ended."""

    repository: str
    path: str
    start: int  # code points
    kind: Kind
    hole: str
    way: Way
    answers: tuple[tuple[Token, ...], ...]
    reasons: tuple[str, ...]


def answered(roots: Sequence[Path], ways: Sequence[Way], holes: int, kept: Path | None) -> list[Answered]:
    """Of each repository's holes; from the file `kept` where it is there, else asked and written to it."""
    if kept is not None and kept.exists():
        return [msgspec.json.decode(line, type=Answered) for line in kept.read_bytes().splitlines()]
    found: list[Answered] = []
    for root in roots:
        with closing(Scorer(EMBEDDED, lambda message, fraction: None)) as scorer:
            found += _of(scorer, root.resolve(), ways, holes)
        print(root.name, len(found), flush=True)
        if kept is not None:
            kept.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in found))
    return found


def cases_of(root: Path, holes: int) -> tuple[Workspace, list[Case]]:
    workspace = Workspace.open(root, Config())
    return workspace, choose(workspace, holes, KINDS, ("python",), SEED)


def _of(scorer: Scorer, root: Path, ways: Sequence[Way], holes: int) -> Iterator[Answered]:
    workspace, cases = cases_of(root, holes)
    model = Model(EMBEDDED, scorer.facts.context_length, Tokenizer(scorer.tokenizer_json))
    subject = Subject(scorer, model, "")
    teach_all(subject, workspace)
    for case in cases:
        teach(subject, case.hole.path, case.prefix + case.suffix)
        with opened(workspace, case) as shown:
            target = shown.at_hole.target
            forced, config = target.unfinished, target.folder.config
            limit = min(config.budget, model.context_length - config.max_tokens)
            prompt = build(model, shown.at_hole, SPM, limit, healed=forced)
            scorer.forget()
            for way in ways:
                sampling = _sampling(case, way, config.max_tokens, forced)
                chunks = _ask(scorer, Request(0, case.hole.path, prompt.token_ids, sampling, "full"))
                yield _answered(root.name, case, way, chunks, model, forced)
        teach(subject, case.hole.path, case.text)


def _sampling(case: Case, way: Way, max_tokens: int, forced: str) -> SamplingParams:
    return SamplingParams(
        max_tokens, way.temperature, way.top_p, seed=SEED, n=way.n, stop=(STOPS[case.hole.kind],), forced=forced
    )


def _ask(scorer: Scorer, request: Request) -> list[Chunk]:
    arrived: queue.SimpleQueue[Chunk | RequestRefused] = queue.SimpleQueue()
    scorer.submit(request, arrived.put)
    chunks: list[Chunk] = []
    while not chunks or chunks[-1].usage is None:
        chunk = arrived.get()
        if isinstance(chunk, RequestRefused):
            raise chunk
        chunks.append(chunk)
    return chunks


def _answered(repository: str, case: Case, way: Way, chunks: Sequence[Chunk], model: Model, forced: str) -> Answered:
    answers: list[tuple[Token, ...]] = []
    reasons: list[str] = []
    for index in range(way.n):
        own = [chunk for chunk in chunks if chunk.index == index]
        ids = [token for chunk in own for token in chunk.token_ids]
        logprobs = [logprob for chunk in own for logprob in chunk.logprobs]
        answers.append(tuple(map(Token, _texts(model, ids, forced), logprobs)))
        reasons.append(own[-1].finish_reason or "")
    hole = case.hole
    return Answered(repository, hole.path, hole.start, hole.kind, case.middle, way, tuple(answers), tuple(reasons))


def _texts(model: Model, ids: Sequence[int], forced: str) -> list[str]:
    """What each token adds to the text before the cursor; nothing where it only says again what was typed."""
    ends = [max(len(model.decode(ids[:end]).rstrip("\ufffd")), len(forced)) for end in range(len(ids) + 1)]
    text = model.decode(ids)
    return [text[start:end] for start, end in pairwise(ends)]


def judged(text: str, kind: Kind) -> str:
    """The part of an answer that stands for the hole."""
    return text.partition(STOPS[kind])[0].rstrip()


def right(text: str, hole: str) -> str:
    """What an answer and what stood there begin with."""
    return text[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, hole, strict=False)))]
