"""In which order several answers are offered: `$0` is the cursor in the text, the likeliest answer is named first."""

from pathlib import Path

import pytest

from sc2lsp.alternatives import Flaw, flaws, rank
from sc2lsp.completion import Completion
from sc2lsp.config import Config
from sc2lsp.context.document import Document
from sc2lsp.context.index import Index
from sc2lsp.context.outline import Following
from sc2lsp.context.workspace import Change
from sc2lsp.session import Folder, Target

OTHER_FILE = """\
def load_orders(path):
    return [Order(line) for line in open(path)]


class Order:
    total = 0
"""


def target_of(path: str, text: str) -> Target:
    root = Path("/workspace")
    index = Index(root)
    index.apply(Change("orders.py", OTHER_FILE))
    prefix, _, suffix = text.partition("$0")
    document = Document.open(path, prefix + suffix)
    return Target(Folder(root, Config(), index), document, Following.of(document), len(prefix))


def completions_of(target: Target, texts: tuple[str, ...], reason: str = "stop", replaces: int = 0) -> list[Completion]:
    """The first the likeliest."""
    start, end = target.offset, target.offset + replaces
    return [Completion(text, start, end, -number / 10, reason) for number, text in enumerate(texts)]


def check(path: str, text: str, answers: tuple[str, ...], expected: tuple[int, ...]) -> None:
    """`expected`: places in `answers`."""
    target = target_of(path, text)
    ranked = rank(completions_of(target, answers)[::-1], target)
    assert [completion.text for completion in ranked] == [answers[place] for place in expected]


PYTHON = "def total(orders):\n    amount = 0\n    for order in orders:\n        $0\n    return amount\n"
SCRIPT = "function total(orders) {\n  let amount = 0;\n  for (const order of orders) {\n    $0\n  }\n}\n"
GO = "package main\n\nfunc total(orders []int) int {\n\tamount := 0\n\t$0\n\treturn amount\n}\n"
RUST = "fn total(orders: &[i32]) -> i32 {\n    let mut amount = 0;\n    $0\n    amount\n}\n"
JAVA = "class Sum {\n    int total(int[] orders) {\n        int amount = 0;\n        $0\n    }\n}\n"
C = "int total(const int *orders, int count) {\n    int amount = 0;\n    $0\n    return amount;\n}\n"


@pytest.mark.parametrize(
    ("path", "text", "answers", "expected"),
    [
        ("a.py", PYTHON, (), ()),
        ("a.py", PYTHON, ("amount += order.total",), (0,)),
        # By probability.
        ("a.py", PYTHON, ("amount += 1", "amount += order", "print(amount)"), (0, 1, 2)),
        # White space alone makes no other answer, and of those the likeliest stays.
        ("a.py", PYTHON, ("amount += 1", "amount  +=  1", "amount+=1 "), (0,)),
        ("a.py", PYTHON, ("amount += 1", "amount += 1\n        print(amount)"), (0, 1)),
        # Errors of syntax come last, names that are nowhere before them.
        ("a.py", PYTHON, ("amount += (order", "amount += order"), (1, 0)),
        ("a.py", PYTHON, ("amount += odrer", "amount += order"), (1, 0)),
        ("a.py", PYTHON, ("amount += )", "amount += odrer", "amount += order", "print(1)"), (2, 3, 1, 0)),
        ("a.ts", SCRIPT, ("amount += order);", "amount += odrer;", "amount += order;"), (2, 1, 0)),
        ("a.go", GO, ("amount += len(orders", "amount += size(orders)", "amount += len(orders)"), (2, 1, 0)),
        ("a.rs", RUST, ("amount += orders[0;", "amount += odrers.len();", "amount += orders.len();"), (2, 1, 0)),
        ("A.java", JAVA, ("amount += (orders[0];", "amount += sum(orders);", "amount += total(orders);"), (2, 1, 0)),
        ("a.c", C, ("amount += orders[0;", "amount += odrers[0];", "amount += orders[0];"), (2, 1, 0)),
        # Without a grammar probability alone decides.
        ("notes.txt", "we pay $0\n", ("(one", "nothing"), (0, 1)),
    ],
)
def test_order(path: str, text: str, answers: tuple[str, ...], expected: tuple[int, ...]) -> None:
    check(path, text, answers, expected)


