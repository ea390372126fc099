"""Logits -> one token a row and the logarithm of its probability.

What is random is a pure function of an answer's seed and of the token's place in the answer: which other rows are in a
step, how many tokens it verifies and where an answer was resumed change no token. Knows nothing of sequences.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .api import SamplingParams

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17), its constants as signed numbers.
_GOLDEN_GAMMA, _MIX_1, _MIX_2 = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
_BELOW_ONE = 1 - 2**-24  # the largest float32 below one
_TINY, _HUGE = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


@dataclass(frozen=True, slots=True)
class Draw:
    """How one row is decided: token `index` of an answer with this seed."""

    params: SamplingParams
    seed: int
    index: int


def seed_of(params: SamplingParams, answer: int) -> int:
    """The seed of answer 0..n-1; a fresh one from the system where the request names none."""
    return secrets.randbits(63) if params.seed is None else _mixed(params.seed, answer)


def choose(logits: Tensor, draws: Sequence[Draw], banned: Tensor | None) -> tuple[list[int], list[float]]:
    """A token for each row of [rows, vocab] logits, none of the ids in `banned` ([k] int64), and its log probability.

    The probability is the model's own: in float32, before anything is banned, scaled or cut off. It is NaN for a row
    that holds a NaN or +inf, or nothing but -inf; such a row's token means nothing.
    """
    logits = logits.float()
    allowed = logits if banned is None else logits.index_fill(1, banned, -torch.inf)
    tokens = allowed.argmax(dim=1)
    drawn = [row for row, draw in enumerate(draws) if draw.params.temperature > 0.0]
    if drawn:
        rows = _moved(torch.tensor(drawn), logits)
        tokens.index_copy_(0, rows, _draw(allowed.index_select(0, rows), [draws[row] for row in drawn]))
    log_probs = logits.log_softmax(dim=1).gather(1, tokens[:, None])[:, 0]
    return tokens.tolist(), log_probs.tolist()


def _draw(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Token ids [rows], each with the probability of its weight: the first to arrive in an exponential race."""
    temperature = _column([min(max(draw.params.temperature, _TINY), _HUGE) for draw in draws], logits)
    weights = ((logits - logits.amax(dim=1, keepdim=True)) / temperature).exp()
    if any(draw.params.top_k or draw.params.top_p < 1.0 for draw in draws):
        weights = _narrowed(weights, draws)
    return (weights / _exponential(weights, draws)).argmax(dim=1)


def _narrowed(weights: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Weights with zeros outside of each row's top-k, and of the nucleus of what remains; lower ids win ties.

    The nucleus is the smallest set with at least `top_p` of the whole (arXiv 1904.09751, section 3.1).
    """
    vocab = weights.shape[1]
    top_k = _column([float(draw.params.top_k or vocab) for draw in draws], weights)
    top_p = _column([_share(draw.params.top_p) for draw in draws], weights)
    ordered, order = weights.sort(dim=1, descending=True, stable=True)
    ordered = ordered.masked_fill(torch.arange(vocab, device=weights.device) >= top_k, 0.0)
    before = ordered.cumsum(dim=1) - ordered  # of the token that crosses top_p: less than top_p, so it stays
    ordered = ordered.masked_fill(before >= top_p * ordered.sum(dim=1, keepdim=True), 0.0)
    return torch.empty_like(weights).scatter_(1, order, ordered)


def _share(top_p: float) -> float:
    """One cuts nothing off, whatever rounding makes of a sum; the likeliest token always stays."""
    return torch.inf if top_p >= 1.0 else max(top_p, _TINY)


def _exponential(like: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Noise of the shape of `like`, exponential with rate one, finite and positive: a function of seed, index and id.

    Entry `id` is number `id` of the SplitMix64 sequence that starts from the row's seed and index; integers throughout,
    so that every device and shape has the same.
    """
    start = _moved(torch.tensor([_mixed(draw.seed, draw.index) - (1 << 63) for draw in draws]), like)[:, None]
    z = start + torch.arange(like.shape[1], device=like.device) * _GOLDEN_GAMMA
    z = (z ^ _shifted(z, 30)) * _MIX_1
    z = (z ^ _shifted(z, 27)) * _MIX_2
    uniform = (_shifted(z ^ _shifted(z, 31), 12).float() + 0.5) * 2**-52
    return -torch.log1p(-uniform.clamp(max=_BELOW_ONE))


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own copies the sign of an int64."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(first: int, second: int) -> int:
    """64 bits of both numbers."""
    return int.from_bytes(hashlib.blake2b(b"%d %d" % (first, second), digest_size=8).digest())


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    """[rows, 1] float32 beside `like`."""
    return _moved(torch.tensor(values, dtype=torch.float32), like)[:, None]


def _moved(values: Tensor, like: Tensor) -> Tensor:
    """To the device of `like`; pageable memory is staged before the call returns, hence no wait for the device."""
    return values.to(like.device, non_blocking=True)
