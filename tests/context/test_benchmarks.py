"""The benchmarks of indexing run, at a size that fits here; their figures are for reading."""

from pathlib import Path

from click.testing import CliRunner

from tests.benchmarks.index import main

SHELF = Path(__file__).parents[1] / "fixtures" / "shelf"


def test_the_index_benchmark_measures_everything() -> None:
    done = CliRunner(env={"COLUMNS": "160"}).invoke(main, ["--repeats", "1", "--synthetic", "300", str(SHELF)])
    assert done.exit_code == 0, done.output
    rows = (
        "cold index",
        "warm start",
        "first useful context",
        "a saved file",
        "a file changed on disk",
        "server, cold",
    )
    assert all(done.output.count(row) >= 1 for row in rows)
    assert "247 lines" in done.output
