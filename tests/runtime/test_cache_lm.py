"""The cache language model against its formula, row by row."""

import math

import pytest
import torch

from sc2lsp.runtime.cache_lm import TRUST as BY_MODEL
from sc2lsp.runtime.cache_lm import Nearby, Trust, mix
from sc2lsp.runtime.locate import EMBEDDED
from sc2lsp.runtime.token_index import Continuations, TokenIndex

VOCAB = 12
ONE = Continuations(length=4, token_ids=(3,), counts=(1,), places=1)
SOME = Continuations(length=2, token_ids=(5, 0, 11), counts=(6, 3, 1), places=10)
CUT = Continuations(length=7, token_ids=(5, 2), counts=(3, 2), places=9)  # four places go on otherwise
TRUST = Trust(bias=-2.0, length=1.0, agreement=1.5, places=0.3)


def share(found: Continuations) -> float:
    evidence = -2.0 + math.log(found.length) + 1.5 * found.counts[0] / found.places + 0.3 * math.log(found.places)
    return 1 / (1 + math.exp(-evidence))


@pytest.mark.parametrize(
    "found",
    [[], [None], [ONE], [SOME], [CUT], [None, ONE, None, SOME, CUT], [ONE, ONE]],
)
def test_a_row_is_what_the_formula_says(found: list[Continuations | None]) -> None:
    logits = torch.randn(len(found), VOCAB, generator=torch.Generator().manual_seed(len(found))) * 3
    mixed = mix(logits, found, TRUST).double().exp()
    for row, of_row in enumerate(found):
        expected = logits[row].double().softmax(dim=0)
        if of_row is not None:
            of_places = torch.zeros(VOCAB, dtype=torch.double)
            of_places[list(of_row.token_ids)] = torch.tensor(of_row.counts, dtype=torch.double) / of_row.places
            known = share(of_row) * of_places
            expected = (1 - known.sum()) * expected + known
        torch.testing.assert_close(mixed[row], expected, atol=1e-6, rtol=1e-5)
        assert math.isclose(float(mixed[row].sum()), 1, abs_tol=1e-5)


def test_half_precision_is_mixed_in_float32_and_given_logits_stay_as_they_are() -> None:
    logits = torch.zeros(1, VOCAB, dtype=torch.bfloat16)
    mixed = mix(logits, [ONE], TRUST)
    assert mixed.dtype == torch.float32
    assert not logits.any()


def test_what_is_not_finite_stays_so() -> None:
    """The sampler finds it."""
    logits = torch.zeros(2, VOCAB)
    logits[0, 7] = torch.nan
    mixed = mix(logits, [ONE, ONE], TRUST)
    assert mixed[0].isnan().all()
    assert mixed[1].isfinite().all()


def test_longer_matches_and_more_of_one_mind_are_trusted_more() -> None:
    one, longer = Continuations(2, (3,), (1,), 1), Continuations(9, (3,), (1,), 1)
    more, torn = Continuations(2, (3,), (5,), 5), Continuations(2, (3, 4, 5), (2, 2, 1), 5)
    assert 0 < BY_MODEL[EMBEDDED].share(torn) < BY_MODEL[EMBEDDED].share(one) < BY_MODEL[EMBEDDED].share(more) < 1
    assert BY_MODEL[EMBEDDED].share(one) < BY_MODEL[EMBEDDED].share(longer) < 1


def test_the_workspace_turns_a_doubtful_model_and_not_a_certain_one() -> None:
    index = TokenIndex()
    index.put("a", [*range(10)])
    found = index.continuations([4, 5, 6], 4)
    doubtful, certain = torch.zeros(1, VOCAB), torch.zeros(1, VOCAB)
    certain[0, 2] = 20.0
    assert mix(doubtful, [found], BY_MODEL[EMBEDDED]).argmax().item() == 7
    assert mix(certain, [found], BY_MODEL[EMBEDDED]).argmax().item() == 2


CURSOR = 90  # a control token
NEARBY = [
    ([1, 2, 3, CURSOR, 9], {}, [1, 2], (2, {3: 1})),  # the prompt itself
    ([9], {"b": [1, 2, 3]}, [1, 2], (2, {3: 1})),  # the workspace
    ([9], {"a": [1, 2, 3]}, [1, 2], (2, {3: 1})),  # the document that is written in as well
    ([9], {"a": [*range(10, 30), 3]}, [*range(10, 30)], None),  # but not where it is written
    ([9], {"b": [*range(10, 30), 3]}, [*range(10, 30)], (16, {3: 1})),
    ([7, 1, 2, 4], {"b": [1, 2, 3]}, [7, 1, 2], (3, {4: 1})),  # the longest match, wherever it is
    ([1, 2, 3], {"b": [7, 1, 2, 4]}, [7, 1, 2], (3, {4: 1})),
    ([1, 2, 3], {"b": [1, 2, 3], "c": [1, 2, 5]}, [1, 2], (2, {3: 2, 5: 1})),  # both, where they match alike
    ([5, 6, 3, CURSOR, 5, 6], {}, [5, 6], (2, {3: 1})),
]


@pytest.mark.parametrize(("prompt", "files", "context", "expected"), NEARBY)
def test_where_it_looks(
    prompt: list[int], files: dict[str, list[int]], context: list[int], expected: tuple[int, dict[int, int]] | None
) -> None:
    workspace = TokenIndex()
    for name, tokens in files.items():
        workspace.put(name, tokens)
    found = Nearby(prompt, workspace, "a").continuations(context)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (found.length, dict(zip(found.token_ids, found.counts, strict=True))) == expected
    assert found.places == sum(found.counts)
