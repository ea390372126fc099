"""Text <-> token ids, with control tokens reachable by name only.

A tokenizer file turns text that spells `<fim_middle>` into the control id by default; this one never does. The flag
that prevents it is lost when a tokenizer is saved, copied or pickled, so it is set and checked at every construction.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

import tokenizers

from .config import Family
from .errors import ModelError

END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD = "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"
REPO_NAME, FILE_SEP = "<repo_name>", "<file_sep>"  # StarCoder2's
REPONAME, FILENAME = "<reponame>", "<filename>"  # StarCoder's

# What a completion prompt of either family is made of, from the special_tokens_map.json of bigcode/starcoder2-15b and
# bigcode/starcoder. Ids are looked up by these names, never assumed.
SHARED = (END_OF_TEXT, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD)
REQUIRED: Mapping[Family, tuple[str, ...]] = {
    "starcoder2": (*SHARED, REPO_NAME, FILE_SEP),
    "gpt_bigcode": (*SHARED, REPONAME, FILENAME),
}


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Ids of a completion prompt's control tokens by what they do, whatever the family calls them.

    `file` stands right before a file's path. StarCoder2's training cut holes between two of them, so that of the file
    with the hole precedes it; StarCoder's cut them into the whole document, so the hole's prefix begins with `opening`.
    Source: the fill-in-the-middle code of both trainings, and arXiv 2402.19173, section 5.1.
    """

    end: int
    prefix: int
    middle: int
    suffix: int
    pad: int
    repo: int
    file: int
    opening: tuple[int, ...]


def read_tokenizer_json(folder: Path) -> bytes:
    """`folder/tokenizer.json`; converted by transformers, where that is installed, from an older checkpoint's files.

    Raises ModelError.
    """
    try:
        return (folder / "tokenizer.json").read_bytes()
    except FileNotFoundError:
        return _converted(folder)
    except OSError as wrong:
        raise ModelError(f"{folder}/tokenizer.json cannot be read: {wrong.strerror}") from None


class Tokenizer:
    """A `tokenizer.json`, made safe for text that users wrote. Immutable after construction, usable on any thread."""

    def __init__(self, json: bytes) -> None:
        """Raises ModelError where the file is no tokenizer, or lacks control tokens of either family."""
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.decode("utf-8"))
        except Exception as wrong:  # noqa: BLE001 - the library raises bare Exception; translated at this edge
            raise ModelError(f"tokenizer.json cannot be read: {wrong}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self.sha256 = hashlib.sha256(json).hexdigest()
        self.control = self._control_tokens()
        self.control_ids = frozenset(self.control.values())
        self.family = self._family()
        self._check()

    @property
    def prompt_tokens(self) -> PromptTokens:
        end, prefix, middle, suffix, pad, repo, file = (self.control[name] for name in REQUIRED[self.family])
        opening = (file,) if self.family == "gpt_bigcode" else ()
        return PromptTokens(end, prefix, middle, suffix, pad, repo, file, opening)

    @property
    def end_ids(self) -> frozenset[int]:
        """The control tokens that stand where a text ends; the others belong into texts of other kinds."""
        return frozenset(self.control[name] for name in REQUIRED[self.family])

    @property
    def vocab_size(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; whatever the text spells, no control id. Lone surrogates become U+FFFD."""
        return self._tokenizer.encode(_valid(text), add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; control ids are spelled out, a broken UTF-8 sequence becomes U+FFFD."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def bytes_of(self, id: int) -> bytes:
        """The bytes that a token stands for, a control token those of its name, an id of no token none.

        Unlike `decode`, it is exact for a token that holds a part of a character.
        """
        return self._bytes.get(id, b"")

    @cached_property
    def _bytes(self) -> Mapping[int, bytes]:
        characters = _byte_characters()
        spelled = {id: token.content.encode() for id, token in self._tokenizer.get_added_tokens_decoder().items()}
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=False)
        return {id: _spelled(token, characters) for token, id in vocabulary.items()} | spelled

    def _control_tokens(self) -> dict[str, int]:
        added = self._tokenizer.get_added_tokens_decoder()
        return {token.content: id for id, token in added.items() if token.special}

    def _family(self) -> Family:
        """The family that lacks none of its control tokens."""
        lacking = {family: [name for name in names if name not in self.control] for family, names in REQUIRED.items()}
        family = min(lacking, key=lambda family: len(lacking[family]))
        if lacking[family]:
            raise ModelError(f"tokenizer.json lacks {', '.join(lacking[family])}: not a tokenizer of StarCoder models")
        return family

    def _check(self) -> None:
        if not self.control_ids.isdisjoint(self.encode("".join(self.control))):
            raise ModelError("this version of `tokenizers` turns text into control tokens; install tokenizers>=0.22")


def _byte_characters() -> Mapping[int, int]:
    """Code points of byte-level BPE's alphabet -> bytes, as GPT-2 has it: what Latin-1 prints stands for itself.

    The other 68 bytes follow in their order from U+0100.
    """
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printed]
    return {0x100 + place: byte for place, byte in enumerate(others)}


def _spelled(token: str, characters: Mapping[int, int]) -> bytes:
    """A token that is not written in the alphabet stands for its own text, as in the library's decoder."""
    try:
        return token.translate(characters).encode("latin-1")
    except UnicodeEncodeError:
        return token.encode()


def _converted(folder: Path) -> bytes:
    missing = f"{folder} has no tokenizer.json; it belongs beside the weights"
    if not (folder / "merges.txt").exists():
        raise ModelError(missing)
    try:
        transformers = import_module("transformers")  # not needed to serve, hence no dependency
        fast = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except ImportError:
        raise ModelError(f"{missing}, or pip install transformers to convert its merges.txt") from None
    except (OSError, ValueError) as wrong:
        raise ModelError(f"{missing}, and its merges.txt cannot be converted: {wrong}") from None
    json: str = fast.backend_tokenizer.to_str()
    return json.encode("utf-8")


def _valid(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(text) else text


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)
