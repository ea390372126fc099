"""Small real checkpoints for tests: random weights in the published layouts, with a trained tokenizer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.forward import Network
from sc2lsp.runtime.kv_cache import KVCache
from sc2lsp.runtime.load import Options
from sc2lsp.runtime.model import CausalLM
from sc2lsp.runtime.precision import pack
from sc2lsp.runtime.runner import Runner
from sc2lsp.runtime.tokenizer import FILE_SEP, FILENAME, REPO_NAME, REPONAME, Tokenizer
from sc2lsp.runtime.training.bpe import train_tokenizer
from sc2lsp.runtime.weights import network

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

TINY_BIGCODE: dict[str, Any] = {
    "model_type": "gpt_bigcode",
    "vocab_size": 320,
    "n_embd": 64,
    "n_inner": 128,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 512,
    "activation_function": "gelu",
    "layer_norm_epsilon": 1e-5,
    "multi_query": True,
    "tie_word_embeddings": True,
}

EXACT = Options(precision="fp32", cache_bytes=1 << 20)  # for equality with the plainest loop

SAMPLE = ["def add(a, b):\n    return a + b\n\nclass Store:\n    def __init__(self, path):\n        self.path = path\n"]

_REPEATED = 1_048_573  # numbers, a prime; what is larger repeats them, which is many times faster to fill


def random_model(raw: dict[str, Any], seed: int = 0, std: float = 0.1) -> CausalLM:
    """Weights and biases drawn from a normal distribution; norm scales around one."""
    torch.manual_seed(seed)
    with torch.device("meta"):
        model = network(parse_config(raw))
    model.to_empty(device="cpu").requires_grad_(False).tie()
    norms = {id(module.weight) for module in model.modules() if isinstance(module, nn.LayerNorm)}
    for parameter in model.parameters():
        drawn = torch.empty(min(parameter.numel(), _REPEATED)).normal_(1.0 if id(parameter) in norms else 0.0, std)
        for part in parameter.view(-1).split(_REPEATED):
            part.copy_(drawn[: len(part)])
    return model.eval()


def serving(raw: dict[str, Any], seed: int = 0, std: float = 0.1, pages: int = 64) -> Runner:
    """The same model as an engine runs it, in float32."""
    model = random_model(raw, seed, std)
    network = Network(model, lambda weight, bias: pack(weight, bias, "fp32", torch.float32))
    return Runner(network, KVCache(network.config, pages, torch.float32, torch.device("cpu")))


def plain_greedy(raw: dict[str, Any], prompt: Sequence[int], count: int, std: float = 0.2) -> list[int]:
    """The answer of the plainest loop there is: the whole text again for every token; up to a token that ends it."""
    tokenizer = Tokenizer(tokenizer_json(raw))
    model, tokens = random_model(raw, std=std), list(prompt)
    banned = sorted(tokenizer.control_ids - tokenizer.end_ids)
    for _ in range(count):
        logits = model.forward(torch.tensor([tokens]))[0, -1]
        logits[banned] = -torch.inf
        tokens.append(int(logits.argmax()))
        if tokens[-1] in tokenizer.end_ids:
            return tokens[len(prompt) : -1]
    return tokens[len(prompt) :]


def tokenizer_json(raw: dict[str, Any]) -> bytes:
    """Of the model's family."""
    json = train_tokenizer(SAMPLE, raw["vocab_size"])
    if raw["model_type"] == "starcoder2":
        return json
    return json.replace(REPO_NAME.encode(), REPONAME.encode()).replace(FILE_SEP.encode(), FILENAME.encode())


def write_checkpoint(folder: Path, raw: dict[str, Any] = TINY, seed: int = 0, std: float = 0.1) -> Path:
    """A loadable folder: config.json, model.safetensors, tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    model = random_model(raw, seed, std)
    save_file({name: p.contiguous() for name, p in model.named_parameters()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(raw))
    (folder / "tokenizer.json").write_bytes(tokenizer_json(raw))
    return folder
