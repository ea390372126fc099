"""The likeliest token of each row of logits and the logarithm of its probability, in one pass over the vocabulary.

    token = argmax x,   log p = max x - log sum exp x = -log sum exp(x - max x)

One program per row; the first of equal logits wins. A row with a NaN has a NaN for log p, whatever its token.
Temperature, top-k and top-p sort a row, which torch does as well: they are not here.
"""
# ruff: noqa: N803 (what a kernel is compiled for is written in capitals)

from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from .launch import launch

_BLOCK, _WARPS = 8192, 16  # logits at a time: unmeasured


@triton.jit  # type: ignore[untyped-decorator]
def _greedy(logits: "Any", tokens: "Any", log_probs: "Any", stride: "Any", vocab: "Any", BLOCK: tl.constexpr) -> None:
    row = logits + tl.program_id(0).to(tl.int64) * stride
    column = tl.arange(0, BLOCK)
    best = tl.full([BLOCK], float("-inf"), tl.float32)  # each lane's own maximum, where it stands, and its own sum
    at = tl.zeros([BLOCK], tl.int32)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, vocab, BLOCK):
        x = tl.load(row + start + column, mask=start + column < vocab, other=float("-inf")).to(tl.float32)
        above = tl.maximum(best, x)
        shift = tl.where(above == float("-inf"), 0.0, above)
        total = total * tl.exp(best - shift) + tl.exp(x - shift)
        at = tl.where(x > best, start + column, at)
        best = above
    top = tl.max(best, 0)
    total = tl.sum(total * tl.exp(best - top), 0)
    tl.store(tokens + tl.program_id(0), tl.min(tl.where(best == top, at, vocab), 0).to(tl.int64))  # pyright: ignore[reportAttributeAccessIssue]
    tl.store(log_probs + tl.program_id(0), -tl.log(total))


def greedy(logits: Tensor) -> tuple[Tensor, Tensor]:
    """logits: [rows, vocab]. Returns token ids [rows] int64 and their log probabilities [rows] float32."""
    rows, vocab = logits.shape
    assert logits.stride(1) == 1
    tokens = torch.empty(rows, dtype=torch.int64, device=logits.device)
    log_probs = torch.empty(rows, dtype=torch.float32, device=logits.device)
    launch(_greedy, (rows,), logits, tokens, log_probs, logits.stride(0), vocab, BLOCK=_BLOCK, num_warps=_WARPS)
    return tokens, log_probs
