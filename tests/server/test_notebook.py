"""Notebooks as one document: how they read, where positions are, and that edited ones are those made from scratch."""

import random
from collections.abc import Callable, Sequence

import pytest

from sc2lsp.context.document import Document, Edit, Encoding, Position
from sc2lsp.context.languages import EXTRA_LANGUAGES, LANGUAGES, language_of
from sc2lsp.language_ids import language_for_id, line_comment
from sc2lsp.notebook import Cell, Notebook

ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")


def notebook(*cells: str, language_id: str = "python") -> Notebook:
    """Each cell's text after its kind: `code`, `markdown`, or the id of a code cell's language."""
    made: list[Cell] = []
    for number, cell in enumerate(cells):
        kind, _, text = cell.partition(":")
        language = {"code": language_id, "markdown": "markdown"}.get(kind, kind)
        made.append(Cell.of(f"cell:{number}", kind != "markdown", language, text))
    return Notebook.of(made)


TEXTS = {
    "nothing": (notebook(), ""),
    "a cell": (notebook("code:x = 1"), "# %%\nx = 1"),
    "an empty cell": (notebook("code:"), "# %%\n"),
    "as people write them": (
        notebook(
            "markdown:# Sales\n\nBy *month*.",
            "code:%matplotlib inline\nimport pandas as pd",
            "code:!pip install seaborn\ndf = pd.read_csv('sales.csv')\ndf.head()",
            "markdown:## Plot",
            "code:%%time\ndf.plot();",
        ),
        "# %% [markdown]\n# # Sales\n#\n# By *month*.\n\n"
        "# %%\n%matplotlib inline\nimport pandas as pd\n\n"
        "# %%\n!pip install seaborn\ndf = pd.read_csv('sales.csv')\ndf.head()\n\n"
        "# %% [markdown]\n# ## Plot\n\n"
        "# %%\n%%time\ndf.plot();",
    ),
    "Julia": (
        notebook("markdown:Text", "code:using Plots", language_id="julia"),
        "# %% [markdown]\n# Text\n\n# %%\nusing Plots",
    ),
    "JavaScript": (
        notebook("markdown:Text", "code:let x = 1", language_id="javascript"),
        "// %% [markdown]\n// Text\n\n// %%\nlet x = 1",
    ),
    "R": (notebook("markdown:Text", "code:x <- 1", language_id="R"), "# %% [markdown]\n# Text\n\n# %%\nx <- 1"),
    "SQL": (notebook("code:select 1", language_id="sql"), "-- %%\nselect 1"),
    "a language we do not know": (notebook("markdown:a", "code:b", language_id="klingon"), None),
    "a raw cell": (notebook("code:x = 1", "raw:\\section{x}"), "# %%\nx = 1\n\n# %% [markdown]\n# \\section{x}"),
    "lines that end otherwise": (
        notebook("code:a\r\nb\rc\n", "markdown:d\r\ne\r"),
        "# %%\na\nb\nc\n\n\n# %% [markdown]\n# d\n# e\n#",
    ),
    "no line ends": (notebook("code:a\fb\u2028c\x85d", "code:e"), "# %%\na\fb\u2028c\x85d\n\n# %%\ne"),
}


@pytest.mark.parametrize(("whole", "text"), TEXTS.values(), ids=TEXTS)
def test_how_notebooks_read(whole: Notebook, text: str | None) -> None:
    assert whole.text == (text if text is not None else "# %% [markdown]\n# a\n\n# %%\nb")


LANGUAGES_OF = [
    (("code:x", "markdown:y"), "python"),
    ((), "python"),
    (("markdown:y",), "python"),
    (("julia:x", "markdown:y"), "julia"),
    (("raw:x", "julia:x"), "julia"),
    (("sql:x", "python:x", "python:x"), "python"),
    (("r:x", "python:x"), "r"),
    (("klingon:x", "klingon:x", "r:x"), "r"),
]


@pytest.mark.parametrize(("cells", "language_id"), LANGUAGES_OF)
def test_the_language_is_that_of_most_code(cells: Sequence[str], language_id: str) -> None:
    assert notebook(*cells).language_id == language_id


