"""Which snippets are shown, and where: greedy in a budget, and stable from one keystroke to the next.

A block keeps its groups in their order, because the model computes everything behind a change again. It grows at its
end, and is made anew only when the value gained pays for the tokens. What a snippet costs is the caller's to say: this
module knows no tokenizer, and nothing of the text around the cursor.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from .retrieve import Snippet

CUT_SHARE = 0.6  # of a usage chunk: where so much fits, its first lines are shown
PRICE = 3.0  # of prefilling a whole prompt, in keystrokes at which everything worth showing was missed

SEPARATOR_BYTES = 4

Cost = Callable[[Snippet], int]
VersionOf = Callable[[str], Hashable]  # of a file, by its path; another version, and its lines may be others
Lines = dict[str, set[int]]  # path -> numbers of the lines that are shown


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of one file, in source order; `version` is the file's when they were last known to be true."""

    path: str
    version: Hashable
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Groups in the order of the prompt; no line of a file stands in it twice."""

    groups: tuple[Group, ...] = ()
    missed: float = 0.0  # value that other groups would have had, as shares of it, keystroke by keystroke


@dataclass(frozen=True, slots=True)
class Prices:
    """What the lines of a snippet cost, and what a group costs beside its snippets, by its path."""

    snippet: Cost
    group: Callable[[str], int]

    def of(self, groups: Sequence[Group]) -> int:
        return sum(self.group(group.path) + sum(map(self.snippet, group.snippets)) for group in groups)


@dataclass(frozen=True, slots=True)
class Room:
    """The budget of a block and of the whole prompt, and the tokens behind the block that stay valid if it stays."""

    budget: int
    whole: int
    behind: int


def place(block: Block, ranked: Sequence[Snippet], room: Room, prices: Prices, version_of: VersionOf) -> Block:
    """The next block: the last one as it is, or grown, or made anew.

    It changes once what was missed since it last did, and the change would have had, is worth the prefill: so a better
    block comes at once, a slightly better one only if it stays so, and costs at most about twice what hindsight would.
    `ranked` comes best first. Lines of a file that has changed go, unless the ranking still has them.
    """
    kept = _still_true(block.groups, ranked, room.budget, prices, version_of)
    anew = _extended((), ranked, room.budget, prices, version_of)
    if not kept:
        return Block(anew)
    grown = _extended(kept, ranked, room.budget, prices, version_of)
    has, had_grown, had_anew = (_value(groups, ranked) for groups in (kept, grown, anew))
    gap = max(had_grown, had_anew) - has
    if gap <= 0:
        return Block(kept, block.missed)
    missed = block.missed + gap / (has + gap)

    def worth(groups: tuple[Group, ...], new: tuple[Group, ...], value: float) -> float:
        changed = new or len(kept) < len(block.groups)
        prefill = prices.of(new) + (room.behind if changed else 0)
        return missed * (value - has) / gap - PRICE * prefill / room.whole

    options = ((kept, (), has), (grown, grown[len(kept) :], had_grown), (anew, anew, had_anew))
    best = max(options, key=lambda option: worth(*option))[0]
    return Block(best, missed if best == kept else 0.0)


def pack(ranked: Sequence[Snippet], budget: int) -> list[Group]:
    """The best snippets that fit a budget in bytes, by file, none of their lines twice: see `group_bytes`."""
    prices = Prices(lambda snippet: _byte_length(snippet.text), lambda path: _byte_length(path) + SEPARATOR_BYTES)
    return list(_extended((), ranked, budget, prices, lambda path: None))


def group_bytes(group: Group) -> int:
    """What a group costs where budgets are bytes: path and text in UTF-8, and what separates it from the next."""
    texts = (group.path, *(snippet.text for snippet in group.snippets))
    return sum(map(_byte_length, texts)) + SEPARATOR_BYTES


def _byte_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _chosen(ranked: Sequence[Snippet], budget: int, prices: Prices, shown: Lines) -> list[Snippet]:
    """What is not shown yet and fits, best first. A group is paid once for each path; `shown` takes the lines in."""
    chosen: list[Snippet] = []
    opened: set[str] = set()
    for snippet in ranked:
        lines = shown.setdefault(snippet.path, set())
        for piece in _unseen(snippet, lines):
            left = budget - (0 if snippet.path in opened else prices.group(snippet.path))
            fitting = _fitting(piece, left, prices.snippet)
            if fitting is not None:
                chosen.append(fitting)
                opened.add(fitting.path)
                lines.update(range(fitting.start_line, fitting.end_line))
                budget = left - prices.snippet(fitting)
    return chosen


def _unseen(snippet: Snippet, shown: set[int]) -> Iterator[Snippet]:
    """The runs of a snippet's lines that are not shown, without blank ones."""
    numbers = range(snippet.start_line, snippet.end_line)
    if shown.isdisjoint(numbers):
        yield snippet
        return
    for seen, run in groupby(numbers, shown.__contains__):
        lines = list(run)
        if not seen and (part := _part(snippet, lines[0], lines[-1] + 1)) is not None and part.text.strip():
            yield part


