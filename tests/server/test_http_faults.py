"""What goes wrong between us and other servers: in words that say what to do, in time, and without a secret in them."""

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sc2lsp.backend import BackendError, State, create
from sc2lsp.backends.over_http import HttpBackend, endpoint_url, tokenizer_of
from sc2lsp.config import Config, ConfigError

from .fake_dialects import (
    BUILT_IN,
    PATHS,
    TEXT,
    TOKEN,
    answer_of,
    answering,
    asked,
    data,
    openai_lines,
    prompt_of,
    text_of,
)
from .fake_http import CLOSED, SILENT, Answer, Reply, Request, serving
from .test_breaker import Clock

CANARY = "canary_in_the_prompt"
LONG = "This model's maximum context length is 2048 tokens, you requested 2100 (2052 in the prompt): string too long"
REFUSALS: Sequence[tuple[str, Answer, str]] = [
    ("token", answering(Reply.json({"error": CANARY}, 401)), "set `token`"),
    ("too long", answering(Reply([LONG.encode()], 400)), "lower `budget`"),
    ("quoted", answering(Reply.json({"detail": [{"input": CANARY}]}, 422)), "its log says why"),
    ("busy", answering(Reply.json({}, 503)), "busy or still loading"),
    ("failed", answering(Reply.json({"error": CANARY}, 500)), "its log says why"),
    ("redirected", answering(Reply((), 307, {"Location": "http://127.0.0.1:1/elsewhere"})), "set endpoint to where"),
    ("a web page", answering(Reply([b"<html>"], 200, {"Content-Type": "text/html; charset=utf-8"})), "a web page"),
    ("not JSON", answering(Reply([b"data: <x>\n"])), "not of the form"),
    ("of another form", answering(Reply([b'data: {"choices": 3}\n'])), "not of the form"),
    ("compressed", answering(Reply([b"\x1f\x8b"], 200, {"Content-Encoding": "gzip"})), "compresses"),
    ("endless line", answering(Reply([b"x" * (1 << 19)] * 3)), "does not end"),
    ("endless", answering(Reply([b":" * (1 << 19) + b"\n"] * 33)), "does not end"),
    ("failed within", answering(Reply.lines(data({"error": {"message": CANARY}}))), "failed while it answered"),
    ("ended within", answering(Reply.lines(data({"choices": [{"text": "a"}]}))), "in the middle"),
    ("cut", answering(Reply([b"data: {"])), "not of the form"),
    ("closed", answering(CLOSED), "closed the connection"),
    ("not there", lambda request: Reply.json({}, 404), "fit each other"),
]


async def test_a_prompt_that_is_too_long_is_not_sent_in_another_form() -> None:
    async with asked("openai", answering(Reply([LONG.encode()], 400)), tokenizer=BUILT_IN) as (backend, fake):
        with pytest.raises(BackendError, match="lower `budget`"):
            await answer_of(backend, await prompt_of(backend))
    assert [request.path for request in fake.requests].count(PATHS["openai"]) == 1


