"""The trainer: documents in StarCoder2's format, none sees another, a loss that falls, the same run twice, and on."""

import csv
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sc2lsp.runtime.config import parse_config
from sc2lsp.runtime.model import StarCoder2
from sc2lsp.runtime.tokenizer import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, REPO_NAME, Tokenizer
from sc2lsp.runtime.training.batches import Batch, Batches, collate, drawn_ahead, pack
from sc2lsp.runtime.training.build import build, prepare_tokenizer
from sc2lsp.runtime.training.examples import ExampleSource, Rates
from sc2lsp.runtime.training.holes import hole
from sc2lsp.runtime.training.loop import Course, backward
from sc2lsp.runtime.training.loss import cross_entropy
from sc2lsp.runtime.training.plan import Example, Plan, Progress, SourceFile
from sc2lsp.runtime.weights import load

OURS = sorted((Path(__file__).parents[2] / "runtime").glob("*.py"))
TEXTS = {f"runtime/{path.name}": path.read_text("utf-8") for path in OURS}
FILES = [SourceFile("sc2lsp", path, text) for path, text in TEXTS.items() if "<fim_" not in text]
PLAN = Plan(
    vocab_size=400, hidden_size=48, num_layers=2, num_heads=4, num_kv_heads=2, context_length=256, row_length=128,
    tokens=40 * 4 * 128, batch=4, lr=1e-2, vector_lr=1e-2, seed=3, prompt_share=0.25, prompt_mix=0.5, middle_weight=2.0,
)  # fmt: skip
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """What is as small as here only waits for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return prepare_tokenizer(PLAN, FILES, tmp_path_factory.mktemp("tokenizer"))


def drawn(tokenizer: Tokenizer, rates: Rates, length: int = 256) -> list[Example]:
    source = ExampleSource(FILES, tokenizer, rates)
    return [source.draw(random.Random(seed), length) for seed in range(80)]


def parts(tokenizer: Tokenizer, example: Example) -> tuple[str, str, str, str]:
    """Path, prefix, middle and suffix of an example with a hole, whichever its order."""
    middle = tokenizer.decode(example.ids[example.middle :]).removesuffix(END_OF_TEXT)
    body = tokenizer.decode(example.ids[: example.middle]).split(FIM_PREFIX)[1]
    if body.startswith(FIM_SUFFIX):
        suffix, _, rest = body.removeprefix(FIM_SUFFIX).partition(FIM_MIDDLE)
        path, _, prefix = rest.partition("\n")
        return path, prefix, middle, suffix
    path, _, rest = body.removesuffix(FIM_MIDDLE).partition("\n")
    prefix, _, suffix = rest.partition(FIM_SUFFIX)
    return path, prefix, middle, suffix


def test_examples_fit_and_end(tokenizer: Tokenizer) -> None:
    examples = drawn(tokenizer, Rates())
    for example in examples:
        assert len(example.ids) <= 256
        assert example.ids[0] == tokenizer.control[REPO_NAME]
        assert example.ids[-1] == tokenizer.control[END_OF_TEXT]
        assert (example.middle == len(example.ids)) == (tokenizer.control[FIM_MIDDLE] not in example.ids)
    assert sum(len(example.ids) for example in examples) / len(examples) > 200  # and are mostly full


@pytest.mark.parametrize("spm", [0.0, 1.0])
def test_a_hole_put_back_is_the_file(tokenizer: Tokenizer, spm: float) -> None:
    by_path = {file.path: file.text for file in FILES}
    for example in drawn(tokenizer, Rates(fim=1.0, spm=spm, append=0.0, begin=0.0)):
        path, prefix, middle, suffix = parts(tokenizer, example)
        assert (FIM_PREFIX + FIM_SUFFIX in tokenizer.decode(example.ids)) == (spm == 1.0)
        assert prefix + middle + suffix in by_path[path]


@pytest.mark.parametrize(("rates", "empty"), [(Rates(1.0, append=1.0), 3), (Rates(1.0, append=0.0, begin=1.0), 1)])
def test_nothing_after_a_hole_or_before_it(tokenizer: Tokenizer, rates: Rates, empty: int) -> None:
    assert {parts(tokenizer, example)[empty] for example in drawn(tokenizer, rates)} == {""}


def test_other_files_come_first_each_with_its_path(tokenizer: Tokenizer) -> None:
    for example in drawn(tokenizer, Rates(fim=1.0), 512):
        for excerpt in tokenizer.decode(example.ids).split(FIM_PREFIX)[0].split(FILE_SEP)[1:-1]:
            path, _, body = excerpt.partition("\n")
            assert excerpt.endswith("\n")
            assert any(body.rstrip("\ufffd\n") in file.text for file in FILES if file.path == path)


def test_a_path_longer_than_its_room_ends(tokenizer: Tokenizer) -> None:
    files = [SourceFile("r", "/".join(["very_long_name"] * 30), "x = 1\n" * 50)]
    source = ExampleSource(files, tokenizer)
    assert all(len(source.draw(random.Random(seed), 64).ids) <= 64 for seed in range(20))


HOLED = """\
class Shelf:
    def find(self, title):
        for book in self.books:
            if book.title == title:
                return book

        return None

    def all(self):
        return sorted(
            self.books,
        )
