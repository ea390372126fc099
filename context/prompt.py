"""Snippets and a cursor become the token prompt that StarCoder2 was trained on, inside an exact budget.

    <repo_name>{repo}<file_sep>{path0}\\n{text0}<file_sep>{path1}\\n{text1}<file_sep>   then
    PSM:  <fim_prefix>{path}\\n{prefix}<fim_suffix>{suffix}<fim_middle>
    SPM:  <fim_prefix><fim_suffix>{suffix}<fim_middle>{path}\\n{prefix}

Source: arXiv 2402.19173 section 5.1, and the FIM code of its training. Control tokens enter by id only; text is encoded
by a callable that must never produce them. Windows move in strides, so that typing only appends in SPM order. The
callable is asked again for the same texts on every keystroke: hand in one that remembers.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from .retrieve import Snippet

# Must give at most one token for a byte, and none for the empty text: any byte-level tokenizer does.
Encode = Callable[[str], Sequence[int]]
Order = Literal["spm", "psm"]

SMALL_BUDGET = 2048  # up to here the snippets are worth more than far lines of the file itself
SHARE, SHARE_SMALL = 0.5, 0.3  # of the budget, for the current file
PREFIX_SHARE = 0.75  # of the current file's share
CHARS_PER_TOKEN = 8  # more than source code ever averages over a window
STRIDE_TOKENS = 256  # of the budget, for a line of stride: a move drops about a sixth of the window
STRIDE_CHARS = 256  # where one line fills the whole window
ROUNDING = 128  # tokens; what the file leaves to the snippets changes in these steps
MAX_NAME_BYTES = 256
MIN_BUDGET = 32


@dataclass(frozen=True, slots=True)
class FimTokens:
    """Ids of the control tokens, looked up by name in the model's tokenizer."""

    prefix: int
    middle: int
    suffix: int
    repo_name: int
    file_sep: int


