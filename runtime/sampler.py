"""Logits -> one token and the logarithm of its probability."""

import torch
from torch import Generator, Tensor

from .api import SamplingParams


def sample(logits: Tensor, params: SamplingParams, generator: Generator) -> tuple[int, float]:
    """Choose a token from [vocab] logits; its log probability is the model's own, before temperature and top-p.

    Top-p keeps the smallest set of tokens whose probabilities sum to at least `top_p` (arXiv 1904.09751, section 3.1).
    """
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    if params.temperature == 0.0:
        token = int(log_probs.argmax())
    else:
        scaled = torch.softmax(logits.float() / params.temperature, dim=-1)
        token = int(torch.multinomial(_nucleus(scaled, params.top_p), 1, generator=generator))
    return token, float(log_probs[token])


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The probabilities with everything outside the nucleus at zero; not normalised."""
    if top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= top_p  # the token that crosses top_p stays in
    return probabilities.index_fill(0, order[outside], 0.0)
