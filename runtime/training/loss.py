"""Cross entropy over a vocabulary without the logits of a whole batch.

Chunk by chunk, the gradient is taken at once, in the forward pass: logits are made once and live for one chunk only.
For one token with logits z = W h, target t and weight w:  loss = w (logsumexp(z) - z[t]),
dz = w (softmax(z) - onehot(t)),  dh = W^T dz,  dW = dz h^T.  Softmax in float32, products in `dtype`.
"""

from typing import Any

import torch
from torch import Tensor

_CHUNK_BYTES = 8 << 20  # of float32 logits: stays in a CPU's last cache


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        losses = torch.empty_like(weights)
        grad_hidden, grad_head = torch.empty_like(hidden), torch.zeros_like(head)
        low = head.to(dtype)
        size = max(128, _CHUNK_BYTES // (4 * head.shape[0]))
        for start in range(0, hidden.shape[0], size):
            chunk = slice(start, start + size)
            inputs = hidden[chunk].to(dtype)
            log_probs = torch.log_softmax((inputs @ low.t()).float(), dim=-1)  # [chunk, vocabulary]
            target = targets[chunk, None]
            losses[chunk] = -log_probs.gather(1, target)[:, 0]
            grad = log_probs.exp_().scatter_add_(1, target, torch.full_like(target, -1, dtype=torch.float32))
            grad = grad.mul_(weights[chunk, None]).to(dtype)
            grad_hidden[chunk] = grad @ low
            grad_head += grad.t() @ inputs
        ctx.save_for_backward(grad_hidden, grad_head)
        ctx.mark_non_differentiable(losses)
        return (losses * weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grads[0], grad_head * grads[0], None, None, None


def cross_entropy(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Weighted sum of the losses in nats, and the losses of all tokens without a gradient.

    hidden: [tokens, width]; head: [vocabulary, width]; targets: [tokens]; weights: [tokens], 0: no target.
    """
    losses: tuple[Tensor, Tensor] = _ChunkedCrossEntropy.apply(hidden, head, targets, weights, dtype)  # type: ignore[no-untyped-call]
    return losses
