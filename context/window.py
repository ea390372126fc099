"""The text before and after a cursor as tokens: as much of it as fits, up to cuts that stay where they are.

A text is encoded in pieces that end where tokenizers end a token anyway, between a character and the white space behind
it: together they give the tokens of the whole, and all but the one at the cursor are the same texts on the next
keystroke. So hand in an `encode` that remembers. Cuts move in strides; nothing here is proportional to the file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from .document import Document

# Must give at most one token for a byte, and none for the empty text: any byte-level tokenizer does.
Encode = Callable[[str], Sequence[int]]

PREFIX_SHARE = 0.75  # of the current file's share
CHARS_PER_TOKEN = 8  # more than source code ever averages over a window
STRIDE_TOKENS = 256  # of the budget, for a line of stride: a move drops about a sixth of the window
STRIDE_CHARS = 256  # where one line fills the whole window
ROUNDING = 128  # tokens; what one part leaves to another changes in these steps
MAX_BLANK = 256  # characters of white space before a cut
MAX_UNFINISHED = 64  # characters
# What GPT-2's pattern would put into one piece: a blank and letters, a digit, punctuation; or a blank that awaits them.
UNFINISHED = re.compile(r"(?: ?[^\W\d_]+|\d| ?(?:[^\w\s\ud800-\udfff]|_){1,8}| )\Z")
CLOSERS = re.compile(r"[ \t]*[)\]}>\"'`;:,][)\]}>\"'`;:, \t]*+(?=[\r\n]|\Z)")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a document; `header` stands right before the text, and windows move by `stride` lines."""

    document: Document
    offset: int
    header: str
    stride: int
    healed: int = 0  # characters right before it that are left out: see `unfinished`

    @property
    def stop(self) -> int:
        """Where the text before the cursor ends in the prompt."""
        return self.offset - self.healed

    @property
    def resume(self) -> int:
        """Where the text after the cursor begins: behind the brackets and quotes that end its line, if only those do.

        Editors insert them by themselves: shown, they would change the first token after the cursor, and in SPM order
        everything behind it, once when they appear and once when they are typed.
        """
        closers = CLOSERS.match(self.document.text, self.offset)
        return closers.end() if closers else self.offset


