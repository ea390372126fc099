"""What a typist sees, and what it costs the model: a scripted model in place of the runtime, everything else real."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sc2lsp import keystroke
from sc2lsp.backend import BackendError, Delta, Model, OnState, OnStatus, Token, local_model
from sc2lsp.config import Config
from sc2lsp.context.document import Edit, Position, Splice
from sc2lsp.desk import Ask, Suggestion
from sc2lsp.feedback import Feedback
from sc2lsp.keystroke import Keystrokes
from sc2lsp.runtime.api import NOTHING, SamplingParams
from sc2lsp.session import Session

EMBEDDED = local_model(Config())
assert EMBEDDED is not None


class Script:
    """A backend whose answers are given: texts as tokens; "..." waits until `go` is set, an exception is raised."""

    def __init__(self, *answers: Sequence[str | Exception]) -> None:
        self.answers = list(answers)
        self.calls: list[SamplingParams] = []
        self.prompts: list[str] = []
        self.cancelled = 0
        self.go = asyncio.Event()
        self.on_status: OnStatus | None = None
        self.on_state: OnState | None = None

    async def model(self) -> Model:
        assert EMBEDDED is not None
        return EMBEDDED

    async def generate(
        self, workspace: str, document: str, prompt: tuple[int, ...], sampling: SamplingParams
    ) -> AsyncGenerator[Delta]:
        assert EMBEDDED is not None
        number = len(self.calls)
        self.calls.append(sampling)
        self.prompts.append(EMBEDDED.decode(prompt))
        forced = Token(sampling.forced, None)
        try:
            for index in range(sampling.n):
                yield Delta((forced,), index)
                for text in self.answers[min(number + index, len(self.answers) - 1)]:
                    if isinstance(text, Exception):
                        raise text
                    if text == "...":
                        await self.go.wait()
                    else:
                        yield Delta((Token(text, -0.1 * (index + 1)),), index)
                yield Delta((), index, "stop", NOTHING if index == sampling.n - 1 else None)
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise

    @property
    def may_index(self) -> bool:
        return False

    async def put_document(self, workspace: str, document: str, tokens: tuple[int, ...]) -> None:
        raise AssertionError

    async def close(self) -> None: ...


class Told(Feedback):
    """Feedback that is kept in a list."""

    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[str] = []

    def shown(self, id: str, *figures: Any, **named: Any) -> None:
        if f"shown {id}" not in self.said:
            self.said.append(f"shown {id}")

    def accepted(self, id: str) -> None:
        self.said.append(f"accepted {id}")

    def rejected(self, id: str) -> None:
        self.said.append(f"rejected {id}")

    def kept(self, id: str, characters: int) -> None:
        self.said.append(f"kept {id} {characters}")


class Typist:
    """One document, one cursor."""

    def __init__(self, root: Path, text: str, script: Script, config: Config) -> None:
        before, _, after = text.partition("$0")
        self.script, self.told = script, Told()
        self.session = Session(config)
        self.session.add_folder(root)
        self.path = root / "x.py"
        self.session.open(self.path, before + after, 1)
        self.offset = len(before)
        self.keystrokes = Keystrokes(script, config, self.told, self.session.document)

    @property
    def text(self) -> str:
        document = self.session.document(self.path)
        assert document is not None
        return document.text

    def edit(self, start: int, end: int, new: str, cursor: int | None = None) -> None:
        """Put `new` in place of a stretch; the cursor goes behind it, or so far into it."""
        document = self.session.document(self.path)
        assert document is not None
        first, last = (document.position(offset, "utf-16") for offset in (start, end))
        splices = self.session.change(self.path, [Edit(first, last, new)], document.version + 1, "utf-16")
        self.keystrokes.edited(self.path, splices)
        self.offset = start + (len(new) if cursor is None else cursor)

    def type(self, text: str) -> None:
        for char in text:
            self.edit(self.offset, self.offset, char)

    def backspace(self, count: int = 1) -> None:
        for _ in range(count):
            self.edit(self.offset - 1, self.offset, "")

    def accept(self, suggestion: Suggestion) -> None:
        best = suggestion.completions[0]
        self.edit(best.start, best.end, best.text)

    def ask_at(self, selected: str = "", is_explicit: bool = False) -> Ask:
        """With an item of the editor's list that would replace the word before the cursor."""
        document = self.session.document(self.path)
        assert document is not None
        position = document.position(self.offset, "utf-16")
        target = self.session.target(self.path, Position(position.line, position.character), "utf-16")
        assert target is not None
        if not selected:
            return Ask(document, self.offset, target, None, is_explicit)
        splice = Splice(self.offset - len(target.unfinished), self.offset, selected)
        return Ask(document, self.offset, target.after(splice), splice, is_explicit)

    async def ask(self, selected: str = "", is_explicit: bool = False) -> Suggestion | None:
        return await asyncio.wait_for(
            self.keystrokes.suggest(self.path, self.ask_at(selected, is_explicit)), timeout=10
        )

    async def see(self, selected: str = "", is_explicit: bool = False) -> list[str]:
        """The texts suggested."""
        suggestion = await self.ask(selected, is_explicit)
        assert suggestion is not None
        return [completion.text for completion in suggestion.completions]

    def start(self) -> "asyncio.Task[Suggestion | None]":
        return asyncio.ensure_future(self.ask())