@pytest.mark.parametrize(("answer", "says"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
async def test_errors_say_what_to_do_and_quote_nothing(answer: Answer, says: str) -> None:
    async with asked("openai", answer) as (backend, _):
        with pytest.raises(BackendError, match=says) as failure:
            await answer_of(backend, await prompt_of(backend, prefix=CANARY))
    assert not any(secret in str(failure.value) for secret in (TOKEN, CANARY))
    assert failure.value.fix


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_a_model_that_is_not_there_brings_those_that_are(kind: str) -> None:
    has = "starcoder2-3b, other" if kind == "openai" else "starcoder2:3b"
    async with asked(kind, answering(Reply.json({}, 404)), model="none") as (backend, _):
        with pytest.raises(BackendError, match=f"no model none; it has {has}"):
            await answer_of(backend, await prompt_of(backend))


async def test_nothing_that_was_typed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for reply in (Reply.lines(openai_lines()), Reply.json({"input": CANARY}, 422)):
        async with asked("openai", answering(reply)) as (backend, _):
            with contextlib.suppress(BackendError):
                await answer_of(backend, await prompt_of(backend, prefix=CANARY))
    assert caplog.records, "or the test sees nothing"
    assert not any(secret in caplog.text for secret in (TOKEN, CANARY, "naïve"))


async def test_a_server_that_comes_back_is_told_once() -> None:
    is_there = [False]
    clock = Clock()

    def answer(request: Request) -> Reply:
        return answering(Reply.lines(openai_lines()))(request) if is_there[0] else Reply.json({}, 503)

    async with serving(answer) as fake:
        backend = HttpBackend(Config(backend="openai", endpoint=fake.url), clock=clock)
        states: list[State] = []
        backend.on_state = states.append
        for _ in range(3):
            with pytest.raises(BackendError, match="still loading"):
                await backend.model()
            clock.now += 2.0
        is_there[0] = True
        assert text_of(await answer_of(backend, await prompt_of(backend))) == "".join(TEXT)
        await backend.close()
    assert [state.kind for state in states] == ["starting", "error", "ready"]


async def test_nobody_listens() -> None:
    backend = create(Config(backend="openai", endpoint="http://127.0.0.1:9", model="m"))
    states: list[State] = []
    backend.on_state = states.append
    for _ in range(2):
        with pytest.raises(BackendError, match=r"no server at http://127\.0\.0\.1:9; is it running"):
            await backend.model()
    assert [state.kind for state in states] == ["starting", "error"]
    await backend.close()


LATE = [
    ("silent", SILENT, {"first_token_timeout": 0.2}, "first_token_timeout"),
    ("only a head", Reply(held=True), {"first_token_timeout": 0.2}, "first_token_timeout"),
    ("drips", Reply([bytes([byte]) for byte in b"data: {"], pause=0.1, held=True), {"first_token_timeout": 0.3},
     "first_token_timeout"),
    ("stops", Reply(["\n".join(openai_lines()[:3]).encode() + b"\n"], held=True), {"token_timeout": 0.2},
     "token_timeout"),
    ("goes on", Reply(["\n".join(openai_lines()[:3]).encode() + b"\n"] * 50, pause=0.1), {"timeout": 0.5}, "timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "settings", "names"), [case[1:] for case in LATE], ids=[case[0] for case in LATE])
async def test_a_late_answer_is_given_up(reply: Reply, settings: dict[str, float], names: str) -> None:
    async with asked("openai", answering(reply), **settings) as (backend, _):
        with pytest.raises(BackendError, match=f"no answer within .* larger {names}"):
            await answer_of(backend, await prompt_of(backend))


async def test_a_server_that_stays_silent_is_left_alone_for_a_while() -> None:
    async with asked("openai", answering(SILENT), first_token_timeout=0.3) as (backend, fake):
        states: list[State] = []
        backend.on_state = states.append
        prompt = await prompt_of(backend)
        for _ in range(6):
            with pytest.raises(BackendError, match="no answer within"):
                await answer_of(backend, prompt)
    assert [request.path for request in fake.requests].count(PATHS["openai"]) <= 3
    assert [state.kind for state in states] == ["starting", "ready", "error"]


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    closed = [True]

    def answer(request: Request) -> Reply:
        return CLOSED if closed and closed.pop() else Reply.lines(openai_lines())

    async with asked("openai", answering(answer)) as (backend, fake):
        assert text_of(await answer_of(backend, await prompt_of(backend))) == "".join(TEXT)
    assert fake.connections == 2


ENDPOINTS = [
    ({"backend": "openai", "endpoint": "http://gpu:8000/v1/"}, "http://gpu:8000"),
    ({"backend": "openai", "endpoint": "https://api.example.org/llm"}, "https://api.example.org/llm"),
    ({"backend": "ollama", "endpoint": "http://gpu:11434/api"}, "http://gpu:11434"),
    ({"backend": "ollama"}, "http://127.0.0.1:11434"),
    ({"backend": "llama-server"}, "http://127.0.0.1:8080"),
]


@pytest.mark.parametrize(("settings", "url"), ENDPOINTS)
def test_endpoints(settings: dict[str, Any], url: str) -> None:
    assert endpoint_url(Config(**settings)) == url


WRONG = [
    ({"backend": "openai"}, "needs an endpoint"),
    ({"backend": "openai", "endpoint": "gpu:8000"}, "needs an endpoint"),
    ({"backend": "openai", "endpoint": "ftp://gpu"}, "needs an endpoint"),
    ({"backend": "openai", "endpoint": "http://gpu:port"}, "no address"),
    ({"backend": "openai", "endpoint": "http://me:secret@gpu"}, "put the secret into `token`"),
    ({"backend": "openai", "endpoint": "http://gpu/?key=secret"}, "more than an address"),
    ({"backend": "openai", "endpoint": "http://gpu", "ca_file": "/none.pem"}, "ca_file"),
    ({"backend": "openai", "endpoint": "http://gpu", "proxy": "gopher://secret@p"}, "the proxy cannot be used"),
    ({"endpoint": "http://gpu:8000"}, "set `backend`"),
    ({"endpoint": "tcp://me:secret@gpu"}, "set `backend`"),
]


@pytest.mark.parametrize(("settings", "says"), WRONG)
def test_settings_that_cannot_be_used(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as wrong:
        create(Config(**settings))
    assert "secret" not in str(wrong.value).replace("put the secret", "")


def test_without_its_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "truststore", None)
    with pytest.raises(BackendError, match=r"truststore is not installed; pip install 'sc2lsp\[http\]'"):
        create(Config(backend="ollama"))


def test_a_tokenizer_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda name, file: f"{BUILT_IN}/{file}")
    assert tokenizer_of(Config(tokenizer="owner/name")).sha256 == tokenizer_of(Config()).sha256

    def fails(name: str, file: str) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fails)
    with pytest.raises(BackendError, match="owner/name cannot be downloaded"):
        tokenizer_of(Config(tokenizer="owner/name"))


async def test_a_tokenizer_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    async with asked("openai", answering(SILENT), tokenizer=str(tmp_path)) as (backend, _):
        with pytest.raises(BackendError, match="set `tokenizer`"):
            await backend.model()


async def test_a_proxy_is_asked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets whole addresses (RFC 9112, section 3.2.2), so that the host is never looked up here."""
    base = "http://upstream.invalid:8000"

    def answer(request: Request) -> Reply:
        assert request.path.startswith(base)
        return answering(Reply.lines(openai_lines()))(
            Request(request.method, request.path.removeprefix(base), request.headers, request.body)
        )

    async with serving(answer) as proxy:
        for settings, environment in (({"proxy": proxy.url}, {}), ({}, {"HTTP_PROXY": proxy.url})):
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            backend = create(Config(backend="openai", endpoint=base, model="starcoder2-3b", **settings))
            assert text_of(await answer_of(backend, await prompt_of(backend))) == "".join(TEXT)
            await backend.close()
        assert len(proxy.requests) == 4


async def test_a_proxy_of_the_environment_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with asked("openai", answering(Reply.lines(openai_lines()))) as (backend, _):
        assert text_of(await answer_of(backend, await prompt_of(backend))) == "".join(TEXT)


async def test_a_proxy_that_is_not_there() -> None:
    settings = {"proxy": "http://me:secret@127.0.0.1:9"}
    async with asked("openai", answering(SILENT), **settings) as (backend, fake):
        with pytest.raises(BackendError, match="proxy") as failure:
            await backend.model()
        assert "secret" not in str(failure.value)
        assert not fake.requests
