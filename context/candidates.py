"""From a cursor to definitions of other files that may be meant there, each described by numbers.

The numbers, one for each name in FEATURES, say how a definition relates to the cursor: they are what `ranker` was
trained on, so their meaning may only change together with its weights. This module weighs nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from itertools import chain
from posixpath import commonpath
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .bindings import Bindings, bindings
from .cursor import NEAR_VARIABLE, SELF, Cursor, word_of
from .document import Document
from .index import Index, Place, folder_of
from .languages import SCOPE_KINDS, family_of
from .lexical import Hit, parts
from .symbols import Import, Tag
from .words import WORD

OF_NAME = (
    *("near", "near_sum", "count", "in_file", "unseen", "subwords", "all_subwords"),
    *("owners", "is_sole", "sole_near", "mentions", "share_of_files", "importers"),
    *("use_peers", "use_imported", "use_folder", "use_similar", "chunk", "chunks"),
    *("raising_error", "is_private", "is_dunder", "is_capital", "length"),
)
OF_FILE = ("file_imported", "same_folder", "is_foreign_test", "nearness", "same_suffix")
OF_SCOPE = ("is_member", "scope_near", "scope_declared", "scope_asked", "scope_family", "scope_super")
OF_TAG = (
    *("bound", "bound_near", "bound_far", "bound_unused", "module_member"),
    *("is_field", "is_function", "is_value", "is_class", "classing_class"),
    *("asked_member", "asked_top", "unasked_member", "folder_near", "folder_top", "use_member", "declared_subwords"),
)
FEATURES = (*OF_NAME, *OF_FILE, *OF_SCOPE, *OF_TAG)

MAX_OWNERS, MAX_SIBLINGS, MAX_PEERS, MAX_FILE, MAX_MEMBERS, MAX_USED, FIRST_USED = 8, 20, 12, 300, 60, 400, 150
MAX_CANDIDATES = 700  # the likeliest sources come first
MAX_TYPE_OWNERS, NEAR_TYPE = 3, 0.3
SIBLING = 0.5  # worth of a file of the same folder, where one that resembles the place is worth up to 1
ERRORS = ("Error", "Exception", "Warning", "Err")
PACKAGE_FAMILIES = frozenset({"go", "java"})  # a folder is a package: its names need no import
TEST = re.compile(
    r"(^|/)(tests?|testing|__tests__|testdata|fixtures|benchmarks?|spec)(/|$)"
    r"|(^|/)test_|_test\.|\.test\.|\.spec\.|conftest\.py$|Tests?\.java$"
)

Key = TypeVar("Key")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Definitions, and what describes them: [places, FEATURES]."""

    places: Sequence[Place]
    numbers: Floats


@dataclass(frozen=True, slots=True)
class _Peers:
    """Files that resemble this one, and which part of them uses a name of other files."""

    paths: Sequence[str]
    all: dict[str, float]  # by weight
    importing: dict[str, float]  # by weight, of those that import the name
    in_folder: dict[str, float]  # by number, of those in the same folder
    similar: dict[str, float]  # by number, of those with similar code

    @property
    def shares(self) -> tuple[Mapping[str, float], ...]:
        return self.all, self.importing, self.in_folder, self.similar


@dataclass(frozen=True, slots=True)
class _Scene:
    """Everything that a candidate is compared with."""

    index: Index
    document: Document
    cursor: Cursor
    bound: Bindings
    peers: _Peers
    types: Mapping[str, float]  # of the variables around the cursor, by their closeness
    asked: frozenset[str]  # types of what the name at the cursor is asked of
    chunk: Mapping[str, float]  # words of the most similar code, by how much of it has them ...
    chunks: Mapping[str, float]  # ... and of more of it


def candidates(
    index: Index, document: Document, imports: Sequence[Import], cursor: Cursor, hits: Sequence[Hit]
) -> Candidates:
    """What may be meant at the cursor; `hits` are chunks of other files that resemble its surroundings, best first."""
    bound = bindings(index, document.path, imports)
    word = word_of(document)
    types, asked = _types(index, bound, cursor)
    scene = _Scene(
        index=index,
        document=document,
        cursor=cursor,
        bound=bound,
        peers=_peers(index, document, hits[:MAX_PEERS]),
        types=types,
        asked=asked,
        chunk=_words(hits[:MAX_PEERS], word),
        chunks=_words(hits, word),
    )
    family = _family(scene)
    found: dict[int, Place] = {}
    for place in _places(scene, family):
        if place[0] != document.path:
            found[id(place[1])] = place
            if len(found) == MAX_CANDIDATES:
                break
    places = list(found.values())
    return Candidates(places, _described(scene, family, places))


