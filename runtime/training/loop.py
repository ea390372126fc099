"""The optimisation: rows in, a trained model out, resumable at any checkpoint.

Deterministic on one machine's CPU for one seed: step i draws its rows from generators seeded by (seed, i, row).
"""

import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..config import ModelConfig
from ..model import StarCoder2
from .examples import ExampleSource

_IGNORED = -100  # cross entropy skips this target
_CHECKPOINT = "checkpoint/state.safetensors"  # not beside the weights that are loaded

_CURVE = "loss.csv"


@dataclass(frozen=True, slots=True)
class TrainingParams:
    """`tokens` in all; `batch` rows a step; `lr` is the peak of a warm-up, constant, linear-decay schedule."""

    tokens: int
    length: int
    batch: int
    lr: float = 3e-3
    warmup: float = 0.03
    decay: float = 0.4
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 100

    @property
    def steps(self) -> int:
        return max(1, self.tokens // (self.length * self.batch))

    def learning_rate(self, step: int) -> float:
        progress = step / self.steps
        rising = (step + 1) / max(1.0, self.warmup * self.steps)
        falling = max(0.02, (1 - progress) / self.decay)
        return self.lr * min(1.0, rising, falling)


def train(
    config: ModelConfig,
    source: ExampleSource,
    pad: int,
    params: TrainingParams,
    folder: Path,
    report: Callable[[int, float], None],
) -> StarCoder2:
    """Train from scratch, or on from the checkpoint in `folder`; the finished model.

    `pad` is the id that fills short rows. `report(step, loss)` is called after every step, loss in nats a token.
    Interrupting loses at most `checkpoint_every` steps; the learning curve is `folder/loss.csv`.
    """
    torch.manual_seed(params.seed)
    model = StarCoder2(config).train()
    _initialise(model)
    optimizers = _optimizers(model, params)
    start = _resume(folder, model, optimizers)
    for step in range(start, params.steps):
        tokens = _batch(source, pad, params, step)
        loss = _step(model, optimizers, tokens, pad, params, params.learning_rate(step))
        _append_loss(folder, step + 1, (step + 1) * tokens.numel(), loss)
        report(step + 1, loss)
        if (step + 1) % params.checkpoint_every == 0:
            _save(folder, model, optimizers, step + 1)
    return model.eval()


def mean_loss(model: StarCoder2, tokens: Tensor, pad: int) -> Tensor:
    """Mean next-token cross entropy of [batch, length] rows, padding left out, nats a token."""
    targets = tokens[:, 1:].masked_fill(tokens[:, 1:] == pad, _IGNORED)
    logits = model.forward(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_IGNORED)


def _batch(source: ExampleSource, pad: int, params: TrainingParams, step: int) -> Tensor:
    """[batch, length] token ids of one step, short rows padded at their end."""
    rows = [source.draw(random.Random(f"{params.seed}/{step}/{row}")) for row in range(params.batch)]
    padded = torch.full((params.batch, params.length), pad)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = torch.tensor(row)
    return padded


def _step(
    model: StarCoder2,
    optimizers: list[torch.optim.Optimizer],
    tokens: Tensor,
    pad: int,
    params: TrainingParams,
    learning_rate: float,
) -> float:
    loss = mean_loss(model, tokens, pad)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), params.clip)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _initialise(model: StarCoder2) -> None:
    """Normal(0, 0.02), the two projections into the residual stream scaled down by depth (GPT-2), biases zero."""
    depth_scale = (2 * model.config.num_layers) ** -0.5
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() == 2:
            into_residual = name.endswith(("o_proj.weight", "c_proj.weight"))
            nn.init.normal_(parameter, std=0.02 * (depth_scale if into_residual else 1.0))


def _optimizers(model: StarCoder2, params: TrainingParams) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks (arXiv 2502.16982, at AdamW's update size), AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.dim() == 2 and "layers" in name)]
    return [
        torch.optim.Muon(matrices, lr=params.lr, weight_decay=params.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=params.lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _save(folder: Path, model: StarCoder2, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    """Weights, optimizer state and step in one safetensors file, replaced in one move."""
    tensors = {f"model/{name}": parameter.detach() for name, parameter in model.named_parameters()}
    tensors |= dict(_optimizer_tensors(optimizers))
    tensors["step"] = torch.tensor(step)
    path = folder / _CHECKPOINT
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def _optimizer_tensors(optimizers: list[torch.optim.Optimizer]) -> Iterator[tuple[str, Tensor]]:
    for i, optimizer in enumerate(optimizers):
        for j, parameter in enumerate(optimizer.param_groups[0]["params"]):
            for key, value in optimizer.state[parameter].items():
                yield f"optimizer/{i}/{j}/{key}", value


def _resume(folder: Path, model: StarCoder2, optimizers: list[torch.optim.Optimizer]) -> int:
    """Load the checkpoint of `folder` into model and optimizers; the number of steps done, 0 where there is none."""
    path = folder / _CHECKPOINT
    if not path.exists():
        return 0
    tensors = load_file(path)
    step = int(tensors.pop("step"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors.pop(f"model/{name}"))
    for key, value in tensors.items():
        _, i, j, name = key.split("/")
        optimizer = optimizers[int(i)]
        optimizer.state[optimizer.param_groups[0]["params"][int(j)]][name] = value
    _trim_curve(folder, step)
    return step


def _append_loss(folder: Path, step: int, tokens: int, loss: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _CURVE
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "tokens", "loss"])
        writer.writerow([step, tokens, f"{loss:.4f}"])


def _trim_curve(folder: Path, step: int) -> None:
    """Drop the curve's rows past the checkpoint: those steps are run again."""
    path = folder / _CURVE
    if path.exists():
        path.write_text("".join(path.read_text().splitlines(keepends=True)[: step + 1]))
