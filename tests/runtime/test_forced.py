"""Answers that begin with what was typed: every way to write it in tokens, and nothing else."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from sc2lsp.runtime.engine import Engine
from sc2lsp.runtime.forced import Vocabulary
from sc2lsp.runtime.locate import EMBEDDED, model_folder
from sc2lsp.runtime.tokenizer import Tokenizer

from .checkpoints import EXACT, TINY, plain_greedy, tokenizer_json, write_checkpoint
from .test_engine import PROMPT, Collected


@cache
def builtin() -> Tokenizer:
    folder = model_folder(EMBEDDED)
    assert folder is not None
    return Tokenizer((folder / "tokenizer.json").read_bytes())


@pytest.mark.parametrize("owed", ["s", "self", " retu", "(", "\u00e4x", "zzzzzqq", " return x"])
def test_tokens_that_may_come(owed: str) -> None:
    """Those that go on from what was typed, and the first of its own."""
    tokenizer = builtin()
    text = (id for id in range(tokenizer.vocab_size) if id not in tokenizer.control_ids)
    expected = {id for id in text if tokenizer.bytes_of(id).startswith(owed.encode())} | {tokenizer.encode(owed)[0]}
    assert set(Vocabulary(tokenizer).beginning(owed.encode())) == expected


@pytest.mark.parametrize("owed", [b"\xa4", b"\xa4x", b"\xff"])
def test_half_a_character_can_be_written(owed: bytes) -> None:
    first = Vocabulary(builtin()).beginning(owed)
    assert first and all(builtin().bytes_of(id)[:1] == owed[:1] for id in first)


def test_what_is_left() -> None:
    tokenizer, vocabulary = builtin(), Vocabulary(builtin())
    (space,) = tokenizer.encode(" ")
    assert vocabulary.left(b" return", space) == b"return"
    assert vocabulary.left(b" ", space) == b""
    assert vocabulary.left(b"x", space) == b""
    assert vocabulary.left(b"", space) == b""


def test_logits_are_narrowed_row_by_row() -> None:
    vocabulary = Vocabulary(builtin())
    logits = torch.randn(3, builtin().vocab_size)
    assert vocabulary.narrowed(logits, [b"", b"", b""]) is logits
    narrowed = vocabulary.narrowed(logits, [b"", b"def", b""])
    assert torch.equal(narrowed[::2], logits[::2])
    allowed = vocabulary.beginning(b"def")
    assert torch.equal(narrowed[1, allowed], logits[1, allowed])
    assert int(narrowed[1].isfinite().sum()) == len(allowed)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = write_checkpoint(tmp_path_factory.mktemp("model"), std=0.2)
    engine = Engine(str(folder), lambda message, fraction: None, EXACT)
    yield engine
    engine.close()


@pytest.mark.parametrize("forced", ["a", "def", "\u00e4", "xq?", " "])
@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.5, "seed": 2}], ids=["greedy", "sampled"])
def test_an_answer_begins_with_it(tiny: Engine, forced: str, sampling: dict[str, object]) -> None:
    """In bytes: a token of a random model may begin with the last of them and go on to half a character."""
    ids, last = Collected(tiny, PROMPT, forced, forced=forced, **sampling).finish()
    tokenizer = Tokenizer(tokenizer_json(TINY))
    assert b"".join(map(tokenizer.bytes_of, ids)).startswith(forced.encode())
    assert last.usage is not None


def test_behind_it_the_answer_is_the_plain_one(tiny: Engine) -> None:
    """Where the model had to write it in one way only."""
    tokenizer = Tokenizer(tokenizer_json(TINY))
    written = tokenizer.encode("\u4e2d")
    assert all(Vocabulary(tokenizer).beginning(tokenizer.bytes_of(id)) == [id] for id in written)
    ids, _ = Collected(tiny, PROMPT, "one way", forced="\u4e2d").finish()
    assert ids == [*written, *plain_greedy(TINY, [*PROMPT, *written], 24 - len(written))]
