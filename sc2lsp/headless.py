"""Completion, context and index without an editor: places on the command line, or one JSON object a line.

The same session, retrieval, prompt and display as in the language server; only where text comes from differs.
"""

import os
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import msgspec

from sc2lsp.backend import Backend, BackendError, Model, OnStatus, create, local_model
from sc2lsp.completion import Result, build_prompt, complete, find_snippets
from sc2lsp.config import Config
from sc2lsp.context.bulk import peak_rss
from sc2lsp.context.document import Document, Position
from sc2lsp.context.pack import Group, pack
from sc2lsp.context.prompt import Prompt
from sc2lsp.context.retrieve import Snippet
from sc2lsp.context.scan import Pass
from sc2lsp.context.workspace import Skipped, read
from sc2lsp.explain import snippet_json
from sc2lsp.session import Folder, Session, Target, index_cache
from sc2lsp.trace import Trace

ROOT_MARKS = (".git", ".hg", ".jj", "pyproject.toml", "setup.py", "package.json", "go.mod", "Cargo.toml", "pom.xml")
PLACE = re.compile(r"(?P<path>.+):(?P<line>\d+):(?P<column>\d+)")
IDLE_SECONDS = 0.002  # between two looks at what the workers say
STATUS_SECONDS = 0.1  # between two words on how far it has come
UNLIMITED = 1 << 20  # tokens: where the snippets are limited in bytes, the prompt is not

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]


class InputError(Exception):
    """What was asked cannot be done; the message says what to change."""


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a batch. Line and column are 1-based characters; `text` replaces the file on disk."""

    id: str | int
    path: str
    line: PositiveInt
    column: PositiveInt
    text: str | None = None
    budget: Annotated[int, msgspec.Meta(ge=32)] | None = None
    snippet_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A session over one folder, indexed by `survey`."""

    session: Session
    folder: Folder
    survey: Pass

    @staticmethod
    def open(root: Path, config: Config, on_status: OnStatus | None = None) -> "Workspace":
        """Index `root`, ready for `target`. Raises InputError or ConfigError."""
        workspace = _surveyed(root, config, on_status)
        for _ in workspace.session.catch_up(workspace.folder):
            pass
        workspace.folder.index.lexical.commit()
        return workspace

    def target(self, query: Query) -> Target:
        """The cursor of a query, in its text or in the file on disk. Raises InputError."""
        path = self.folder.root / query.path
        if not path.is_relative_to(self.folder.root) or ".." in Path(query.path).parts:
            raise InputError(f"{query.path} is outside of {self.folder.root}")
        text = query.text if query.text is not None else _text(self.folder.root, query.path)
        self.session.open(path, text, 1)
        document = self.session.document(path)
        assert document is not None
        _check_place(document, query.line, query.column)
        target = self.session.target(path, Position(query.line - 1, query.column - 1), "utf-32")
        if target is None:
            raise InputError(f"{query.path} is excluded from completion: its language is off, or it may hold secrets")
        return target

    def close(self, query: Query) -> None:
        """What a query brought along is gone with it."""
        for folder in self.session.close(self.folder.root / query.path):
            for step in self.session.refresh(folder):
                time.sleep(IDLE_SECONDS if step.is_idle else 0)


def parse_place(place: str) -> tuple[Path, int, int]:
    """`PATH:LINE:COLUMN` -> its parts. Raises InputError."""
    match = PLACE.fullmatch(place)
    if match is None or int(match["line"]) < 1 or int(match["column"]) < 1:
        raise InputError(f"{place!r} is not PATH:LINE:COLUMN with numbers from 1, for example src/app.py:12:9")
    return Path(match["path"]), int(match["line"]), int(match["column"])


def root_of(path: Path) -> Path:
    """The nearest folder above `path` that looks like a project's root, or its own folder."""
    folder = path.resolve().parent
    marked = (parent for parent in (folder, *folder.parents) if any((parent / mark).exists() for mark in ROOT_MARKS))
    return next(marked, folder)


def query_at(place: str, root: Path | None) -> tuple[Path, Query]:
    """The workspace root and the query of a place. Raises InputError."""
    path, line, column = parse_place(place)
    if not os.path.isfile(path):  # noqa: PTH113 - never raises, whatever the name
        raise InputError(f"{path} is not a file")
    root = (root or root_of(path)).resolve()
    if not path.resolve().is_relative_to(root):
        raise InputError(f"{path} is outside of {root}; give another --root")
    return root, Query(place, path.resolve().relative_to(root).as_posix(), line, column)


def queries(lines: Iterable[bytes]) -> Iterator[Query | Mapping[str, Any]]:
    """Each line of a batch as a query, or as the error answer it gets."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=Query)
            except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
                yield {"id": _id_of(line), "error": f"line {number}: {wrong}"}


async def complete_batch(
    workspace: Workspace, backend: Backend, lines: Iterable[bytes]
) -> AsyncIterator[Mapping[str, Any]]:
    """Answers in order, one for each line."""
    for query in queries(lines):
        if not isinstance(query, Query):
            yield query
            continue
        try:
            target = workspace.target(query)
            yield {"id": query.id} | completion_json(target, await complete(target, backend))
        except (InputError, BackendError) as failure:
            yield {"id": query.id, "error": str(failure)}
        finally:
            workspace.close(query)


def context_batch(workspace: Workspace, model: Model, lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Answers in order, one for each line; the index is built once."""
    for query in queries(lines):
        if not isinstance(query, Query):
            yield query
            continue
        try:
            target = workspace.target(query)
            started = perf_counter()
            context = _context(target, query, model)
            milliseconds = round((perf_counter() - started) * 1e3, 3)
            yield {"id": query.id} | context | {"timings_ms": {"context": milliseconds}}
        except (InputError, BackendError) as failure:
            yield {"id": query.id, "error": str(failure)}
        finally:
            workspace.close(query)


