"""The trainer: rows in StarCoder2's format, a loss that falls, the same run twice, and on from a checkpoint."""

import random
from pathlib import Path

import pytest
import torch

from sc2lsp.runtime.tokenizer import FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, REPO_NAME, Tokenizer
from sc2lsp.runtime.training.bpe import train_tokenizer
from sc2lsp.runtime.training.build import build
from sc2lsp.runtime.training.examples import ExampleParams, ExampleSource
from sc2lsp.runtime.training.plan import Plan, SourceFile
from sc2lsp.runtime.weights import load

OURS = sorted((Path(__file__).parents[2] / "runtime").glob("*.py"))
TEXTS = {f"runtime/{path.name}": path.read_text("utf-8") for path in OURS}
FILES = [SourceFile("sc2lsp", path, text) for path, text in TEXTS.items() if "<fim_" not in text]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_tokenizer((file.text for file in FILES), 600))


def rows(tokenizer: Tokenizer, **params: float) -> list[list[int]]:
    source = ExampleSource(FILES, tokenizer, ExampleParams(256, **params))
    return [source.draw(random.Random(seed)) for seed in range(60)]


def texts(tokenizer: Tokenizer, **params: float) -> list[str]:
    return [tokenizer.decode(row) for row in rows(tokenizer, **params)]


def test_rows_fit_and_begin_with_the_repository(tokenizer: Tokenizer) -> None:
    drawn = rows(tokenizer)
    assert all(len(row) <= 256 and row[0] == tokenizer.control[REPO_NAME] for row in drawn)
    assert sum(map(len, drawn)) / len(drawn) > 200  # and are mostly full


def hole(text: str) -> tuple[str, str, str, str]:
    """Path, prefix, middle and suffix of an example with a hole, whichever its order."""
    body = text.split(FIM_PREFIX)[1].removesuffix("<|endoftext|>")
    if body.startswith(FIM_SUFFIX):  # suffix first: the prefix runs on into the middle
        suffix, _, rest = body.removeprefix(FIM_SUFFIX).partition(FIM_MIDDLE)
        path, _, prefix_and_middle = rest.partition("\n")
        return path, prefix_and_middle, "", suffix
    prefix, _, rest = body.partition(FIM_SUFFIX)
    suffix, _, middle = rest.partition(FIM_MIDDLE)
    path, _, prefix = prefix.partition("\n")
    return path, prefix, middle, suffix


@pytest.mark.parametrize("spm_rate", [0.0, 1.0])
def test_a_hole_put_back_is_the_file(tokenizer: Tokenizer, spm_rate: float) -> None:
    by_path = {file.path: file.text for file in FILES}
    for text in texts(tokenizer, fim_rate=1.0, spm_rate=spm_rate):
        path, prefix, middle, suffix = hole(text)
        assert (FIM_PREFIX + FIM_SUFFIX in text) == (spm_rate == 1.0)
        assert prefix + middle + suffix in by_path[path]


def test_other_files_come_first(tokenizer: Tokenizer) -> None:
    for text in texts(tokenizer, fim_rate=1.0):
        context = text.split(FIM_PREFIX)[0].split(FILE_SEP)[1:-1]
        for excerpt in context:
            path, _, body = excerpt.partition("\n")
            if body:  # the last excerpt may be cut inside its path
                assert any(body.rstrip("\ufffd") in file.text for file in FILES if file.path == path)


def test_short_holes_end_with_their_line(tokenizer: Tokenizer) -> None:
    ends = [hole(text)[3] for text in texts(tokenizer, fim_rate=1.0, spm_rate=0.0, short_hole_rate=1.0)]
    assert all(not suffix or suffix.startswith("\n") for suffix in ends)


def test_a_path_longer_than_its_room_ends(tokenizer: Tokenizer) -> None:
    files = [SourceFile("r", "/".join(["very_long_name"] * 30), "x = 1\n" * 50)]
    source = ExampleSource(files, tokenizer, ExampleParams(64))
    assert all(len(source.draw(random.Random(seed))) <= 64 for seed in range(20))


PLAN = Plan(
    vocab_size=400, hidden_size=48, num_layers=2, num_heads=4, num_kv_heads=2,
    context_length=128, tokens=40 * 4 * 128, batch=4, lr=5e-3, seed=3,
)  # fmt: skip


def trained(folder: Path, interrupt_after: int | None = None) -> list[float]:
    """The losses of a run; interrupted as by Ctrl-C after some steps."""
    losses: list[float] = []

    def report(step: int, loss: float) -> None:
        losses.append(loss)
        if step == interrupt_after:
            raise KeyboardInterrupt

    build(PLAN, FILES, folder, report, checkpoint_every=10)
    return losses


def test_the_loss_falls_and_the_same_run_repeats(tmp_path: Path) -> None:
    first, second = trained(tmp_path / "a"), trained(tmp_path / "b")
    assert first == second
    assert sum(first[-5:]) / 5 < 0.8 * sum(first[:5]) / 5
    model = load(tmp_path / "a", torch.float32, torch.device("cpu"))
    assert model.config.window == 4096


def test_an_interrupted_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", interrupt_after=25)
    rest = trained(tmp_path / "parts")
    assert rest == whole[20:]  # steps 21 to 25 came after the last checkpoint and are run again
    expected, actual = (load(tmp_path / name, torch.float32, torch.device("cpu")) for name in ("whole", "parts"))
    for name, tensor in actual.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name]), name
    assert (tmp_path / "parts" / "loss.csv").read_text() == (tmp_path / "whole" / "loss.csv").read_text()
