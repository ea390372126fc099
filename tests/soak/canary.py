"""A text that stands in open and in other files must turn up nowhere that stays: logs, caches, statistics, errors.

It is two words. The index on disk keeps the words of files, each once, and may so hold one of them; nothing else may.
Every logger says all it has, asyncio and Python are in their debug modes; messages are malformed, runtimes die.
"""

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from sc2lsp import daemon
from tests.benchmarks.instant import runtime
from tests.benchmarks.standin import Settings
from tests.server.editor import Editor, editor

from .home import TEXT, workspace

# Python runs it at every start, the runtime's as well: whatever is logged is said.
SITE = "import logging\nlogging.basicConfig(level=1)\n"
LOUD = {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}
INDEX = Path("cache", "sc2lsp", "index")
ANSWER_SECONDS = 10.0
TYPED = 4  # characters of it, one by one
SAVED_SECONDS = 1.0  # until what was typed is in the index
OPEN = """import os


def main():
    # %s
    total = "%s"

    return total


def other():
    total = 1
    return f"%s {total}"
"""


@dataclass(slots=True)
class Canary:
    """Where it was found, of which places that were searched."""

    rounds: int = 0
    completions: int = 0
    malformed: int = 0
    log_bytes: int = 0
    files: int = 0
    found: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return len(self.found) + (self.completions == 0) + (self.log_bytes == 0)


class Answers(dict[Any, "asyncio.Future[Any]"]):
    """What an editor waits for; what has no id, since the server could not read one, nobody waits for."""

    def __init__(self, asked: dict[Any, "asyncio.Future[Any]"]) -> None:
        super().__init__(asked)
        self.unasked: list[asyncio.Future[Any]] = []
        # Mutated by the editor's reader, on the event loop.

    def pop(self, id: Any, *rest: Any) -> "asyncio.Future[Any]":
        if id is not None:
            return super().pop(id, *rest)
        self.unasked.append(asyncio.get_running_loop().create_future())
        return self.unasked[-1]