async def prompt_model(config: Config) -> Model:
    """From the model's folder where it is on this machine, else from a runtime. Raises BackendError."""
    model = local_model(config)
    if model is not None:
        return model
    backend = create(config)
    try:
        return await backend.model()
    finally:
        await backend.close()


def completion_json(target: Target, result: Result) -> dict[str, Any]:
    """`complete --json`, as ARCHITECTURE.md has it."""
    document, usage = target.document, result.usage
    return {
        "completions": [
            {
                "text": item.text,
                "range": {"start": _place(document, item.start), "end": _place(document, item.end)},
                "mean_logprob": item.mean_logprob,
                "finish_reason": item.finish_reason,
            }
            for item in result.completions
        ],
        "model": result.model,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "drafted_tokens": usage.drafted_tokens,
        "accepted_tokens": usage.accepted_tokens,
        "timings_ms": dict(result.timings_ms),
    }


def context_json(prompt: Prompt) -> dict[str, Any]:
    """`context --json`, as ARCHITECTURE.md has it."""
    return {
        "order": prompt.order,
        "repo": prompt.repo,
        "path": prompt.path,
        "prompt_tokens": len(prompt.token_ids),
        "snippets": [snippet_json(packed) | {"text": packed.snippet.text} for packed in prompt.snippets],
        "prefix_tokens": prompt.prefix_tokens,
        "suffix_tokens": prompt.suffix_tokens,
    }


def index_json(root: Path, config: Config, on_status: OnStatus | None = None) -> dict[str, Any]:
    """`index --json`: build or refresh the index and say what it holds. Raises InputError or ConfigError.

    `warm`: nothing had to be parsed. `peak_rss_mb`: the most that this process had, and each worker, added up.
    """
    trace = Trace()
    workspace = _surveyed(root, config, on_status)
    stats = workspace.folder.index.stats()
    return {
        "files": stats.files,
        "skipped": dict(stats.skipped),
        "lines": stats.lines,
        "bytes": stats.bytes,
        "definitions": stats.definitions,
        "references": stats.references,
        "seconds": round(trace.total_ms / 1e3, 3),
        "warm": not workspace.survey.parsed,
        "peak_rss_mb": round((peak_rss() + workspace.survey.peak_rss) / (1 << 20), 1),
    }


def _surveyed(root: Path, config: Config, on_status: OnStatus | None) -> Workspace:
    """The index of `root`, without what is made anew from it by every process that searches."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder")
    session = Session(config, index_cache(config))
    folder = session.add_folder(root.resolve())
    survey, told = folder.survey(), perf_counter()
    for step in survey.scan():
        if on_status is not None and step.total and perf_counter() - told > STATUS_SECONDS:
            on_status(f"indexed {step.done} of {step.total} files", step.done / step.total)
            told = perf_counter()
        if step.is_idle:
            time.sleep(IDLE_SECONDS)
    return Workspace(session, folder, survey)


def _context(target: Target, query: Query, model: Model) -> dict[str, Any]:
    snippets = find_snippets(target)
    if query.snippet_bytes is None:
        return context_json(build_prompt(target, snippets, model, query.budget, healed=target.unfinished))
    chosen = [_whole(group) for group in pack(snippets, query.snippet_bytes)]
    return context_json(build_prompt(target, chosen, model, UNLIMITED))


def _whole(group: Group) -> Snippet:
    """What is shown of a file as one: a budget in bytes counts a path once for each answer."""
    best = max(group.snippets, key=lambda snippet: snippet.score)
    return Snippet(
        group.path,
        group.snippets[0].start_line,
        group.snippets[-1].end_line,
        best.kind,
        best.score,
        "".join(snippet.text for snippet in group.snippets),
    )


def _place(document: Document, offset: int) -> dict[str, int]:
    position = document.position(offset, "utf-32")
    return {"line": position.line + 1, "column": position.character + 1}


def _text(root: Path, path: str) -> str:
    text = read(root, path)
    if isinstance(text, Skipped):
        missing = not os.path.exists(root / path)  # noqa: PTH110 - never raises, whatever the name
        raise InputError(f"{path} {'does not exist' if missing else f'cannot be completed: {text.reason}'}")
    return text


def _check_place(document: Document, line: int, column: int) -> None:
    if line > document.line_count:
        raise InputError(f"{document.path} has {document.line_count} lines, there is no line {line}")
    width = len(document.line(line - 1))
    if column > width + 1:
        raise InputError(f"line {line} of {document.path} has {width} characters, there is no column {column}")


def _id_of(line: bytes) -> str | int | None:
    """The id of a line that is no query, where it has one."""
    try:
        value = msgspec.json.decode(line, type=dict[str, Any]).get("id")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return value if isinstance(value, str | int) else None