"""


def test_holes_are_where_cursors_are() -> None:
    holes = [hole(random.Random(seed), HOLED) for seed in range(4000)]
    cut = Counter(HOLED[start:end] for start, end in holes)
    for expected in (
        "return book",  # behind an indentation
        "books:",  # behind a dot
        "self, title):",  # behind a bracket
        " self.books:",  # behind a name
        "if book.title == title:\n                return book",  # a statement with its body
        "return sorted(\n            self.books,\n        )",  # up to the bracket that closes it
        HOLED.partition("find(self, title):\n        ")[2].partition("\n\n    def")[0],  # a whole body
    ):
        assert cut[expected] > 2, expected
    at_line_end = sum(HOLED.startswith("\n", end) for _, end in holes) / len(holes)
    assert at_line_end > 0.8
    assert all(0 <= start <= end <= len(HOLED) for start, end in holes)


@pytest.mark.parametrize("text", ["", "\n", "\n\n   \n", "x", "    ", "x = (\n" * 40])
def test_a_hole_in_any_text(text: str) -> None:
    for seed in range(50):
        start, end = hole(random.Random(seed), text)
        assert 0 <= start <= end <= len(text)


def toy() -> StarCoder2:
    torch.manual_seed(5)
    model = StarCoder2(parse_config(PLAN.config())).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    return model


def some(rng: random.Random, length: int) -> Example:
    return Example(tuple(rng.randrange(300) for _ in range(length)), rng.randint(1, length))


def packed(rows: Sequence[Sequence[int]], length: int, weight: float = 1.0) -> Batch:
    rng = random.Random(1)
    return collate([[some(rng, size) for size in row] for row in rows], length, 399, weight)


@pytest.mark.parametrize("rows", [[[20, 30, 10], [60]], [[60], [50]], [[20, 20, 20], [20, 40]], [[7, 3], [1, 59]]])
@torch.inference_mode()
def test_a_packed_document_is_as_if_alone(rows: list[list[int]]) -> None:
    model, batch = toy(), packed(rows, 60)
    lengths = [length for row in batch.documents for length in row]
    together = model.head(model.hidden(batch.tokens, documents=lengths)).flatten(0, 1)
    start = 0
    for length in lengths:
        alone = model.forward(batch.tokens.flatten()[None, start : start + length])[0]
        torch.testing.assert_close(together[start : start + length], alone, atol=2e-4, rtol=1e-3)
        start += length
    assert start == batch.tokens.numel()


def test_targets_stay_inside_documents_and_holes_weigh_more() -> None:
    batch = collate([[Example((5, 6, 7, 0), 2), Example((8, 9, 0), 3)]], 9, 399, 3.0)
    assert batch.tokens.tolist() == [[5, 6, 7, 0, 8, 9, 0, 399, 399]]
    assert batch.weights.tolist() == [[1, 3, 3, 0, 1, 1, 0, 0, 0]]
    assert batch.targets[0, [0, 1, 2, 4, 5]].tolist() == [6, 7, 0, 9, 0]
    assert batch.documents == ((4, 5),)


def plain_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    each = F.cross_entropy(hidden @ head.t(), targets, reduction="none")
    return (each * weights).sum()


def test_the_chunked_loss_and_its_gradients_are_the_plain_ones() -> None:
    torch.manual_seed(2)
    hidden, head = torch.randn(300, 16, requires_grad=True), torch.randn(50_000, 16, requires_grad=True)
    targets, weights = torch.randint(50_000, (300,)), torch.rand(300).round(decimals=1)
    expected = plain_cross_entropy(hidden, head, targets, weights)
    wanted = torch.autograd.grad(expected, (hidden, head))
    actual, _ = cross_entropy(hidden, head, targets, weights, torch.float32)
    for ours, theirs in zip((actual, *torch.autograd.grad(actual, (hidden, head))), (expected, *wanted), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lanes_change_no_gradient(dtype: torch.dtype) -> None:
    model, batch = toy(), packed([[60, 200], [130, 130], [260], [100, 40]], 260, 3.0)
    course = Course(Path(), CPU, lambda progress: None, lambda model: None, 1, dtype=dtype)
    found: list[list[Tensor]] = []
    for lanes in (1, 3):
        with ThreadPoolExecutor(lanes) as pool:
            backward(model, batch, replace(course, lanes=lanes), pool)
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    exact = dtype == torch.float32
    for one, three in zip(*found, strict=True):
        assert (one - three).norm() <= (1e-5 if exact else 0.05) * one.norm() + 1e-6


def test_prompts_are_packed_whole_and_each_comes_once_an_epoch(tokenizer: Tokenizer) -> None:
    rng = random.Random(4)
    prompts = [some(rng, rng.randint(40, 256)) for _ in range(30)]
    rows = pack(prompts, 256, rng)
    assert sorted(example.ids for row in rows for example in row) == sorted(prompt.ids for prompt in prompts)
    assert all(sum(len(example.ids) for example in row) <= 256 for row in rows)
    plan = replace(PLAN, prompt_share=1.0, tokens=PLAN.step_tokens * len(rows), prompt_mix=0.5)
    batches = Batches(plan, ExampleSource(FILES, tokenizer), prompts, 399)
    seen = "".join(f" {batches.draw(step).tokens.flatten().tolist()}"[2:-1] for step in range(plan.steps))
    assert [seen.count(str(list(prompt.ids))[1:-1]) for prompt in prompts] == [1] * len(prompts)


def test_drawing_ahead_changes_nothing(tokenizer: Tokenizer) -> None:
    batches = Batches(PLAN, ExampleSource(FILES, tokenizer), (), 399)
    ahead = list(drawn_ahead(batches.draw, range(3, 12), threads=3))
    assert [batch.tokens.tolist() for batch in ahead] == [batches.draw(s).tokens.tolist() for s in range(3, 12)]
    assert len({str(batch.tokens.tolist()) for batch in ahead}) == 9


def trained(folder: Path, plan: Plan = PLAN, interrupt_after: int | None = None) -> list[float]:
    """The losses of a run; interrupted as by Ctrl-C after some steps."""
    losses: list[float] = []

    def report(progress: Progress) -> None:
        losses.append(progress.loss)
        assert progress.tokens == progress.step * plan.step_tokens
        if progress.step == interrupt_after:
            raise KeyboardInterrupt

    tokenizer = prepare_tokenizer(plan, FILES, folder)
    source = ExampleSource(FILES, tokenizer)
    prompts = [source.draw(random.Random(seed), 100) for seed in range(12)]
    build(plan, FILES[2:], prompts, folder, report, held_out=FILES[:2], checkpoint_every=10)
    return losses


def table(folder: Path) -> list[dict[str, str]]:
    """The curve, without the column that no two runs share."""
    with (folder / "loss.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in csv.DictReader(file)]


def check_same_weights(one: Path, other: Path) -> None:
    expected, actual = (load(folder, torch.float32, CPU).state_dict() for folder in (one, other))
    assert all(torch.equal(tensor, expected[name]) for name, tensor in actual.items())


def test_a_hundred_steps_of_a_toy_model(tmp_path: Path) -> None:
    losses = trained(tmp_path, replace(PLAN, tokens=100 * PLAN.step_tokens, prompt_share=0.0))
    assert len(losses) == 100
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])
    held_out = [float(row["held_out_bits_per_byte"]) for row in table(tmp_path) if row["held_out_bits_per_byte"]]
    assert len(held_out) == 10
    assert held_out[-1] < 0.8 * held_out[0]
    assert load(tmp_path, torch.float32, CPU).config.window == 4096


def test_the_same_run_repeats(tmp_path: Path) -> None:
    assert trained(tmp_path / "a") == trained(tmp_path / "b")
    check_same_weights(tmp_path / "a", tmp_path / "b")
    assert Counter(row["phase"] for row in table(tmp_path / "a")) == {"1": 30, "2": 10}


def test_an_interrupted_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", interrupt_after=25)
    assert trained(tmp_path / "parts") == whole[20:]  # steps 21 to 25 came after the checkpoint and are run again
    check_same_weights(tmp_path / "whole", tmp_path / "parts")
    assert table(tmp_path / "parts") == table(tmp_path / "whole")


def test_a_training_is_extended_from_before_the_decay(tmp_path: Path) -> None:
    plan = replace(PLAN, prompt_share=0.0)
    trained(tmp_path, plan)
    (tmp_path / "checkpoint" / "state.safetensors").unlink()
    longer = replace(plan, tokens=2 * plan.tokens)
    assert len(trained(tmp_path, longer)) == 80 - 24  # the rate had begun to fall after step 24
    rates = [float(row["learning_rate"]) for row in table(tmp_path)]
    assert rates[23:48] == [plan.lr] * 25


def test_steps_of_unequal_size_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of context_length"):
        replace(PLAN, batch=3)
