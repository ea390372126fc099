"""A plan and files -> a checkpoint folder in the published layout: tokenizer first, then weights and config."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..config import parse_config
from ..tokenizer import END_OF_TEXT, FIM_PAD, Tokenizer
from . import held_out as held
from .batches import Batches
from .bpe import train_tokenizer
from .examples import ExampleSource
from .loop import Course, train
from .plan import Example, Plan, Progress, SourceFile

_TOKENIZER_FILES = 2500  # enough text for the merges of a small vocabulary


def prepare_tokenizer(plan: Plan, files: Sequence[SourceFile], folder: Path) -> Tokenizer:
    """The folder's tokenizer, trained first where there is none."""
    path = folder / "tokenizer.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        chosen = random.Random(plan.seed).sample(range(len(files)), min(_TOKENIZER_FILES, len(files)))
        path.write_bytes(train_tokenizer((files[i].text for i in sorted(chosen)), plan.vocab_size))
    return Tokenizer(path.read_bytes())


def build(
    plan: Plan,
    files: Sequence[SourceFile],
    prompts: Sequence[Example],
    folder: Path,
    report: Callable[[Progress], None],
    held_out: Sequence[SourceFile] = (),
    checkpoint_every: int = 200,
) -> None:
    """Train a model on `files`, and at last on `prompts`, into `folder`, where a second call goes on.

    `prompts` are in the tokenizer's ids, none longer than the plan's context. `report` is called after every step.
    Runs on the GPU where there is one.
    """
    tokenizer = prepare_tokenizer(plan, files, folder)
    end = tokenizer.control[END_OF_TEXT]
    raw = plan.config() | {"bos_token_id": end, "eos_token_id": end}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples = held.sample(held_out, tokenizer, plan.length(0), plan.seed)
    course = Course(
        folder,
        device,
        report,
        held_out=lambda model: held.bits_per_byte(model, samples, device, torch.bfloat16) if samples else None,
        checkpoint_every=checkpoint_every,
        lanes=torch.get_num_threads() if device.type == "cpu" else 1,
    )
    batches = Batches(plan, ExampleSource(files, tokenizer), prompts, tokenizer.control[FIM_PAD])
    model = train(parse_config(raw), plan, batches, course)
    weights = {name: p.detach().to("cpu", torch.float16).contiguous() for name, p in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n", "utf-8")
