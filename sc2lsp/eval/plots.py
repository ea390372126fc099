"""Results as SVG: text stays text, and what is neither bar nor curve takes the colour of the page around it.

Figures are made without pyplot, so that nothing is shared and no window system is asked for. The same results give the
same bytes.
"""

import math
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sc2lsp.eval.metrics import Interval
from sc2lsp.eval.results import SCOPES, Figures, Latency, Results, label

INK = "#0a0b0c"  # stands for the page's own colour; nothing else is drawn with it
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sc2lsp",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
# Okabe and Ito's, which everybody tells apart, as far as they show on light and dark ground alike.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_NUMBERED = re.compile(r' id="[\w.]+_\d+"')  # every figure of a page has a `patch_1`, and nothing refers to it
NOTHING: dict[str, str | None] = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # to be said in the file
WIDTH, HEIGHT = 8.0, 3.4  # inches
FILLED = 0.8  # of the room of a kind

Variant = tuple[str, str, str]  # model, context, order


def exact_match(results: Results) -> str:
    """Bars by kind, one for each variant, with their intervals."""
    return _drawn(lambda axes: _bars(axes, results, "exact match, %", lambda found: _percent(found.exact)))


def bits_per_byte(results: Results) -> str:
    """Bars by kind; less is better."""
    return _drawn(lambda axes: _bars(axes, results, "bits per byte of the hole", _bits))


def latencies(results: Results) -> str:
    """Which share of the suggestions comes within how long, cold and warm."""
    return _drawn(lambda axes: _curves(axes, results))


def _drawn(draw: Callable[[Axes], None]) -> str:
    with rc_context(STYLE):
        figure = Figure((WIDTH, HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=NOTHING)
    svg = _NUMBERED.sub("", file.getvalue())
    return svg[svg.index("<svg") :].replace(INK, "currentColor")  # without the prologue, which names a DTD elsewhere


def _bars(axes: Axes, results: Results, title: str, of: Callable[[Figures], Interval]) -> None:
    kinds = [kind for kind in SCOPES if any(found.kind == kind for found in results.figures)]
    variants = list(dict.fromkeys(_variant(found) for found in results.figures))
    width = FILLED / len(variants)
    for number, variant in enumerate(variants):
        found = [found for found in results.figures if _variant(found) == variant]
        places = [kinds.index(item.kind) + (number + 0.5) * width - FILLED / 2 for item in found]
        values = [of(item) for item in found]
        axes.bar(places, [v.value for v in values], width * 0.92, label=_name(variant), color=_colour(number))
        spans = [[max(v.value - v.low, 0) for v in values], [max(v.high - v.value, 0) for v in values]]
        if any(map(any, spans)):
            axes.errorbar(places, [v.value for v in values], spans, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    axes.set_xticks(range(len(kinds)), labels=kinds)
    axes.set_ylabel(title)
    axes.set_ylim(bottom=0)


def _curves(axes: Axes, results: Results) -> None:
    variants = list(dict.fromkeys(_variant(found) for found in results.latencies))
    for found in results.latencies:
        shares = [100 * (place + 1) / found.n for place in range(found.n)]
        name = f"{_name(_variant(found))}, {found.temperature}"
        line = "-" if found.temperature == "warm" else ":"
        colour = _colour(variants.index(_variant(found)))
        axes.step(found.totals, shares, line, where="post", label=name, color=colour, linewidth=1.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("milliseconds from the keystroke to the whole suggestion")
    axes.set_ylabel("suggestions, %")
    axes.set_ylim(0, 102)


def _percent(share: Interval) -> Interval:
    return Interval(share.value * 100, share.low * 100, share.high * 100)


def _bits(found: Figures) -> Interval:
    value = 0.0 if math.isnan(found.bits_per_byte) else found.bits_per_byte
    return Interval(value, value, value)


def _variant(found: Figures | Latency) -> Variant:
    return found.model, found.context, found.order


def _name(variant: Variant) -> str:
    model, context, order = variant
    return f"{label(model)}, {context}, {order}"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
