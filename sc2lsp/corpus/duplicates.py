"""Near-duplicates by MinHash: word 5-grams, 256 permutations, Jaccard similarity 0.7 (BigCode's near-deduplication).

Bands are narrower than the threshold asks for, 42 of 6 rows, so that a pair of similarity 0.8 is missed once in
400,000 times; every pair that they propose is then compared by its whole signature.
"""

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import cast

from datasketch import MinHash, MinHashLSH

_NOT_WORD = re.compile(r"[^A-Za-z_0-9]+")
_WORDS, _PERMUTATIONS, _BANDS, _ROWS, SIMILARITY = 5, 256, 42, 6, 0.7


def signature(text: str) -> MinHash | None:
    """The MinHash of a text's word 5-grams, or None where it has fewer than five words."""
    words = [word for word in _NOT_WORD.split(text) if word]
    if len(words) < _WORDS:
        return None
    shingles = {" ".join(words[i : i + _WORDS]) for i in range(len(words) - _WORDS + 1)}
    minhash = MinHash(_PERMUTATIONS, hashfunc=_hash)
    minhash.update_batch([shingle.encode() for shingle in shingles])
    return minhash


def near_duplicates(texts: Sequence[str], report: Callable[[int], None]) -> dict[int, int]:
    """Index of a text -> index of the earlier text it is a near-duplicate of; texts that come first are kept.

    `report(count)` says how many have been looked at.
    """
    lsh = MinHashLSH(num_perm=_PERMUTATIONS, params=(_BANDS, _ROWS))
    kept: dict[int, MinHash] = {}
    found: dict[int, int] = {}
    for i, text in enumerate(texts):
        report(i)
        minhash = signature(text)
        if minhash is None:
            continue
        proposed = cast(list[int], lsh.query(minhash))
        alike = [j for j in sorted(proposed) if minhash.jaccard(kept[j]) >= SIMILARITY]
        if alike:
            found[i] = alike[0]
        else:
            kept[i] = minhash
            lsh.insert(i, minhash)
    return found


def _hash(shingle: bytes) -> int:
    return int.from_bytes(blake2b(shingle, digest_size=4).digest(), "little")
