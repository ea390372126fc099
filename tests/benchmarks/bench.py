"""What the README's figures come from: start, memory, keystrokes, and decoding beside transformers in the same run.

    make bench

Prints a table; asserts nothing about time, since machines are shared and noisy.
"""

import asyncio
import platform
import queue
import statistics
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import Starcoder2ForCausalLM

from sc2lsp.runtime.api import Chunk, Request, RequestRefused, SamplingParams
from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.tokenizer import Tokenizer
from tests.server.editor import editor

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"
TYPED = "    for member in store.members.values():\n        total = member.total_fees(today)\n"
STARTS, REPEATS, NEW_TOKENS = 7, 5, 64


def quantiles(milliseconds: list[float]) -> str:
    p95 = statistics.quantiles(milliseconds, n=20)[-1]
    return f"p50 {statistics.median(milliseconds):.0f} ms, p95 {p95:.0f} ms, n={len(milliseconds)}"


async def starts() -> list[tuple[str, str]]:
    """From spawning the process to the reply to `initialize`."""
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        async with editor(PYTHONDONTWRITEBYTECODE="") as window:  # with cached bytecode, as installed
            await window.initialize(SHELF)
            times.append((time.perf_counter() - started) * 1e3)
    return [("server start to initialize reply", quantiles(times[1:]))]


async def keystrokes() -> list[tuple[str, str]]:
    """One change and one request per character, each awaited as an editor would; then the server's memory."""
    path = SHELF / "shelf" / "report.py"
    times: list[float] = []
    shown = 0
    async with editor() as window:
        await window.initialize(SHELF)
        window.open(path)
        lines = path.read_text("utf-8").split("\n")
        line, character = len(lines) - 1, 0
        await window.complete(path, line, character)
        for char in TYPED:
            started = time.perf_counter()
            window.type(path, line, character, char)
            line, character = (line + 1, 0) if char == "\n" else (line, character + 1)
            shown += bool(await window.complete(path, line, character))
            times.append((time.perf_counter() - started) * 1e3)
        resident = int(Path(f"/proc/{window.process.pid}/status").read_text().split("VmRSS:")[1].split()[0])
    return [
        ("keystroke to suggestion, warm", quantiles(times)),
        ("of these with a suggestion", f"{shown}"),
        ("language server's memory after that", f"{resident / 1024:.0f} MB"),
    ]


def ours(engine: Engine, prompt: tuple[int, ...], document: str) -> tuple[int, float]:
    """Tokens, and seconds for prefill and decoding, without any cache to begin with."""
    answers: queue.Queue[Chunk | RequestRefused] = queue.Queue()
    tokens, started = 0, time.perf_counter()
    engine.submit(Request(1, document, prompt, SamplingParams(NEW_TOKENS)), answers.put)
    while True:
        answer = answers.get()
        assert isinstance(answer, Chunk)
        tokens += len(answer.token_ids)
        if answer.finish_reason is not None:
            return tokens, time.perf_counter() - started


def theirs(model: Starcoder2ForCausalLM, prompt: tuple[int, ...], tokens: int) -> float:
    ids = torch.tensor([prompt])
    started = time.perf_counter()
    model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0,
        min_new_tokens=tokens, max_new_tokens=tokens,
    )  # fmt: skip
    return time.perf_counter() - started


def decoding() -> list[tuple[str, str]]:
    """The same prompt and number of tokens by our engine and by transformers' generate, alternately."""
    folder = model_folder(EMBEDDED)
    assert folder is not None
    engine = Engine(EMBEDDED, lambda message, fraction: None)
    reference = Starcoder2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    text = (SHELF / "shelf" / "models.py").read_text("utf-8") + (SHELF / "shelf" / "store.py").read_text("utf-8")
    prompt = tuple(Tokenizer(engine.tokenizer_json).encode(text)[:800])
    tokens, _ = ours(engine, prompt, "warm up")
    theirs(reference, prompt, tokens)
    mine, other = [], []
    for repeat in range(REPEATS):
        mine.append(ours(engine, prompt, f"run {repeat}")[1])
        other.append(theirs(reference, prompt, tokens))
    engine.close()
    our_rate, their_rate = (tokens / statistics.median(seconds) for seconds in (mine, other))
    return [
        (f"our engine, {len(prompt)} prompt and {tokens} new tokens", f"{our_rate:.0f} tokens/s"),
        ("transformers.generate, the same", f"{their_rate:.0f} tokens/s"),
        ("ratio", f"{our_rate / their_rate:.2f}"),
    ]


def main() -> None:
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    table = Table("what", "measured", title=machine)
    for row in [*asyncio.run(starts()), *asyncio.run(keystrokes()), *decoding()]:
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