@pytest.mark.parametrize(
    ("path", "text", "answer", "expected"),
    [
        # What is not finished yet has an error already; an answer may leave it.
        ("a.py", "x = $0\n", "1", Flaw.NONE),
        ("a.py", "x = foo($0\n", "1", Flaw.NONE),  # nor is it to blame for names that are there
        ("a.py", "x = print($0\n", "1", Flaw.NONE),
        ("a.py", "x = print($0\n", "1)", Flaw.NONE),
        ("a.py", "x = print($0)\n", "[1)", Flaw.SYNTAX),
        ("a.py", "def f():\n    $0\n", "return (", Flaw.SYNTAX),
        ("a.py", "class A:\n    $0\n", "def f(self):\n        return self.unheard_of", Flaw.NONE),
        # Far above and below there may be anything.
        ("a.py", "x = (\n" + "a = 1\n" * 50 + "y = $0\n" + "a = 1\n" * 50 + "z = )\n", "a", Flaw.NONE),
        # Names of the language, the text, another file.
        ("a.py", "x = $0\n", "len(str(None))", Flaw.NONE),
        ("a.py", "x = $0\n", "load_orders(path)", Flaw.NONE),
        ("a.py", "x = $0\n", "Order", Flaw.NONE),
        ("a.py", "x = $0\n", "Orde", Flaw.NAME),
        ("a.py", "value = 1\nx = $0\n", "value", Flaw.NONE),
        ("a.py", "x = $0\n" + "pass\n" * 200 + "def below(): pass\n", "below()", Flaw.NONE),
        ("a.py", "values = 1\nx = $0\n", "value", Flaw.NAME),
        # Members are looked up in something; arguments have names of their own.
        ("a.py", "x = $0\n", "Order.anything", Flaw.NONE),
        ("a.py", "x = Order.$0\n", "anything(1)", Flaw.NONE),
        ("a.py", "x = $0\n", "Order(anything=1)", Flaw.NONE),
        ("a.py", "x = [*$0]\n", "anything", Flaw.NAME),
        ("a.js", "f(...$0)\n", "anything", Flaw.NAME),
        # What the answer itself says of a name.
        ("a.py", "$0\n", "fresh = 1\nprint(fresh)", Flaw.NONE),
        ("a.py", "$0\n", "for fresh, other in []:\n    print(fresh, other)", Flaw.NONE),
        ("a.py", "x = $0\n", "[fresh for fresh in range(3)]", Flaw.NONE),
        ("a.py", "x = $0\n", "[fresh for stale in range(3)]", Flaw.NAME),
        ("a.py", "x = $0\n", "lambda fresh: fresh", Flaw.NONE),
        ("a.py", "$0\n", "with open('x') as fresh:\n    fresh.read()", Flaw.NONE),
        ("a.py", "$0\n", "from fresh import other", Flaw.NONE),
        ("a.py", "$0\n", "def fresh(other):\n    return other", Flaw.NONE),
        ("a.ts", "$0\n", "const fresh = 1; f(fresh);\nfunction f(x: number) {}", Flaw.NONE),
        ("a.ts", "$0\n", "const { fresh } = console; fresh();", Flaw.NONE),
        ("a.go", "package main\nfunc f() {\n\t$0\n}\n", "for _, fresh := range []int{1} { println(fresh) }", Flaw.NONE),
        ("a.rs", "fn f() {\n    $0\n}\n", "let fresh = Some(1); println!(\"{:?}\", fresh);", Flaw.NONE),
        ("a.rs", "$0\n", "#[derive(Fresh)]\nfn f<'b, Kind>(x: &'b Kind) -> &'b Kind { x }", Flaw.NONE),
        ("A.java", "class A { void f() {\n$0\n} }\n", "int fresh = 1; System.out.println(fresh);", Flaw.NONE),
        ("A.java", "class A { void f() {\n$0\n} }\n", "anything(1);", Flaw.NAME),
        ("a.c", "void f(void) {\n$0\n}\n", "int fresh = 1; printf(\"%d\", fresh);", Flaw.NONE),
        ("a.cpp", "void f() {\n$0\n}\n", "std::string fresh = 1; std::move(fresh);", Flaw.NONE),
        ("a.ts", "x = $0;\n", "{ fresh }", Flaw.NAME),
        # No names.
        ("a.py", "x = $0\n", "'anything goes' # in a comment", Flaw.NONE),
        ("a.py", "x = $0\n", "f'{anything}'", Flaw.NAME),
        # The word at the cursor is a part of the name.
        ("a.py", "x = Ord$0\n", "er", Flaw.NONE),
        ("a.py", "x = Ord$0\n", "en", Flaw.NAME),
        ("a.py", "größe = 1\nx = $0\n", "größe", Flaw.NONE),
        ("a.py", "größe = '\U0001f600'\nx = $0\n", "grösse", Flaw.NAME),
    ],
)  # fmt: skip
def test_flaws(path: str, text: str, answer: str, expected: Flaw) -> None:
    target = target_of(path, text)
    assert flaws(completions_of(target, (answer,)), target) == [expected]


def test_what_is_replaced_is_gone() -> None:
    target = target_of("a.py", "x = print($0)\n")
    kept, replaced = (completions_of(target, ("1)",), replaces=count) for count in (0, 1))
    assert flaws(kept, target) == [Flaw.SYNTAX]
    assert flaws(replaced, target) == [Flaw.NONE]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", ("print(1", "print(1, 2)")),
        ("length", ("print(1, 2)",)),
        ("confidence", ("print(1, 2)",)),
    ],
)
def test_a_part_of_another_answer_is_none_of_its_own_if_it_was_cut_off(reason: str, expected: tuple[str, ...]) -> None:
    target = target_of("notes.txt", "x = $0\n")
    whole, part = completions_of(target, ("print(1, 2)",)), completions_of(target, ("print(1",), reason)
    assert tuple(completion.text for completion in rank([*part, *whole], target)) == expected