async def canary(rounds: int, is_real: bool) -> AsyncIterator[Canary]:
    """Before the real runtime, or before a stand-in that answers with the text. Needs a `home.own_home`."""
    figures, home = Canary(), Path(os.environ["SC2LSP_RUNTIME_DIR"]).parent
    site = home / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    loud = {**LOUD, "PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))}
    for number in range(rounds):
        source = random.Random(number)
        # Letters alone: what looks like a key is neither shown nor completed.
        text = " ".join(name + "".join(source.choices(ascii_lowercase, k=10)) for name in ("canary", "bird"))
        with workspace() as root:
            if is_real:
                await _round(figures, root, text, loud)
            else:
                async with runtime() as (url, model):
                    await model.set(Settings(f"{text.split()[0]}(1)"))
                    await _round(figures, root, text, {**loud, "SC2LSP_ENDPOINT": url})
        _search(figures, home, text)
        figures.rounds += 1
        yield figures


async def _round(figures: Canary, root: Path, text: str, environment: dict[str, str]) -> None:
    (root / "more").mkdir()
    (root / "more" / "notes.py").write_text(TEXT + f"# {text}\n")
    path = root / "more" / "main.py"
    path.write_text(OPEN % (text, text, text))
    async with editor(**environment) as window:
        stream = window.process.stderr
        assert stream is not None
        said = asyncio.create_task(stream.read())
        window.answers = answers = Answers(window.answers)
        await window.initialize(root)
        window.open(path)
        await _type(figures, window, path, text)
        asked = _malformed(window, path, text)
        await asyncio.wait(asked, timeout=ANSWER_SECONDS)
        figures.malformed += len(asked)
        for answer in [*asked, *answers.unasked]:
            if answer.done() and (wrong := answer.exception()) is not None:
                _look(figures, "a reply", json.dumps(getattr(wrong, "error", str(wrong))), text)
        await _kill_runtimes(window, path)
        await _type(figures, window, path, text)
        await asyncio.sleep(SAVED_SECONDS)
        _look(figures, "a notification", json.dumps(window.notifications), text)
        with suppress(TimeoutError):
            await window.shutdown()
        await window.close()
        written = await said
        figures.log_bytes += len(written)
        _look(figures, "standard error", written.decode("utf-8", "replace"), text)


async def _type(figures: Canary, window: Editor, path: Path, text: str) -> None:
    """It is typed, what is suggested is accepted."""
    line, character = 6, 0
    for char in f"    # {text[:TYPED]}":
        window.type(path, line, character, char)
        character += 1
        figures.completions += bool(items := await window.complete(path, line, character))
    for item in items:
        if (command := item.get("command")) is not None:
            arguments = {"command": command["command"], "arguments": command.get("arguments", [])}
            await window.request("workspace/executeCommand", arguments)
    window.type(path, line, character, text[TYPED:] + "\n")
    window.notify("textDocument/didSave", {"textDocument": {"uri": path.as_uri()}, "text": text})


def _malformed(window: Editor, path: Path, text: str) -> Sequence["asyncio.Future[Any]"]:
    """Requests that cannot be honoured; notifications of that kind and what is no message are sent before them."""
    document = {"uri": path.as_uri(), "version": "none"}
    for params in (
        {"textDocument": document, "contentChanges": [{"text": text}]},
        {"textDocument": {**document, "version": 99}, "contentChanges": [{"range": text, "text": text}]},
        {"textDocument": {**document, "version": 99}, "contentChanges": text},
        {"contentChanges": [{"text": text}]},
        [text],
    ):
        window.notify("textDocument/didChange", params)
    window.notify("textDocument/didOpen", {"textDocument": {"uri": path.as_uri(), "text": text}})
    window.notify("textDocument/didOpen", {"textDocument": {"uri": "untitled:1", "text": {"a": text}}})
    window.notify(f"$/{text}", {"text": text})
    window.notify("workspace/didChangeWatchedFiles", {"changes": text})
    _raw(window, text.encode())
    _raw(window, b'{"jsonrpc": "2.0", "method": "textDocument/didSave", "params": {"text": "' + text.encode())
    _raw(window, b"\xff\xfe" + text.encode("utf-16-le"))
    place = {"textDocument": {"uri": path.as_uri()}, "context": {"triggerKind": 1}}
    requests: list[tuple[str, Any]] = [
        ("textDocument/inlineCompletion", {**place, "position": text}),
        ("textDocument/inlineCompletion", {**place, "position": {"line": -1, "character": -5}}),
        ("textDocument/inlineCompletion", {**place, "position": {"line": 10**12, "character": 0}}),
        ("textDocument/inlineCompletion", {"text": text}),
        ("workspace/executeCommand", {"command": "none", "arguments": [text]}),
        ("workspace/executeCommand", {"command": "sc2lsp.accepted", "arguments": text}),
        ("workspace/executeCommand", {"command": "sc2lsp.explain", "arguments": [{"text": text}]}),
        ("textDocument/hover", {**place, "position": {"line": 0, "character": 0}, "text": text}),
        ("no/such/method", {"text": text}),
    ]
    return [window.start(method, params)[1] for method, params in requests]


def _raw(window: Editor, body: bytes) -> None:
    assert window.process.stdin is not None
    window.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


async def _kill_runtimes(window: Editor, path: Path) -> None:
    """In the middle of an answer, where they are ours."""
    answer = window.ask(path, 6, 0)[1]
    for running in await daemon.running():
        os.kill(running.hello.pid, signal.SIGKILL)
    await asyncio.wait([answer], timeout=60)


def _search(figures: Canary, home: Path, text: str) -> None:
    """Everything that was left on disk, names included."""
    for path in home.rglob("*"):
        _look(figures, "a file's name", path.name, text)
        if path.is_file():
            figures.files += 1
            where, said = path.relative_to(home), path.read_bytes().decode("latin-1")
            if INDEX in where.parents:
                figures.found += [str(where)] * (text in said)
            else:
                _look(figures, str(where), said, text)


def _look(figures: Canary, where: str, written: str, text: str) -> None:
    """Neither of the words."""
    forms = [form for word in text.split() for form in (word, word.encode("utf-16-le").decode("latin-1"))]
    if any(form in written for form in forms):
        figures.found.append(where)
