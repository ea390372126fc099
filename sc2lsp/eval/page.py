"""Results as one HTML page that needs nothing else: no scripts, no fonts, no other address.

Everything from the repository or a model is escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice

from sc2lsp.eval.plots import bits_per_byte, exact_match, latencies
from sc2lsp.eval.records import Row
from sc2lsp.eval.results import Results, label
from sc2lsp.eval.table import number, percent, signed_percent, summary

EXAMPLES = 6  # right ones, and as many wrong ones
MOST_SHOWN = 800  # characters of an answer

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --right: #009e7333; --wrong: #d55e0033; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
p.note { opacity: .75; font-size: .9rem; }
svg { width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.name, td.name { text-align: left; } tr.all td { font-weight: 600; }
figure.case { margin: 1rem 0; border: 1px solid var(--line); border-radius: .4rem; overflow: hidden; }
figure.case figcaption { padding: .35rem .7rem; background: var(--soft); font-size: .85rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; }
pre { margin: 0; padding: .6rem .7rem; overflow-x: auto; font: .82rem/1.45 ui-monospace, monospace; }
.pair pre + pre { border-left: 1px solid var(--line); } pre.right { background: var(--right); }
pre.wrong { background: var(--wrong); }
@media (max-width: 44rem) { .pair { grid-template-columns: 1fr; } }
"""

SCORES = (
    *("model", "context", "order", "kind", "n", "exact match", "as shown", "edit similarity", "identifier F1"),
    *("perplexity", "bits/byte"),
)
TIMES = (
    *("model", "context", "order", "", "n", "tokens", "prefill p50", "prefill p95", "total p50", "total p95"),
    *("10 tokens p50", "p95"),
)
GAINS = ("model", "order", "kind", "n", "relative gain")


def page(results: Results, rows: Sequence[Row]) -> str:
    """The whole page."""
    title = f"Completion in {escape(label(results.settings.root))}"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{STYLE}</style>
<h1>{title}</h1>
<p>{escape(summary(results))}.</p>
<h2>Exact match</h2>
{exact_match(results)}
<p class="note">Bars are shares of the holes that were filled with exactly what was there, lines their 95 % Wilson
intervals. <i>single</i> is line and tail together. <i>full</i> is the prompt that an editor's suggestion gets,
<i>infile</i> the same budget spent on the file alone.</p>
{_table(GAINS, 3, _gain_rows(results))}
<p class="note">Exact match of the full context over the file alone, bootstrap interval over cases.</p>
<h2>Bits per byte</h2>
{bits_per_byte(results)}
<p class="note">How surprising the true text is to the model, whatever the tokenizer; less is better.</p>
<h2>Latency</h2>
{latencies(results)}
<p class="note">Cold: a document that the model has not seen. Warm: one to three characters later. A model that writes
too much, or nothing, has other times than one that is right: the last columns are of ten tokens each.</p>
{_table(TIMES, 4, _latency_rows(results))}
<h2>All scores</h2>
{_table(SCORES, 4, _score_rows(results))}
<h2>Examples</h2>
<p class="note">Left what was there, right what the model wrote, as far as it was compared.</p>
{"".join(_example(row) for row in _examples(rows))}
</html>
"""


def _score_rows(results: Results) -> Iterable[Sequence[str]]:
    for found in results.figures:
        scores = found.edit_similarity.value, found.identifier_f1.value
        yield (
            *(label(found.model), found.context, found.order, found.kind, str(found.n), percent(found.exact)),
            *(percent(found.shown_match), *(number(score, 3) for score in scores)),
            *(number(found.perplexity, 1), number(found.bits_per_byte, 3)),
        )


def _latency_rows(results: Results) -> Iterable[Sequence[str]]:
    for found in results.latencies:
        times = found.prefill_p50, found.prefill_p95, found.total_p50, found.total_p95
        yield (
            *(label(found.model), found.context, found.order, found.temperature, str(found.n)),
            *(number(found.tokens, 0), *(number(time, 1) for time in times)),
            *(number(found.ten_p50, 1), number(found.ten_p95, 1)),
        )


def _gain_rows(results: Results) -> Iterable[Sequence[str]]:
    for found in results.gains:
        yield label(found.model), found.order, found.kind, str(found.n), signed_percent(found.exact)


def _table(heads: Sequence[str], names: int, rows: Iterable[Sequence[str]]) -> str:
    """The first `names` columns are words; a row of all kinds together stands out."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        classes = (' class="name"' if place < names else "" for place in range(len(texts)))
        return "".join(f"<{tag}{of}>{escape(text)}</{tag}>" for of, text in zip(classes, texts, strict=True))

    body = "".join(f"<tr{' class=all' if 'all' in row[:names] else ''}>{cells('td', row)}</tr>\n" for row in rows)
    return f'<div class="wide"><table>\n<tr>{cells("th", heads)}</tr>\n{body}</table></div>' if body else ""


def _examples(rows: Sequence[Row]) -> list[Row]:
    """Some right and some wrong answers, of the first variant, the shortest holes of the right ones last."""
    if not rows:
        return []
    first = rows[0]
    same = [row for row in rows if (row.model, row.context, row.order) == (first.model, first.context, first.order)]
    right = sorted((row for row in same if row.exact), key=lambda row: -row.size)
    wrong = (row for row in same if not row.exact)
    return [*right[:EXAMPLES], *islice(wrong, EXAMPLES)]


def _example(row: Row) -> str:
    state = "right" if row.exact else "wrong"
    place = f"{row.path}:{row.line} · {row.kind} · {label(row.model)}, {row.context}, {row.order} · {state}"
    answer = row.answer[:MOST_SHOWN] or "(nothing)"
    return (
        f'<figure class="case"><figcaption>{escape(place)}</figcaption><div class="pair">'
        f'<pre>{escape(row.hole)}</pre><pre class="{state}">{escape(answer)}</pre></div></figure>\n'
    )
