"""Why a suggestion is what it is: for people on a terminal, and as JSON for editors.

The prompt to the last token, why each snippet is in it, what the model wrote and which rule cut what of it, what was
cached and drafted, and where the time went.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc2lsp.backend import Model, OnStatus
from sc2lsp.completion import Answer, Completion, Result
from sc2lsp.context.document import Document
from sc2lsp.context.prompt import PackedSnippet, Prompt
from sc2lsp.context.retrieve import Snippet
from sc2lsp.context.why import reasons
from sc2lsp.desk import Ask, Suggestion
from sc2lsp.session import Target

LINES_ABOVE, LINES_BELOW = 8, 4
GHOST = "bold green"
CUT = "dim strike"


def explained(ask: Ask, suggestion: Suggestion, model: Model) -> dict[str, Any]:
    """What the command `sc2lsp.explain` answers; ARCHITECTURE.md has its form."""
    result = suggestion.result
    return {
        "path": ask.document.path,
        "source": suggestion.source,
        "waited_ms": round(suggestion.waited_ms, 3),
        "reason": suggestion.reason or (why_nothing(result) if result is not None else ""),
        "completions": [_completion(completion) for completion in suggestion.completions],
        "model": None if result is None else _model(result, ask.target, model),
    }


def why_nothing(result: Result) -> str:
    """Why nothing of a result is shown, "" where something is."""
    if result.completions:
        return ""
    hidden = [answer.outcome.rule for answer in result.answers if not isinstance(answer.outcome, Completion)]
    return hidden[0] if hidden else "the model wrote nothing"


def _completion(completion: Completion) -> dict[str, Any]:
    return {"text": completion.text, "mean_logprob": completion.mean_logprob, "rules": list(completion.rules)}


def _model(result: Result, target: Target, model: Model) -> dict[str, Any]:
    usage = result.usage
    return {
        "name": result.model,
        "kind": "block" if result.is_block else "line",
        "prompt": prompt_json(result.prompt, target, model),
        "answers": [_answer(answer) for answer in result.answers],
        "cached_tokens": usage.cached_tokens,
        "drafted_tokens": usage.drafted_tokens,
        "accepted_tokens": usage.accepted_tokens,
        "timings_ms": dict(result.timings_ms),
    }


def prompt_json(prompt: Prompt, target: Target, model: Model) -> dict[str, Any]:
    return {
        "order": prompt.order,
        "tokens": len(prompt.token_ids),
        "prefix_tokens": prompt.prefix_tokens,
        "suffix_tokens": prompt.suffix_tokens,
        "left_out": prompt.healed,
        "text": verbatim(prompt, model),
        "snippets": [snippet_json(packed) | {"why": _why(packed, target)} for packed in prompt.snippets],
    }


def snippet_json(packed: PackedSnippet) -> dict[str, Any]:
    snippet = packed.snippet
    return {
        "path": snippet.path,
        "start_line": snippet.start_line + 1,
        "end_line": snippet.end_line,
        "kind": snippet.kind,
        "score": round(snippet.score, 4),
        "tokens": packed.tokens,
    }


def _why(packed: PackedSnippet, target: Target) -> str:
    return reasons(packed.snippet, target.document, target.outline, target.offset)


def _answer(answer: Answer) -> dict[str, Any]:
    outcome = answer.outcome
    return {
        "text": answer.raw,
        "tokens": [{"text": token.text, "logprob": token.logprob} for token in answer.tokens],
        "shown": outcome.text if isinstance(outcome, Completion) else None,
        "rules": list(outcome.rules) if isinstance(outcome, Completion) else [outcome.rule],
    }


@contextmanager
def waiting() -> Generator[OnStatus]:
    """A spinner on standard error that says what the body, which calls the yielded function, is waiting for."""
    with Console(stderr=True).status("starting") as spinner:
        yield lambda message, fraction: spinner.update(message if fraction is None else f"{message} {fraction:.0%}")


def explanation(target: Target, result: Result) -> None:
    """The chosen context, the completion as an editor shows it, what was cut, and the timings."""
    console = Console()
    print_prompt(result.prompt, console)
    console.print()
    if result.completions:
        best = result.completions[0]
        console.print(in_place(target.document, target.offset, best), soft_wrap=True)
        console.print(Text(f"\nsuggested: {best.text!r}, mean log-probability {best.mean_logprob:.2f}"), soft_wrap=True)
    else:
        console.print(Text(f"Nothing is suggested here: {why_nothing(result)}."), soft_wrap=True)
    for answer in result.answers:
        if (written := _written(answer)) is not None:
            console.print(written, soft_wrap=True)
    console.print(_cost(result), soft_wrap=True)
    console.print(_waterfall(result.timings_ms))


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


def _written(answer: Answer) -> Text | None:
    """What the model wrote, where display changed it, and by which rules."""
    outcome = answer.outcome
    if isinstance(outcome, Completion) and outcome.text.strip() == answer.raw.strip():
        return None
    rules = ", ".join(outcome.rules) if isinstance(outcome, Completion) else outcome.rule
    return Text("written: ").append(repr(answer.raw), style=CUT).append(f"; rules that cut it: {rules}")


def _cost(result: Result) -> Text:
    usage = result.usage
    tokens = f"{usage.prompt_tokens} prompt tokens, {usage.cached_tokens} of them cached"
    drafts = f"{usage.drafted_tokens} tokens drafted, {usage.accepted_tokens} of them right"
    return Text(f"{result.model}: {tokens}; {drafts}")


def _waterfall(timings_ms: Mapping[str, float]) -> Table:
    """Each stage behind the one before it; what none of them took was spent on the way to the runtime and back."""
    total = timings_ms["total"]
    stages = {stage: milliseconds for stage, milliseconds in timings_ms.items() if stage != "total"}
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    stages["elsewhere"] = max(total - sum(stages.values()), 0.0)
    start = 0.0
    for stage, milliseconds in stages.items():
        table.add_row(stage, f"{milliseconds:.1f} ms", Bar(max(total, 1e-9), start, start + milliseconds, width=40))
        start += milliseconds
    table.add_row("total", f"{total:.1f} ms")
    return table