# The cursor ($0) in a cell, and in the whole.
CURSORS = {
    "the first cell": (("code:$0x = 1", "code:y"), "# %%\n$0x = 1\n\n# %%\ny"),
    "a later line": (("code:x = 1\ny$0 = 2", "code:z"), "# %%\nx = 1\ny$0 = 2\n\n# %%\nz"),
    "the end of a cell": (("code:x = $0", "code:y"), "# %%\nx = $0\n\n# %%\ny"),
    "an empty line at the end": (("code:x\n$0", "code:y"), "# %%\nx\n$0\n\n# %%\ny"),
    "an empty cell": (("code:x", "code:$0", "code:y"), "# %%\nx\n\n# %%\n$0\n\n# %%\ny"),
    "below markdown": (("markdown:a\n\nb", "code:x$0"), "# %% [markdown]\n# a\n#\n# b\n\n# %%\nx$0"),
    "in markdown": (("markdown:a$0b", "code:x"), "# %% [markdown]\n# a$0b\n\n# %%\nx"),
    "behind emoji": (("markdown:🎉🎉", "code:s = '🎉$0🎉'"), "# %% [markdown]\n# 🎉🎉\n\n# %%\ns = '🎉$0🎉'"),
    "in markdown behind emoji": (("markdown:é🎉$0", "code:x"), "# %% [markdown]\n# é🎉$0\n\n# %%\nx"),
    "after another way to end lines": (("code:a\r\nb\rc$0d", "code:x"), "# %%\na\nb\nc$0d\n\n# %%\nx"),
    "another comment": (("markdown:a$0", "rust:x"), "// %% [markdown]\n// a$0\n\n// %%\nx"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("cells", "expected"), CURSORS.values(), ids=CURSORS)
def test_positions_there_and_back(cells: Sequence[str], expected: str, encoding: Encoding) -> None:
    place = next(n for n, cell in enumerate(cells) if "$0" in cell)
    offset = cells[place].partition(":")[2].index("$0")
    book = notebook(*(cell.replace("$0", "") for cell in cells))
    cell, whole = book.cells[place], Document.open("x.py", book.text)
    position = cell.document.position(offset, encoding)
    there = book.to_whole(cell.uri, position)
    at = whole.offset(there, encoding)
    assert whole.text[:at] + "$0" + whole.text[at:] == expected
    assert book.to_cell(there) == (cell.uri, position)
    assert book.to_cell(whole.position(at, encoding)) == (cell.uri, position)
    end = whole.offset(book.end(cell.uri, encoding), encoding)
    assert whole.text[end:].replace(book.comment, "").startswith("\n\n%%") or end == len(whole.text)


OUTSIDE = [
    # where a position beside its cell ($0) is taken to be
    (Position(9, 0), "# %%\nab\ncd$0\n\n# %%\nx"),
    (Position(2, 0), "# %%\nab\ncd$0\n\n# %%\nx"),
    (Position(1, 99), "# %%\nab\ncd$0\n\n# %%\nx"),
    (Position(0, 99), "# %%\nab$0\ncd\n\n# %%\nx"),
    (Position(-1, 1), "# %%\n$0ab\ncd\n\n# %%\nx"),
    (Position(0, -1), "# %%\n$0ab\ncd\n\n# %%\nx"),
]


@pytest.mark.parametrize(("position", "expected"), OUTSIDE)
def test_no_position_leaves_its_cell(position: Position, expected: str) -> None:
    book = notebook("code:ab\ncd", "code:x")
    whole = Document.open("x.py", book.text)
    at = whole.offset(book.to_whole("cell:0", position), "utf-16")
    assert whole.text[:at] + "$0" + whole.text[at:] == expected


def test_lines_between_cells_are_of_none() -> None:
    book = notebook("code:ab\ncd", "markdown:e", "code:")
    owners = [(found := book.to_cell(Position(line, 0))) and found[0] for line in range(12)]
    assert owners == [None, "cell:0", "cell:0", None, None, "cell:1", None, None, "cell:2", None, None, None]


def test_a_position_within_the_mark_of_a_comment_is_its_lines_start() -> None:
    book = notebook("markdown:ab")
    assert [book.to_cell(Position(1, character)) for character in range(4)] == [
        ("cell:0", Position(0, max(character - 2, 0))) for character in range(4)
    ]


def test_only_code_is_completed() -> None:
    book = notebook("code:x", "markdown:y", "raw:z")
    assert [book.is_code(cell.uri) for cell in book.cells] == [True, False, False]
    assert "cell:1" in book
    assert "cell:9" not in book
    for ask in (book.is_code, book.cell, lambda uri: book.to_whole(uri, Position(0, 0))):
        with pytest.raises(KeyError):
            ask("cell:9")


def test_typing_in_code_is_one_small_edit_of_the_whole() -> None:
    book = notebook("markdown:a\nb", "code:x = 1\n" * 50)
    book, edits = book.edit("cell:1", [Edit(Position(7, 3), Position(7, 4), "y")], "utf-16")
    assert edits == [Edit(Position(12, 3), Position(12, 4), "y")]


CHANGES: dict[str, tuple[Callable[[Notebook], Notebook], list[str]]] = {
    "a cell comes first": (
        lambda book: book.spliced(0, 0, [Cell.of("new", True, "python", "n")]),
        ["n", "a", "b", "c"],
    ),
    "a cell comes last": (lambda book: book.spliced(3, 0, [Cell.of("new", True, "python", "n")]), ["a", "b", "c", "n"]),
    "a cell goes": (lambda book: book.spliced(1, 1, []), ["a", "c"]),
    "a cell takes the place of two": (
        lambda book: book.spliced(0, 2, [Cell.of("new", True, "python", "n")]),
        ["n", "c"],
    ),
    "a cell moves down": (lambda book: book.spliced(0, 1, []).spliced(2, 0, [book.cell("cell:0")]), ["b", "c", "a"]),
    "two change places": (
        lambda book: book.spliced(0, 2, [book.cell("cell:1"), book.cell("cell:0")]),
        ["b", "a", "c"],
    ),
    "all go": (lambda book: book.spliced(0, 3, []), []),
    "more than there are go": (lambda book: book.spliced(1, 99, []), ["a"]),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_cells_come_and_go(change: Callable[[Notebook], Notebook], expected: list[str]) -> None:
    book = change(notebook("code:a", "markdown:b", "code:c"))
    assert [cell.text for cell in book.cells] == expected
    whole = Document.open("x.py", book.text)
    for cell in book.cells:
        start = book.to_whole(cell.uri, Position(0, 0))
        assert whole.line(start.line)[start.character :] == cell.text


def test_a_cell_changes_its_kind_and_its_language() -> None:
    book = notebook("code:x = 1", "code:y")
    assert book.described("cell:0", False).text == "# %% [markdown]\n# x = 1\n\n# %%\ny"
    assert book.described("cell:0", True, "rust").described("cell:1", True, "rust").text == "// %%\nx = 1\n\n// %%\ny"
    assert book.described("cell:0", False).described("cell:0", True).text == book.text


PIECES = ["x", "é", "🎉", "\n", "\n\n", "\r\n", "\r", "ab cd", "# %%\n", "\t", "", "\u2028", "\f", "%%sql\n", "x" * 40]


def random_cell(draw: random.Random, number: int) -> Cell:
    text = "".join(draw.choices(PIECES, k=draw.randint(0, 8)))
    language = draw.choice(["python", "python", "python", "julia", "raw", "javascript"])
    return Cell.of(f"cell:{number}", draw.random() < 0.6, language, text)


def random_edit(draw: random.Random, cell: Cell, encoding: Encoding) -> Edit:
    if draw.random() < 0.1:
        return Edit(None, None, "".join(draw.choices(PIECES, k=5)))
    start = draw.randint(0, len(cell.text))
    end = draw.choice([start, draw.randint(start, len(cell.text))])
    text = "".join(draw.choices(PIECES, k=draw.randint(0, 2)))
    first, last = (cell.document.position(offset, encoding) for offset in (start, end))
    if draw.random() < 0.1:
        last = Position(draw.randint(-1, 30), draw.randint(-1, 30))
    return Edit(first, last, text)


def check_equal(book: Notebook, whole: Document) -> None:
    """A notebook that was edited is the one that its cells make from scratch, and so is the whole."""
    anew = Notebook.of([Cell.of(cell.uri, cell.is_code, cell.language_id, cell.text) for cell in book.cells])
    assert whole.text == book.text == anew.text
    assert (book.starts, book.comment) == (anew.starts, anew.comment)
    assert len(whole.lines) == len(Document.open("x.py", whole.text).lines)


def check_positions(draw: random.Random, book: Notebook, whole: Document, encoding: Encoding) -> None:
    if not book.cells:
        return
    cell = draw.choice(book.cells)
    position = cell.document.position(draw.randint(0, len(cell.text)), encoding)
    there = book.to_whole(cell.uri, position)
    assert book.to_cell(there) == (cell.uri, position)
    assert book.to_cell(whole.position(whole.offset(there, encoding), encoding)) == (cell.uri, position)
    line, shift = whole.line(there.line), 0 if cell.is_code else len(book.comment)
    assert line[shift:] == cell.document.line(position.line)


@pytest.mark.parametrize("seed", range(40))
def test_edited_notebooks_are_those_made_from_scratch(seed: int) -> None:
    draw, encoding = random.Random(seed), ENCODINGS[seed % 3]
    book = Notebook.of(random_cell(draw, number) for number in range(draw.randint(0, 5)))
    whole, fresh = Document.open("x.py", book.text), 100
    for _ in range(80):
        if book.cells and draw.random() < 0.85:
            cell = draw.choice(book.cells)
            made: list[Edit] = []
            after = cell.document
            for _ in range(draw.randint(1, 3)):
                made.append(random_edit(draw, Cell(cell.uri, cell.is_code, cell.language_id, after), encoding))
                after = after.edit(made[-1:], after.version + 1, encoding)
            book, edits = book.edit(cell.uri, made, encoding)
            assert book.cell(cell.uri).text == after.text
            whole = whole.edit(edits, whole.version + 1, encoding)
        elif book.cells and draw.random() < 0.3:
            cell = draw.choice(book.cells)
            book = book.described(cell.uri, not cell.is_code)
            whole = Document.open("x.py", book.text)
        else:
            start = draw.randint(0, len(book.cells))
            new = [random_cell(draw, fresh + number) for number in range(draw.randint(0, 2))]
            fresh += len(new)
            book = book.spliced(start, draw.randint(0, 2), new)
            whole = Document.open("x.py", book.text)
        check_equal(book, whole)
        check_positions(draw, book, whole, encoding)


IDS = {
    "python": "python", "javascript": "javascript", "javascriptreact": "javascript", "typescript": "typescript",
    "typescriptreact": "tsx", "go": "go", "java": "java", "rust": "rust", "c": "c", "cpp": "cpp", "cuda-cpp": "cpp",
    "csharp": "csharp", "ruby": "ruby", "php": "php", "kotlin": "kotlin", "scala": "scala", "lua": "lua",
    "shellscript": "bash", "sh": "bash", "bash": "bash",
}  # fmt: skip


@pytest.mark.parametrize(("language_id", "name"), IDS.items())
def test_ids_stand_for_our_languages(language_id: str, name: str) -> None:
    suffix = language_for_id(language_id)
    assert suffix is not None
    language = language_of(f"untitled{suffix}")
    assert language is not None
    assert language.name == name


def test_every_language_of_ours_has_an_id_and_comments() -> None:
    assert {language.name for language in (*LANGUAGES, *EXTRA_LANGUAGES)} == set(IDS.values())
    for language in (*LANGUAGES, *EXTRA_LANGUAGES):
        assert {line_comment(f"a/b{suffix}") for suffix in language.suffixes} in ({"#"}, {"//"}, {"--"}), language.name


OTHER_IDS = [("R", ".r"), ("r", ".r"), ("julia", ".jl"), ("Python", ".py"), ("klingon", None), ("", None)]


@pytest.mark.parametrize(("language_id", "suffix"), OTHER_IDS)
def test_ids_of_other_languages(language_id: str, suffix: str | None) -> None:
    assert language_for_id(language_id) == suffix


MARKS = {
    "x.py": "#", ".py": "#", "a.b/x.RS": "//", "x.sql": "--", "x.yml": "#", "x.json": "", "x.txt": "", "x.unknown": "",
    "Makefile": "#", "a/Dockerfile": "#", "CMakeLists.txt": "#", "a.py/x": "", "x": "",
}  # fmt: skip


@pytest.mark.parametrize(("path", "mark"), MARKS.items())
def test_marks_of_comments(path: str, mark: str) -> None:
    assert line_comment(path) == mark
