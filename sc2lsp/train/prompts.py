"""Holes in a corpus's repositories -> the prompts that our own context engine builds for them, as training examples.

A repository is written to a folder of its own and opened as an editor would open it, so that a model learns to use
what it will be given. Repositories are independent of each other: each is the work of one process.
"""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from sc2lsp.backend import Model
from sc2lsp.config import Config
from sc2lsp.eval.cases import Case, Variant, build, choose, opened
from sc2lsp.eval.holes import Kind
from sc2lsp.eval.records import ORDERS
from sc2lsp.headless import InputError, Workspace
from sc2lsp.runtime.tokenizer import END_OF_TEXT, Tokenizer
from sc2lsp.runtime.training.plan import Example, SourceFile

KINDS: tuple[Kind, ...] = ("line", "tail", "tail", "block")
ALONE, SHORT = 0.1, 0.2  # shares of prompts without other files, and with less than the whole budget
MIN_BUDGET = 256


@dataclass(frozen=True, slots=True)
class _Task:
    repo: str
    files: tuple[SourceFile, ...]
    count: int
    tokenizer_json: bytes
    context_length: int
    seed: int


def prompts(
    files: Sequence[SourceFile],
    count: int,
    tokenizer_json: bytes,
    context_length: int,
    seed: int,
    report: Callable[[str, int, int], None],
) -> list[Example]:
    """About `count` examples of at most `context_length` tokens; repositories weigh the square root of their size.

    The same files and seed give the same examples. `report(repository, done, of)` after each repository.
    """
    repos: dict[str, list[SourceFile]] = {}
    for file in files:
        repos.setdefault(file.repo, []).append(file)
    shares = _shares(repos, count)
    tasks = [
        _Task(repo, tuple(repos[repo]), share, tokenizer_json, context_length, seed) for repo, share in shares.items()
    ]
    result: list[Example] = []
    workers = min(cpu_count() or 1, len(tasks))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for i, (task, found) in enumerate(zip(tasks, pool.map(_of_repo, tasks), strict=True)):
            result += found
            report(task.repo, i + 1, len(tasks))
    Random(seed).shuffle(result)
    return result


def _shares(repos: Mapping[str, Sequence[SourceFile]], count: int) -> dict[str, int]:
    weights = {repo: sum(len(file.text) for file in files) ** 0.5 for repo, files in repos.items()}
    return {repo: max(1, round(count * weight / sum(weights.values()))) for repo, weight in weights.items()}


def _of_repo(task: _Task) -> list[Example]:
    tokenizer = Tokenizer(task.tokenizer_json)
    model = Model("training", task.context_length, tokenizer)
    config = Config(cache_mb=0, max_tokens=1)
    with TemporaryDirectory() as parent:
        root = Path(parent) / task.repo.replace("/", "+")
        _write(root, task.files)
        workspace = Workspace.open(root, config)
        cases = choose(workspace, task.count, KINDS, (), task.seed)
        made = (_example(workspace, case, model, tokenizer, Random(f"{task.seed}:{case.hole}")) for case in cases)
        return [example for example in made if example is not None]


def _write(root: Path, files: Sequence[SourceFile]) -> None:
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, "utf-8", newline="")


def _example(workspace: Workspace, case: Case, model: Model, tokenizer: Tokenizer, rng: Random) -> Example | None:
    """The prompt of a case with its hole's text behind it, or None where that is not to be shown or too long."""
    middle = [*model.encode(case.middle), tokenizer.control[END_OF_TEXT]]
    most = model.context_length - len(middle)
    if most < MIN_BUDGET:
        return None
    budget = rng.randint(MIN_BUDGET, most) if rng.random() < SHORT else most
    alone = rng.random() < ALONE
    order = rng.choice(ORDERS)
    try:
        with opened(workspace, case) as there:
            prompt = build(model, there.at_hole, Variant("infile" if alone else "full", order), budget)
    except InputError:
        return None
    return Example((*prompt.token_ids, *middle), len(prompt.token_ids))
