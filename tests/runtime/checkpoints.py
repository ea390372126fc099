"""Small real checkpoints for tests: random weights in the published layout, with a trained tokenizer."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.model import StarCoder2
from sc2lsp.runtime.training.bpe import train_tokenizer

TINY: dict[str, Any] = {
    "model_type": "starcoder2",
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "sliding_window": 64,
    "rope_theta": 10000.0,
    "hidden_act": "gelu_pytorch_tanh",
    "norm_epsilon": 1e-5,
    "use_bias": True,
    "tie_word_embeddings": True,
}

SAMPLE = ["def add(a, b):\n    return a + b\n\nclass Store:\n    def __init__(self, path):\n        self.path = path\n"]


def random_model(raw: dict[str, Any], seed: int = 0, std: float = 0.1) -> StarCoder2:
    """Weights and biases drawn from a normal distribution; norm scales around one."""
    torch.manual_seed(seed)
    model = StarCoder2(parse_config(raw)).requires_grad_(False)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, mean=1.0 if "norm" in name and name.endswith("weight") else 0.0, std=std)
    return model.eval()


def write_checkpoint(folder: Path, raw: dict[str, Any] = TINY, seed: int = 0, std: float = 0.1) -> Path:
    """A loadable folder: config.json, model.safetensors, tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    model = random_model(raw, seed, std)
    save_file({name: p.contiguous() for name, p in model.named_parameters()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(raw))
    (folder / "tokenizer.json").write_bytes(train_tokenizer(SAMPLE, raw["vocab_size"]))
    return folder
