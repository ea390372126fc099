"""The course of a training as a table, `loss.csv`, and where matplotlib is installed as a picture, `loss.svg`."""

import csv
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_CSV, _SVG = "loss.csv", "loss.svg"
COLUMNS = ("step", "tokens", "phase", "loss", "learning_rate", "tokens_per_second", "held_out_bits_per_byte")
_SMOOTHED = 50  # steps, in the picture


@dataclass(frozen=True, slots=True)
class Point:
    """One step: its number, and the table's other columns. `held_out` is in bits a byte, None where not measured."""

    step: int
    tokens: int
    phase: int
    loss: float
    learning_rate: float
    tokens_per_second: float
    held_out: float | None

    def row(self) -> list[str]:
        held_out = "" if self.held_out is None else f"{self.held_out:.4f}"
        rates = (f"{self.learning_rate:.3g}", f"{self.tokens_per_second:.0f}")
        return [str(self.step), str(self.tokens), str(self.phase), f"{self.loss:.4f}", *rates, held_out]


def append(folder: Path, point: Point) -> None:
    path = folder / _CSV
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow(point.row())


def trim(folder: Path, step: int) -> None:
    """Drop the rows past the checkpoint at `step`: those steps are run again."""
    path = folder / _CSV
    if path.exists():
        path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[: step + 1]), "utf-8")


def seconds(folder: Path) -> float:
    """How long all steps of a training took, without what was lost by interrupting it."""
    with (folder / _CSV).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tokens = int(rows[0]["tokens"])
    return sum(tokens / max(float(row["tokens_per_second"]), 1.0) for row in rows)


def draw(folder: Path) -> None:
    """Write the picture, where matplotlib is installed."""
    try:
        figure_module = import_module("matplotlib.figure")
    except ImportError:
        return
    with (folder / _CSV).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tokens = [int(row["tokens"]) / 1e6 for row in rows]
    losses = [float(row["loss"]) for row in rows]
    measured = [(x, float(row[COLUMNS[-1]])) for x, row in zip(tokens, rows, strict=True) if row[COLUMNS[-1]]]
    figure = figure_module.Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(tokens, losses, linewidth=0.4, alpha=0.4, color="tab:blue")
    axes.plot(tokens, _smoothed(losses), color="tab:blue", label="training loss")
    axes.set(xlabel="million tokens", ylabel="nats a token", ylim=(0, max(losses[len(losses) // 50 :])))
    axes.grid(alpha=0.3)
    if measured:
        right = axes.twinx()
        right.plot(*zip(*measured, strict=True), "o-", markersize=3, color="tab:orange", label="held out")
        right.set(ylabel="bits a byte, held out", ylim=(0, None))
    figure.legend(loc="outside upper right", ncols=2)
    figure.savefig(folder / _SVG)


def _smoothed(losses: list[float]) -> list[float]:
    return [sum(part) / len(part) for i in range(len(losses)) if (part := losses[max(0, i + 1 - _SMOOTHED) : i + 1])]
