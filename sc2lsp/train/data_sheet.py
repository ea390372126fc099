"""The data sheet of a checkpoint: what it is, what it was trained on, file counts and what was left out and why."""

from collections import Counter
from collections.abc import Sequence

from sc2lsp.corpus.build import Entry
from sc2lsp.corpus.recipe import EVALUATION, Recipe


def data_sheet(recipe: Recipe, plan_name: str, kept: Sequence[Entry], left_out: Sequence[Entry], seconds: float) -> str:
    """Markdown (after Gebru et al., arXiv 1803.09010, shortened). The manifest beside it names every file."""
    plan = recipe.plan[plan_name]
    used = [entry for entry in kept if entry.language in plan.languages]
    chars = sum(entry.chars for entry in used)
    languages = ", ".join(plan.languages)
    return f"""# Data sheet

A model of StarCoder2's architecture, trained from random weights by `sc2lsp train`. It completes code. It is small and
often wrong, knows no facts and follows no instructions.

| | |
|---|---|
| layers, width | {plan.num_layers}, {plan.hidden_size} |
| heads, key-value heads | {plan.num_heads}, {plan.num_kv_heads} |
| vocabulary, context | {plan.vocab_size:,}, {plan.context_length:,} tokens |
| trained on | {plan.tokens:,} tokens of {languages}, seed {plan.seed} |
| first phase | rows of {plan.length(0):,} tokens: parts of a repository's files, the last of them with a hole in it |
| last phase | {plan.prompt_share:.0%} of the tokens; {plan.prompt_mix:.0%} of its rows are sc2lsp's own prompts |
| optimised in | {seconds / 60:.0f} minutes of steps |

Examples are in StarCoder2's repository format, prefix-suffix-middle and suffix-prefix-middle half and half.

![loss over tokens](loss.svg)

## Data

{len(used):,} files with {chars:,} characters, all permissively licensed. `manifest.jsonl.gz` has a line for each:
source, version, path, SPDX licence and where it was stated, SWHID of the original, what was redacted. `recipe.toml`
builds the same again: `sc2lsp train recipe.toml --plan {plan_name} --out DIR`.

Redacted: {_counted(_redactions(used)) or "nothing"}.

Held out, with every file that shares 150 characters with them: {", ".join(sorted(_held_out(recipe)))}.

## Sources

| source | version | licence | files | characters | left out |
|---|---|---|---|---|---|
{_sources(recipe, used, left_out)}

## Left out

{_counted(Counter(entry.left_out for entry in left_out))}.
"""


def _held_out(recipe: Recipe) -> set[str]:
    return {source.name for source in recipe.held_out} | EVALUATION


def _redactions(entries: Sequence[Entry]) -> Counter[str]:
    total: Counter[str] = Counter()
    for entry in entries:
        total.update(entry.redactions)
    return total


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _sources(recipe: Recipe, kept: Sequence[Entry], left_out: Sequence[Entry]) -> str:
    files = Counter((entry.source, entry.version) for entry in kept)
    out = Counter((entry.source, entry.version) for entry in left_out)
    chars: Counter[tuple[str, str]] = Counter()
    for entry in kept:
        chars[entry.source, entry.version] += entry.chars
    return "\n".join(
        f"| {source.name} | {source.version or 'folder'} | {source.licence} | {files[source.name, source.version]:,} "
        f"| {chars[source.name, source.version]:,} | {out[source.name, source.version]:,} |"
        for source in recipe.source
        if files[source.name, source.version]
    )