@asynccontextmanager
async def typing(root: Path, text: str, script: Script, **settings: Any) -> AsyncIterator[Typist]:
    typist = Typist(root, text, script, Config(**{"max_wait": 0.0, "continuation": False, **settings}))
    try:
        yield typist
    finally:
        typist.keystrokes.close()
        await asyncio.sleep(0)


async def breathe() -> None:
    for _ in range(20):
        await asyncio.sleep(0.002)


async def test_typing_through_costs_nothing(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["sum(", "prices)"])) as typist:
        assert await typist.see() == ["sum(prices)"]
        for typed, left in (("s", "um(prices)"), ("um", "(prices)"), ("(pri", "ces)")):
            typist.type(typed)
            assert await typist.see() == [left]
        assert len(typist.script.calls) == 1


async def test_a_bracket_that_the_editor_closes_is_typed_through(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = sum$0\n", Script(["(prices)"])) as typist:
        assert await typist.see() == ["(prices)"]
        typist.edit(typist.offset, typist.offset, "()", cursor=1)
        suggestion = await typist.ask()
        assert suggestion is not None
        (best,) = suggestion.completions
        assert typist.text[: best.start] + best.text + typist.text[best.end :] == "total = sum(prices)\n"
        assert len(typist.script.calls) == 1


async def test_backspacing_finds_the_earlier_answer(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["sum(prices)"], ["ax(prices)"])) as typist:
        assert await typist.see() == ["sum(prices)"]
        typist.type("m")
        assert await typist.see() == ["ax(prices)"]
        typist.backspace()
        assert await typist.see() == ["sum(prices)"]
        assert len(typist.script.calls) == 2
        typist.backspace(2)
        typist.type("= ")  # away and back again
        assert await typist.see() == ["sum(prices)"]
        assert len(typist.script.calls) == 2


async def test_an_edit_elsewhere_makes_answers_doubtful(tmp_path: Path) -> None:
    async with typing(tmp_path, "a = 1\ntotal = $0\n", Script(["sum(prices)"], ["a"])) as typist:
        assert await typist.see() == ["sum(prices)"]
        offset = typist.offset
        typist.edit(4, 5, "2")
        typist.offset = offset
        assert await typist.see() == ["a"]


async def test_what_is_being_written_is_kept_while_it_is_typed(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["sum", "...", "(prices)"])) as typist:
        first = typist.start()
        await breathe()
        typist.type("s")
        second = typist.start()
        await breathe()
        typist.type("u")
        third = typist.start()
        await breathe()
        typist.script.go.set()
        assert await first is None
        assert await second is None
        found = await third
        assert found is not None
        assert [completion.text for completion in found.completions] == ["m(prices)"]
        assert (len(typist.script.calls), typist.script.cancelled) == (1, 0)


@pytest.mark.parametrize("written", [["sum", "...", "(prices)"], ["...", "sum(prices)"]])
async def test_what_is_typed_otherwise_ends_it(tmp_path: Path, written: list[str]) -> None:
    async with typing(tmp_path, "total = $0\n", Script(written, ["ax(prices)"])) as typist:
        first = typist.start()
        await breathe()
        typist.type("m")
        await breathe()
        assert (await first, typist.script.cancelled) == (None, 1)
        assert await typist.see() == ["ax(prices)"]


async def test_a_newer_request_of_the_same_place_joins(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["...", "sum(prices)"])) as typist:
        older = [typist.start() for _ in range(3)]
        await breathe()
        newest = typist.start()
        await breathe()
        typist.script.go.set()
        assert await newest is not None
        assert await asyncio.gather(*older) == [None, None, None]
        assert len(typist.script.calls) == 1


@pytest.mark.parametrize(("typed", "cancelled"), [("", 1), ("s", 0)])
async def test_cancelling_ends_the_work_unless_it_is_typed_through(tmp_path: Path, typed: str, cancelled: int) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["sum", "...", "(prices)"])) as typist:
        first = typist.start()
        await breathe()
        if typed:
            typist.type(typed)
            first = typist.start()
            await breathe()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await breathe()
        assert typist.script.cancelled == cancelled


async def test_what_follows_an_accepted_suggestion_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystroke, "READING_SECONDS", 0.0)
    script = Script(["sum(prices)"], ["\nprint(total)"])
    async with typing(tmp_path, "total = $0\n", script, continuation=True) as typist:
        suggestion = await typist.ask()
        assert suggestion is not None
        await breathe()
        assert len(script.calls) == 2
        assert "total = sum(prices" in script.prompts[1]
        typist.accept(suggestion)
        after = await typist.ask()
        assert after is not None
        assert (after.source, [completion.text for completion in after.completions]) == (
            "continuation",
            ["\nprint(total)"],
        )
        assert len(script.calls) == 2