def is_kin(document: Document, path: str) -> bool:
    """Whether a path is another file that the document's code could use."""
    own = document.language
    return path != document.path and own is not None and own.family == family_of(path)


def _peers(index: Index, document: Document, hits: Sequence[Hit]) -> _Peers:
    folder, own = index.folder_uses(document.path), index.uses(document.path)
    paths = [path for path in folder.paths if path != document.path]
    weights = dict.fromkeys(paths, SIBLING)
    for hit in hits:
        weights[hit.path] = max(weights.get(hit.path, 0.0), hit.score / hits[0].score)
    whole = sum(weights.values()) or 1.0
    in_folder = {name: count - (name in own) for name, count in folder.using.items()}
    peers = _Peers(
        paths=list(weights),
        all={name: count * SIBLING / whole for name, count in in_folder.items()},
        importing={name: (count - own.get(name, False)) * SIBLING / whole for name, count in folder.importing.items()},
        in_folder={name: count / (len(paths) or 1) for name, count in in_folder.items()},
        similar={},
    )
    similar = dict.fromkeys(hit.path for hit in hits)
    for path in similar:
        uses = index.uses(path)
        more = (weights[path] - (SIBLING if path in folder.paths else 0.0)) / whole
        _add(peers.all, uses, more)
        _add(peers.importing, (name for name, is_imported in uses.items() if is_imported), more)
        _add(peers.similar, uses, 1 / len(similar))
    return peers


def _add(share: dict[str, float], names: Iterable[str], step: float) -> None:
    for name in names:
        share[name] = share.get(name, 0.0) + step


