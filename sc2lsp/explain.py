"""Prompts and completions for people: what was chosen, the text in its place, and where the time went."""

from collections.abc import Generator
from contextlib import contextmanager
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc2lsp.backend import Model, OnStatus
from sc2lsp.completion import Completion, Result
from sc2lsp.context.document import Document
from sc2lsp.context.prompt import Prompt
from sc2lsp.context.retrieve import Snippet
from sc2lsp.session import Target

LINES_ABOVE, LINES_BELOW = 8, 4
GHOST = "bold green"


@contextmanager
def waiting() -> Generator[OnStatus]:
    """A spinner on standard error that says what the body, which calls the yielded function, is waiting for."""
    with Console(stderr=True).status("starting") as spinner:
        yield lambda message, fraction: spinner.update(message if fraction is None else f"{message} {fraction:.0%}")


def explanation(target: Target, result: Result) -> None:
    """The chosen context, the completion as an editor shows it, and the timings."""
    console = Console()
    print_prompt(result.prompt, console)
    console.print()
    if result.completions:
        best = result.completions[0]
        console.print(in_place(target.document, target.offset, best), soft_wrap=True)
        console.print(Text(f"\nsuggested: {best.text!r}, mean log-probability {best.mean_logprob:.2f}"), soft_wrap=True)
    else:
        console.print("The model had nothing to suggest here.")
    console.print(_timings(result), soft_wrap=True)


def print_prompt(prompt: Prompt, console: Console | None = None) -> None:
    """The files whose snippets are in a prompt, in its order, then how its tokens are spent."""
    console = console or Console()
    table = Table("file", "snippets", "tokens", "score", "what", title="Context, most useful last", box=None)
    for path, group in groupby(prompt.snippets, lambda packed: packed.snippet.path):
        packed = list(group)
        what = " · ".join(_headline(item.snippet) for item in packed)
        score = max(item.snippet.score for item in packed)
        tokens = sum(item.tokens for item in packed)
        row = (Text(path), str(len(packed)), str(tokens), f"{score:.2f}", Text(what, overflow="ellipsis", no_wrap=True))
        table.add_row(*row)
    console.print(table)
    spent = f"{len(prompt.token_ids)} tokens in {prompt.order.upper()} order for {prompt.path}"
    after = f"{prompt.prefix_tokens} before the cursor, {prompt.suffix_tokens} after it"
    console.print(Text(f"{spent}: {after}"))


def verbatim(prompt: Prompt, model: Model) -> str:
    """A prompt as the model reads it, control tokens by their names."""
    return model.decode(prompt.token_ids)


def _headline(snippet: Snippet) -> str:
    """The line that names what a snippet defines: the first that is no decorator."""
    lines = [line.strip() for line in snippet.text.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("@")), lines[0])


def in_place(document: Document, offset: int, completion: Completion) -> Text:
    """The lines around the cursor with the completion in them, highlighted."""
    here = document.lines.line_of(offset)
    first, last = max(here - LINES_ABOVE, 0), min(here + LINES_BELOW, document.line_count - 1)
    start = document.lines.start(first)
    end = document.lines.start(last) + len(document.line(last))
    before, after = document.text[start:offset], document.text[completion.end : end]
    shown = Text(before, style="dim").append(completion.text, style=GHOST).append(after, style="dim")
    numbered = Text()
    for number, line in enumerate(shown.split("\n", allow_blank=True), first + 1):
        numbered.append(f"{number:5} ", style="cyan").append_text(line).append("\n")
    numbered.rstrip()
    return numbered


def _timings(result: Result) -> Text:
    usage = result.usage
    stages = " · ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
    tokens = f"{usage.prompt_tokens} prompt tokens, {usage.cached_tokens} of them cached"
    return Text(f"{result.model}: {tokens}\n{stages}")
