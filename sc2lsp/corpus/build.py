"""A recipe -> shards of source text and a manifest that accounts for every file.

What is learned of one source is kept beside the shards, so an interrupted build goes on with the next source. The same
recipe and sources give the same bytes. Order of the steps: licence, kind of file, redaction, exact duplicates, held-out
text, near-duplicates.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType

import msgspec
import pathspec

import sc2lsp.context.secrets as context_secrets
from sc2lsp.context.languages import language_of
from sc2lsp.runtime.training.plan import SourceFile

from . import CorpusError, contamination, duplicates, fetch, filters, licences, redact
from .fetch import Raw
from .recipe import Recipe, Selection, Source

Report = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

_SHARDS, _MANIFEST, _LEFT_OUT, _STAGE = "shards", "manifest.jsonl", "left-out.jsonl", "sources"
_MADE_OF = "made-of"  # digest of what a finished corpus was made of
_EXAMINING = (fetch, filters, licences, redact, context_secrets)  # what decides about a file alone
NO_ASSERTION = "NOASSERTION"  # SPDX's own word


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the manifest. `licence` is SPDX's, stated by the file's `tag`, a licence `text` or its `package`."""

    source: str
    version: str
    path: str
    swhid: str
    language: str = ""
    licence: str = ""
    licence_from: str = ""
    chars: int = 0
    redactions: Mapping[str, int] = {}
    left_out: str = ""


class _Examined(msgspec.Struct, frozen=True):
    entry: Entry
    text: str = ""


class _Line(msgspec.Struct, frozen=True):
    """One line of a shard."""

    path: str
    language: str
    text: str


def build_corpus(recipe: Recipe, folder: Path, cache: Path, report: Report) -> list[Entry]:
    """Write `folder`/{shards/,manifest.jsonl,left-out.jsonl}; packages are kept in `cache`. The manifest's entries.

    A corpus of packages that is there already, made of the same recipe, stays. Raises CorpusError where a source
    cannot be had or its licence is not what the recipe says.
    """
    (folder / _STAGE).mkdir(parents=True, exist_ok=True)
    made_of, sources = folder / _MADE_OF, (*recipe.source, *recipe.held_out)
    key = _digest((sources, recipe.corpus), (*_EXAMINING, contamination, duplicates))
    if made_of.exists() and made_of.read_text("utf-8") == key and not any(source.folder for source in sources):
        return read_manifest(folder)[0]
    made_of.unlink(missing_ok=True)
    files: list[_Examined] = []
    for i, source in enumerate(recipe.source):
        report(source.name, i, len(recipe.source))
        files += _examined(source, recipe.corpus, folder / _STAGE, cache)
    held_out = contamination.HeldOut([file.text for file in held_out_files(recipe, cache)])
    files = _without_exact_duplicates(files)
    files = _without_held_out(files, held_out, report)
    files = _without_near_duplicates(files, report)
    kept = [file for file in files if not file.entry.left_out]
    _write_shards(folder / _SHARDS, recipe.source, kept)
    _write_lines(folder / _MANIFEST, (file.entry for file in kept))
    _write_lines(folder / _LEFT_OUT, (file.entry for file in files if file.entry.left_out))
    made_of.write_text(key, "utf-8")
    return [file.entry for file in kept]


def read_shards(folder: Path) -> list[SourceFile]:
    """The files of a corpus, in the order of its recipe's sources. Raises CorpusError where there is none."""
    decoder = msgspec.json.Decoder(_Line)
    try:
        shards = [(path, path.read_bytes()) for path in sorted((folder / _SHARDS).glob("*.jsonl"))]
        found = [
            SourceFile(path.stem.partition("-")[2], line.path, line.text)
            for path, data in shards
            for line in map(decoder.decode, data.splitlines())
        ]
    except (OSError, msgspec.MsgspecError) as wrong:
        raise CorpusError(f"{folder}: {wrong}; build it again with `sc2lsp corpus`") from None
    if not found:
        raise CorpusError(f"{folder} holds no corpus; build it with `sc2lsp corpus`")
    return found


def read_manifest(folder: Path) -> tuple[list[Entry], list[Entry]]:
    """(files of the corpus, files left out). Raises CorpusError."""
    decoder = msgspec.json.Decoder(Entry)
    try:
        kept, left_out = ((folder / name).read_bytes().splitlines() for name in (_MANIFEST, _LEFT_OUT))
        return [decoder.decode(line) for line in kept], [decoder.decode(line) for line in left_out]
    except (OSError, msgspec.MsgspecError) as wrong:
        raise CorpusError(f"{folder}: {wrong}; build it again with `sc2lsp corpus`") from None


def held_out_files(recipe: Recipe, cache: Path) -> list[SourceFile]:
    """What quality is measured with, in the recipe's languages. Raises CorpusError where it cannot be had."""
    wanted = recipe.corpus.languages
    return [
        SourceFile(source.name, raw.path, _text(raw))
        for source in recipe.held_out
        for raw in fetch.fetch(source, cache)
        if (language := language_of(raw.path)) is not None and language.name in wanted
    ]


def swhid(data: bytes) -> str:
    """The Software Heritage identifier of a file's content (SWHID specification, section 5.1)."""
    blob = b"blob %d\0" % len(data) + data
    return f"swh:1:cnt:{hashlib.sha1(blob, usedforsecurity=False).hexdigest()}"


