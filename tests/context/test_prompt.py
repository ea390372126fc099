"""The prompt's exact layout, its budget, and what typing changes of it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2lsp.context.document import Document
from sc2lsp.context.pack import group_bytes, pack
from sc2lsp.context.prompt import MIN_BUDGET, Encode, FimTokens, Order, Prompt, build, clean_name
from sc2lsp.context.retrieve import Snippet
from sc2lsp.context.window import CLOSERS, unfinished
from sc2lsp.runtime import embedded
from sc2lsp.runtime.tokenizer import Tokenizer

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
CONTROL = FimTokens(prefix=-1, middle=-2, suffix=-3, repo_name=-4, file_sep=-5)
SPELLED = {-1: "<fim_prefix>", -2: "<fim_middle>", -3: "<fim_suffix>", -4: "<repo_name>", -5: "<file_sep>"}


def by_char(text: str) -> list[int]:
    return [ord(char) for char in text]


def spelled(ids: tuple[int, ...]) -> str:
    return "".join(SPELLED[number] if number < 0 else chr(number) for number in ids)


def prompt_at(
    path: str,
    before: str,
    after: str,
    ranked: Sequence[Snippet],
    repo: str,
    budget: int,
    encode: Encode,
    order: Order = "spm",
    last: Prompt | None = None,
    control: FimTokens = CONTROL,
) -> Prompt:
    document = Document.open(path, before + after)
    return build(document, len(before), ranked, repo, budget, encode, control, order, last)


def snippet(path: str, start: int, text: str, score: float = 1.0) -> Snippet:
    return Snippet(path, start, start + text.count("\n"), "signature", score, text)


RANKED = [snippet("b.py", 9, "def b2\n"), snippet("a.py", 0, "def a\n"), snippet("b.py", 1, "def b1\n")]
BLOCK = "<repo_name>me/repo<file_sep>a.py\ndef a\n<file_sep>b.py\ndef b1\ndef b2\n<file_sep>"


@pytest.mark.parametrize(
    ("order", "fim"),
    [
        ("psm", "<fim_prefix>x/c.py\none\ntw<fim_suffix>o\nthree\n<fim_middle>"),
        ("spm", "<fim_prefix><fim_suffix>o\nthree\n<fim_middle>x/c.py\none\ntw"),
    ],
)
def test_the_layout(order: Order, fim: str) -> None:
    prompt = prompt_at("x/c.py", "one\ntw", "o\nthree\n", RANKED, "me/repo", 4000, by_char, order)
    assert spelled(prompt.token_ids) == BLOCK + fim
    assert [(item.snippet.text, item.tokens) for item in prompt.snippets] == [
        ("def a\n", 6),
        ("def b1\n", 7),
        ("def b2\n", 7),
    ]
    assert (prompt.prefix_tokens, prompt.suffix_tokens) == (len("x/c.py\none\ntw"), len("o\nthree\n"))


STARCODER = BLOCK.removesuffix("<file_sep>")


@pytest.mark.parametrize(
    ("order", "hole"),
    [
        ("psm", "<fim_prefix><file_sep>x/c.py\none\ntw<fim_suffix>o\n<fim_middle>"),
        ("spm", "<fim_prefix><fim_suffix>o\n<fim_middle><file_sep>x/c.py\none\ntw"),
    ],
)
def test_starcoders_hole_begins_with_the_token_of_its_file(order: Order, hole: str) -> None:
    control = replace(CONTROL, opening=(CONTROL.file_sep,))
    prompt = prompt_at("x/c.py", "one\ntw", "o\n", RANKED, "me/repo", 4000, by_char, order, control=control)
    assert spelled(prompt.token_ids) == STARCODER + hole
    assert spelled(prompt.current_file) == hole


def test_nothing_but_a_cursor() -> None:
    prompt = prompt_at("a.py", "", "", [], "r", 100, by_char)
    assert spelled(prompt.token_ids) == "<repo_name>r<file_sep><fim_prefix><fim_suffix><fim_middle>a.py\n"


def test_spelled_control_tokens_stay_text() -> None:
    evil = "".join(SPELLED.values())
    ranked = [snippet(f"{evil}.py", 0, f"{evil}\n")]
    prompt = prompt_at(evil, evil, evil, ranked, evil, 4000, by_char)
    assert sorted(number for number in prompt.token_ids if number < 0) == [-5, -5, -4, -3, -2, -1]
    assert evil in spelled(prompt.token_ids)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (")\nx\n", "\nx\n"),
        ('"));  \r\nx\n', "\r\nx\n"),
        ("}", ""),
        (" \nx\n", " \nx\n"),
        (") + 1\n", ") + 1\n"),
        ("\n)\n", "\n)\n"),
    ],
)
def test_closing_brackets_at_the_end_of_the_line_are_left_to_the_model(after: str, expected: str) -> None:
    prompt = prompt_at("a.py", "f(", after, [], "r", 400, by_char)
    assert shown(spelled(prompt.token_ids), "spm") == ("a.py\nf(", expected)


def test_brackets_that_close_themselves_change_nothing() -> None:
    typed = [("f", ""), ("f(", ")"), ('f("', '")'), ('f("a', '")'), ('f("a"', ")"), ('f("a")', "")]
    prompts = [prompt_at("a.py", before, f"{after}\nx\n", RANKED, "r", 400, by_char) for before, after in typed]
    assert all(new.token_ids[: len(old.token_ids)] == old.token_ids for old, new in pairwise(prompts))


def test_the_last_prompt_keeps_its_snippets() -> None:
    last = prompt_at("a.py", "one", "\n", RANKED, "r", 400, by_char)
    again = prompt_at("a.py", "one ", "\n", RANKED[::-1], "r", 400, by_char, last=last)
    assert again.token_ids == (*last.token_ids, ord(" "))
    assert [item.snippet for item in again.snippets] == [item.snippet for item in last.snippets]


@pytest.mark.parametrize("path", sorted(SHELF.glob("shelf/*.py")), ids=lambda path: path.name)
def test_pieces_give_the_tokens_of_the_whole(path: Path) -> None:
    """With a byte-level tokenizer such as StarCoder2's, at every cursor of a line and of every seventh place."""
    encode = Tokenizer((Path(embedded.__file__).parent / "tokenizer.json").read_bytes()).encode
    document = Document.open("a.py", path.read_text("utf-8"))
    block = [snippet("b.py", 0, "    def f(x):\n"), snippet("b.py", 7, "class A:\n")]
    for offset in range(0, len(document.text), 7):
        prompt = build(document, offset, block, "r", 1 << 14, encode, CONTROL, "psm")
        rest = CLOSERS.sub("", document.text[offset:], count=1) if CLOSERS.match(document.text, offset) else None
        expected = [
            *(CONTROL.repo_name, *encode("r"), CONTROL.file_sep),
            *(*encode("b.py\n    def f(x):\nclass A:\n"), CONTROL.file_sep),
            *(CONTROL.prefix, *encode(f"a.py\n{document.text[:offset]}")),
            *(CONTROL.suffix, *encode(document.text[offset:] if rest is None else rest), CONTROL.middle),
        ]
        assert list(prompt.token_ids) == expected


