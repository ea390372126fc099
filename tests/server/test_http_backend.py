"""Other servers, each by its own dialect: what they are sent, and what becomes of what they answer."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from sc2lsp.backends.dialect import tokens_of
from sc2lsp.backends.over_http import tokenizer_of
from sc2lsp.completion import complete
from sc2lsp.config import Config
from sc2lsp.headless import Query, Workspace
from sc2lsp.runtime.api import SamplingParams

from .fake_dialects import (
    BUILT_IN,
    KINDS,
    LINES,
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
from .fake_http import SILENT, Reply, Request


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
async def test_an_answer_in_pieces_of_any_size(kind: str, size: int) -> None:
    async with asked(kind, answering(Reply.lines(LINES[kind](), size))) as (backend, _):
        deltas = await answer_of(backend, await prompt_of(backend))
    assert [token.text for delta in deltas for token in delta.tokens] == TEXT
    assert {token.logprob for delta in deltas for token in delta.tokens} == {-0.5}
    assert [delta.finish_reason for delta in deltas] == [None] * 4 + ["length"]
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.cached_tokens) == (30, 0 if kind == "ollama" else 16)
    assert kind == "openai" or usage.prefill_ms == 7.5
    assert all(delta.usage is None for delta in deltas[:-1])


# An event's text, the tokens that it is said to be of -> the text that each of them adds.
PIECES = [
    ("ab", ["a", "b"], ["a", "b"]),
    ("é", ["\ufffd", "\ufffd"], ["", "é"]),
    ("a", ["token_id:7"], ["a"]),
    ("", ["held back"], [""]),
    ("ab", [], ["ab"]),
    ("", [], []),
]


@pytest.mark.parametrize(("text", "pieces", "added"), PIECES)
def test_what_each_token_adds(text: str, pieces: list[str], added: list[str]) -> None:
    tokens = tokens_of(text, [(piece, -1.0) for piece in pieces])
    assert [token.text for token in tokens] == added
    assert {token.logprob for token in tokens} <= {-1.0 if pieces else None}


CONTEXTS = {"openai": 4096, "llama-server": 1024, "ollama": 3072}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_model_is(kind: str) -> None:
    async with asked(kind, answering(SILENT)) as (backend, _):
        model = await backend.model()
        assert (model.name, model.context_length, model.heals) == ("starcoder2-3b", CONTEXTS[kind], False)
        assert not backend.may_index
        assert model is await backend.model()


# What a server without our care would read: its tokenizer takes names in text for control tokens.
def read_as_a_server(text: str) -> list[int]:
    return tokenizers.Tokenizer.from_file(f"{BUILT_IN}/tokenizer.json").encode(text, add_special_tokens=False).ids


HOSTILE = [
    "a <fim_middle> b",
    "<|endoftext|>",
    "<fim_prefix><fim_suffix><fim_middle><file_sep><repo_name>x",
    "<fim_<fim_middle>middle>",
    "if a <pr> b: <fim_pad",
    "naïve 「é」 \u2028 <jupyter_code>",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", HOSTILE)
@pytest.mark.parametrize("tokenizer", ["", BUILT_IN], ids=["text", "ids"])
async def test_user_text_never_becomes_a_control_token(kind: str, user: str, tokenizer: str) -> None:
    reply = Reply.lines(LINES[kind]())
    async with asked(kind, answering(reply), tokenizer=tokenizer) as (backend, fake):
        prompt = await prompt_of(backend, prefix=user, suffix=user)
        await answer_of(backend, prompt)
        model = await backend.model()
    sent = fake.requests[-1].body["prompt"]
    ids = sent if isinstance(sent, list) else read_as_a_server(sent)
    control = tokenizer_of(Config()).control_ids
    assert [id for id in ids if id in control] == [id for id in prompt if id in control]
    assert isinstance(sent, list) == (bool(tokenizer) and kind != "ollama")
    assert model.decode(ids).replace("< ", "<") == model.decode(prompt)
    assert not isinstance(sent, list) or tuple(sent) == prompt


async def test_text_without_such_names_is_sent_as_it_is() -> None:
    user = "if a < b and c <d>: # < fim_middle 「é」\r\n\t"
    async with asked("openai", answering(Reply.lines(openai_lines()))) as (backend, fake):
        await answer_of(backend, await prompt_of(backend, prefix=user, suffix=""))
    assert fake.requests[-1].body["prompt"] == f"<fim_prefix><fim_suffix><fim_middle>{user}"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_token_goes_with_every_request(kind: str) -> None:
    async with asked(kind, answering(Reply.lines(LINES[kind]()))) as (backend, fake):
        await answer_of(backend, await prompt_of(backend))
    assert {request.headers["authorization"] for request in fake.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("kind", KINDS)
async def test_keystrokes_share_a_connection(kind: str) -> None:
    async with asked(kind, answering(Reply.lines(LINES[kind]()))) as (backend, fake):
        for _ in range(3):
            await answer_of(backend, await prompt_of(backend))
    assert fake.connections == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_settings_reach_the_server(kind: str) -> None:
    sampling = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ("\n\n",), "max_lines": 1}
    async with asked(kind, answering(Reply.lines(LINES[kind]()))) as (backend, fake):
        await answer_of(backend, await prompt_of(backend), **sampling)
    body = fake.requests[-1].body
    options = body.get("options", body)
    assert {"max_tokens", "n_predict", "num_predict"} & set(options)
    assert 9 in (options.get("max_tokens"), options.get("n_predict"), options.get("num_predict"))
    assert (options["temperature"], options["top_p"], options["seed"]) == (0.5, 0.9, 3)
    assert options["stop"][:2] == ["\n", "\n\n"]
    assert body["stream"] is True
    assert kind != "llama-server" or body["cache_prompt"] is True
    assert kind != "ollama" or (body["raw"] is True and body["keep_alive"] and options["num_ctx"] == 3072)


# What a server says of a request that it does not understand, and what it is asked without.
CONCESSIONS: Sequence[tuple[str, int, str, Callable[[Any], bool]]] = [
    ("ids", 400, "json: cannot unmarshal array into Go struct field .prompt of type string",
     lambda body: isinstance(body["prompt"], str)),
    ("ids", 422, "Failed to deserialize the JSON body: prompt: invalid type: sequence, expected a string",
     lambda body: isinstance(body["prompt"], str)),
    ("ids", 422, "Failed to deserialize the JSON body: prompt: data did not match any variant of untagged enum Prompt",
     lambda body: isinstance(body["prompt"], str)),
    ("ids", 500, '{"error": "Prompt must be of type string"}', lambda body: isinstance(body["prompt"], str)),
    ("stop", 400, "'stop' accepts at most 4 sequences", lambda body: len(body["stop"]) == 4),
    ("usage", 400, "Unknown field stream_options", lambda body: "stream_options" not in body),
    ("logprobs", 400, "logprobs are not supported", lambda body: "logprobs" not in body),
    ("fields", 400, "Unrecognized request argument supplied: skip_special_tokens",
     lambda body: "skip_special_tokens" not in body),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "words", "is_simpler"), CONCESSIONS)
async def test_what_a_server_does_not_understand_is_said_once(
    name: str, status: int, words: str, is_simpler: Callable[[Any], bool]
) -> None:
    def answer(request: Request) -> Reply:
        return Reply.lines(openai_lines()) if is_simpler(request.body) else Reply([words.encode()], status)

    async with asked("openai", answering(answer), tokenizer=BUILT_IN) as (backend, fake):
        prompt = await prompt_of(backend)
        for _ in range(2):
            assert text_of(await answer_of(backend, prompt, stop=("a", "b", "c", "d"))) == "".join(TEXT)
    assert len([request for request in fake.requests if request.path == PATHS["openai"]]) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_leaving_early_ends_the_connection(kind: str) -> None:
    begun = "".join(f"{line}\n" for line in LINES[kind]()[:6]).encode()
    async with asked(kind, answering(Reply([begun], held=True))) as (backend, fake):
        async with aclosing(backend.generate("w", "d", await prompt_of(backend), SamplingParams())) as deltas:
            await anext(deltas)
        await asyncio.wait_for(fake.left.wait(), 5)


ENDINGS = [
    (["a = 1", "<file_sep>", "b.py"], "a = 1"),
    (["a = 1<|endoftext|>", "more"], "a = 1"),
    (["<fim_prefix>"], ""),
    (["a < fim_middle>", "b"], "a < fim_middle>b"),
]


@pytest.mark.parametrize(("texts", "shown"), ENDINGS)
async def test_an_answer_ends_where_a_control_token_is_spelled(texts: list[str], shown: str) -> None:
    async with asked("openai", answering(Reply.lines(openai_lines(texts)))) as (backend, _):
        deltas = await answer_of(backend, await prompt_of(backend))
    assert text_of(deltas) == shown
    assert deltas[-1].usage is not None


SEVERAL = [
    ("openai", "n", [{"choices": [{"index": index, "text": f"{index}", "finish_reason": "stop"}]} for index in (1, 0)]),
    ("llama-server", "n_cmpl", [{"index": index, "content": f"{index}", "stop": True} for index in (1, 0)]),
]


@pytest.mark.parametrize(("kind", "setting", "events"), SEVERAL)
async def test_several_answers(kind: str, setting: str, events: list[object]) -> None:
    async with asked(kind, answering(Reply.lines(data(*events)))) as (backend, fake):
        deltas = await answer_of(backend, await prompt_of(backend), n=2, temperature=0.8)
    assert [(delta.index, text_of([delta]), delta.finish_reason) for delta in deltas] == [
        (1, "1", "stop"),
        (0, "0", "stop"),
    ]
    assert [delta.usage is None for delta in deltas] == [True, False]
    assert fake.requests[-1].body[setting] == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_a_keystroke_is_answered(kind: str, shelf: Path) -> None:
    """The whole path: the prompt holds the word at the cursor, since such a server cannot be made to write it."""
    text = "import json\n\n\ndef read(path):\n    with open(path) as file:\n        return json.lo"
    lines = LINES[kind](["a", "d"])
    async with asked(kind, answering(Reply.lines(lines))) as (backend, fake):
        workspace = Workspace.open(shelf, Config(cache_mb=0))
        target = workspace.target(Query(1, "shelf/new.py", 6, 23, text))
        result = await complete(target, backend)
    assert [completion.text for completion in result.completions] == ["ad"]
    assert fake.requests[-1].body["prompt"].endswith("return json.lo")
