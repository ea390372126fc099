"""Train the ranker: `python -m tests.benchmarks.ranking ROOT...` cuts holes into repositories and writes ranker.json.

A hole is a line, the rest of a line from a needed name on, or the body of a short function. Needed are the names in it
that its file's imports, or its package, define in other files, members of a variable's declared class, and member names
that only one other file has. In half of the cases an import that only the hole justified is taken out, as in code that
is being written. Every second case is the first use of all it needs, where the repository has enough of them. With
`--hold NAME`, the repository of that name is only measured on.

The weights that ship come from `--cases 400` on these, none of them what context is measured on: grpc-go 1.33.3,
go-git 4.11.0, gin 1.8.1, docker 20.10.24, client_golang 1.14.0; httpcomponents-client 4.5.14, jackson-databind 2.14.0,
jsoup 1.15.3, commons-lang 3.12.0, picocli 4.6.2; scrapy 2.12.0, celery 5.4.0, sqlglot 26.0.0, starlette 0.41.0;
rxjs 7.8.2, @tanstack/query-core 5.108.0, @trpc/server 11.25.2, effect 4.1.0.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
import torch
from rich.progress import track

from sc2lsp.config import Config
from sc2lsp.context.bindings import Bindings, bindings
from sc2lsp.context.candidates import FEATURES, PACKAGE_FAMILIES, TEST, candidates, is_kin
from sc2lsp.context.cursor import look
from sc2lsp.context.document import Document
from sc2lsp.context.index import Index, folder_of
from sc2lsp.context.languages import SCOPE_KINDS
from sc2lsp.context.outline import Outline
from sc2lsp.context.ranker import WEIGHTS, Weights
from sc2lsp.context.retrieve import similar
from sc2lsp.context.symbols import FileTags, Tag
from sc2lsp.context.tags import extract
from sc2lsp.context.words import WORD
from sc2lsp.context.workspace import Skipped, read
from sc2lsp.headless import Workspace

QUALIFIED = re.compile(r"(?:([A-Za-z_]\w*|[\])}])\s*\??\s*(?:\.|->|::)\s*)?\b([A-Za-z_]\w*)")
NOT_CODE = re.compile(r"\s*(#|//|/\*|\*|\"|'|@|$|import\b|from\b|use\b|[\])}]+[;,]?$)")
MIN_LINE, BODY_LINES = 12, range(3, 16)
KEPT_NEGATIVES = 0.2
HIDDEN, STEPS, POSITIVES, NEGATIVES, RATE, DECAY = 32, 10_000, 256, 2048, 5e-3, 5e-2


Declared = Mapping[str, frozenset[str]]  # variable -> what it is declared or assigned with


@dataclass(frozen=True, slots=True)
class Hole:
    """Code points [start, end) of a file, the names in them, and the places that define what they need."""

    start: int
    end: int
    names: frozenset[str]
    needed: Mapping[str, Sequence[tuple[str, Tag]]]


@dataclass(frozen=True, slots=True)
class Example:
    """[candidates, features], which candidates are needed, and how many needed names there are."""

    repository: str
    numbers: np.ndarray
    needed: np.ndarray
    names: int
    is_first_use: bool


def needed_names(
    index: Index, document: Document, tags: FileTags, bound: Bindings, declared: Declared, code: str
) -> dict[str, list[tuple[str, Tag]]]:
    """Names in `code` -> the definitions in other files that they mean."""
    own = {tag.name for tag in tags.definitions}
    found: dict[str, list[tuple[str, Tag]]] = {}
    for qualifier, name in QUALIFIED.findall(code):
        if len(name) < 3 or name in own or name in found:
            continue
        places = _meant(index, document, bound, qualifier, name) or _of_type(index, bound, declared, qualifier, name)
        if places:
            found[name] = [place for place in places if place[0] != document.path]
    return {name: places for name, places in found.items() if places}


def _meant(index: Index, document: Document, bound: Bindings, qualifier: str, name: str) -> Sequence[tuple[str, Tag]]:
    if qualifier in bound.modules:
        return [
            (path, tag) for path in bound.modules[qualifier] for tag in index.defined_in(path, name) if not tag.scope
        ]
    if not qualifier and name in bound.names:
        return bound.names[name]
    if not qualifier and document.language is not None and document.language.family in PACKAGE_FAMILIES:
        folder = folder_of(document.path)
        return [(path, tag) for path, tag in index.defining(name) if folder_of(path) == folder and not tag.scope]
    compound = "_" in name.strip("_") or re.search(r"[a-z][A-Z]", name) is not None
    if qualifier and compound and len(name) >= 5 and index.owners(name) == 1:
        places = index.defining(name)
        written_here = re.search(rf"\b{re.escape(name)}\s*[:=](?!=)", document.text)
        if (
            all(tag.scope and is_kin(document, path) and not TEST.search(path) for path, tag in places)
            and not written_here
        ):
            return places
    return ()


def _of_type(index: Index, bound: Bindings, declared: Declared, qualifier: str, name: str) -> Sequence[tuple[str, Tag]]:
    """A member, where what it is asked of was declared with a class that is known for certain."""
    for said in declared.get(qualifier, ()):
        for path, tag in bound.names.get(said) or (index.defining(said) if index.owners(said) == 1 else ()):
            members = index.members(path, tag.name) if tag.kind in SCOPE_KINDS and not tag.scope else ()
            if found := [(path, member) for member in members if member.name == name]:
                return found
    return ()


def holes(index: Index, document: Document, tags: FileTags, most: int, rng: random.Random) -> list[Hole]:
    """Some holes of a file, in random order, none overlapping another."""
    bound = bindings(index, document.path, tags.imports)
    outline = Outline.of(document)
    spans = list(_spans(document, tags, rng))
    rng.shuffle(spans)
    chosen: list[Hole] = []
    for start, end, is_tail in spans:
        if len(chosen) == most:
            break
        if any(start < hole.end and hole.start < end for hole in chosen):
            continue
        code = document.text[start:end]
        needed = needed_names(index, document, tags, bound, look(document, outline, start).declared, code)
        if is_tail and needed:
            first = min(match.start() for name in needed for match in re.finditer(rf"\b{re.escape(name)}\b", code))
            start = start + first
        if needed:
            chosen.append(Hole(start, end, frozenset(WORD.findall(code)), needed))
    return chosen


def _spans(document: Document, tags: FileTags, rng: random.Random) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it shall begin at the first needed name)"""
    for tag in tags.definitions:
        if tag.kind != "function":
            continue
        body = range(tag.signature_end, tag.end_line)
        if len(body) in BODY_LINES:
            yield document.lines.start(body.start), _line_end(document, body.stop - 1), False
        for number in body:
            line = document.line(number)
            if len(line.strip()) >= MIN_LINE and not NOT_CODE.match(line):
                start = document.lines.start(number) + len(line) - len(line.lstrip())
                yield start, _line_end(document, number), rng.random() < 0.5


