"""The scorer: what a model says of a given middle is what one plain forward pass says, whatever its cache holds."""

from collections.abc import Iterator

import pytest
import torch

from sc2lsp.runtime.api import RequestRefused, SamplingParams
from sc2lsp.runtime.evaluate import Likelihood, Scorer
from sc2lsp.runtime.tokenizer import Tokenizer

from .checkpoints import EXACT, TINY, random_model, write_checkpoint

PROMPT = tuple((7 * i) % 200 + 40 for i in range(150))  # past the window of 64
MIDDLE = (50, 61, 72, 83, 94)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    folder = write_checkpoint(tmp_path_factory.mktemp("model"), std=0.2)
    scorer = Scorer(str(folder), lambda message, fraction: None, EXACT)
    yield scorer
    scorer.close()


def plain(scorer: Scorer, prompt: tuple[int, ...], middle: tuple[int, ...]) -> Likelihood:
    """Without a cache, from the probabilities themselves."""
    probabilities = random_model(TINY, std=0.2).forward(torch.tensor([[*prompt, *middle]]))[0].double().softmax(-1)
    ends = sorted(Tokenizer(scorer.tokenizer_json).control_ids)
    nats = sum(-float(probabilities[len(prompt) - 1 + place, token].log()) for place, token in enumerate(middle))
    return Likelihood(nats, -float(probabilities[-1, ends].sum().log()))


def check(scorer: Scorer, document: str, prompt: tuple[int, ...], middle: tuple[int, ...]) -> None:
    found, expected = scorer.likelihood(document, prompt, middle), plain(scorer, prompt, middle)
    assert found.nats == pytest.approx(expected.nats, rel=1e-4)
    assert found.end_nats == pytest.approx(expected.end_nats, rel=1e-4)


@pytest.mark.parametrize("middle", [MIDDLE, MIDDLE[:1], (), tuple(range(40, 140))], ids=["few", "one", "none", "many"])
def test_likelihood_is_the_plain_models(scorer: Scorer, middle: tuple[int, ...]) -> None:
    check(scorer, f"new {len(middle)}", PROMPT, middle)


def test_what_was_asked_before_changes_nothing(scorer: Scorer) -> None:
    params = SamplingParams(max_tokens=12)
    first = scorer.answer("a", PROMPT, params)
    check(scorer, "a", PROMPT, MIDDLE)
    check(scorer, "a", PROMPT, MIDDLE[::-1])
    again = scorer.answer("a", PROMPT, params)
    assert again.token_ids == first.token_ids
    assert again.usage.cached_tokens == len(PROMPT) - 1  # the middle that was only scored is not kept
    check(scorer, "a", (*PROMPT, 99), MIDDLE)


def test_what_is_forgotten_is_computed_again(scorer: Scorer) -> None:
    params = SamplingParams(max_tokens=12)
    first = scorer.answer("d", PROMPT, params)
    scorer.forget()
    again = scorer.answer("e", PROMPT, params)
    assert (again.token_ids, again.usage.cached_tokens) == (first.token_ids, 0)


def test_the_likeliest_answer_is_likelier_than_another(scorer: Scorer) -> None:
    written = scorer.answer("b", PROMPT, SamplingParams(max_tokens=4)).token_ids
    other = (*written[:-1], written[-1] + 1)
    assert scorer.likelihood("b", PROMPT, written).nats < scorer.likelihood("b", PROMPT, other).nats


def test_a_prompt_past_the_context_is_refused(scorer: Scorer) -> None:
    with pytest.raises(RequestRefused, match="takes 1 to"):
        scorer.answer("c", (50,) * 600, SamplingParams(max_tokens=4))