def _words(hits: Sequence[Hit], pattern: re.Pattern[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    whole = sum(hit.score for hit in hits) or 1.0
    for hit in hits:
        for word in dict.fromkeys(pattern.findall(hit.text)):
            found[word] = found.get(word, 0.0) + hit.score / whole
    return found


def _types(index: Index, bound: Bindings, cursor: Cursor) -> tuple[dict[str, float], frozenset[str]]:
    """Types of the variables around the cursor by closeness, and those of the receiver."""
    types: dict[str, float] = {}
    asked: set[str] = set()
    for variable, said in cursor.declared.items():
        worth = cursor.near.get(variable, 0.0)
        if worth > NEAR_VARIABLE or variable == cursor.receiver:
            for name in chain.from_iterable(_meant(index, bound, name) for name in said):
                types[name] = max(types.get(name, 0.0), worth)
                if variable == cursor.receiver:
                    asked.add(name)
    if cursor.receiver in SELF:
        asked |= cursor.supers
    return types, frozenset(asked)


def _meant(index: Index, bound: Bindings, name: str) -> Iterator[str]:
    """A type's name, or the types that a function says it returns."""
    yield name
    places = bound.names.get(name) or (index.defining(name) if index.owners(name) == 1 else ())
    for _, tag in places[:2]:
        if tag.kind == "function":
            for line in tag.signature.split("\n"):
                arrow = next((arrow for arrow in ("->", "):", ") ") if arrow in line), None)
                if arrow is not None:
                    yield from _capitals(line.split(arrow, 1)[1])
        elif tag.kind in ("value", "field"):
            yield from _capitals(tag.signature.partition("\n")[0])


def _capitals(text: str) -> Iterator[str]:
    return (word for word in WORD.findall(text) if word[0].isupper())


def _family(scene: _Scene) -> dict[tuple[str, str], float]:
    """Scopes of other files of which a member's name is near the cursor, by closeness."""
    family: dict[tuple[str, str], float] = {}
    for name, worth in scene.cursor.near.items():
        owners = scene.index.owners(name)
        if 0 < owners <= MAX_OWNERS:
            for path, tag in scene.index.defining(name):
                if tag.scope and is_kin(scene.document, path):
                    family[path, tag.scope] = max(family.get((path, tag.scope), 0.0), worth / owners)
    return family


def _places(scene: _Scene, family: Mapping[tuple[str, str], float]) -> Iterator[Place]:
    """Every candidate, some of them more than once."""
    index, document, cursor, bound = scene.index, scene.document, scene.cursor, scene.bound

    def kin(name: str, most: int) -> Iterator[Place]:
        if 0 < index.owners(name) <= MAX_OWNERS:
            places = [place for place in index.defining(name) if is_kin(document, place[0])]
            if len(places) > most:
                places = nlargest(most, places, key=lambda place: _nearness(document.path, place[0]))
            yield from places

    def inside(path: str, tag: Tag) -> Iterator[Place]:
        scope = f"{tag.scope}.{tag.name}" if tag.scope else tag.name
        yield from ((path, member) for member in index.members(path, scope)[:MAX_MEMBERS])

    def top_level(path: str, most: int) -> Iterator[Place]:
        yield from ((path, tag) for tag in index.members(path, "")[:most])

    for name, places in bound.names.items():
        if name in cursor.near or name in scene.types:
            yield from places
            for path, tag in places:
                yield from inside(path, tag)
    for name in cursor.near:
        yield from kin(name, MAX_OWNERS)
    capital = (name for name, worth in cursor.near.items() if worth > NEAR_TYPE and name[0].isupper())
    for name in sorted({*scene.types, *cursor.supers, *capital}):
        for path, tag in bound.names.get(name) or kin(name, MAX_TYPE_OWNERS):
            if tag.kind in SCOPE_KINDS:
                yield path, tag
                yield from inside(path, tag)
    near_modules = [name for name in bound.modules if name in cursor.near or name == cursor.receiver]
    for path in chain.from_iterable(bound.modules[name] for name in near_modules):
        yield from top_level(path, MAX_FILE)
    used = nlargest(MAX_USED, scene.peers.all, key=scene.peers.all.__getitem__)
    for name in chain(used[:FIRST_USED], scene.chunk):
        yield from kin(name, MAX_TYPE_OWNERS)
    yield from chain.from_iterable(bound.names.values())
    for path in scene.peers.paths[:MAX_SIBLINGS]:
        if path in index.files and _shares_package(document, path):
            yield from top_level(path, MAX_MEMBERS)
    for path, scope in family:
        yield from ((path, tag) for tag in index.members(path, scope)[:MAX_MEMBERS])
    for path in sorted(bound.files):
        yield from top_level(path, MAX_FILE)
    for name in used[FIRST_USED:]:
        yield from kin(name, MAX_TYPE_OWNERS)


@lru_cache(maxsize=1 << 16)
def _nearness(path: str, other: str) -> float:
    """The share of the folders on the way to either file that they have in common."""
    common = len(commonpath([path, other]))
    return common / (max(len(folder_of(path)), len(folder_of(other))) or 1)


def _shares_package(document: Document, path: str) -> bool:
    return folder_of(path) == folder_of(document.path) or family_of(path) in PACKAGE_FAMILIES


def _described(scene: _Scene, family: Mapping[tuple[str, str], float], places: Sequence[Place]) -> Floats:
    """[places, FEATURES]. By columns, each for what is distinct in it: names, files, scopes."""
    names, at_name = _distinct(tag.name for _, tag in places)
    paths, at_path = _distinct(path for path, _ in places)
    scopes, at_scope = _distinct((path, tag.scope) for path, tag in places)
    name = _of_names(scene, names)[:, at_name]
    file = _of_files(scene, paths)[:, at_path]
    scope = _of_scopes(scene, family, scopes)[:, at_scope]
    tag = _of_tags(scene, places, name, file, scope)
    return np.concatenate([name, file, scope, tag]).T


def _distinct(keys: Iterable[Key]) -> tuple[list[Key], list[int]]:
    """Each key once, and for every one of `keys` where it is among them."""
    places: dict[Key, int] = {}
    at = [places.setdefault(key, len(places)) for key in keys]
    return list(places), at


def _of_names(scene: _Scene, names: Sequence[str]) -> Floats:
    cursor, index, peers = scene.cursor, scene.index, scene.peers
    near, near_sum, count, owners, mentions, importers, *shares = np.array(
        [
            [cursor.near.get(name, 0.0) for name in names],
            [cursor.near_sum.get(name, 0.0) for name in names],
            [cursor.counts.get(name, 0) for name in names],
            [index.owners(name) for name in names],
            [index.mentions(name) for name in names],
            [index.importers(name) for name in names],
            *([share.get(name, 0.0) for name in names] for share in (*peers.shares, scene.chunk, scene.chunks)),
        ]
    )
    closest = [[cursor.subwords.get(part, 0.0) for part in parts(name)] or [0.0] for name in names]
    is_sole = owners == 1
    return np.array(
        [
            near,
            np.log1p(near_sum),
            np.log1p(count),
            count > np.array([name in scene.bound.names for name in names]),  # its own import is no use of it
            count == 0,
            [sum(worths) / len(worths) for worths in closest],
            [min(worths) for worths in closest],
            np.log(np.maximum(owners, 1)),
            is_sole,
            near * is_sole,
            np.log1p(mentions),
            mentions / (len(index.files) or 1),
            np.log1p(importers),
            *shares,
            [cursor.is_raising and name.endswith(ERRORS) for name in names],
            [name[0] == "_" for name in names],
            [name[:2] == "__" for name in names],
            [name[0].isupper() for name in names],
            np.log([len(name) for name in names]),
        ],
        dtype=np.float64,
    )


def _of_files(scene: _Scene, paths: Sequence[str]) -> Floats:
    folder, is_test = folder_of(scene.document.path), TEST.search(scene.document.path) is not None
    return np.array(
        [
            [path in scene.bound.files for path in paths],
            [folder_of(path) == folder for path in paths],
            [not is_test and TEST.search(path) is not None for path in paths],
            [_nearness(scene.document.path, path) for path in paths],
            [path.rpartition(".")[2] == scene.document.path.rpartition(".")[2] for path in paths],
        ],
        dtype=np.float64,
    )


def _of_scopes(scene: _Scene, family: Mapping[tuple[str, str], float], scopes: Sequence[tuple[str, str]]) -> Floats:
    names = [scope.rpartition(".")[2] for _, scope in scopes]
    return np.array(
        [
            [bool(name) for name in names],
            [scene.cursor.near.get(name, 0.0) for name in names],
            [scene.types.get(name, 0.0) for name in names],
            [name in scene.asked for name in names],
            [family.get(scope, 0.0) for scope in scopes],
            [name in scene.cursor.supers for name in names],
        ],
        dtype=np.float64,
    )


def _of_tags(scene: _Scene, places: Sequence[Place], name: Floats, file: Floats, scope: Floats) -> Floats:
    cursor = scene.cursor
    local = {id(tag): here for here, found in scene.bound.names.items() for _, tag in found}
    module = _module_worth(scene)
    bound = [local.get(id(tag), "") for _, tag in places]
    near = np.array([cursor.near.get(here, 0.0) if here else 0.0 for here in bound])
    is_bound = np.array([bool(here) for here in bound], dtype=np.bool_)
    kinds = [tag.kind for _, tag in places]
    is_class = np.array([kind in SCOPE_KINDS for kind in kinds], dtype=np.bool_)
    is_member, is_asking = scope[0], float(bool(cursor.receiver))
    return np.array(
        [
            is_bound,
            near,
            is_bound & (near == 0),
            [bool(here) and cursor.counts.get(here, 0) <= 1 for here in bound],
            [module.get(path, 0.0) for path, _ in places],
            [kind == "field" for kind in kinds],
            [kind == "function" for kind in kinds],
            [kind == "value" for kind in kinds],
            is_class,
            is_class * cursor.is_classing,
            is_asking * is_member,
            is_asking * (1 - is_member),
            (1 - is_asking) * is_member,
            file[1] * name[0],
            file[1] * (1 - is_member),
            name[13] * is_member,
            name[5] * np.maximum(scope[2], scope[3]),
        ],
        dtype=np.float64,
    )


def _module_worth(scene: _Scene) -> dict[str, float]:
    """How close to the cursor a file is named as a module."""
    worth: dict[str, float] = {}
    for name, paths in scene.bound.modules.items():
        near = 1.0 if name == scene.cursor.receiver else scene.cursor.near.get(name, 0.0)
        for path in paths:
            worth[path] = max(worth.get(path, 0.0), near)
    return worth
