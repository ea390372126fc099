"""What speaks for a snippet, for people: `$0` is the cursor."""

import pytest

from sc2lsp.context.document import Document
from sc2lsp.context.outline import Outline
from sc2lsp.context.retrieve import Snippet
from sc2lsp.context.why import reasons

FAR = "\n" * 100


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("print(total_fees($0", "total_fees", "called at the cursor, named near the cursor"),
        ("from models import Loan\n$0", "Loan", "imported here, named 1 time in this file"),
        ("store = Store()\nstore.$0", "Store", "what store is, named near the cursor"),
        ("class Desk(Counter):\n    $0", "Counter", "named in the header of the class around, named near the cursor"),
        (f"Loan()\nLoan()\n{FAR}x = $0", "Loan", "named 2 times in this file"),
        ("x = $0", "Loan", "used by files like this one"),
    ],
)
def test_what_speaks_for_a_signature(text: str, name: str, expected: str) -> None:
    before, _, after = text.partition("$0")
    document = Document.open("a.py", before + after)
    snippet = Snippet("b.py", 0, 1, "signature", 0.5, f"def {name}(): ...\n", name)
    assert reasons(snippet, document, Outline.of(document), len(before)) == expected


def test_a_usage_resembles_what_stands_here() -> None:
    document = Document.open("a.py", "")
    snippet = Snippet("b.py", 0, 1, "usage", 0.1, "x\n")
    assert reasons(snippet, document, Outline.of(document), 0) == "resembles the lines around the cursor"
