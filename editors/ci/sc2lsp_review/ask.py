"""Asking `sc2lsp complete --batch`: one JSON object a line in, one a line out, in the same order.

The one place that starts another program for answers: with a list of arguments, never through a shell, and with nothing
of the checkout on its import path.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

MAX_ANSWER_BYTES = 16 << 20
END_SECONDS = 5.0  # for the program to end by itself once its input is closed


class Completion(msgspec.Struct, frozen=True):
    """What the model would write; the natural-logarithm mean of its tokens' probabilities."""

    text: str
    mean_logprob: float


class Answer(msgspec.Struct, frozen=True):
    """A line of the batch's answers, as far as the bot looks at it. ARCHITECTURE.md has all of it."""

    id: int
    completions: tuple[Completion, ...] = ()
    model: str = ""
    error: str = ""


class AskError(Exception):
    """There are no answers to be had; the message says what to do."""


def batch_command(program: str | None, root: Path, model: str | None) -> list[str]:
    """`program`: another sc2lsp than this Python's. -P: no module of the checkout stands in for one of ours."""
    run = [program] if program else [sys.executable, "-P", "-m", "sc2lsp"]
    return [*run, "complete", "--batch", "--root", str(root), *(["--model", model] if model else [])]


async def ask(
    command: Sequence[str], queries: Iterable[dict[str, Any]], seconds: float
) -> AsyncGenerator[Answer, None]:
    """The answer to each query, as long as there is time; then it just ends. Raises AskError."""
    until = time.monotonic() + seconds
    process = await _start(command)
    assert process.stdin is not None and process.stdout is not None
    try:
        for number, query in enumerate(queries):
            try:
                process.stdin.write(json.dumps({"id": number} | query).encode() + b"\n")
                line = await asyncio.wait_for(process.stdout.readline(), max(until - time.monotonic(), 0.0))
            except TimeoutError:
                return
            except (OSError, ValueError) as failure:
                raise AskError(f"sc2lsp cannot be asked: {failure}") from None
            yield _answer(line, number)
    finally:
        await _end(process)


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=MAX_ANSWER_BYTES)
    except OSError as failure:
        raise AskError(f"{command[0]} cannot be run: {failure.strerror}; is sc2lsp installed?") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _answer(line: bytes, number: int) -> Answer:
    if not line:
        raise AskError(
            "sc2lsp ended before it had answered; what it said stands above. `sc2lsp doctor` says what to mend"
        )
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        answer = None
    if answer is None or answer.id != number:
        raise AskError("what answers is no sc2lsp: it does not speak the batch's JSON")
    return answer
