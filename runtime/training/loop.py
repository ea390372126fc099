"""The optimisation: batches in, a trained model out, resumable at any checkpoint.

Matrices inside the blocks are trained by Muon (arXiv 2502.16982, at AdamW's update size), the rest by AdamW; the rate
warms up, stays, and falls. Products in bfloat16, weights and their state in float32. Deterministic on one machine's
CPU for one seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import nn

from ..config import ModelConfig
from ..model import StarCoder2
from . import checkpoint, curve
from .batches import Batch, Batches, drawn_ahead
from .loss import cross_entropy
from .plan import Plan, Progress

_WARMUP, _DECAY, _LEAST = 0.02, 0.4, 0.02  # of the steps, of the steps, of the peak
_WEIGHT_DECAY = 0.1
_CLIP = 1.0
_DRAWING_THREADS = {"cpu": 1, "cuda": 6}

Optimizers = Sequence[torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Course:
    """Where a training keeps its files and runs, and whom it tells how it stands.

    `held_out` gives bits a byte, or None; it is asked at every checkpoint and at the end.
    """

    folder: Path
    device: torch.device
    report: Callable[[Progress], None]
    held_out: Callable[[StarCoder2], float | None]
    checkpoint_every: int
    dtype: torch.dtype = torch.bfloat16


def schedule(plan: Plan, step: int) -> float:
    """The share of the peak rate at a step: warm-up, constant, linear to a fiftieth."""
    rising = (step + 1) / max(1.0, _WARMUP * plan.steps)
    return min(1.0, rising, max(_LEAST, (1 - step / plan.steps) / _DECAY))


def first_falling_step(plan: Plan) -> int:
    return plan.steps - int(_DECAY * plan.steps)


def train(config: ModelConfig, plan: Plan, batches: Batches, course: Course) -> StarCoder2:
    """Train from scratch, or on from the checkpoint in the course's folder; the finished model.

    Interrupting loses at most `checkpoint_every` steps.
    """
    torch.manual_seed(plan.seed)
    model = StarCoder2(config)
    _initialise(model)
    model.to(course.device).train()
    optimizers = _optimizers(model, plan)
    start = checkpoint.resume(course.folder, model, optimizers)
    curve.trim(course.folder, start)
    threads = _DRAWING_THREADS.get(course.device.type, 1)
    before = perf_counter()
    for step, batch in enumerate(drawn_ahead(batches.draw, range(start, plan.steps), threads), start):
        if step == first_falling_step(plan):
            checkpoint.save(course.folder, checkpoint.STABLE, model, optimizers, step)
        rate = schedule(plan, step)
        loss = _step(model, optimizers, batch, rate, course)
        now = perf_counter()
        progress = Progress(
            step + 1, plan.steps, (step + 1) * plan.step_tokens, loss, plan.step_tokens / (now - before)
        )
        before = now
        _record(plan, course, model, optimizers, progress, rate * plan.lr)
    return model.eval()


def _step(model: StarCoder2, optimizers: Optimizers, batch: Batch, rate: float, course: Course) -> float:
    """One step of all optimizers at `rate` of their peak; the mean loss in nats a token, every token weighing 1."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group["peak"]
    weighted, mean = losses(model, batch, course.device, course.dtype)
    torch.autograd.backward(weighted)
    nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return mean.item()


def losses(
    model: StarCoder2, batch: Batch, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted mean loss to be minimised, and the plain one, in nats a token."""
    tokens, targets, weights = (x.to(device, non_blocking=True) for x in (batch.tokens, batch.targets, batch.weights))
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        hidden = model.hidden(tokens, documents=batch.documents)
    weights = weights.flatten()
    weighted, each = cross_entropy(hidden.flatten(0, 1), model.lm_head.weight, targets.flatten(), weights, dtype)
    counted = weights > 0
    return weighted, (each * counted).sum() / counted.sum()


def _record(
    plan: Plan, course: Course, model: StarCoder2, optimizers: Optimizers, progress: Progress, learning_rate: float
) -> None:
    """The step in the curve; at its turn a checkpoint, the held-out loss and the picture. The report comes last."""
    step = progress.step
    due = step % course.checkpoint_every == 0 or step == plan.steps
    held_out = course.held_out(model) if due else None
    phase = 2 if step > plan.first_prompt_step else 1
    speed = progress.tokens_per_second
    curve.append(
        course.folder, curve.Point(step, progress.tokens, phase, progress.loss, learning_rate, speed, held_out)
    )
    if due:
        checkpoint.save(course.folder, checkpoint.STATE, model, optimizers, step)
        curve.draw(course.folder)
    course.report(progress)


def _initialise(model: StarCoder2) -> None:
    """Normal(0, 0.02); the two projections into the residual stream and all biases zero: a block begins as identity."""
    for name, parameter in model.named_parameters():
        if name.endswith((".bias", "o_proj.weight", "c_proj.weight")):
            nn.init.zeros_(parameter)
        elif parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02)


def _optimizers(model: StarCoder2, plan: Plan) -> list[torch.optim.Optimizer]:
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.dim() == 2 and "layers" in name]
    others = [p for name, p in named if not (p.dim() == 2 and "layers" in name)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=plan.lr, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=plan.vector_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    for optimizer, peak in zip(optimizers, (plan.lr, plan.vector_lr), strict=True):
        for group in optimizer.param_groups:
            group["peak"] = peak
    return optimizers
