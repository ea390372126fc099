"""The completions API that OpenAI defined and vLLM, SGLang, TGI and llama.cpp serve: `POST /v1/completions`.

After platform.openai.com/docs/api-reference/completions, and vLLM's `entrypoints/openai/completion/protocol.py` for
prompts as token ids and `skip_special_tokens`. What a server refuses to understand, it is not told again.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sc2lsp.backend import Delta
from sc2lsp.backends.dialect import (
    Ask,
    Costs,
    Event,
    Facts,
    Scored,
    data_of,
    failed,
    parse,
    reason_of,
    stops_of,
    tokens_of,
)
from sc2lsp.backends.http_client import HttpClient, Refused
from sc2lsp.config import Config
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.runtime.tokenizer import FILE_SEP

MOST_STOPS = 4  # that some servers take, OpenAI's among them

# What can be left out -> how refusals of it read. The prompt is refused in many words, but never for its context.
_REFUSED = {
    "stream_options": re.compile(r"stream_options|include_usage"),
    "logprobs": re.compile(r"logprobs"),
    "skip_special_tokens": re.compile(r"skip_special_tokens|top_k|unrecognized|extra.(fields|inputs)", re.IGNORECASE),
    "stop": re.compile(r"\bstop\b"),
    "ids": re.compile(r"\A(?!.*context).*prompt\b.*\b(str|string|type|variant|list|array|sequence)", re.I | re.S),
}


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Logprobs(msgspec.Struct, frozen=True):
    """As in the completions API; `content`: as llama.cpp has it, from the chat API."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    content: list[Scored] | None = None


class _Choice(msgspec.Struct, frozen=True):
    text: str | None = None
    index: int = 0
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class _Listed(msgspec.Struct, frozen=True):
    id: str
    max_model_len: int | None = None  # vLLM, SGLang


class _Models(msgspec.Struct, frozen=True):
    data: list[_Listed]


class OpenAi:
    """Owns what the server was found not to understand."""

    path = "/v1/completions"

    def __init__(self, config: Config) -> None:
        self._model = "" if config.model == EMBEDDED else config.model
        self._left_out: set[str] = set()
        # Mutated by: concede(), on the event loop.

    async def facts(self, http: HttpClient) -> Facts:
        """The configured model, or the only one there is."""
        try:
            listed = await _models(http)
        except Refused as refused:
            if refused.status != 404 or not self._model:
                raise
            listed = []  # the list is not part of what every server has
        chosen = next((each for each in listed if each.id == self._model or not self._model), None)
        name = self._model or (chosen.id if chosen else "")
        return Facts(name, (chosen.max_model_len or 0) if chosen else 0)

    async def names(self, http: HttpClient) -> list[str]:
        return [each.id for each in await _models(http)]

    def body(self, ask: Ask, model: str) -> Mapping[str, object]:
        sampling, stops = ask.sampling, stops_of(ask.sampling)
        as_text = ask.ids is None or "ids" in self._left_out
        body: dict[str, object] = {
            "model": model,
            "prompt": ask.text() if as_text else ask.ids,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stop": [*stops[: MOST_STOPS - 1], FILE_SEP] if "stop" in self._left_out else stops,
            "stream": True,
            "stream_options": {"include_usage": True},
            "logprobs": 1,
            "skip_special_tokens": False,  # or what ends an answer would not be seen in it
        }
        body |= {"top_p": sampling.top_p} if sampling.top_p < 1 else {}  # TGI refuses what would change nothing
        body |= {"n": sampling.n} if sampling.n > 1 else {}
        body |= {"seed": sampling.seed} if sampling.seed is not None else {}
        body |= {"top_k": sampling.top_k} if sampling.top_k and "skip_special_tokens" not in self._left_out else {}
        return {name: value for name, value in body.items() if name == "stop" or name not in self._left_out}

    def event(self, line: bytes) -> Event | None:
        data = data_of(line)
        if data is None:
            return None
        chunk = parse(data, _Chunk)
        if chunk.error is not None:
            raise failed()
        deltas = tuple(
            Delta(tokens_of(choice.text or "", _pieces(choice.logprobs)), choice.index, reason_of(choice.finish_reason))
            for choice in chunk.choices or ()
        )
        return Event(deltas, _costs(chunk.usage))

    def concede(self, text: str) -> bool:
        """One thing at a time, the most telling word first."""
        for name, words in _REFUSED.items():
            if name not in self._left_out and words.search(text):
                self._left_out.add(name)
                return True
        return False


async def _models(http: HttpClient) -> list[_Listed]:
    return parse(await http.get("/v1/models"), _Models).data


def _pieces(logprobs: _Logprobs | None) -> list[tuple[str, float | None]]:
    if logprobs is None:
        return []
    if logprobs.content is not None:
        return [(each.token, each.logprob) for each in logprobs.content]
    return list(zip(logprobs.tokens or [], logprobs.token_logprobs or [], strict=False))


def _costs(usage: _Usage | None) -> Costs | None:
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    return Costs(usage.prompt_tokens, None if details is None else details.cached_tokens)