def _line_end(document: Document, number: int) -> int:
    return document.lines.start(number) + len(document.line(number))


def visible(document: Document, tags: FileTags, hole: Hole, keep_imports: bool) -> tuple[Document, int]:
    """The file without the hole, and the cursor in it."""
    before, after = document.text[: hole.start], document.text[hole.end :]
    if not keep_imports:
        before = _without_unused(before, after, tags, set(hole.needed))
    return Document.open(document.path, before + after), len(before)


def _without_unused(before: str, after: str, tags: FileTags, needed: set[str]) -> str:
    """`before` with the names taken out of its imports that nothing else in the file justifies."""
    imported = {here for item in tags.imports for pair in item.names for here in pair} | {
        item.alias for item in tags.imports
    }
    for name in needed & imported:
        places = list(re.finditer(rf"\b{re.escape(name)}\b", before))
        if len(places) == 1 and not re.search(rf"\b{re.escape(name)}\b", after):
            before = re.sub(rf"\b{re.escape(name)}\b\s*,?[ \t]*", "", before)
    return before


def examples(root: Path, count: int, rng: random.Random) -> list[Example]:
    workspace = Workspace.open(root, Config(cache_mb=0))
    index = workspace.folder.index
    paths = [path for path in index.files if not TEST.search(path) and 20 <= index.files[path].lines <= 4000]
    rng.shuffle(paths)
    found: list[Example] = []
    share = {True: count // 2, False: count - count // 2}
    for path in track(paths, root.name, transient=True):
        text = read(index.root, path)
        if isinstance(text, Skipped) or not any(share.values()):
            continue
        document = Document.open(path, text)
        tags = extract(document)
        for hole in holes(index, document, tags, max(4, 2 * count // len(paths)), rng):
            seen, offset = visible(document, tags, hole, rng.random() < 0.5)
            seen_tags = extract(seen)
            is_first_use = _used(seen, seen_tags).isdisjoint(hole.needed)
            if share[is_first_use]:
                share[is_first_use] -= 1
                found.append(_example(root.name, index, seen, seen_tags, offset, hole, is_first_use))
    return found


def _example(
    repository: str, index: Index, seen: Document, tags: FileTags, offset: int, hole: Hole, is_first_use: bool
) -> Example:
    cursor = look(seen, Outline.of(seen), offset)
    offered = candidates(index, seen, tags.imports, cursor, similar(index, seen, cursor))
    wanted = {id(tag) for places in hole.needed.values() for _, tag in places}
    needed = np.array([id(tag) in wanted for _, tag in offered.places], dtype=bool)
    # Another definition of a name that the hole holds may be what it means, or not: nothing is learned from it.
    certain = np.array([tag.name not in hole.names for _, tag in offered.places], dtype=bool) | needed
    numbers = offered.numbers[certain].astype(np.float32)
    return Example(repository, numbers, needed[certain], len(hole.needed), is_first_use)


def _used(document: Document, tags: FileTags) -> set[str]:
    lines = (line for line in document.text.splitlines() if not line.startswith(("import ", "from ", "use ")))
    return set(WORD.findall("\n".join(lines)))


def train(data: Sequence[Example], seed: int) -> Weights:
    """Cross-entropy on as many candidates of every repository; needed ones are drawn more often, and that is undone."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sizes = defaultdict(int)
    for example in data:
        sizes[example.repository] += 1
    rows, labels, weights = [], [], []
    for example in data:
        keep = example.needed | (rng.random(len(example.needed)) < KEPT_NEGATIVES)
        rows.append(example.numbers[keep])
        labels.append(example.needed[keep])
        weights.append(np.full(int(keep.sum()), 1 / sizes[example.repository]))
    numbers, needed, weight = np.concatenate(rows), np.concatenate(labels), np.concatenate(weights)
    mean, scale = numbers.mean(0), numbers.std(0)
    scale[scale == 0] = 1
    x = torch.tensor((numbers - mean) / scale)
    y = torch.tensor(needed, dtype=torch.float32)
    w = torch.tensor(weight / weight.mean(), dtype=torch.float32)
    network = torch.nn.Sequential(torch.nn.Linear(len(FEATURES), HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    positive, negative = torch.where(y > 0)[0], torch.where(y == 0)[0]
    for _ in track(range(STEPS), "training", transient=True):
        drawn = torch.cat(
            [positive[torch.randint(len(positive), (POSITIVES,))], negative[torch.randint(len(negative), (NEGATIVES,))]]
        )
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x[drawn])[:, 0], y[drawn], weight=w[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    drawn_more = (POSITIVES / NEGATIVES) / (len(positive) / (len(negative) / KEPT_NEGATIVES))
    first, last = network[0], network[2]
    return Weights(
        FEATURES,
        _rounded(mean),
        _rounded(scale),
        [_rounded(row) for row in first.weight.detach().numpy().T],
        _rounded(first.bias.detach().numpy()),
        _rounded(last.weight.detach().numpy()[0]),
        round(float(last.bias.detach()[0]) - float(np.log(drawn_more)), 5),
    )


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]


def ranks(data: Sequence[Example], weights: Weights) -> np.ndarray:
    """The rank of each needed name's best place, 0 for the first; infinite where it is no candidate."""
    hidden, out = np.array(weights.hidden), np.array(weights.out)
    found: list[float] = []
    for example in data:
        layer = np.maximum((example.numbers - weights.mean) / weights.scale @ hidden + weights.hidden_bias, 0)
        order = np.argsort(-(layer @ out), kind="stable")
        hits = np.flatnonzero(example.needed[order])[: example.names]
        found += [float(rank) for rank in hits] + [float("inf")] * (example.names - len(hits))
    return np.array(found)


@click.command()
@click.argument("roots", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--cases", default=250, help="Holes in each repository.")
@click.option("--hold", multiple=True, help="The name of a repository to measure on, and not to learn from.")
@click.option("--seed", default=1)
@click.option("--out", default=WEIGHTS, type=click.Path(path_type=Path))
def main(roots: Sequence[Path], cases: int, hold: Sequence[str], seed: int, out: Path) -> None:
    data: dict[str, list[Example]] = {}
    for root in roots:
        found = data[root.name] = examples(root, cases, random.Random(f"{seed}:{root.name}"))
        reached = sum(int(example.needed.sum() > 0) for example in found) / (len(found) or 1)
        click.echo(
            f"{root.name}: {len(found)} holes, {sum(e.is_first_use for e in found)} first uses, in reach {reached:.2f}"
        )
    weights = train([example for name, found in data.items() if name not in hold for example in found], seed)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(weights), indent=0) + b"\n")
    for name, found in data.items():
        rank = ranks(found, weights)
        shares = " ".join(f"{(rank < most).mean():.3f}" for most in (5, 10, 20, 50, 100))
        click.echo(f"{name}{' (held out)' if name in hold else ''}: in the first 5 10 20 50 100: {shares}")


if __name__ == "__main__":
    main()
