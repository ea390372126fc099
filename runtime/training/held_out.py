"""How well a model predicts files it never saw: bits a byte of plain text, which compares across vocabularies."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..model import StarCoder2
from ..tokenizer import FILE_SEP, REPO_NAME, Tokenizer
from .plan import SourceFile

MAX_TOKENS = 60_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids of a file's beginning; what is counted starts at index `text` and is `bytes` long."""

    ids: tuple[int, ...]
    text: int
    bytes: int


def sample(files: Sequence[SourceFile], tokenizer: Tokenizer, length: int, seed: int) -> list[Sample]:
    """The beginnings of files, at most `length` tokens of each and MAX_TOKENS in all; the same for the same seed."""
    samples: list[Sample] = []
    for file in random.Random(seed).sample(files, len(files)):
        head = [tokenizer.control[REPO_NAME], *tokenizer.encode(file.repo), tokenizer.control[FILE_SEP]]
        head += tokenizer.encode(f"{file.path}\n")
        ids = tokenizer.encode(file.text[: 8 * length])[: max(0, length - len(head))]
        size = len(tokenizer.decode(ids).encode("utf-8"))
        if sum(len(one.ids) for one in samples) + len(head) + len(ids) > MAX_TOKENS:
            break
        if ids:
            samples.append(Sample((*head, *ids), len(head), size))
    return samples


@torch.inference_mode()
def bits_per_byte(model: StarCoder2, samples: Sequence[Sample], device: torch.device, dtype: torch.dtype) -> float:
    nats = 0.0
    for one in samples:
        ids = torch.tensor(one.ids, device=device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model.forward(ids[None, :-1])[0, one.text - 1 :]
        nats += F.cross_entropy(logits.float(), ids[one.text :], reduction="sum").item()
    return nats / math.log(2) / max(1, sum(one.bytes for one in samples))
