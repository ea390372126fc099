"""Planted keys and addresses: none of a published format is left, and ordinary code keeps its text."""

import string
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from sc2lsp.context.secrets import find_secrets
from sc2lsp.corpus.redact import redact

EACH = 24
WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"

Maker = Callable[[Random], str]


def text(alphabet: str, length: int) -> Maker:
    return lambda rng: "".join(rng.choice(alphabet) for _ in range(length))


def key(pattern: str, *parts: Maker) -> Maker:
    """A maker of `pattern`, each {} of which is a part made anew."""
    return lambda rng: pattern.format(*(part(rng) for part in parts))


# kind -> keys of that format, random in every character that may be
KEYS: dict[str, Maker] = {
    "AWS key id": key("AKIA{}", text(UPPER, 16)),
    "AWS session key id": key("ASIA{}", text(UPPER, 16)),
    "GitHub classic": key("ghp_{}", text(WORD, 36)),
    "GitHub server": key("ghs_{}", text(WORD, 36)),
    "GitHub fine-grained": key("github_pat_{}_{}", text(WORD, 22), text(WORD, 59)),
    "GitLab": key("glpat-{}", text(WORD + "_-", 20)),
    "Slack bot": key("xoxb-{}-{}-{}", text(string.digits, 12), text(string.digits, 12), text(WORD, 24)),
    "Slack app": key("xapp-1-A{}-{}-{}", text(UPPER, 10), text(string.digits, 13), text(HEX, 64)),
    "Stripe": key("sk_live_{}", text(WORD, 24)),
    "Google": key("AIza{}", text(WORD + "_-", 35)),
    "OpenAI": key("sk-proj-{}", text(WORD, 48)),
    "Anthropic": key("sk-ant-api03-{}AA", text(WORD + "-_", 93)),
    "Hugging Face": key("hf_{}", text(string.ascii_letters, 34)),
    "npm": key("npm_{}", text(WORD, 36)),
    "PyPI": key("pypi-AgEIcHlwaS5vcmc{}", text(WORD + "-_", 150)),
    "SendGrid": key("SG.{}.{}", text(WORD + "-_", 22), text(WORD + "-_", 43)),
    "Twilio": key("SK{}", text(HEX, 32)),
    "Mailgun": key("key-{}", text(HEX, 32)),
    "Mailchimp": key("{}-us12", text(HEX, 32)),
    "Telegram": key("{}:AA{}", text("123456789", 10), text(WORD, 33)),
    "DigitalOcean": key("dop_v1_{}", text(HEX, 64)),
    "Shopify": key("shpat_{}", text(HEX, 32)),
    "Databricks": key("dapi{}", text(HEX, 32)),
    "Vault": key("hvs.{}", text(WORD, 24)),
    "age": key("AGE-SECRET-KEY-1{}", text("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
    "Azure storage": key("AccountKey={}==", text(WORD + "+/", 86)),
    "JSON web token": key("eyJ{}.eyJ{}.{}", text(WORD, 30), text(WORD, 60), text(WORD + "-_", 43)),
    "private key": key("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", text(WORD + "+/", 200)),
}
SYNTAXES = (
    'KEY = "{}"',
    "client.connect(token='{}')  # the real one",
    "const k = `{}`;",
    "export KEY={}\n",
    "- key: {}\n",
)
CODE = "def handler(request):\n    value = request.get('name')\n    return value\n"


@pytest.mark.parametrize("kind", KEYS)
def test_no_planted_key_is_left(kind: str) -> None:
    for i in range(EACH):
        rng = Random(f"{kind}/{i}")
        planted = KEYS[kind](rng)
        cleaned = redact(CODE + SYNTAXES[i % len(SYNTAXES)].format(planted) + "\n" + CODE)
        secret = planted.partition("AccountKey=")[2] or planted
        assert secret not in cleaned.text and "<KEY>" in cleaned.text
        assert cleaned.text.startswith(CODE) and cleaned.text.endswith(CODE)
        assert sum(cleaned.counts.values()) == 1


@pytest.mark.parametrize(
    ("source", "cleaned"),
    [
        ("# by Ann <ann.lee+dev@mail.corp.io>", "# by Ann <<EMAIL>>"),
        ("send('root@localhost', 'a@b.co')", "send('root@localhost', '<EMAIL>')"),
        ("mail = 'user@example.com'", "mail = 'user@example.com'"),
        ("@decorator.name\ndef f(): ...", "@decorator.name\ndef f(): ..."),
        ("git+ssh://git@github.com/org/repo.git", "git+ssh://git@github.com/org/repo.git"),
        ("url = 'postgres://app:s3cr3tpw@db.corp/x'", "url = 'postgres://app:<KEY>@db.corp/x'"),
        ("url = f'http://{user}:{password}@host/'", "url = f'http://{user}:{password}@host/'"),
        ("api_key = '9fK2mQ8zLw3XvR7tBn5c'", "api_key = '<KEY>'"),
        ('{"client_secret": "Zx81-qPl0-77ab-LLw9"}', '{"client_secret": "<KEY>"}'),
        ("token = 'your-token-goes-here'", "token = 'your-token-goes-here'"),
        ("password = get_password(user)", "password = get_password(user)"),
        ("TOKEN_KINDS = 'identifier_or_keyword'", "TOKEN_KINDS = 'identifier_or_keyword'"),
        ("sha = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'", "sha = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'"),
        ("task-sk-learn and risk-based-approach-to-things-of-all-kinds", None),
    ],
)
def test_what_is_replaced_and_what_stays(source: str, cleaned: str | None) -> None:
    assert redact(source).text == (source if cleaned is None else cleaned)


def test_our_own_source_holds_no_secret() -> None:
    root = Path(__file__).parents[2]
    sources = [path for folder in ("sc2lsp", "context", "runtime", "kernels") for path in (root / folder).glob("*.py")]
    assert len(sources) > 60
    assert {path.name: find_secrets(path.read_text("utf-8")) for path in sources} == {p.name: [] for p in sources}
