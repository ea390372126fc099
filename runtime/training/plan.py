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
class Example:
    """Token ids of one document, `<|endoftext|>` last; those from index `middle` on fill a hole: none in plain text."""

    ids: tuple[int, ...]
    middle: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands after a step: tokens so far, mean loss of the step in nats a token."""

    step: int
    steps: int
    tokens: int
    loss: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of the model and the course of its training.

    `tokens` in all; a step takes `batch` rows of `row_length` tokens (0: of `context_length`). The last `prompt_share`
    of the steps are the second phase: as many tokens a step, in rows of `context_length`, `prompt_mix` of which hold
    the prompts that were handed in; what fills a hole weighs `middle_weight` there, every other token 1.
    `lr` is the peak for matrices, `vector_lr` for embeddings, norms and biases, reached after a share `warmup` of the
    steps.
    Of files in `languages`, which is the caller's to see to.
    """

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
    languages: tuple[str, ...] = ("python",)
    vector_lr: float = 1e-2
    row_length: int = 0
    prompt_share: float = 0.0
    prompt_mix: float = 0.75
    warmup: float = 0.02
    middle_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.step_tokens % self.context_length:
            raise ValueError("batch * row_length must be a multiple of context_length: both phases take equal steps")

    @property
    def step_tokens(self) -> int:
        return self.batch * (self.row_length or self.context_length)

    @property
    def prompts(self) -> int:
        """How many prompts the second phase sees."""
        return round((self.steps - self.first_prompt_step) * self.step_tokens * self.prompt_mix / self.context_length)

    @property
    def steps(self) -> int:
        return max(1, self.tokens // self.step_tokens)

    @property
    def first_prompt_step(self) -> int:
        return self.steps - round(self.steps * self.prompt_share)

    def length(self, step: int) -> int:
        """Tokens in a row of this step."""
        return self.context_length if step >= self.first_prompt_step else self.row_length or self.context_length

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