def unfinished(text: str, offset: int) -> str:
    """The last word before `offset`, or what of it is there: for the model to write again, in tokens of its own.

    A prompt that ends within what would be one token is unlike any text a model has read, and a small one loses its way
    there (token healing). Never a line break, so that what ends a completion is not in it.
    """
    found = UNFINISHED.search(text[max(offset - MAX_UNFINISHED, 0) : offset])
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Tokens from the cut before it, nearer to the cursor, to its own; a window may end at `edge`, None: not here."""

    edge: int | None
    cut: int
    token_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Windows:
    """Tokens before the cursor, with the header, and after it."""

    prefix: Sequence[int]
    suffix: Sequence[int]


_Cuts = Iterator[tuple[int | None, int]]  # (edge, cut), the nearest to the cursor first


def wanted(cursor: Cursor, budget: int, encode: Encode) -> int:
    """What the file would take if it were alone, in steps: a keystroke more must not push a snippet out."""
    text = cursor.document.text
    before = _pieces(text, cursor.stop, _starts(cursor), budget, encode)
    after = _pieces(text, cursor.resume, _ends(cursor), budget, encode)
    if not before or before[-1].edge != 0 or not after or after[-1].edge != len(text):
        return budget
    return min(_rounded(len(encode(cursor.header)) + _cost(before) + _cost(after)), budget)


def windows(cursor: Cursor, budget: int, encode: Encode) -> Windows:
    """As much text as fits; what one side leaves of its share goes to the other."""
    for_prefix = max(int(budget * PREFIX_SHARE), len(encode(cursor.header)))
    prefix, start = _prefix(cursor, for_prefix, encode)
    spare = max(for_prefix - _rounded(len(prefix)), 0) if start == 0 else 0
    suffix = _suffix(cursor, budget - for_prefix + spare, encode)
    if start:
        prefix, _ = _prefix(cursor, budget - len(suffix), encode)
    return Windows(prefix, suffix)


def _prefix(cursor: Cursor, budget: int, encode: Encode) -> tuple[Sequence[int], int]:
    """Tokens of the header and of the text from the farthest start that fits, and that start."""
    text, left = cursor.document.text, budget - len(encode(cursor.header))
    for cuts in (_starts(cursor), _starts_in_line(cursor)):
        pieces = _pieces(text, cursor.stop, cuts, left, encode)
        for last in range(len(pieces) - 1, -1, -1):
            start, nearer = pieces[last].edge, pieces[:last]
            if start is None:
                continue
            first = encode(cursor.header + text[start : nearer[-1].cut if nearer else cursor.stop])
            if len(first) + _cost(nearer) <= budget:
                return [*first, *_joined(reversed(nearer))], start
    return encode(cursor.header), cursor.stop


def _suffix(cursor: Cursor, budget: int, encode: Encode) -> Sequence[int]:
    """Tokens of the text behind the cursor, up to the farthest end that fits."""
    for cuts in (_ends(cursor), _ends_in_line(cursor)):
        pieces = _pieces(cursor.document.text, cursor.resume, cuts, budget, encode)
        if pieces:
            return _joined(pieces)
    return ()


def _pieces(text: str, origin: int, cuts: _Cuts, budget: int, encode: Encode) -> list[_Piece]:
    """The pieces that cost at most `budget` tokens in all, nearest first."""
    pieces: list[_Piece] = []
    for edge, cut in cuts:
        piece = text[min(cut, origin) : max(cut, origin)]
        if len(piece) > budget * CHARS_PER_TOKEN or len(ids := encode(piece)) > budget:
            break
        pieces.append(_Piece(edge, cut, ids))
        budget, origin = budget - len(ids), cut
    return pieces


def _starts(cursor: Cursor) -> _Cuts:
    """The lines whose number is a multiple of the stride, last first; before them the cursor's own, to cut at only."""
    text, lines = cursor.document.text, cursor.document.lines
    here = lines.line_of(cursor.offset)
    yield None, _cut(text, lines.start(here))
    for line in range(here - here % cursor.stride, -1, -cursor.stride):
        yield lines.start(line), _cut(text, lines.start(line))


def _ends(cursor: Cursor) -> _Cuts:
    """Ends of lines, first first. They are counted from the end of the file: a line typed before them moves none."""
    text, lines, resume = cursor.document.text, cursor.document.lines, cursor.resume
    following = lines.line_of(resume) + 1
    for line in range(following + (len(lines) - following) % cursor.stride, len(lines), cursor.stride):
        cut = max(_cut(text, lines.start(line)), resume)
        yield cut, cut
    yield len(text), len(text)


def _starts_in_line(cursor: Cursor) -> _Cuts:
    for start in range(cursor.stop // STRIDE_CHARS * STRIDE_CHARS, -1, -STRIDE_CHARS):
        yield start, start


def _ends_in_line(cursor: Cursor) -> _Cuts:
    for end in range(cursor.resume + STRIDE_CHARS, len(cursor.document.text), STRIDE_CHARS):
        yield end, end


def _cut(text: str, start: int) -> int:
    """The end of the line before the one at `start`, without the white space there."""
    first = max(start - MAX_BLANK, 0)
    return first + len(text[first:start].rstrip())


def _cost(pieces: Sequence[_Piece]) -> int:
    return sum(len(piece.token_ids) for piece in pieces)


def _joined(pieces: Iterable[_Piece]) -> list[int]:
    return list(chain.from_iterable(piece.token_ids for piece in pieces))


def _rounded(tokens: int) -> int:
    return -(-tokens // ROUNDING) * ROUNDING