def _examined(source: Source, selection: Selection, stage: Path, cache: Path) -> list[_Examined]:
    """The files of one source in the chosen languages, each with its text or the reason that it is left out."""
    path = stage / f"{source.key}.jsonl"
    decoder = msgspec.json.Decoder(_Examined)
    key = msgspec.json.encode(_digest((source, selection), _EXAMINING))
    if not source.folder and path.exists():
        first, *lines = path.read_bytes().splitlines()
        if first == key:
            return [decoder.decode(line) for line in lines]
    found = list(_examine(source, selection, fetch.fetch(source, cache)))
    draft = path.with_suffix(".new")
    draft.write_bytes(b"\n".join((key, *map(msgspec.json.encode, found))))
    draft.replace(path)
    return found


def _digest(asked: object, modules: Iterable[ModuleType]) -> str:
    """What a result depends on: what was asked, and the code that answers."""
    code = (Path(module.__file__ or "").read_bytes() for module in modules)
    return hashlib.sha256(b"\0".join((msgspec.json.encode(asked), *code))).hexdigest()


def _examine(source: Source, selection: Selection, files: Sequence[Raw]) -> Iterator[_Examined]:
    texts = _licence_texts(source, files)
    opted_out = pathspec.GitIgnoreSpec.from_lines(selection.opt_out)
    for raw in files:
        language = language_of(raw.path)
        if language is None or language.name not in selection.languages:
            continue
        entry = Entry(source.name, source.version, raw.path, swhid(raw.data), language.name)
        try:
            text = raw.data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            yield _left_out(entry, "not UTF-8")
            continue
        licence, licence_from = _licence(source, raw.path, text, texts)
        entry = msgspec.structs.replace(entry, licence=licence, licence_from=licence_from)
        out = {source.name, entry.swhid} & set(selection.opt_out) or opted_out.match_file(f"{source.name}/{raw.path}")
        reason = "opted out" if out else filters.unfit(raw.path, text)
        if reason is None and not (licences.is_permissive(licence) or source.is_own):
            reason = "licence"
        if reason is not None:
            yield _left_out(entry, reason)
            continue
        redacted = redact.redact(text)
        counted = msgspec.structs.replace(entry, chars=len(redacted.text), redactions=redacted.counts)
        yield _Examined(counted, redacted.text)


def _licence(source: Source, path: str, text: str, texts: Mapping[str, str]) -> tuple[str, str]:
    if (tag := licences.stated(text)) is not None:
        return tag, "tag"
    near = licences.nearest(path, texts)
    return (near, "text") if near is not None else (source.licence, "package")


def _licence_texts(source: Source, files: Sequence[Raw]) -> dict[str, str]:
    """Folder -> the SPDX id of the licence text in it, NOASSERTION where it is none of the published ones.

    What a package says of itself is held against the recipe. Raises CorpusError where they disagree.
    """
    texts = [raw for raw in files if licences.is_licence_text(raw.path) and language_of(raw.path) is None]
    said = [licences.identify_text(raw.data) for raw in texts if _is_of_package(raw.path)]
    said += [licences.contradiction(_text(raw)) for raw in files if raw.path.endswith("-info/METADATA")]
    against = [found for found in said if found and not licences.is_permissive(found)]
    if against and not source.is_own and not any(found and licences.is_permissive(found) for found in said):
        raise CorpusError(f"{source.name} is under {against[0]} by its own words, and {source.licence} in the recipe")
    found: dict[str, str] = {}
    for raw in texts:
        if not _is_of_package(raw.path):
            folder = PurePosixPath(raw.path).parent.as_posix()
            found.setdefault(folder, licences.identify_text(raw.data) or NO_ASSERTION)
    return found


def _text(raw: Raw) -> str:
    return raw.data.decode("utf-8", "replace")


def _is_of_package(path: str) -> bool:
    """Whether a licence text is about the whole package, not about a folder of it."""
    folder = PurePosixPath(path).parent.as_posix()
    return folder == "." or folder.endswith(("-info", "-info/licenses"))


def _left_out(entry: Entry, reason: str) -> _Examined:
    return _Examined(msgspec.structs.replace(entry, left_out=reason))


def _without_exact_duplicates(files: Iterable[_Examined]) -> list[_Examined]:
    seen: set[str] = set()
    result: list[_Examined] = []
    for file in files:
        twin = not file.entry.left_out and file.text in seen
        result.append(_left_out(file.entry, "duplicate") if twin else file)
        seen.add(file.text)
    return result


def _without_held_out(files: Sequence[_Examined], held_out: contamination.HeldOut, report: Report) -> list[_Examined]:
    result: list[_Examined] = []
    for i, file in enumerate(files):
        report("held-out text", i, len(files))
        shared = not file.entry.left_out and held_out.shares_span(file.text)
        result.append(_left_out(file.entry, "held out") if shared else file)
    return result


def _without_near_duplicates(files: Sequence[_Examined], report: Report) -> list[_Examined]:
    places = [i for i, file in enumerate(files) if not file.entry.left_out]
    texts = [files[i].text for i in places]
    found = duplicates.near_duplicates(texts, lambda done: report("near-duplicates", done, len(texts)))
    twins = {places[i] for i in found}
    return [_left_out(file.entry, "near-duplicate") if i in twins else file for i, file in enumerate(files)]


def _write_shards(folder: Path, sources: Sequence[Source], files: Sequence[_Examined]) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.jsonl"):
        old.unlink()
    shards: dict[tuple[str, str], list[_Line]] = {}
    for file in files:
        entry = file.entry
        line = _Line(entry.path, entry.language, file.text)
        shards.setdefault((entry.source, entry.version), []).append(line)
    for i, source in enumerate(sources):
        if lines := shards.get((source.name, source.version)):
            _write_lines(folder / f"{i:04}-{source.name.replace('/', '+')}.jsonl", lines)


def _write_lines(path: Path, lines: Iterable[msgspec.Struct]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
