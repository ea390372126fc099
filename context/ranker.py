"""How likely a candidate is needed at the cursor: a small network over its numbers, trained on cut repositories.

`ranker.json` holds the weights; `python -m tests.benchmarks.ranking` makes them anew. One hidden layer: the worths of
numbers do not add up (a name that is near says little where everybody defines it), and one matrix product for all
candidates costs less than describing one of them.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from .candidates import FEATURES, Candidates, Floats

WEIGHTS = Path(__file__).parent / "ranker.json"


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the network: numbers are shifted and scaled, then [features, hidden], rectified, then [hidden]."""

    features: Sequence[str]
    mean: Sequence[float]
    scale: Sequence[float]
    hidden: Sequence[Sequence[float]]
    hidden_bias: Sequence[float]
    out: Sequence[float]
    out_bias: float


@cache
def network() -> tuple[Floats, Floats, Floats, float]:
    """[features, hidden], [hidden], [hidden] and a number, with the shift and the scale folded in."""
    weights = msgspec.json.decode(WEIGHTS.read_bytes(), type=Weights)
    assert tuple(weights.features) == FEATURES, "ranker.json was trained on other numbers"
    hidden = np.array(weights.hidden) / np.array(weights.scale)[:, None]
    bias = np.array(weights.hidden_bias) - np.array(weights.mean) @ hidden
    return hidden, bias, np.array(weights.out), weights.out_bias


def log_odds(candidates: Candidates) -> Floats:
    """[candidates]: of how likely the code at the cursor mentions each, natural logarithm."""
    hidden, hidden_bias, out, out_bias = network()
    return np.asarray(np.maximum(candidates.numbers @ hidden + hidden_bias, 0.0) @ out + out_bias)
