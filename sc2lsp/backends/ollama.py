"""Ollama's completions without a template: `POST /api/generate` with `raw`, a JSON object a line.

After docs.ollama.com/openapi.yaml and `docs/api.md` of github.com/ollama/ollama. It takes prompts as text only,
and the settings of llama.cpp, with which it computes.
"""

from collections.abc import Mapping

import msgspec

from sc2lsp.backend import BackendUnavailable, Delta
from sc2lsp.backends.dialect import Ask, Costs, Event, Facts, Scored, failed, parse, reason_of, stops_of, tokens_of
from sc2lsp.backends.http_client import HttpClient
from sc2lsp.backends.llama_server import PLAIN
from sc2lsp.config import Config
from sc2lsp.runtime.locate import EMBEDDED

KEEP_ALIVE = "30m"  # that the model stays loaded between two keystrokes
CONTEXT_STEP = 1024  # tokens: another context makes Ollama load the model anew


class _Chunk(msgspec.Struct, frozen=True):
    """Durations in nanoseconds."""

    response: str = ""
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int = 0
    eval_duration: int = 0
    logprobs: list[Scored] | None = None
    error: str | None = None


class _Shown(msgspec.Struct, frozen=True):
    model_info: dict[str, object] | None = None


class _Listed(msgspec.Struct, frozen=True):
    name: str


class _Tags(msgspec.Struct, frozen=True):
    models: list[_Listed] | None = None


class Ollama:
    """The configured model, with as much context as prompts may have."""

    path = "/api/generate"

    def __init__(self, config: Config) -> None:
        self._model = "" if config.model == EMBEDDED else config.model
        self._context = -(-(config.budget + config.max_tokens) // CONTEXT_STEP) * CONTEXT_STEP

    async def facts(self, http: HttpClient) -> Facts:
        if not self._model:
            names = ", ".join(await self.names(http)) or "none yet"
            raise BackendUnavailable(f"no model is chosen; Ollama has {names}", "set `model` to one of them")
        shown = parse(await http.post("/api/show", {"model": self._model}), _Shown)
        lengths = [value for name, value in (shown.model_info or {}).items() if name.endswith(".context_length")]
        known = [value for value in lengths if isinstance(value, int)]
        return Facts(self._model, min([self._context, *known]))

    async def names(self, http: HttpClient) -> list[str]:
        return [each.name for each in parse(await http.get("/api/tags"), _Tags).models or ()]

    def body(self, ask: Ask, model: str) -> Mapping[str, object]:
        sampling = ask.sampling
        options = PLAIN | {
            "num_ctx": self._context,
            "num_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "stop": stops_of(sampling),
        }
        options |= {"seed": sampling.seed} if sampling.seed is not None else {}
        asked = {"model": model, "prompt": ask.text(), "raw": True, "stream": True, "keep_alive": KEEP_ALIVE}
        return asked | {"logprobs": True, "options": options}

    def event(self, line: bytes) -> Event | None:
        if not line:
            return None
        chunk = parse(line, _Chunk)
        if chunk.error is not None:
            raise failed()
        pieces = [(each.token, each.logprob) for each in chunk.logprobs or []]
        reason = reason_of(chunk.done_reason or "stop") if chunk.done else None
        return Event((Delta(tokens_of(chunk.response, pieces), finish_reason=reason),), _costs(chunk))

    def concede(self, text: str) -> bool:
        return False


def _costs(chunk: _Chunk) -> Costs | None:
    if not chunk.done:
        return None
    return Costs(chunk.prompt_eval_count, None, chunk.prompt_eval_duration / 1e6, chunk.eval_duration / 1e6)