def pairs(text: str) -> list[int]:
    """A tokenizer whose pieces merge: two equal characters are one token."""
    ids: list[int] = []
    for char in text:
        ids = [*ids[:-1], -ids[-1]] if ids and ids[-1] == ord(char) else [*ids, ord(char)]
    return [abs(number) for number in ids]


LINE = st.text(alphabet="ab \t(é😀", max_size=30)
TEXT = st.lists(LINE, max_size=60).map("\n".join) | st.text(alphabet="ab\n\r", max_size=800)
SNIPPETS = st.lists(
    st.builds(snippet, st.sampled_from(["a.py", "b/c.py"]), st.integers(0, 50), LINE.map(lambda line: f"{line}\n")),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(
    TEXT,
    TEXT,
    SNIPPETS,
    st.integers(MIN_BUDGET, 900),
    st.sampled_from(["spm", "psm"]),
    st.sampled_from([by_char, pairs]),
)
def test_the_budget_holds_and_windows_touch_the_cursor(prefix, suffix, snippets, budget, order, encode) -> None:  # type: ignore[no-untyped-def]
    prompt = prompt_at("some/long/path/to/file.py", prefix, suffix, snippets, "owner/repo", budget, encode, order)
    ids = list(prompt.token_ids)
    assert len(ids) <= budget
    assert sum(number < 0 for number in ids) == 5 + len({item.snippet.path for item in prompt.snippets})
    if encode is by_char:
        shown_prefix, shown_suffix = shown(spelled(prompt.token_ids), order)
        head, _, tail = shown_prefix.partition("\n")
        assert prompt.path == head
        assert prefix.endswith(tail)
        assert suffix.startswith(shown_suffix)
        everything = len(prefix) + len(suffix) + 5 + len("owner/repo") + len("some/long/path/to/file.py\n")
        if everything <= budget // 4 and budget > 400:
            assert (tail, shown_suffix) == (prefix, suffix)


def shown(text: str, order: Order) -> tuple[str, str]:
    fim = text.partition("<fim_prefix>")[2]
    if order == "psm":
        prefix, _, rest = fim.partition("<fim_suffix>")
        return prefix, rest.removesuffix("<fim_middle>")
    suffix, _, prefix = fim.removeprefix("<fim_suffix>").partition("<fim_middle>")
    return prefix, suffix


LINES = [f"value_{number} = compute({number})\n" for number in range(2000)]


@pytest.mark.parametrize("budget", [500, 2000, 4000])
def test_typing_only_appends_except_where_the_window_moves(budget: int) -> None:
    typed = "".join(f"    total += item[{number}]\n" for number in range(40))
    before, after = "".join(LINES[:1000]), "".join(LINES[1000:])
    prompts = [
        prompt_at("a.txt", before + typed[:count], after, RANKED, "r", budget, by_char).token_ids
        for count in range(len(typed))
    ]
    moves = sum(new[: len(old)] != old for old, new in pairwise(prompts))
    stride_chars = max(budget // 256, 1) * len("    total += item[0]\n")
    assert 0 < moves <= len(typed) / stride_chars + 2


def test_windows_start_and_end_at_lines_and_share_three_to_one() -> None:
    before, after = "".join(LINES[:1000]), "".join(LINES[1000:])
    prompt = prompt_at("a.py", before, after, [], "r", 4000, by_char)
    prefix, suffix = shown(spelled(prompt.token_ids), "spm")
    assert prefix.partition("\n")[2].startswith("value_")
    assert suffix.endswith(")")
    assert 2 < prompt.prefix_tokens / prompt.suffix_tokens < 5.5
    assert len(prompt.token_ids) > 3000


@pytest.mark.parametrize(("prefix", "suffix"), [("x" * 100_000, "tail\n"), ("head\n", "y" * 100_000), ("é" * 9999, "")])
def test_one_endless_line_still_fills_the_window(prefix: str, suffix: str) -> None:
    prompt = prompt_at("a.py", prefix, suffix, [], "r", 2000, by_char)
    assert 1200 < len(prompt.token_ids) <= 2000


def test_a_huge_file_is_never_encoded_whole() -> None:
    encoded = 0

    def counting(text: str) -> list[int]:
        nonlocal encoded
        encoded += len(text)
        return by_char(text)

    prompt_at("a.py", "".join(LINES) * 50, "".join(LINES) * 50, RANKED, "r", 2000, counting)
    assert encoded < 20 * 2000


@pytest.mark.parametrize("budget", [0, 20, 36, 60, 1000])
def test_pack_counts_a_path_once_for_each_file(budget: int) -> None:
    ranked = [*RANKED[:2], snippet("b.py", 9, "again\n"), RANKED[2]]
    groups = pack(ranked, budget)
    assert sum(map(group_bytes, groups)) <= budget
    assert len({group.path for group in groups}) == len(groups)
    assert bool(groups) == (budget >= 20)
    if budget == 1000:
        assert {item for group in groups for item in group.snippets} >= set(RANKED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.py", "a/b.py"),
        ("/etc/passwd", "etc/passwd"),
        ("..\\..\\a\\b.py", "a/b.py"),
        ("a\n<x>\0\x1b[0m.py", "a<x>[0m.py"),
        ("\ud83dx\u202e.py", "x.py"),
        ("é" * 200, "é" * 128),
    ],
)
def test_names_are_relative_printable_and_short(name: str, expected: str) -> None:
    assert clean_name(name) == expected


UNFINISHED = [
    ("return sel", " sel"),
    ("x = do_hands", "hands"),
    ("x = do_", "_"),
    ("foo(", "("),
    ("x ==", " =="),
    ("    ", " "),
    ("return ", " "),
    ("a\n    b", " b"),
    ("a\n", ""),
    ("", ""),
    ("n = 12", "2"),
    ("na\u00efve", "na\u00efve"),
    ("\ud800", ""),
    ("x" * 200, "x" * 64),
]


@pytest.mark.parametrize(("text", "expected"), UNFINISHED)
def test_the_word_at_the_cursor(text: str, expected: str) -> None:
    assert unfinished(text + "after", len(text)) == expected


@pytest.mark.parametrize("order", ["spm", "psm"])
@pytest.mark.parametrize(("before", "after"), [("one\ntw", "o\nthree\n"), ("a\n" * 3000 + "return sel", "f)\n" * 900)])
def test_what_is_healed_is_left_out_before_the_cursor_alone(before: str, after: str, order: Order) -> None:
    healed = unfinished(before, len(before))
    document = Document.open("x/c.py", before + after)
    options = (RANKED, "me/repo", 1000, by_char, CONTROL, order)
    whole = build(document, len(before), *options)
    without = build(document, len(before), *options, healed=healed)
    assert without.healed == healed and whole.healed == ""
    assert spelled(whole.token_ids).replace(before[-9:], before[-9 : -len(healed)]) == spelled(without.token_ids)
