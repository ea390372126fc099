"""A recipe's shape and files -> a checkpoint folder in the published layout: config, weights, tokenizer."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..config import parse_config
from ..tokenizer import END_OF_TEXT, FIM_PAD, Tokenizer
from .bpe import train_tokenizer
from .examples import ExampleParams, ExampleSource
from .loop import TrainingParams, train
from .plan import Plan, SourceFile

_TOKENIZER_FILES = 2500  # enough text for the merges of a small vocabulary


def build(
    plan: Plan,
    files: Sequence[SourceFile],
    folder: Path,
    report: Callable[[int, float], None],
    checkpoint_every: int = 50,
) -> None:
    """Train a tokenizer and a model on `files` into `folder`, where a second call goes on from the last checkpoint.

    `report(step, loss)` after every optimisation step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(plan, files, folder / "tokenizer.json")
    raw = plan.config() | {
        "bos_token_id": tokenizer.control[END_OF_TEXT],
        "eos_token_id": tokenizer.control[END_OF_TEXT],
    }
    source = ExampleSource(files, tokenizer, ExampleParams(plan.context_length))
    params = TrainingParams(
        tokens=plan.tokens,
        length=plan.context_length,
        batch=plan.batch,
        lr=plan.lr,
        seed=plan.seed,
        checkpoint_every=checkpoint_every,
    )
    model = train(parse_config(raw), source, tokenizer.control[FIM_PAD], params, folder, report)
    weights = {name: p.detach().to(torch.float16).contiguous() for name, p in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n", "utf-8")


def training_steps(plan: Plan) -> int:
    return TrainingParams(plan.tokens, plan.context_length, plan.batch).steps


def _tokenizer(plan: Plan, files: Sequence[SourceFile], path: Path) -> Tokenizer:
    """The folder's tokenizer, trained first where there is none."""
    if not path.exists():
        chosen = random.Random(plan.seed).sample(range(len(files)), min(_TOKENIZER_FILES, len(files)))
        path.write_bytes(train_tokenizer((files[i].text for i in sorted(chosen)), plan.vocab_size))
    return Tokenizer(path.read_bytes())
