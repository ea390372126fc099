"""Three fake inference servers, each in its dialect, and how a test asks one."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from sc2lsp.backend import Backend, Delta, create
from sc2lsp.config import Config
from sc2lsp.runtime.api import SamplingParams
from sc2lsp.runtime.locate import EMBEDDED, model_folder

from .fake_http import Answer, FakeServer, Reply, Request, serving

BUILT_IN = str(model_folder(EMBEDDED))
TOKEN = "a-secret-token"
KINDS = ("openai", "llama-server", "ollama")
PATHS = {"openai": "/v1/completions", "llama-server": "/completion", "ollama": "/api/generate"}
TEXT = ["naïve ", "= 「", "é", "」\n"]  # tokens of an answer


def data(*events: object) -> list[str]:
    """Server-sent events, with a comment between them as servers send them to keep a connection."""
    return [line for event in events for line in (": ping", f"data: {json.dumps(event, ensure_ascii=False)}", "")]


def openai_lines(texts: Sequence[str] = TEXT, reason: str = "length") -> list[str]:
    choices = [
        {"index": 0, "text": text, "logprobs": {"tokens": [text], "token_logprobs": [-0.5]}, "finish_reason": None}
        for text in texts
    ]
    usage = {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 16}}
    events = [{"choices": [choice]} for choice in choices]
    last = {"choices": [{"index": 0, "text": "", "finish_reason": reason}]}
    return [*data(*events, last, {"choices": [], "usage": usage}), "data: [DONE]"]


def llama_lines(texts: Sequence[str] = TEXT) -> list[str]:
    events = [
        {"content": text, "stop": False, "completion_probabilities": [{"id": 9, "token": text, "logprob": -0.5}]}
        for text in texts
    ]
    timings = {"prompt_n": 14, "prompt_ms": 7.5, "predicted_n": 4, "predicted_ms": 20.0}
    last = {"content": "", "stop": True, "stop_type": "limit", "tokens_evaluated": 30, "timings": timings}
    return data(*events, last)


def ollama_lines(texts: Sequence[str] = TEXT) -> list[str]:
    events = [{"response": text, "done": False, "logprobs": [{"token": text, "logprob": -0.5}]} for text in texts]
    last = {"response": "", "done": True, "done_reason": "length", "prompt_eval_count": 30}
    return [
        json.dumps(event) for event in [*events, last | {"prompt_eval_duration": 7_500_000, "eval_duration": 10**7}]
    ]


LINES: Mapping[str, Callable[..., list[str]]] = {
    "openai": openai_lines,
    "llama-server": llama_lines,
    "ollama": ollama_lines,
}
FACTS: Mapping[tuple[str, str], Any] = {
    ("GET", "/v1/models"): {"data": [{"id": "starcoder2-3b", "max_model_len": 4096}, {"id": "other"}]},
    ("GET", "/props"): {"default_generation_settings": {"n_ctx": 1024}, "model_path": "/m/starcoder2-3b.gguf"},
    ("POST", "/api/show"): {"model_info": {"starcoder2.context_length": 16384}},
    ("GET", "/api/tags"): {"models": [{"name": "starcoder2:3b"}]},
}


def answering(completion: Reply | Callable[[Request], Reply]) -> Answer:
    """A server that describes its model and answers completions so."""

    def answer(request: Request) -> Reply:
        if request.path in PATHS.values():
            return completion if isinstance(completion, Reply) else completion(request)
        facts = FACTS.get((request.method, request.path))
        return Reply.json({"error": "not found"}, 404) if facts is None else Reply.json(facts)

    return answer


@asynccontextmanager
async def asked(kind: str, answer: Answer, **settings: Any) -> AsyncIterator[tuple[Backend, FakeServer]]:
    async with serving(answer) as fake:
        config = {"backend": kind, "endpoint": fake.url, "model": "starcoder2-3b", "token": TOKEN, **settings}
        backend = create(Config(**config))
        try:
            yield backend, fake
        finally:
            await backend.close()


async def prompt_of(backend: Backend, prefix: str = "x = 1\n", suffix: str = "\n") -> tuple[int, ...]:
    model = await backend.model()
    ids = model.fim_tokens
    return (ids.prefix, ids.suffix, *model.encode(suffix), ids.middle, *model.encode(prefix))


async def answer_of(backend: Backend, prompt: tuple[int, ...], **sampling: Any) -> list[Delta]:
    async with aclosing(backend.generate("w", "d", prompt, SamplingParams(**sampling))) as deltas:
        return [delta async for delta in deltas]


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(token.text for delta in deltas for token in delta.tokens)
