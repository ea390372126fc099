"""Certificates that must not be trusted, with servers that count what they were told before they were left."""

import os
import shutil
import ssl
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from sc2lsp.backend import BackendError, create
from sc2lsp.config import Config

from .fake_dialects import answer_of, answering, openai_lines, prompt_of, text_of
from .fake_http import FakeServer, Reply, serving

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="certificates are made with openssl")
HERE, ELSEWHERE = "IP:127.0.0.1,DNS:localhost", "DNS:elsewhere.invalid"


def run(*arguments: str | Path) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *map(str, arguments)], check=True, capture_output=True, timeout=60)


def made(folder: Path, name: str, *options: str) -> Path:
    """A self-signed certificate, or one signed by what `options` name, with its key in the same file."""
    key, certificate, both = (folder / f"{name}.{kind}" for kind in ("key", "crt", "pem"))
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-keyout", key, "-out", certificate, *options)  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    made(folder, "authority", "-days", "2", "-addext", "keyUsage=keyCertSign")
    return folder


def signed(authority: Path, name: str, names: str, *days: str) -> Path:
    signer = ("-CA", str(authority / "authority.crt"), "-CAkey", str(authority / "authority.key"))
    leaf = ("-addext", "basicConstraints=critical,CA:FALSE")
    return made(authority, name, *signer, *leaf, "-addext", f"subjectAltName={names}", *days)


def context_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def old_protocol(certificate: Path) -> ssl.SSLContext:
    context = context_of(certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1
    return context


async def ask(tls: ssl.SSLContext, ca_file: Path | None) -> tuple[str, FakeServer]:
    """The answer's text or the failure's, and the server that was asked."""
    async with serving(answering(Reply.lines(openai_lines())), tls) as fake:
        trusted = "" if ca_file is None else str(ca_file)
        backend = create(Config(backend="openai", endpoint=fake.url, model="starcoder2-3b", ca_file=trusted))
        try:
            said = text_of(await answer_of(backend, await prompt_of(backend)))
        except BackendError as failure:
            said = str(failure)
        finally:
            await backend.close()
        return said, fake


async def test_an_authority_of_the_users_own_is_trusted(authority: Path) -> None:
    certificate = signed(authority, "good", HERE, "-days", "1")
    said, _ = await ask(context_of(certificate), authority / "authority.crt")
    assert said.startswith("naïve")


async def test_nobody_else_is_trusted(authority: Path) -> None:
    good = signed(authority, "good", HERE, "-days", "1")
    cases = {
        "self-signed": (context_of(made(authority, "self", "-addext", f"subjectAltName={HERE}")), True, "ca_file"),
        "of another authority": (context_of(good), False, "ca_file"),
        "of another host": (context_of(signed(authority, "host", ELSEWHERE, "-days", "1")), True, "ca_file"),
        "expired": (context_of(expired(authority)), True, "expired"),
        "of an old protocol": (old_protocol(good), True, "TLS"),
    }
    for name, (tls, has_authority, says) in cases.items():
        said, fake = await ask(tls, authority / "authority.crt" if has_authority else None)
        assert says in said, name
        assert not fake.requests, f"{name}: not a byte of a prompt"


def expired(authority: Path) -> Path:
    """`x509` takes dates in the past where `req` does not."""
    request, certificate, both = (authority / f"expired.{kind}" for kind in ("csr", "crt", "pem"))
    key, extensions = authority / "expired.key", authority / "expired.cnf"
    extensions.write_text(f"subjectAltName={HERE}\n")
    run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=expired",
        "-keyout", key, "-out", request)  # fmt: skip
    run("x509", "-req", "-in", request, "-CA", authority / "authority.crt", "-CAkey", authority / "authority.key",
        "-out", certificate, "-days", "-1", "-extfile", extensions)  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps its certificates in no file")
async def test_what_the_system_trusts_is_trusted(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(authority / "authority.crt"))
    said, _ = await ask(context_of(signed(authority, "good", HERE, "-days", "1")), None)
    assert said.startswith("naïve")


async def test_a_runtime_behind_tls_is_trusted_by_the_same_rule(authority: Path) -> None:
    """The server is none: that it could refuse the token shows that it was trusted."""
    tls = context_of(signed(authority, "good", HERE, "-days", "1"))
    for ca_file, says, requests in ((str(authority / "authority.crt"), "wrong token", 1), ("", "certificate", 0)):
        async with serving(lambda _: Reply((), 401), tls) as fake:
            backend = create(Config(endpoint=fake.url.replace("https", "wss"), token="t", ca_file=ca_file))
            with pytest.raises(BackendError, match=says):
                await backend.model()
            await backend.close()
            assert len(fake.requests) == requests
