"""Text that users wrote never becomes a control token."""

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sc2lsp.runtime.errors import ModelError
from sc2lsp.runtime.tokenizer import REQUIRED, Tokenizer, read_tokenizer_json
from sc2lsp.runtime.training.bpe import CONTROL_TOKENS, train_tokenizer

from .checkpoints import SAMPLE, TINY, TINY_BIGCODE, tokenizer_json

FUZZED = int(os.environ.get("SC2LSP_FUZZ", "20000"))
PIECES = [
    *CONTROL_TOKENS,
    "<",
    ">",
    "|",
    "fim_",
    "prefix>",
    "def f():\n",
    "\r\n",
    "\t",
    "é",
    "😀",
    "\ud83d",
    "\ude00",
    "\0",
    "7",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_tokenizer(SAMPLE, 320))


def test_fuzzed_text_has_no_control_id(tokenizer: Tokenizer) -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices(PIECES, k=rng.randint(1, 12))) for _ in range(FUZZED)]
    for text in texts:
        ids = tokenizer.encode(text)
        assert tokenizer.control_ids.isdisjoint(ids), repr(text)
        if "\ud83d" not in text and "\ude00" not in text:
            assert tokenizer.decode(ids) == text


def test_the_fuzz_would_see_a_leak() -> None:
    """A tokenizer as the library builds it does turn such text into control ids."""
    import tokenizers

    leaky = tokenizers.Tokenizer.from_str(train_tokenizer(SAMPLE, 320).decode())
    assert set(leaky.encode("<fim_middle>").ids) & set(range(len(CONTROL_TOKENS)))


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b", "\ud83d\ude00", "x" * 10_000, ""])
def test_any_string_encodes(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )


def test_control_tokens_have_starcoder2s_ids(tokenizer: Tokenizer) -> None:
    assert [tokenizer.control[name] for name in CONTROL_TOKENS] == list(range(38))


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert [tokenizer.decode([id]) for id in tokenizer.encode("2024")] == list("2024")


def without(json_text: bytes, name: str) -> bytes:
    raw = json.loads(json_text)
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] != name]
    del raw["model"]["vocab"][name]
    return json.dumps(raw).encode()


@pytest.mark.parametrize(
    ("raw", "name"), [(raw, n) for raw in (TINY, TINY_BIGCODE) for n in REQUIRED[raw["model_type"]]]
)
def test_a_missing_control_token_is_named(raw: dict[str, Any], name: str) -> None:
    with pytest.raises(ModelError, match=f"lacks {re.escape(name)}: not a tokenizer"):
        Tokenizer(without(tokenizer_json(raw), name))


@pytest.mark.parametrize(("raw", "opening"), [(TINY, ""), (TINY_BIGCODE, "<filename>")])
def test_prompt_tokens_of_each_family_by_role(raw: dict[str, Any], opening: str) -> None:
    tokenizer = Tokenizer(tokenizer_json(raw))
    roles = tokenizer.prompt_tokens
    ids = (roles.end, roles.prefix, roles.middle, roles.suffix, roles.pad, roles.repo, roles.file)
    assert tokenizer.decode(ids) == "".join(REQUIRED[raw["model_type"]])
    assert (tokenizer.family, tokenizer.decode(roles.opening)) == (raw["model_type"], opening)
    assert tokenizer.control_ids.isdisjoint(tokenizer.encode("".join(tokenizer.control)))


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff\xfe", b"[1, 2]"])
def test_junk_is_no_tokenizer(junk: bytes) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        Tokenizer(junk)


def test_an_older_checkpoints_files_are_converted(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """vocab.json and merges.txt, as checkpoints had before tokenizer.json."""
    raw = json.loads(train_tokenizer(SAMPLE, 320))
    (tmp_path / "vocab.json").write_text(json.dumps(raw["model"]["vocab"]))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in raw["model"]["merges"]))
    special = {"additional_special_tokens": CONTROL_TOKENS, "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    kind = {"tokenizer_class": "GPT2Tokenizer", "unk_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**kind, **special}))
    converted = Tokenizer(read_tokenizer_json(tmp_path))
    assert converted.control.items() >= tokenizer.control.items()
    assert converted.decode(converted.encode("def f():\n    return 12")) == "def f():\n    return 12"
    assert converted.control_ids.isdisjoint(converted.encode("<fim_middle>"))


def test_no_tokenizer_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        read_tokenizer_json(tmp_path)


# -- the bytes of tokens

TOKENIZERS = [Tokenizer(train_tokenizer(SAMPLE, 320)), Tokenizer(tokenizer_json(TINY_BIGCODE))]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@given(st.text())
@example("\0\t\n\r\x7f\x80\xa0\xad\xff\u0100\u0143\u200b😀 <fim_middle>")
def test_bytes_of_the_tokens_are_those_of_the_text(tokenizer: Tokenizer, text: str) -> None:
    assert b"".join(map(tokenizer.bytes_of, tokenizer.encode(text))) == text.encode()


def test_every_byte_has_its_token(tokenizer: Tokenizer) -> None:
    spelled = [tokenizer.bytes_of(id) for id in range(tokenizer.vocab_size)]
    assert {token for token in spelled if len(token) == 1} == {bytes([byte]) for byte in range(256)}
    assert all(token.decode(errors="replace") == tokenizer.decode([id]) for id, token in enumerate(spelled))


def test_control_tokens_are_spelled_and_unknown_ids_are_nothing(tokenizer: Tokenizer) -> None:
    assert {name: tokenizer.bytes_of(id).decode() for name, id in tokenizer.control.items()} == {
        name: name for name in CONTROL_TOKENS
    }
    assert [tokenizer.bytes_of(id) for id in (-1, tokenizer.vocab_size, 2**40)] == [b""] * 3


def test_tokens_outside_of_the_alphabet_are_their_own_text() -> None:
    """As in `decode`, beside an added token that holds a blank and a letter of the alphabet."""
    raw = json.loads(train_tokenizer(SAMPLE, 320))
    size = len(raw["model"]["vocab"])
    raw["model"]["vocab"]["漢a"] = size
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    raw["added_tokens"].append({"id": size + 1, "content": "  é", **plain})
    tokenizer = Tokenizer(json.dumps(raw).encode())
    assert tokenizer.bytes_of(size).decode() == tokenizer.decode([size]) == "漢a"
    assert tokenizer.encode("x  é") == [*tokenizer.encode("x"), size + 1]
    assert tokenizer.bytes_of(size + 1).decode() == "  é"
