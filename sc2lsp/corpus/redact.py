"""Secrets and e-mail addresses of a text replaced by StarCoder2's placeholders (arXiv 2402.19173, section 3.2)."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sc2lsp.context.secrets import Secret, find_secrets

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-/:@])[A-Za-z0-9_%+\-][A-Za-z0-9._%+\-]{0,63}"
    r"@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24}\b"
)
# RFC 2606: reserved for examples.
_NOBODYS = re.compile(r"@(?:[a-z0-9.\-]*\.)?(?:example|invalid|localhost|test)(?:\.[a-z]+)?$", re.IGNORECASE)
EMAIL, KEY = "<EMAIL>", "<KEY>"


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without secrets, and how many of each kind were in it."""

    text: str
    counts: Mapping[str, int]


def redact(text: str) -> Redacted:
    """Replace what `find_secrets` finds by <KEY>, and e-mail addresses but those reserved for examples by <EMAIL>."""
    found = [*find_secrets(text), *_emails(text)]
    counts: Counter[str] = Counter()
    parts: list[str] = []
    end = 0
    for secret in sorted(found, key=lambda secret: (secret.start, -secret.end)):
        if secret.start >= end:
            parts += (text[end : secret.start], EMAIL if secret.kind == "e-mail" else KEY)
            counts[secret.kind] += 1
            end = secret.end
    return Redacted("".join((*parts, text[end:])), dict(sorted(counts.items())))


def _emails(text: str) -> list[Secret]:
    if "@" not in text:
        return []
    return [
        Secret("e-mail", match.start(), match.end()) for match in _EMAIL.finditer(text) if not _NOBODYS.search(match[0])
    ]