def _fitting(piece: Snippet, budget: int, cost: Cost) -> Snippet | None:
    """The piece, or as many of a usage chunk's first lines as fit, where they are most of it."""
    price = cost(piece)
    if price <= budget:
        return piece
    if piece.kind != "usage" or budget < price * CUT_SHARE:
        return None
    for end in range(piece.end_line - 1, piece.start_line, -1):
        part = _part(piece, piece.start_line, end)
        if part is None or (price := cost(part)) <= budget:
            return part
    return None


def _part(snippet: Snippet, start: int, end: int) -> Snippet | None:
    """Some lines of a snippet; None where its text is not its lines one by one."""
    lines = snippet.text.split("\n")[:-1]
    if len(lines) != snippet.end_line - snippet.start_line:
        return None
    text = "".join(f"{line}\n" for line in lines[start - snippet.start_line : end - snippet.start_line])
    return replace(snippet, start_line=start, end_line=end, text=text)


def _extended(
    groups: tuple[Group, ...], ranked: Sequence[Snippet], budget: int, prices: Prices, version_of: VersionOf
) -> tuple[Group, ...]:
    """Groups with more behind them: the file with the best snippet last, next to the cursor."""
    by_path: dict[str, list[Snippet]] = {}
    for snippet in _chosen(ranked, budget - prices.of(groups), prices, _lines(groups)):
        by_path.setdefault(snippet.path, []).append(snippet)
    added = (
        Group(path, version_of(path), tuple(sorted(snippets, key=lambda snippet: snippet.start_line)))
        for path, snippets in reversed(by_path.items())
    )
    return (*groups, *added)


def _still_true(
    groups: Sequence[Group], ranked: Sequence[Snippet], budget: int, prices: Prices, version_of: VersionOf
) -> tuple[Group, ...]:
    """The leading groups that fit and still say what their files say."""
    kept: list[Group] = []
    for group in groups:
        version = version_of(group.path)
        found = group if version == group.version else _found(group, ranked, version, _lines(kept))
        budget -= prices.of([group])
        if found is None or budget < 0:
            break
        kept.append(found)
    return tuple(kept)


def _found(group: Group, ranked: Sequence[Snippet], version: Hashable, shown: Lines) -> Group | None:
    """The group at the lines where the ranking of a changed file has it now; None where any of it is gone."""
    texts = {snippet.text: snippet for snippet in ranked if snippet.path == group.path}
    found = tuple(texts[snippet.text] for snippet in group.snippets if snippet.text in texts)
    lines = [number for snippet in found for number in range(snippet.start_line, snippet.end_line)]
    once = len(set(lines)) == len(lines) and shown.get(group.path, set()).isdisjoint(lines)
    if len(found) < len(group.snippets) or lines != sorted(lines) or not once:
        return None
    return Group(group.path, version, found)


def _lines(groups: Sequence[Group]) -> Lines:
    lines: Lines = {}
    for group in groups:
        shown = lines.setdefault(group.path, set())
        for snippet in group.snippets:
            shown.update(range(snippet.start_line, snippet.end_line))
    return lines


def _value(groups: Sequence[Group], ranked: Sequence[Snippet]) -> float:
    """What the ranking says of the lines that are shown; a snippet of which half is shown counts half."""
    lines = _lines(groups)
    value = 0.0
    for snippet in ranked:
        shown = lines.get(snippet.path)
        if shown is not None and not shown.isdisjoint(numbers := range(snippet.start_line, snippet.end_line)):
            value += snippet.score * len(shown.intersection(numbers)) / len(numbers)
    return value
