"""Snippets and a cursor become the token prompt that StarCoder2 was trained on, inside an exact budget.

    <repo_name>{repo}<file_sep>{path0}\\n{text0}<file_sep>{path1}\\n{text1}<file_sep>   then
    PSM:  <fim_prefix>{path}\\n{prefix}<fim_suffix>{suffix}<fim_middle>
    SPM:  <fim_prefix><fim_suffix>{suffix}<fim_middle>{path}\\n{prefix}

Source: arXiv 2402.19173 section 5.1, and the FIM code of its training. Control tokens enter by id only; text is encoded
by a callable that must never produce them. The last prompt of the same document, where there is one, decides which
snippets stay: typing only appends in SPM order.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from .document import Document
from .pack import Block, Prices, Room, VersionOf, place
from .retrieve import Snippet
from .window import STRIDE_TOKENS, Cursor, Windows, wanted, windows
from .window import Encode as Encode  # part of what `build` asks for

Order = Literal["spm", "psm"]

SMALL_BUDGET = 2048  # up to here the snippets are worth more than far lines of the file itself
SHARE, SHARE_SMALL = 0.5, 0.3  # of the budget, for the current file
SHOWN = 0.001  # the least score; half the bytes of a ranking, and .02 of definition recall at 2,048 tokens
MAX_NAME_BYTES = 256
MIN_BUDGET = 32


@dataclass(frozen=True, slots=True)
class FimTokens:
    """Ids of the control tokens, looked up by what they do in the model's tokenizer.

    `file_sep` precedes every path. StarCoder2's hole follows that of its file, StarCoder's begins with it: `opening`.
    """

    prefix: int
    middle: int
    suffix: int
    repo_name: int
    file_sep: int
    opening: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PackedSnippet:
    snippet: Snippet
    tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and what they are made of. `snippets` stand in the order of the prompt."""

    token_ids: tuple[int, ...]
    order: Order
    repo: str
    path: str
    healed: str  # the text right before the cursor that is left out, and that an answer begins with
    ranked: Sequence[Snippet]
    block: Block
    snippets: tuple[PackedSnippet, ...]
    prefix_tokens: int
    suffix_tokens: int
    hole_tokens: int  # both, and the control tokens around them

    @property
    def current_file(self) -> tuple[int, ...]:
        """The tokens behind the block."""
        return self.token_ids[-self.hole_tokens :]


def build(
    document: Document,
    offset: int,
    ranked: Sequence[Snippet],
    repo: str,
    budget: int,
    encode: Encode,
    control: FimTokens,
    order: Order,
    last: Prompt | None = None,
    version_of: VersionOf = lambda path: None,
    healed: str = "",
) -> Prompt:
    """The prompt for a cursor, at most `budget` tokens in all; snippets come `ranked`, best first.

    With the `last` prompt of the document its snippets stay where that is worth it: see `pack.place`; the very same
    ranking again changes nothing. A snippet that is hardly needed is not shown: the file itself makes better use of its
    room. What is `healed`, the end of the text before the cursor, is left out: see `window.unfinished`.
    """
    assert budget >= MIN_BUDGET
    repo, path = clean_name(repo, budget // 8), clean_name(document.path, budget // 4)
    head = [control.repo_name, *encode(repo), control.file_sep]
    available = budget - len(head) - 3
    cursor = Cursor(document, offset, f"{path}\n", max(budget // STRIDE_TOKENS, 1), len(healed))
    in_file = wanted(cursor, int(available * (SHARE_SMALL if budget <= SMALL_BUDGET else SHARE)), encode)
    in_file = max(in_file, len(encode(cursor.header)))
    prices = _prices(encode)

    def current_file(block: Block) -> tuple[list[int], Windows]:
        around = windows(cursor, available - prices.of(block.groups), encode)
        return (_psm if order == "psm" else _spm)(around, control), around

    block = last.block if last is not None else Block()
    room = available - in_file
    kept = current_file(block) if last is not None and prices.of(block.groups) <= room else None
    if last is None or kept is None or last.ranked is not ranked:
        behind = _common(last.current_file, kept[0]) if last is not None and kept is not None else 0
        worthwhile = [snippet for snippet in ranked if snippet.score >= SHOWN]
        placed = place(block, worthwhile, Room(room, budget, behind), prices, version_of)
        kept = kept if placed.groups == block.groups else None
        block = placed
    fim, around = kept or current_file(block)
    before = [*head, *_block_ids(block, encode, control)]
    if control.opening:
        before.pop()  # the token before this file's path: the hole begins with it
    ids = (*before, *fim)
    assert len(ids) <= budget
    shown = (PackedSnippet(snippet, prices.snippet(snippet)) for group in block.groups for snippet in group.snippets)
    tokens = (len(around.prefix), len(around.suffix), len(fim))
    return Prompt(ids, order, repo, path, healed, ranked, block, tuple(shown), *tokens)


@lru_cache(maxsize=4096)
def clean_name(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """A repository name or path as a prompt may show it: relative, POSIX, printable, its last `limit` bytes at most."""
    printable = "".join(char for char in name.replace("\\", "/") if unicodedata.category(char)[0] != "C")
    relative = "/".join(part for part in printable.split("/") if part not in ("", ".", ".."))
    return relative.encode("utf-8")[-min(limit, MAX_NAME_BYTES) :].decode("utf-8", "ignore")


def _psm(around: Windows, control: FimTokens) -> list[int]:
    return [control.prefix, *control.opening, *around.prefix, control.suffix, *around.suffix, control.middle]


def _spm(around: Windows, control: FimTokens) -> list[int]:
    return [control.prefix, control.suffix, *around.suffix, control.middle, *control.opening, *around.prefix]


def _prices(encode: Encode) -> Prices:
    """In tokens; for one prompt, in which each is asked for several times."""
    of_text: dict[str, int] = {}
    of_path: dict[str, int] = {}

    def snippet(snippet: Snippet) -> int:
        price = of_text.get(snippet.text)
        if price is None:
            price = of_text[snippet.text] = len(encode(_lines(snippet)))
        return price

    def group(path: str) -> int:
        price = of_path.get(path)
        if price is None:
            price = of_path[path] = len(encode(clean_name(path))) + len(encode("\n")) + 1
        return price

    return Prices(snippet, group)


def _block_ids(block: Block, encode: Encode, control: FimTokens) -> list[int]:
    """Path, texts and separator of each group, encoded one by one: where texts meet a token ends anyway."""
    ids: list[int] = []
    for group in block.groups:
        ids += encode(clean_name(group.path))
        for snippet in group.snippets:
            ids += encode(_lines(snippet))
        ids += [*encode("\n"), control.file_sep]
    return ids


def _lines(snippet: Snippet) -> str:
    return f"\n{snippet.text.rstrip()}"


def _common(old: Sequence[int], new: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    differing = (place for place, (was, now) in enumerate(zip(old, new, strict=False)) if was != now)
    return next(differing, min(len(old), len(new)))
