"""All that the index keeps of one file: a pure function of its path and text, so that it can be computed in another
process and kept on disk. The text itself is not kept; its digest says whether the disk still holds it.
"""

from dataclasses import dataclass
from hashlib import blake2b

from .document import Document, encode
from .tags import FileTags, extract

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class FileEntry:
    tags: FileTags
    lines: int
    digest: bytes  # of the text, see `digest`
    size: int  # bytes


def analyse(document: Document, tags: FileTags | None = None) -> FileEntry:
    """What a document says, parsed or not; `tags`, where they are known already, are taken as they are."""
    encoded = encode(document.text)
    return FileEntry(
        tags if tags is not None else extract(document), document.line_count, digest(encoded), len(encoded)
    )


def digest(encoded: bytes) -> bytes:
    """A text's identity, from its UTF-8."""
    return blake2b(encoded, digest_size=DIGEST_BYTES).digest()


def digest_of(text: str) -> bytes:
    """A text's identity."""
    return digest(encode(text))
