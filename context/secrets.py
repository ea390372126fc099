"""Where a text holds secrets: keys of a published format, passwords in URLs, and what is assigned to a telling name.

Knows no files and replaces nothing. Every pattern names words that its matches contain, so that most texts cost one
search for each of those.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Secret:
    """Code points [start, end) of a text hold a secret of a kind."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Format:
    """`hints`: one of these is in every match, in any case. The last group, or else the match, is the secret."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _format(kind: str, hints: str, pattern: str, flags: int = 0) -> _Format:
    return _Format(kind, tuple(hints.split()), re.compile(pattern, flags))


_URL_PART = r"[^\s/:@\"'`{}<>$%()]"
# The formats as their issuers document them.
_FORMATS = (
    _format(
        "private key",
        "PRIVATE",
        r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]{20,}?(?:-----END[ A-Z0-9]{0,40}-----|\Z)",
    ),
    _format("AWS key id", "akia asia abia acca", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    _format("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    _format("GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{36,255}\b"),
    _format("GitLab token", "glpat- gldt- glrt- glcbt- glptt-", r"\bgl(?:pat|dt|rt|cbt|ptt)-[A-Za-z0-9_\-]{20,}"),
    _format("Slack token", "xoxb- xoxa- xoxp- xoxr- xoxs- xoxe- xapp-", r"\b(?:xox[abprse]|xapp)-[A-Za-z0-9\-]{10,}"),
    _format("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{20,}"),
    _format(
        "Stripe key",
        "sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_",
        r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,99}\b",
    ),
    _format("Google key", "aiza", r"\bAIza[A-Za-z0-9_\-]{35}(?![A-Za-z0-9_\-])"),
    _format("Google OAuth secret", "gocspx-", r"\bGOCSPX-[A-Za-z0-9_\-]{28}"),
    _format("OpenAI key", "sk-", r"\bsk-(?:proj-|svcacct-|admin-|ant-[a-z0-9]+-)?[A-Za-z0-9_\-]{32,}"),
    _format("Hugging Face token", "hf_", r"\bhf_[A-Za-z0-9]{34,}\b"),
    _format("npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _format("PyPI token", "pypi-", r"\bpypi-[A-Za-z0-9_\-]{50,}"),
    _format("SendGrid key", "sg.", r"\bSG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{32,64}"),
    _format("Twilio key", "sk", r"\bSK[0-9a-f]{32}\b"),
    _format("Mailgun key", "key-", r"\bkey-[0-9a-f]{32}\b"),
    _format("Mailchimp key", "-us", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    _format("Telegram token", ":aa", r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}(?![A-Za-z0-9_\-])"),
    _format("Discord webhook", "api/webhooks", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_\-]{60,}"),
    _format("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    _format("Shopify token", "shpat_ shpss_ shppa_ shpca_", r"\bshp(?:at|ss|pa|ca)_[0-9a-fA-F]{32}\b"),
    _format(
        "Square token",
        "sq0atp- sq0csp- eaaa",
        r"\b(?:sq0(?:atp|csp)-[A-Za-z0-9_\-]{22,43}|EAAA[A-Za-z0-9_\-]{60})",
    ),
    _format("Databricks token", "dapi", r"\bdapi[0-9a-f]{32}(?:-[0-9])?\b"),
    _format("Atlassian token", "atatt3", r"\bATATT3[A-Za-z0-9_\-=]{60,}"),
    _format("Azure storage key", "accountkey", r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    _format("age key", "age-secret-key-", r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", re.IGNORECASE),
    _format("Vault token", "hvs. hvb.", r"\bhv[sb]\.[A-Za-z0-9_\-]{24,}"),
    _format("JSON web token", "eyj", r"\beyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}"),
    _format(
        "password in a URL",
        "://",
        rf"\b[a-z][a-z0-9+.\-]{{1,20}}://{_URL_PART}{{1,64}}:({_URL_PART}{{3,128}})@[A-Za-z0-9\[]",
        re.IGNORECASE,
    ),
)
_ASSIGNED = re.compile(
    r"(?:secret|token|passw(?:or)?d|passwd|api_?key|access_?key|auth_?key|private_?key|credential)[A-Za-z0-9_\-]{0,20}"
    r"[\"']?\]?\s{0,4}(?::\s?[A-Za-z\[\]]{1,20}\s?=|=>|:=|=|:|,)\s{0,4}[bru]?[\"']([A-Za-z0-9+/=_.~\-]{16,200})[\"']",
    re.IGNORECASE,
)
_ASSIGNED_HINTS = ("secret", "token", "passw", "key", "credential")
_MIN_BITS = 3.4  # Shannon entropy of a character: words and placeholders lie below, random text of 16 above
_PUBLIC = re.compile(r"example|sample|dummy|placeholder|changeme|your[-_]|xxxx|\.\.\.|1234567|abcdef", re.IGNORECASE)


def find_secrets(text: str) -> list[Secret]:
    """The secrets in a text, in order, none overlapping another."""
    lowered = text.lower()
    found = [secret for format in _FORMATS for secret in _matches(format, text, lowered)]
    if any(hint in lowered for hint in _ASSIGNED_HINTS):
        found += _assigned(text)
    found.sort(key=lambda secret: (secret.start, -secret.end))
    kept: list[Secret] = []
    for secret in found:
        if not kept or secret.start >= kept[-1].end:
            kept.append(secret)
    return kept


def _matches(format: _Format, text: str, lowered: str) -> Iterator[Secret]:
    if any(hint.lower() in lowered for hint in format.hints):
        for match in format.pattern.finditer(text):
            group = match.lastindex or 0
            yield Secret(format.kind, match.start(group), match.end(group))


def _assigned(text: str) -> Iterator[Secret]:
    """Random-looking text that is given to a name such as `api_key`."""
    for match in _ASSIGNED.finditer(text):
        value = match[1]
        if _is_random(value):
            yield Secret("assigned", match.start(1), match.end(1))


def _is_random(value: str) -> bool:
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return mixed and not _PUBLIC.search(value) and _entropy(value) >= _MIN_BITS


def _entropy(value: str) -> float:
    """Bits a character (Shannon)."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
