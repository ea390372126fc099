"""The optimisation: batches in, a trained model out, resumable at any checkpoint.

Matrices inside the blocks are trained by Muon (arXiv 2502.16982, at AdamW's update size), the rest by AdamW; the rate
warms up, stays, and falls. Products in bfloat16, weights and their state in float32. Deterministic on one machine's
CPU for one seed.

On a CPU every core takes its share of a batch through the network by itself: cores that wait for each other at every
operation lose a quarter of their time, and nearly all of it while anything else runs (measured on two cores, in CPU
seconds of a step of 8,192 tokens: 2.5 together, 1.8 apart).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from ..config import ModelConfig
from ..model import StarCoder2
from . import checkpoint, curve
from .batches import Batch, Batches, drawn_ahead
from .loss import cross_entropy
from .plan import Plan, Progress

_DECAY, _LEAST = 0.4, 0.02  # of the steps, of the peak
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
    lanes: int = 1  # threads that share a batch
    dtype: torch.dtype = torch.bfloat16


def schedule(plan: Plan, step: int) -> float:
    """The share of the peak rate at a step: warm-up, constant, linear to a fiftieth."""
    rising = (step + 1) / max(1.0, plan.warmup * plan.steps)
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
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(course.lanes, "lane", lambda: torch.set_num_threads(1)) as lanes:
            _run(model, optimizers, batches, range(start, plan.steps), plan, course, lanes)
    finally:
        torch.set_num_threads(threads)
    return model.eval()


def _run(
    model: StarCoder2,
    optimizers: Optimizers,
    batches: Batches,
    steps: range,
    plan: Plan,
    course: Course,
    lanes: ThreadPoolExecutor,
) -> None:
    threads = _DRAWING_THREADS.get(course.device.type, 1)
    before = perf_counter()
    for step, batch in zip(steps, drawn_ahead(batches.draw, steps, threads), strict=True):
        if step == first_falling_step(plan):
            checkpoint.save(course.folder, checkpoint.STABLE, model, optimizers, step)
        rate = schedule(plan, step)
        loss = _step(model, optimizers, batch, rate, course, lanes)
        now = perf_counter()
        speed = plan.step_tokens / (now - before)
        before = now
        progress = Progress(step + 1, plan.steps, (step + 1) * plan.step_tokens, loss, speed)
        _record(plan, course, model, optimizers, progress, rate * plan.lr)


def _step(
    model: StarCoder2, optimizers: Optimizers, batch: Batch, rate: float, course: Course, lanes: ThreadPoolExecutor
) -> float:
    """One step of all optimizers at `rate` of their peak; the mean loss in nats a token, every token weighing 1."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group["peak"]
    loss = backward(model, batch, course, lanes)
    nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
    for running in [lanes.submit(optimizer.step) for optimizer in optimizers]:
        running.result()
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    return loss


def backward(model: StarCoder2, batch: Batch, course: Course, lanes: ThreadPoolExecutor) -> float:
    """The gradients of the weighted mean loss, into the parameters; returns the plain mean loss.

    Shares are added up in their own order: which lane is done first decides nothing.
    """
    count = min(course.lanes, len(batch.documents))
    total, counted = batch.weights.sum().item(), (batch.weights > 0).sum().item()
    shares = [batch.share(lane, count) for lane in range(count)]
    running = [lanes.submit(_gradients, model, share, total, course) for share in shares]
    done = [future.result() for future in running]
    for parameter, *parts in zip(model.parameters(), *(gradients for _, gradients in done), strict=True):
        parameter.grad = torch.stack(parts).sum(0) if count > 1 else parts[0]
    return sum(loss for loss, _ in done) / counted


def _gradients(model: StarCoder2, batch: Batch, total: float, course: Course) -> tuple[float, Sequence[Tensor]]:
    """The unweighted sum of the losses, and the gradients of the weighted sum over `total`."""
    tokens, targets, weights = (x.to(course.device) for x in (batch.tokens, batch.targets, batch.weights / total))
    with torch.autocast(course.device.type, course.dtype, enabled=course.dtype != torch.float32):
        hidden = model.hidden(tokens, documents=tuple(chain.from_iterable(batch.documents)))
    weights = weights.flatten()
    head = model.lm_head.weight
    weighted, each = cross_entropy(hidden.flatten(0, 1), head, targets.flatten(), weights, course.dtype)
    return (each * (weights > 0)).sum().item(), torch.autograd.grad(weighted, list(model.parameters()))


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
    """AdamW first, then Muon for one block after another, so that lanes share its work."""
    blocks = [[p for p in block.parameters() if p.dim() == 2] for block in model.model.layers]
    matrices = {id(p) for block in blocks for p in block}
    others = [p for p in model.parameters() if id(p) not in matrices]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=plan.vector_lr, betas=(0.9, 0.95), weight_decay=0.0)
    ]
    for block in blocks:
        muon = torch.optim.Muon(block, lr=plan.lr, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw")
        optimizers.append(muon)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
