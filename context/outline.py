"""What an open document says, kept up to date while it is typed in: its imports and its definitions.

An outline is a value; `follow` gives the next version's by comparing texts and reading the few pieces that differ, so
it is the same whether an editor sends edits or whole files. What a keystroke may not cost is put off: such a piece
keeps its tags, moved, until `settled` reads the whole file at a pause. For a text without errors an outline says what
`tags.extract` says of the whole. This module knows no editor, no index and no ranking.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .cut import read
from .document import MAX_PARSED_BYTES, PARSE_SECONDS, Document, Splice, encode
from .languages import grammar
from .pieces import Context, Leaf, Piece, first_fields, leaves, moved, placed, with_soundness
from .revise import revise
from .symbols import FileTags, Import, Tag
from .tags import MAX_DEFINITIONS
from .words import identifiers


@dataclass(frozen=True)
class Place:
    """A piece and its first line."""

    line: int
    piece: Piece

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """The piece's own, with the lines of the file; asked for late, for all below move with every new line."""
        return moved(self.piece.tags, self.line) if isinstance(self.piece, Leaf) else self.piece.own_tags(self.line)


@dataclass(frozen=True)
class Outline:
    """Of one version of a document. Without a syntax tree it is empty."""

    document: Document = field(repr=False)
    context: Context | None  # None where there is no tree
    pieces: tuple[Piece, ...]
    places: tuple[Place, ...]  # of all pieces, in the order of their lines
    imports: tuple[Import, ...]  # the very same object while they stay equal

    @staticmethod
    def of(document: Document) -> "Outline":
        """By reading the whole document."""
        text, language = document.text, document.language
        if language is None or len(text) > MAX_PARSED_BYTES or grammar(language) is None:
            return Outline(document, None, (), (), ())
        context = Context(language)
        pieces = read(context, text, PARSE_SECONDS)
        if pieces is None:
            return Outline(document, None, (), (), ())
        # As the whole file has it, errors or not: reading it again would settle nothing.
        pieces = tuple(with_soundness(piece, True) for piece in pieces)
        places = tuple(Place(line, piece) for line, piece in placed(pieces, 0))
        return Outline(document, context, pieces, places, _imports(places))

    def follow(self, document: Document) -> "Outline":
        """The outline of a later version of the document."""
        if self.context is None or document.text == self.document.text:
            return replace(self, document=document)
        pieces = revise(self.context, self.pieces, self.document.text, document.text)
        known = {id(place.piece): place for place in self.places}
        places: list[Place] = []
        for line, piece in placed(pieces, 0):
            place = known.get(id(piece))
            places.append(place if place is not None and place.line == line else Place(line, piece))
        imports = _imports(places)
        same = self.imports if imports == self.imports else imports
        return Outline(document, self.context, pieces, tuple(places), same)

    def settled(self, document: Document) -> "Outline":
        """What `follow` gives, unless errors or size have put something off: then by reading the whole document."""
        followed = self.follow(document)
        if followed.context is None or not followed.is_settled:
            return Outline.of(document)
        return followed

    @property
    def is_settled(self) -> bool:
        return all(leaf.is_sound for leaf in leaves(self.pieces))

    @cached_property
    def definitions(self) -> tuple[Tag, ...]:
        """In source order, with the lines of the file."""
        found: list[Tag] = []
        fields: set[tuple[str, str]] = set()
        stop = 0  # of the branch around
        for place in self.places:
            if place.line >= stop and isinstance(place.piece, Leaf):
                found += place.tags
                continue
            if place.line >= stop:
                stop, fields = place.line + place.piece.lines, set()
            found += first_fields(place.tags, fields)
        return tuple(found)

    def enclosing(self, line: int) -> tuple[Tag, ...]:
        """The definitions that a line is part of, innermost last."""
        last = bisect_right(self.places, line, key=lambda place: place.line)
        around = (place for place in self.places[:last] if place.line + place.piece.lines > line)
        return tuple(tag for place in around for tag in place.tags if tag.start_line <= line < tag.end_line)

    @property
    def file_tags(self) -> FileTags:
        """What the index keeps; words are counted anew, which is for a pause."""
        letters = self.document.language.letters if self.document.language is not None else ""
        words = identifiers(encode(self.document.text), letters)
        return FileTags(self.definitions[:MAX_DEFINITIONS], *words, self.imports)


@dataclass(frozen=True)
class Following:
    """The outline of a version of a document, read when it is asked for: who types through a suggestion needs none."""

    last: Outline = field(repr=False)  # of an earlier version, or of this one
    document: Document = field(repr=False)
    line: int | None = None  # in which everything since `last` was typed; None: elsewhere too, or nothing was

    @staticmethod
    def of(document: Document) -> "Following":
        return Following(Outline.of(document), document)

    @cached_property
    def outline(self) -> Outline:
        return self.last.follow(self.document)

    def near(self, line: int) -> Outline:
        """An outline that says where the line's piece and those before it begin: the last one, if it still does."""
        return self.last if self.line == line and "outline" not in self.__dict__ else self.outline

    def follow(self, document: Document, splices: Sequence[Splice] = ()) -> "Following":
        """That of a later version, by `splices` where those are known; what was not asked for is never read."""
        read = self.__dict__.get("outline", self.last)
        line = _line_of(splices, self.document, document)
        is_same = line == self.line or read.document is self.document
        return Following(read, document, line if is_same else None)


def _line_of(splices: Sequence[Splice], before: Document, after: Document) -> int | None:
    """The one line that splices changed, where they neither made nor removed any."""
    lines = {before.lines.line_of(splice.start) for splice in splices}
    return lines.pop() if len(lines) == 1 and before.line_count == after.line_count else None


def _imports(places: Iterable[Place]) -> tuple[Import, ...]:
    return tuple(found for place in places if isinstance(place.piece, Leaf) for found in place.piece.imports)