@dataclass(frozen=True, slots=True)
class PackedSnippet:
    snippet: Snippet
    tokens: int  # of its text alone


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and what they are made of. `snippets` stand in the order of the prompt."""

    token_ids: tuple[int, ...]
    order: Order
    repo: str
    path: str
    snippets: tuple[PackedSnippet, ...]
    prefix_tokens: int
    suffix_tokens: int


def build(
    document_path: str,
    prefix_text: str,
    suffix_text: str,
    snippets: Sequence[Snippet],
    repo: str,
    budget: int,
    encode: Encode,
    control: FimTokens,
    order: Order,
) -> Prompt:
    """The prompt for a cursor between two texts, at most `budget` tokens in all; `snippets` come best first."""
    assert budget >= MIN_BUDGET
    repo, path = clean_name(repo, budget // 8), clean_name(document_path, budget // 4)
    head = [control.repo_name, *encode(repo), control.file_sep]
    available = budget - len(head) - 3

    stride = max(budget // STRIDE_TOKENS, 1)

    wanted = _wanted(f"{path}\n", prefix_text, suffix_text, available, stride, encode)
    in_file = min(wanted, int(available * (SHARE_SMALL if budget <= SMALL_BUDGET else SHARE)))
    in_file = max(in_file, len(encode(f"{path}\n")))
    packed = _pack_tokens(snippets, available - in_file, encode)
    block = _block(packed, encode, control)

    prefix, suffix = _windows(f"{path}\n", prefix_text, suffix_text, available - len(block), stride, encode)
    fim = _psm(prefix, suffix, control) if order == "psm" else _spm(prefix, suffix, control)
    shown = tuple(PackedSnippet(snippet, len(encode(snippet.text))) for group in packed for snippet in group)
    ids = (*head, *block, *fim)
    assert len(ids) <= budget
    return Prompt(ids, order, repo, path, shown, len(prefix), len(suffix))


def pack(
    snippets: Sequence[Snippet],
    budget: int,
    cost: Callable[[Snippet], int],
    header: Callable[[str], int] = lambda path: 0,
) -> list[Snippet]:
    """The best snippets that fit, best first: each pays its cost, and each file its header once. None overlap."""
    chosen: list[Snippet] = []
    ranges: dict[str, list[tuple[int, int]]] = {}
    left = budget
    for snippet in snippets:
        inside = ranges.get(snippet.path)
        if any(snippet.start_line < end and start < snippet.end_line for start, end in inside or ()):
            continue
        price = cost(snippet) + (header(snippet.path) if inside is None else 0)
        if price > left:
            continue
        chosen.append(snippet)
        ranges.setdefault(snippet.path, []).append((snippet.start_line, snippet.end_line))
        left -= price
    return chosen


def snippet_bytes(snippet: Snippet) -> int:
    """What a snippet costs where budgets are bytes: path and text in UTF-8, and 4 for what separates them."""
    return _byte_length(snippet.path) + _byte_length(snippet.text) + 4


def clean_name(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """A repository name or path as a prompt may show it: relative, POSIX, printable, its last `limit` bytes at most."""
    printable = "".join(char for char in name.replace("\\", "/") if unicodedata.category(char)[0] != "C")
    relative = "/".join(part for part in printable.split("/") if part not in ("", ".", ".."))
    return relative.encode("utf-8")[-min(limit, MAX_NAME_BYTES) :].decode("utf-8", "ignore")


def _psm(prefix: Sequence[int], suffix: Sequence[int], control: FimTokens) -> list[int]:
    return [control.prefix, *prefix, control.suffix, *suffix, control.middle]


def _spm(prefix: Sequence[int], suffix: Sequence[int], control: FimTokens) -> list[int]:
    return [control.prefix, control.suffix, *suffix, control.middle, *prefix]


def _pack_tokens(snippets: Sequence[Snippet], budget: int, encode: Encode) -> list[list[Snippet]]:
    """Snippets grouped by file, source order inside, the file with the best snippet last: nearest to the cursor."""

    def cost(snippet: Snippet) -> int:
        return len(encode(snippet.text))

    def header(path: str) -> int:
        return len(encode(f"{clean_name(path)}\n")) + 1

    chosen = pack(snippets, budget, cost, header)
    while (groups := _groups(chosen)) and sum(len(encode(_group_text(group))) + 1 for group in groups) > budget:
        chosen.pop()  # pieces of text may cost more together than alone, by a token or two
    return groups


def _groups(chosen: Sequence[Snippet]) -> list[list[Snippet]]:
    by_path: dict[str, list[Snippet]] = {}
    for snippet in chosen:
        by_path.setdefault(snippet.path, []).append(snippet)
    return [sorted(group, key=lambda snippet: snippet.start_line) for group in reversed(by_path.values())]


def _group_text(group: Sequence[Snippet]) -> str:
    return f"{clean_name(group[0].path)}\n" + "".join(snippet.text for snippet in group)


def _block(groups: Sequence[Sequence[Snippet]], encode: Encode, control: FimTokens) -> list[int]:
    return list(chain.from_iterable([*encode(_group_text(group)), control.file_sep] for group in groups))


def _wanted(header: str, prefix_text: str, suffix_text: str, budget: int, stride: int, encode: Encode) -> int:
    """What the file would take if it were alone, rounded up: a keystroke more must not push a snippet out."""
    starts, before = _within(prefix_text, _starts(prefix_text, stride), len(prefix_text), budget, encode)
    ends, after = _within(suffix_text, _ends(suffix_text, stride), 0, budget, encode)
    if starts[-1:] != [0] or ends[-1:] != [len(suffix_text)]:
        return budget
    return -(-(len(encode(header)) + before + after) // ROUNDING) * ROUNDING


def _windows(
    header: str, prefix_text: str, suffix_text: str, budget: int, stride: int, encode: Encode
) -> tuple[Sequence[int], Sequence[int]]:
    """Tokens of the windows before and after the cursor; what one side leaves of its share goes to the other."""
    for_prefix = max(int(budget * PREFIX_SHARE), len(encode(header)))
    prefix, start = _prefix_window(header, prefix_text, for_prefix, stride, encode)
    spare = for_prefix - len(prefix) if start == 0 else 0
    suffix = _suffix_window(suffix_text, budget - for_prefix + spare, stride, encode)
    if start:
        prefix, _ = _prefix_window(header, prefix_text, budget - len(suffix), stride, encode)
    return prefix, suffix


def _prefix_window(header: str, text: str, budget: int, stride: int, encode: Encode) -> tuple[Sequence[int], int]:
    """Tokens of the header and the end of `text`, and where that end starts: the farthest cut that fits."""
    left = budget - len(encode(header))
    for cuts in (_starts(text, stride), iter(range(len(text) // STRIDE_CHARS * STRIDE_CHARS, -1, -STRIDE_CHARS))):
        for start in reversed(_within(text, cuts, len(text), left, encode)[0]):
            ids = encode(header + text[start:])
            if len(ids) <= budget:
                return ids, start
    return encode(header), len(text)


def _suffix_window(text: str, budget: int, stride: int, encode: Encode) -> Sequence[int]:
    """Tokens of the start of `text`, up to the farthest cut that fits."""
    for cuts in (_ends(text, stride), iter(range(STRIDE_CHARS, len(text), STRIDE_CHARS))):
        for end in reversed(_within(text, cuts, 0, budget, encode)[0]):
            ids = encode(text[:end])
            if len(ids) <= budget:
                return ids
    return ()


def _within(text: str, cuts: Iterator[int], origin: int, budget: int, encode: Encode) -> tuple[list[int], int]:
    """The cuts, nearest to `origin` first, up to which the text costs at most `budget` tokens, and what it costs.

    Each piece is encoded alone: all but the nearest are the same texts on the next keystroke.
    """
    fitting: list[int] = []
    cost = 0
    for cut in cuts:
        piece = text[min(cut, origin) : max(cut, origin)]
        if len(piece) > budget * CHARS_PER_TOKEN or cost + (price := len(encode(piece))) > budget:
            break
        fitting.append(cut)
        cost, origin = cost + price, cut
    return fitting, cost


def _starts(text: str, stride: int) -> Iterator[int]:
    """Starts of the lines whose number is a multiple of the stride, last first, down to the start of the text."""
    line, start = text.count("\n"), text.rfind("\n") + 1
    while start:
        if line % stride == 0:
            yield start
        line, start = line - 1, text.rfind("\n", 0, start - 1) + 1
    yield 0


def _ends(text: str, stride: int) -> Iterator[int]:
    """Ends of lines, first first. They are counted from the end of the file: a line typed before them moves none."""
    line, end = text.count("\n"), 0
    while end := text.find("\n", end) + 1:
        line -= 1
        if line % stride == 0 and end < len(text):
            yield end
    yield len(text)


def _byte_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
