"""A recipe's shape and files -> a checkpoint folder in the published layout: config, weights, tokenizer."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ..config import parse_config
from ..tokenizer import END_OF_TEXT, FIM_PAD, Tokenizer
from .bpe import train_tokenizer
from .examples import ExampleParams, ExampleSource, SourceFile
from .loop import TrainingParams, train

_TOKENIZER_FILES = 2500  # enough text for the merges of a small vocabulary
SLIDING_WINDOW = 4096  # StarCoder2's


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of the model and the length of its training; what a recipe says, without where the files are."""

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    context_length: int
    tokens: int
    batch: int
    lr: float
    seed: int

    def config(self) -> dict[str, Any]:
        """`config.json` in the published checkpoints' own keys."""
        return {
            "architectures": ["Starcoder2ForCausalLM"],
            "model_type": "starcoder2",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": 4 * self.hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "max_position_embeddings": self.context_length,
            "sliding_window": SLIDING_WINDOW,
            "rope_theta": 10000.0,
            "hidden_act": "gelu_pytorch_tanh",
            "norm_epsilon": 1e-5,
            "use_bias": True,
            "tie_word_embeddings": True,
            "torch_dtype": "float16",
        }


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
