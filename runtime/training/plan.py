"""What a training has to be told: the shape of the model, how long to train it, and on what. Needs no torch."""

from dataclasses import dataclass
from typing import Any

SLIDING_WINDOW = 4096  # StarCoder2's


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a repository; `path` is POSIX, inside it."""

    repo: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of the model and the length of its training; `tokens` in all, `batch` rows a step."""

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    context_length: int
    tokens: int
    batch: int
    lr: float
    seed: int = 0

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