async def test_reading_ahead_goes_on_while_the_suggestion_is_typed_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystroke, "READING_SECONDS", 0.0)
    script = Script(["sum(prices)"], ["...", "\nprint(total)"])
    async with typing(tmp_path, "total = $0\n", script, continuation=True) as typist:
        await typist.see()
        await breathe()
        typist.type("s")
        assert await typist.see() == ["um(prices)"]
        script.go.set()
        await breathe()
        assert (len(script.calls), script.cancelled) == (2, 0)
        typist.type("x")  # not what was suggested
        assert len(await typist.see()) <= 1
        assert len(script.calls) >= 3


@pytest.mark.parametrize(
    ("text", "settings", "explicit"),
    [
        ("tot$0al = 1\n", {}, True),  # inside a word
        ("password = 'hunter2$0'\napi_key = 'q8Zk2LmX9vRt4WbN7cYp'\n", {}, True),
        ("api_key = 'q8Zk2LmX9v$0Rt4WbN7cYp'\n", {}, False),  # inside a secret: not even when asked
        ("# what a lo$0\n", {"comments": False}, True),
    ],
)
async def test_where_nothing_is_asked(tmp_path: Path, text: str, settings: dict[str, Any], explicit: bool) -> None:
    skips = "hunter2" not in text
    async with typing(tmp_path, text, Script(["x(y)"]), **settings) as typist:
        await typist.ask()
        assert len(typist.script.calls) == (0 if skips else 1)
        await typist.ask(is_explicit=True)
        assert bool(typist.script.calls) is explicit


async def test_an_explicit_request_gets_alternatives_once(tmp_path: Path) -> None:
    script = Script(["sum(prices)"], ["sum(prices)"], ["max(prices)"], ["min(prices)"])
    async with typing(tmp_path, "total = $0\n", script) as typist:
        texts = await typist.see(is_explicit=True)
        assert texts[0] == "sum(prices)"
        assert set(texts) == {"sum(prices)", "max(prices)", "min(prices)"}  # none twice
        calls = len(script.calls)
        assert await typist.see(is_explicit=True) == texts
        typist.type("m")
        assert set(await typist.see()) == {"ax(prices)", "in(prices)"}
        assert len(script.calls) == calls


async def test_with_an_item_of_the_editors_list_selected(tmp_path: Path) -> None:
    async with typing(tmp_path, "prices.a$0\n", Script(["ppend(price)"], ["(prices)"])) as typist:
        assert await typist.see() == ["ppend(price)"]
        assert await typist.see(selected="append") == ["(price)"]  # what is known goes on like that
        assert await typist.see(selected="add") == ["(prices)"]  # what is not, is asked for
        assert "prices.add" in typist.script.prompts[-1] or typist.script.calls[-1].forced == "add"
        assert len(typist.script.calls) == 2


async def test_what_is_told_of_suggestions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystroke, "KEPT_SECONDS", 0.05)
    async with typing(tmp_path, "total = $0\n", Script(["sum(prices)"], ["ax(prices)"])) as typist:
        first = await typist.ask()
        assert first is not None
        typist.type("m")
        second = await typist.ask()
        assert second is not None
        typist.accept(second)
        typist.edit(typist.offset - 2, typist.offset, "")
        async with asyncio.timeout(10):
            while not typist.told.said[-1].startswith("kept"):
                await asyncio.sleep(0.01)
        assert typist.told.said == [
            f"shown {first.id}",
            f"rejected {first.id}",
            f"shown {second.id}",
            f"accepted {second.id}",
            f"kept {second.id} {len('ax(')}",
        ]


async def test_a_failure_costs_one_suggestion(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script([BackendError("gone")], ["sum(prices)"])) as typist:
        with pytest.raises(BackendError, match="gone"):
            await typist.ask()
        assert await typist.see() == ["sum(prices)"]


async def test_a_closed_document_is_forgotten(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["...", "sum(prices)"], ["max(prices)"])) as typist:
        waiting = typist.start()
        await breathe()
        typist.keystrokes.closed(typist.path)
        assert await waiting is None
        await breathe()
        assert typist.script.cancelled == 1
        assert await typist.see() == ["max(prices)"]


async def test_keys_in_a_burst_wait_for_the_last_one(tmp_path: Path) -> None:
    async with typing(tmp_path, "total = $0\n", Script(["...", "x"]), max_wait=0.3) as typist:
        waiting: list[asyncio.Task[Suggestion | None]] = []
        for char in "some_function":
            typist.type(char)
            waiting.append(typist.start())
            await asyncio.sleep(0.03)
        assert len(typist.script.calls) <= len(waiting) // 2
        typist.script.go.set()
        await asyncio.gather(*waiting)


async def test_context_follows_while_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("class Store:\n    def find(self): pass\n")
    async with typing(tmp_path, "from lib import Store\nstore = Store()\nx = $0\n", Script(["zz"])) as typist:
        folder = typist.session.folders[tmp_path]
        for _ in folder.scan():
            pass
        await typist.ask()
        first = folder.rankings["x.py"]
        typist.type("store.")
        await typist.ask()
        assert folder.rankings["x.py"] is first
        async with asyncio.timeout(10):
            while folder.rankings["x.py"] is first:
                await asyncio.sleep(0.01)
        assert folder.rankings["x.py"].sought.asking == "x = store."
