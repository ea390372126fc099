"""The pieces of a text from those of the version before it: what did not change is kept, the rest is read again.

Texts are compared piece by piece, from both ends. A keystroke reads the leaf that it is in, and the leaves beside it
where that leaf alone does not parse and the change is at its edge. This module knows no tags' lines in a file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from .cut import read
from .document import PARSE_SECONDS
from .lines import count_lines
from .pieces import (
    INDENTED,
    Branch,
    Context,
    Leaf,
    Piece,
    first_fields,
    indentations,
    leaves,
    moved,
    placed,
    with_soundness,
)
from .symbols import Tag

KEYSTROKE_SECONDS = 0.004
MAX_READ = 8_000  # code points; half-typed ones take up to 2 ms to parse, which is what a keystroke may cost
EDGE_ROWS = 4  # how close to a leaf's border a change may belong to its neighbour: a decorator, an `else`

DOCSTRING = re.compile(r"(?:\s|#[^\n]*\n)*[rRuU]?['\"]")

Pieces = tuple[Piece, ...]


def revise(context: Context, pieces: Pieces, old: str, new: str) -> Pieces:
    """The pieces of a new text; those that are unchanged are the very same objects."""
    return _revise(context, pieces, _Change.between(old, new), 0, len(new))


def _revise(context: Context, pieces: Pieces, change: "_Change", start: int, stop: int) -> Pieces:
    """The pieces of new[start:stop]."""
    text = change.new
    front, begin = _same_in_front(pieces, change, start, stop)
    back, end = _same_behind(pieces, change, front, begin, stop)
    if begin == end and front == back:
        return pieces
    while context.language.family in INDENTED and front and pieces[front - 1].text.isspace():  # is nobody's
        front, begin = front - 1, begin - len(pieces[front - 1].text)
    last = pieces[front - 1] if front else None
    if isinstance(last, Branch) and not last.end:
        reach = _indented(last, text, begin, end)
        grown = _in_branch(context, last, change, begin - len(last.text), reach) if reach > begin else None
        if grown is not None:  # a member was added at the end of what only indentation ends
            pieces, begin = (*pieces[: front - 1], grown, *pieces[front:]), reach
    if begin == end:
        return (*pieces[:front], *pieces[back:])
    only = pieces[front] if back - front == 1 else None
    if isinstance(only, Branch) and (revised := _in_branch(context, only, change, begin, end)) is not None:
        return (*pieces[:front], revised, *pieces[back:])
    return _read_again(context, pieces, text, (front, back), (begin, end))


def _same_in_front(pieces: Pieces, change: "_Change", start: int, stop: int) -> tuple[int, int]:
    """How many pieces stand unchanged at the start, and where the next begins."""
    count = 0
    for piece in pieces:
        after = start + len(piece.text)
        if after > min(change.before, stop) or not (piece.text.endswith("\n") or after == stop):
            break
        count, start = count + 1, after
    return count, start


def _same_behind(pieces: Pieces, change: "_Change", front: int, begin: int, stop: int) -> tuple[int, int]:
    """From which piece on they stand unchanged, and where that one begins: not before `front`, nor before `begin`."""
    least = max(len(change.new) - change.behind, begin)
    back = len(pieces)
    while back > front:
        before = stop - len(pieces[back - 1].text)
        if before < least or (before and change.new[before - 1] != "\n"):
            break
        back, stop = back - 1, before
    return back, stop


def _indented(branch: Branch, text: str, start: int, stop: int) -> int:
    """Where the last of the statements ends that are indented deeper than a branch, up to the first that is not."""
    own = len(branch.head) - len(branch.head.lstrip())
    reach = start
    while start < stop:
        after = text.find("\n", start, stop) + 1 or stop
        row = text[start:after]
        content = row.lstrip()
        if content and not content.startswith("#"):
            if len(row) - len(content) <= own:
                break
            reach = after
        start = after
    return reach


def _in_branch(context: Context, branch: Branch, change: "_Change", start: int, stop: int) -> Branch | None:
    """The branch with other members; None where its head or its end are not what they were."""
    text = change.new
    first, last = start + len(branch.head), stop - len(branch.end)
    if last <= first or not text.startswith(branch.head, start) or not text.startswith(branch.end, last):
        return None
    if branch.end and text[last - 1] != "\n":
        return None
    pieces = _revise(context.inside(branch.head, branch.end), branch.pieces, change, first, last)
    if not pieces:
        return None
    if context.language.family in INDENTED and DOCSTRING.match(pieces[0].text):  # which is part of a head
        pieces = (with_soundness(pieces[0], False), *pieces[1:])
    return branch.holding(pieces, text[start:stop])


def _read_again(
    context: Context, pieces: Pieces, text: str, changed: tuple[int, int], place: tuple[int, int]
) -> Pieces:
    (front, back), (begin, end) = changed, place
    if front == back:  # new lines between two pieces go to the one before them
        if front and isinstance(pieces[front - 1], Leaf):
            front, begin = front - 1, begin - len(pieces[front - 1].text)
        elif back < len(pieces) and isinstance(pieces[back], Leaf):
            back, end = back + 1, end + len(pieces[back].text)
    change = _Change.between("".join(piece.text for piece in pieces[front:back]), text[begin:end])
    fresh = _read(context, pieces[front:back], change)
    if not _fits(context, pieces, front, fresh, back):
        fresh = tuple(with_soundness(piece, False) for piece in fresh)
        before = _leaf_before(pieces, front) if change.rows_above < EDGE_ROWS else front
        behind = _leaf_behind(pieces, back) if change.rows_below < EDGE_ROWS else back
        lead, tail = (sum(len(piece.text) for piece in some) for some in (pieces[before:front], pieces[back:behind]))
        wider = text[begin - lead : end + tail]
        if len(change.new) < len(wider) <= MAX_READ:
            again = read(context, wider, KEYSTROKE_SECONDS)
            if again is not None and _fits(context, pieces, before, again, behind):
                return (*pieces[:before], *again, *pieces[behind:])
    return (*pieces[:front], *fresh, *pieces[back:])


def _leaf_before(pieces: Pieces, front: int) -> int:
    while front and isinstance(piece := pieces[front - 1], Leaf):
        front -= 1
        if not piece.text.isspace():
            break
    return front


def _leaf_behind(pieces: Pieces, back: int) -> int:
    while back < len(pieces) and isinstance(piece := pieces[back], Leaf):
        back += 1
        if not piece.text.isspace():
            break
    return back


def _fits(context: Context, pieces: Pieces, front: int, fresh: Sequence[Piece], back: int) -> bool:
    """Whether what was read by itself means the same between its neighbours, as far as can be told."""
    if not all(leaf.is_sound for leaf in leaves(fresh)):
        return False
    if context.language.family not in INDENTED:
        return True
    held = (piece for piece in pieces[back:] if not piece.text.isspace())
    beside = (*pieces[:front][-1:], *islice(held, 1))
    found = set[str]().union(*(indentations(piece.text) for piece in (*beside, *fresh)))
    return len(found) < 2 if context.heads else found <= {""}


def _read(context: Context, old: Pieces, change: "_Change") -> Pieces:
    if not change.new:
        return ()
    is_long = len(change.new) > MAX_READ
    if is_long and change.size <= MAX_READ:  # a keystroke in what is too long for one
        only = old[0] if len(old) == 1 else None
        branch = _with_another_head(only, change) if isinstance(only, Branch) else None
        return (branch if branch is not None else _put_off(old, change),)
    fresh = read(context, change.new, PARSE_SECONDS if is_long else KEYSTROKE_SECONDS)
    return fresh if fresh is not None else (_put_off(old, change),)


def _with_another_head(branch: Branch, change: "_Change") -> Branch | None:
    """The branch with its head unread: what it and its members are called may have changed, they have not."""
    behind = len(change.old) - len(branch.head)
    head = change.new[: len(change.new) - behind]
    if change.behind < behind or not head.endswith("\n"):
        return None
    pieces = (with_soundness(branch.pieces[0], False), *branch.pieces[1:])
    return replace(branch, head=head).holding(pieces, change.new)


def _put_off(old: Pieces, change: "_Change") -> Leaf:
    """A leaf for a changed text, unread: the old tags, moved by the lines that came or went."""
    tags = [
        tag
        for line, piece in placed(old, 0)
        for tag in (moved(piece.tags, line) if isinstance(piece, Leaf) else piece.own_tags(line))
    ]
    line, lines = sum(piece.lines for piece in old), count_lines(change.new)
    first, last = (
        count_lines(change.old[: change.before]),
        line - count_lines(change.old[len(change.old) - change.behind :]),
    )
    kept = tuple(_moved(tag, first, last, lines - line) for tag in first_fields(tags, set()))
    imports = tuple(found for leaf in leaves(old) for found in leaf.imports)
    return Leaf(change.new, lines, kept, imports, is_sound=False)


def _moved(tag: Tag, first: int, last: int, by: int) -> Tag:
    """A tag where `by` lines came between the lines `first` and `last`."""
    start = tag.start_line if tag.start_line < first else max(tag.start_line + by, first - 1)
    end = tag.end_line if tag.end_line < first else tag.end_line + by
    return Tag(tag.name, tag.kind, start, max(end, start + 1), tag.signature, tag.scope)


@dataclass(frozen=True, slots=True)
class _Change:
    """Two texts, and how many code points they have in common at the start and at the end."""

    old: str
    new: str
    before: int
    behind: int

    @staticmethod
    def between(old: str, new: str) -> "_Change":
        before = _agree(old, new, min(len(old), len(new)))
        return _Change(old, new, before, _agree_behind(old, new, min(len(old), len(new)) - before))

    @property
    def size(self) -> int:
        return max(len(self.old), len(self.new)) - self.before - self.behind

    @property
    def rows_above(self) -> int:
        return self.new.count("\n", 0, self.before)

    @property
    def rows_below(self) -> int:
        return self.new.rstrip().count("\n", len(self.new) - self.behind)


def _agree(one: str, other: str, most: int) -> int:
    """The length of the common start of two texts, by halving: each comparison is one of memory."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if one.startswith(other[least:middle], least):
            least = middle
        else:
            most = middle - 1
    return least


def _agree_behind(one: str, other: str, most: int) -> int:
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if one.endswith(other[len(other) - middle : len(other) - least], 0, len(one) - least):
            least = middle
        else:
            most = middle - 1
    return least
