"""A StarCoder2 checkpoint for llama.cpp: written as GGUF, run through its C interface, held against our own network.

Needs `pip install gguf llama-cpp-python`. Knows nothing of our engine. llama.cpp has no window
for this architecture (its loader reads none): past a model's window, its answers are another network's.
"""

import ctypes
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

from sc2lsp.runtime import weights
from sc2lsp.runtime.config import ModelConfig, read_config

KINDS = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "Q8_0": "MOSTLY_Q8_0"}  # quantisation -> type of such a file
BATCH = 512  # tokens of a step at most: llama.cpp's own default
REPEATS = 41  # of a step that is timed
Logits = NDArray[np.float32]


def write(folder: Path, path: Path, kind: str) -> None:
    """`folder`'s weights as `kind`, one of KINDS; norms and biases stay float32, as llama.cpp's own converter has it.

    Raises ModelError for a folder that is no checkpoint.
    """
    config = read_config(folder)
    writer = gguf.GGUFWriter(path, "starcoder2")
    _add_shape(writer, config)
    writer.add_file_type(gguf.LlamaFileType[KINDS[kind]])
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_bytes()), config.vocab_size)
    for name, tensor in _tensors(folder, config):
        quantisation = gguf.GGMLQuantizationType[kind if tensor.ndim == 2 else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(tensor, quantisation), raw_dtype=quantisation)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, config: ModelConfig) -> None:
    assert config.rope_theta is not None
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_layers)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_layer_norm_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope_theta)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, Any], vocab_size: int) -> None:
    """Byte-level BPE with digits apart, which llama.cpp knows as `starcoder`."""
    tokens = [f"[UNUSED{id}]" for id in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    for token, id in tokenizer["model"]["vocab"].items():
        tokens[id], types[id] = token, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|endoftext|>"))


def _tensors(folder: Path, config: ModelConfig) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every weight under llama.cpp's name; it takes the embedding for a head that is not there."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.STARCODER2, config.num_layers)
    network = weights.load(folder, torch.float32, torch.device("cpu"))
    for name, parameter in network.named_parameters():  # names a tied head once, as the embedding
        known = names.get_name(name, (".weight", ".bias"))
        assert known is not None, name
        yield known, parameter.numpy()


class LlamaCpp:
    """One sequence in llama.cpp, at the least that a step costs from Python: one `llama_decode` with a batch that is
    filled in place, and logits read where llama.cpp keeps them.
    """

    def __init__(self, path: Path, context: int, threads: int, exact: bool = False) -> None:
        """Keys and values are float16 as by default, or float32 where `exact`."""
        silence()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        assert self._model is not None, path
        self._context = llama_cpp.llama_init_from_model(self._model, _context_params(context, threads, exact))
        assert self._context is not None
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        for i in range(BATCH):
            self._batch.n_seq_id[i] = 1
            self._batch.seq_id[i][0] = 0
        self._vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self.length = 0
        # Mutated by: the steps and truncate(): length, batch and what llama.cpp keeps of the sequence.

    def prefill(self, tokens: Sequence[int]) -> Logits:
        """[vocab] logits behind the last token."""
        for start in range(0, len(tokens), BATCH):
            self._decode(tokens[start : start + BATCH], all_rows=False)
        return self._logits(1)[0]

    def step(self, tokens: Sequence[int]) -> Logits:
        """[tokens, vocab] logits behind each; they live until the next step."""
        self._decode(tokens, all_rows=True)
        return self._logits(len(tokens))

    def truncate(self, length: int) -> None:
        """Forget what stands behind the first `length` tokens."""
        llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(self._context), 0, length, -1)
        self.length = length

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _decode(self, tokens: Sequence[int], all_rows: bool) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self.length + i
            batch.logits[i] = all_rows
        batch.logits[len(tokens) - 1] = True
        status = llama_cpp.llama_decode(self._context, batch)
        assert status == 0, f"llama_decode returned {status}"
        self.length += len(tokens)

    def _logits(self, rows: int) -> Logits:
        pointer = llama_cpp.llama_get_logits(self._context)  # waits for the step, too
        return np.ctypeslib.as_array(pointer, shape=(rows, self._vocab))


def _context_params(context: int, threads: int, exact: bool) -> llama_cpp.llama_context_params:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = context, BATCH, BATCH
    params.n_threads = params.n_threads_batch = threads
    params.no_perf = True
    # The faster choice: on an EPYC with AVX-512, behind 800 tokens of the built-in model in Q8_0, a step of 1 token
    # took at the least 0.79 ms, with flash attention 0.91; one of 8 tokens 2.2 and 4.0.
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if exact:
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
    return params


def nearness(folder: Path, path: Path, prompts: Sequence[Sequence[int]]) -> tuple[float, float]:
    """At every token of the prompts: the largest difference of a logit from those of our own network on `folder` in
    float32, and how often the likeliest token is the same.
    """
    network = weights.load(folder, torch.float32, torch.device("cpu"))
    differences, agreed = [], []
    for prompt in prompts:
        with torch.inference_mode():
            ours = network(torch.tensor([prompt]))[0].numpy()
        theirs = _all_logits(path, prompt)
        differences.append(float(np.abs(theirs - ours).max()))
        agreed.append(float(np.mean(theirs.argmax(1) == ours.argmax(1))))
    return max(differences), float(np.mean(agreed))


def _all_logits(path: Path, prompt: Sequence[int]) -> Logits:
    llama = LlamaCpp(path, len(prompt), threads=1, exact=True)
    parts = [llama.step(prompt[start : start + BATCH]).copy() for start in range(0, len(prompt), BATCH)]
    llama.close()
    return np.concatenate(parts)


def step_times(path: Path, threads: int, prompt: Sequence[int], counts: Sequence[int]) -> dict[int, list[float]]:
    """Milliseconds of steps of so many tokens behind the prompt, every row's likeliest token read."""
    llama = LlamaCpp(path, len(prompt) + max(counts), threads)
    llama.prefill(prompt)
    spent: dict[int, list[float]] = {n: [] for n in counts}
    for _, n in itertools.product(range(REPEATS), counts):
        started = time.perf_counter()
        llama.step(prompt[:n]).argmax(1)
        spent[n].append((time.perf_counter() - started) * 1e3)
        llama.truncate(len(prompt))
    llama.close()
    return spent


@llama_cpp.llama_log_callback
def _ignore(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """llama.cpp logs hundreds of lines while it loads."""


def silence() -> None:
    llama_cpp.llama_log_set(_ignore, ctypes.c_void_p(0))
