"""The page "Bring your own problem", followed to the letter in a project of the blank example."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import own_model
import pytest
import rig
from rig import Project

# A folder of wheels that has torch for the CPU; the one of PyPI brings gigabytes that this test has no use for.
WHEELS = os.environ.get("TORCH_WHEELS", "")
INDEX = """
[[tool.uv.index]]
name = "pytorch-cpu"
url = "{wheels}"
format = "flat"
explicit = true

[tool.uv.sources]
torch = {{ index = "pytorch-cpu" }}
"""


@pytest.mark.parametrize(
    ("problem", "metric", "by", "key", "column"),
    [
        ("LightGBM", "log_loss", "lower", "5", "probability"),
        ("forecast", "wape", "lower", "store=S03 product=P011", "expected"),
        ("PyTorch", "accuracy", "higher", "0011", "label"),
    ],
)
def test_a_stranger_follows_the_page(
    problem: str, metric: str, by: str, key: str, column: str, generate: Callable[..., Project], tmp_path: Path
) -> None:
    mine = generate(tmp_path / "p", example="blank")
    if problem == "PyTorch":
        if not WHEELS:
            rig.missing("TORCH", "TORCH_WHEELS names no folder with a wheel of torch for the CPU")
        rig.append("pyproject.toml", INDEX.format(wheels=WHEELS))(mine.folder)
    mine.make("setup")
    conversion = own_model.conversions(mine.folder)[problem]
    conversion.write(mine.folder)
    for command in conversion.commands:
        done = mine.run("sh", "-c", command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    if problem != "PyTorch":  # whose first look is the reader's to change
        assert "runs to its end" in mine.make("explore", "CHECK=1")
    mine.git("add", "--all")
    mine.git("commit", "--no-verify", "--message", problem)
    assert mine.git("status", "--porcelain") == ""
    touched = set(mine.git("diff", "--name-only", mine.git("rev-list", "--max-parents=0", "HEAD"), "HEAD").splitlines())
    assert touched <= {*conversion.files, "pyproject.toml", "uv.lock", "system-packages.txt"}

    shards = mine.with_env(RUNS__SHARDS="3")
    whole = json.loads(mine.make("results", "JSON=1", "ROWS=100000"))
    shards.make("develop")
    split = json.loads(mine.make("results", "JSON=1", "ROWS=100000"))
    assert split["metrics"] == whole["metrics"]
    assert split["metrics"][metric]["better"] == by
    (table,) = split["tables"].values()
    assert [row[column] for row in table["rows"]] == [
        row[column] for row in whole["tables"][next(iter(whole["tables"]))]["rows"]
    ]
    assert f"{metric.replace('_', ' ')} " in mine.make("results", f"KEY={key}")
    judged = mine.call("gates", "--stage", "develop")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "✓ scale: quality" in judged.stdout and "not compared" not in judged.stdout.partition("scale: quality")[2]
