"""What is found for a cursor, `$0` in the text."""

from collections.abc import Sequence

import pytest

from sc2lsp.context.document import Document
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
    "far/other.py": "def unrelated(): pass\ndef compute_total(): pass\n",
    "far/page.ts": "export function compute_total() {}\n",
}


def found_at(text: str, path: str = "app/main.py", open_paths: Sequence[str] = ()) -> list[Snippet]:
    offset = text.index("$0")
    document = Document.open(path, text.replace("$0", ""))
    return retrieve(index_of(FILES), document, offset, open_paths)


@pytest.mark.parametrize(
    ("text", "path", "open_paths", "first"),
    [
        ("from lib.store import Store\nx = $0", "app/main.py", [], ("lib/store.py", "class Store")),
        ("from lib import Store\nx = $0", "app/main.py", [], ("lib/store.py", "class Store")),  # by re-export
        ("import lib.store\nx.put($0", "app/main.py", [], ("lib/store.py", "class Store")),
        ("y = sibling_$0", "app/main.py", [], ("app/near.py", "def sibling_helper")),
        ("y = compute_total($0", "app/main.py", [], ("far/other.py", "def compute_total")),  # not the TypeScript one
        ("total = $0", "app/main.py", ["far/other.py"], ("far/other.py", "def compute_total")),
    ],
)
def test_the_best_snippet(text: str, path: str, open_paths: Sequence[str], first: tuple[str, str]) -> None:
    best = found_at(text, path, open_paths)[0]
    assert best.path == first[0]
    assert best.text.startswith(first[1])


def test_a_class_and_its_method_come_as_two_snippets_of_whole_lines() -> None:
    found = {snippet.start_line: snippet for snippet in found_at("from lib.store import Store\nStore().put($0")}
    assert found[0].text == 'class Store:\n    """Keeps things."""\n'
    assert found[3].text == "    def put(self, key, value):\n"
    assert found[0].score >= found[3].score
    for snippet in found.values():
        assert snippet.text == "".join(STORE.splitlines(keepends=True)[snippet.start_line : snippet.end_line])


def test_the_document_is_never_its_own_context() -> None:
    for path, text in FILES.items():
        assert all(snippet.path != path for snippet in found_at(f"{text}$0", path, list(FILES)))


def test_nothing_near_gives_nothing() -> None:
    assert found_at("$0", "elsewhere/x.py") == []


def test_the_order_is_best_first_and_repeatable() -> None:
    text = "from lib.store import Store\ncompute_total; sibling_helper; Store$0"
    found = found_at(text)
    assert len(found) > 3
    assert [snippet.score for snippet in found] == sorted((snippet.score for snippet in found), reverse=True)
    assert found == found_at(text)
