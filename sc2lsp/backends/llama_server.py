"""llama.cpp's own completions: `POST /completion` of llama-server.

After `tools/server/README.md` of github.com/ggml-org/llama.cpp. Its defaults are made for chat, so that every setting
that changes what is drawn is given.
"""

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

PLAIN = {"top_k": 0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0}  # the probabilities as the model has them


class _Timings(msgspec.Struct, frozen=True):
    prompt_n: int = 0  # that were computed
    prompt_ms: float = 0.0
    predicted_ms: float = 0.0


class _Chunk(msgspec.Struct, frozen=True):
    index: int = 0  # of the answer
    content: str = ""
    stop: bool = False
    stop_type: str = ""
    tokens_evaluated: int = 0  # of the prompt
    completion_probabilities: list[Scored] = []
    timings: _Timings | None = None
    error: Any = None


class _Settings(msgspec.Struct, frozen=True):
    n_ctx: int = 0


class _Props(msgspec.Struct, frozen=True):
    default_generation_settings: _Settings = msgspec.field(default_factory=_Settings)
    model_alias: str | None = None
    model_path: str | None = None


class LlamaServer:
    """Its one model, whatever the configuration calls it."""

    path = "/completion"

    def __init__(self, config: Config) -> None:
        self._model = "" if config.model == EMBEDDED else config.model

    async def facts(self, http: HttpClient) -> Facts:
        try:
            props = parse(await http.get("/props"), _Props)
        except Refused as refused:
            if refused.status not in (404, 501):
                raise
            props = _Props()  # a proxy before it may let completions through alone
        file = (props.model_path or "").replace("\\", "/").rpartition("/")[2]
        name = self._model or props.model_alias or file or "llama-server"
        return Facts(name, props.default_generation_settings.n_ctx)

    async def names(self, http: HttpClient) -> list[str]:
        return [(await self.facts(http)).name]

    def body(self, ask: Ask, model: str) -> Mapping[str, object]:
        sampling = ask.sampling
        body = PLAIN | {
            "prompt": ask.text() if ask.ids is None else ask.ids,
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "stop": stops_of(sampling),
            "stream": True,
            "cache_prompt": True,
            "n_probs": 1,
        }
        body |= {"n_cmpl": sampling.n} if sampling.n > 1 else {}
        return body | ({"seed": sampling.seed} if sampling.seed is not None else {})

    def event(self, line: bytes) -> Event | None:
        if line.startswith(b"error:"):
            raise failed()
        data = data_of(line)
        if data is None:
            return None
        chunk = parse(data, _Chunk)
        if chunk.error is not None:
            raise failed()
        pieces = [(each.token, each.logprob) for each in chunk.completion_probabilities]
        reason = reason_of(chunk.stop_type or "stop") if chunk.stop else None
        return Event((Delta(tokens_of(chunk.content, pieces), chunk.index, reason),), _costs(chunk))

    def concede(self, text: str) -> bool:
        return False


def _costs(chunk: _Chunk) -> Costs | None:
    timings = chunk.timings
    if not chunk.stop or timings is None:
        return None
    cached = max(chunk.tokens_evaluated - timings.prompt_n, 0)
    return Costs(chunk.tokens_evaluated, cached, timings.prompt_ms, timings.predicted_ms)
