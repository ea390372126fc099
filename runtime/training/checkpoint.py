"""Weights, optimizer state and step of a training in one safetensors file, replaced in one move.

`state` is the newest. `stable` was kept when the learning rate began to fall: a training is extended by removing
`state`, raising the plan's tokens and running it again, which goes on from `stable` at the full rate.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_FOLDER = "checkpoint"  # not beside the weights that are loaded
STATE, STABLE = "state.safetensors", "stable.safetensors"

Optimizers = Sequence[torch.optim.Optimizer]


def save(folder: Path, name: str, model: nn.Module, optimizers: Optimizers, step: int) -> None:
    tensors = {f"model/{name}": parameter.detach() for name, parameter in model.named_parameters()}
    tensors |= dict(_optimizer_tensors(optimizers))
    tensors["step"] = torch.tensor(step)
    path = folder / _FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished)
    unfinished.replace(path)


def resume(folder: Path, model: nn.Module, optimizers: Optimizers) -> int:
    """Load the newest checkpoint of `folder` into model and optimizers; the steps done, 0 where there is none."""
    paths = [folder / _FOLDER / name for name in (STATE, STABLE)]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return 0
    tensors = load_file(path)
    step = int(tensors.pop("step"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors.pop(f"model/{name}"))
    for key, value in tensors.items():
        _, i, j, name = key.split("/")
        optimizer = optimizers[int(i)]
        owner = _parameters(optimizer)[int(j)]
        optimizer.state[owner][name] = value if value.dim() == 0 else value.to(owner.device)
    return step


def _optimizer_tensors(optimizers: Optimizers) -> Iterator[tuple[str, Tensor]]:
    for i, optimizer in enumerate(optimizers):
        for j, parameter in enumerate(_parameters(optimizer)):
            for key, value in optimizer.state[parameter].items():
                yield f"optimizer/{i}/{j}/{key}", value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
