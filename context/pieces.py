"""What a file is cut into, so that it can be read one piece at a time: runs of statements, and definitions opened up.

A leaf is a run of whole statements or members. It is parsed between the heads and the ends of the definitions that hold
it, as though nothing else stood in them: what is half-typed spoils its own leaf and no other. A branch is a definition
too large to be read with every keystroke: its head, the pieces of its members, its end. Borders lie behind `\\n`. How
pieces are found is `cut`, how they follow a text is `revise`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .languages import Language
from .lines import count_lines
from .symbols import Import, Tag

INDENTED = frozenset({"python"})  # families in which a row's indentation says what it belongs to
FIRST_ROW = re.compile(r"^([ \t\f]*)\S", re.MULTILINE)
FIRST_STATEMENT = re.compile(r"^([ \t\f]*)[^\s#]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Context:
    """What a leaf is parsed between: the heads of the definitions around it, outermost first, and their ends."""

    language: Language
    heads: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()  # innermost first

    def inside(self, head: str, end: str) -> "Context":
        return Context(self.language, (*self.heads, head), (end, *self.ends))


@dataclass(frozen=True, slots=True)
class Leaf:
    """A run of statements. Its tags count lines from its start, and may repeat a field that another leaf has."""

    text: str
    lines: int
    tags: tuple[Tag, ...] = ()
    imports: tuple[Import, ...] = ()
    blank: int = 0  # lines at its end that belong to no statement
    is_sound: bool = True  # whether the whole file would say the same, as far as is known


@dataclass(frozen=True, slots=True)
class Branch:
    """A large definition. Its own tags count where they start from its start, where they end from its end."""

    text: str
    lines: int
    head: str
    end: str  # "" in a language that ends a definition by indentation
    pieces: "tuple[Piece, ...]"
    tags: tuple[Tag, ...]

    def holding(self, pieces: "tuple[Piece, ...]", text: str) -> "Branch":
        lines = count_lines(self.head) + sum(piece.lines for piece in pieces) + count_lines(self.end)
        return replace(self, text=text, lines=lines, pieces=pieces)

    def own_tags(self, line: int) -> tuple[Tag, ...]:
        """The names of the definition itself where it starts at a line."""
        stop = line + self.lines - (0 if self.end else trailing(self.pieces))
        return tuple(replace(tag, start_line=line + tag.start_line, end_line=stop + tag.end_line) for tag in self.tags)


Piece = Leaf | Branch


def leaves(pieces: Iterable[Piece]) -> Iterator[Leaf]:
    for piece in pieces:
        if isinstance(piece, Leaf):
            yield piece
        else:
            yield from leaves(piece.pieces)


def placed(pieces: Iterable[Piece], line: int) -> Iterator[tuple[int, Piece]]:
    """Each piece with its first line, those inside of a branch behind it."""
    for piece in pieces:
        yield line, piece
        if isinstance(piece, Branch):
            yield from placed(piece.pieces, line + count_lines(piece.head))
        line += piece.lines


def moved(tags: Iterable[Tag], lines: int) -> tuple[Tag, ...]:
    return tuple(
        Tag(tag.name, tag.kind, tag.start_line + lines, tag.end_line + lines, tag.signature, tag.scope) for tag in tags
    )


def first_fields(tags: Iterable[Tag], known: set[tuple[str, str]]) -> Iterator[Tag]:
    """All tags but those of fields that are known: a field is defined where it is assigned first, in whatever leaf."""
    for tag in tags:
        if tag.kind == "field":
            if (tag.scope, tag.name) in known:
                continue
            known.add((tag.scope, tag.name))
        yield tag


def trailing(pieces: Sequence[Piece]) -> int:
    """Lines at the end of some pieces that belong to no statement."""
    total = 0
    for piece in reversed(pieces):
        if isinstance(piece, Branch):
            return total + (0 if piece.end else trailing(piece.pieces))
        total += piece.blank
        if piece.blank < piece.lines:
            break
    return total


def with_soundness(piece: Piece, is_sound: bool) -> Piece:
    if isinstance(piece, Leaf):
        return replace(piece, is_sound=is_sound)
    return replace(piece, pieces=tuple(with_soundness(inner, is_sound) for inner in piece.pieces))


def indentations(text: str) -> set[str]:
    """What the first rows start with that hold something, and something that is no comment."""
    return {found[1] for pattern in (FIRST_ROW, FIRST_STATEMENT) if (found := pattern.search(text)) is not None}
