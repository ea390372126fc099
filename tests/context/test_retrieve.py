"""What is found for a cursor, `$0` in the text."""

from collections.abc import Sequence

import pytest

from sc2lsp.context.document import Document
from sc2lsp.context.index import Index
from sc2lsp.context.outline import Outline
from sc2lsp.context.retrieve import Snippet, retrieve

from .test_index import index_of

STORE = '''class Store:
    """Keeps things."""

    def put(self, key, value):
        a = key
        b = value
        self.c = a, b
'''
FILES = {
    "app/main.py": "def main(): pass\n",
    "app/near.py": "def sibling_helper(): pass\n",
    "lib/__init__.py": "from .store import Store\n",
    "lib/store.py": STORE,
    "lib/shapes.py": "class Shape:\n    def outline_path(self):\n        a = 1\n        b = 2\n        return a, b\n",
    "far/other.py": "def unrelated(): pass\ndef compute_total(): pass\n",
    "far/caller.py": "from app.jobs import run_job\n\ndef caller(queue):\n    return run_job(queue.head)\n",
    "tests/test_jobs.py": "from app.jobs import run_job\n\ndef test_run_job():\n    assert run_job(None) is None\n",
    "far/page.ts": "export function compute_total() {}\n",
}


def searchable() -> Index:
    index = index_of(FILES)
    list(index.lexical.catch_up(FILES.get))
    index.lexical.commit()
    return index


def found_at(text: str, path: str = "app/main.py", recent: Sequence[str] = ()) -> list[Snippet]:
    offset = text.index("$0")
    document = Document.open(path, text.replace("$0", ""))
    return retrieve(searchable(), document, Outline.of(document), offset, recent)


def signatures(snippets: Sequence[Snippet]) -> list[Snippet]:
    return [snippet for snippet in snippets if snippet.kind == "signature"]


@pytest.mark.parametrize(
    ("text", "path", "first"),
    [
        ("from lib.store import Store\nx = $0", "app/main.py", ("lib/store.py", "class Store")),
        ("from lib import Store\nx = $0", "app/main.py", ("lib/store.py", "class Store")),  # by re-export
        ("y = sibling_$0", "app/main.py", ("app/near.py", "def sibling_helper")),
        ("y = compute_total($0", "app/main.py", ("far/other.py", "def compute_total")),  # not the TypeScript one
        ("from lib import Store\nbox = Store()\nbox.$0", "app/main.py", ("lib/store.py", "    def put")),  # by its type
        ("from lib.store import Store\ndef f(box: Store):\n    box.$0", "app/main.py", ("lib/store.py", "    def put")),
    ],
)
def test_the_likeliest_signatures(text: str, path: str, first: tuple[str, str]) -> None:
    best = sorted(signatures(found_at(text, path)), key=lambda snippet: -snippet.score)[:2]
    assert any(snippet.path == first[0] and snippet.text.startswith(first[1]) for snippet in best)


def test_what_a_class_overrides_is_a_candidate() -> None:
    found = found_at("from lib.shapes import Shape\n\nclass Circle(Shape):\n    def $0\n")
    assert any("def outline_path" in snippet.text for snippet in signatures(found))


def test_callers_and_tests_of_the_function_around_the_cursor_are_usages() -> None:
    found = found_at("def run_job(job):\n    $0\n", "app/jobs.py")
    usages = {snippet.path for snippet in found if snippet.kind == "usage"}
    assert usages >= {"far/caller.py", "tests/test_jobs.py"}


def test_a_file_edited_lately_counts_for_more() -> None:
    def score(recent: Sequence[str]) -> float:
        found = found_at("total = $0", recent=recent)
        return next(snippet.score for snippet in found if "compute_total" in snippet.text)

    assert score(["far/other.py"]) > score(["lib/store.py", "far/other.py"]) > score([])


def test_snippets_are_whole_lines_of_other_files() -> None:
    for path, text in FILES.items():
        for snippet in found_at(f"{text}$0", path, list(FILES)):
            assert snippet.path != path
            lines = FILES[snippet.path].splitlines(keepends=True)
            assert snippet.text == "".join(lines[snippet.start_line : snippet.end_line])
            assert 0 < snippet.score < 1


def test_nothing_to_be_found_gives_nothing() -> None:
    document = Document.open("x.py", "a.b")
    assert retrieve(index_of({}), document, Outline.of(document), 3, ()) == []
    assert found_at("$0", "page.rs") == []


def test_a_ranking_is_repeatable() -> None:
    text = "from lib.store import Store\ncompute_total; sibling_helper; Store$0"
    assert len(found_at(text)) > 3
    assert found_at(text) == found_at(text)
