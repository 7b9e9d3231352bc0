"""The gates before a deployment: each lets a good version pass, and turns red where what it guards is broken."""

import re
import shutil

import pytest
from rig import Project

GATES = [
    "data",
    "enough to judge by",
    "better than a baseline",
    "as good as production",
    "scale: quality",
    "scale: time",
    "scale: memory",
]

# What a change does to the model, fitted to `history`, of 300 customers or as many times that as the scale check tries.
PLANTED = """

_fit = fit


def fit(history):
    model = _fit(history)
    size = history.shape[0] / 300
    {change}
    return model
"""
SLOW = "import time; time.sleep(size**2 / 2)"
HOARDING = "globals()['hoard'] = np.ones(int(size**2 * 4e6))"
CONFUSED_BY_MANY = "model.affinity[:] = 0 if size > 1.5 else model.affinity"
POOR = "model.affinity[:] = 0"


def judged(place: Project) -> tuple[dict[str, bool], str]:
    """Which gates passed, and all that was said; the exit code says the same."""
    done = place.call("gates")
    found = {name.strip(): mark == "✓" for mark, name in re.findall(r"^([✓✗]) (.{24})", done.stdout, re.MULTILINE)}
    assert found, done.stderr
    assert done.returncode == (0 if all(found.values()) else 3)
    refused = [name for name, passed in found.items() if not passed]
    told = [line for line in done.stderr.splitlines() if not line.startswith("  ")]  # where a bug is
    assert told == ([f"error: refused by {', '.join(refused)}"] if refused else [])
    return found, done.stdout


def planted(place: Project, project: Project, change: str) -> Project:
    """The same place with another model."""
    source = place.folder / "src"
    shutil.copytree(project.folder / "src", source)
    model = source / project.package / "model.py"
    model.write_text(model.read_text() + PLANTED.format(change=change))
    mine = place.with_env(COMMIT="d" * 40)
    mine.env["PYTHONPATH"] = str(source)
    return mine


def test_a_good_version_passes_and_nothing_is_published(place: Project) -> None:
    found, said = judged(place)
    assert found == dict.fromkeys(GATES, True)
    assert re.findall(r"^ +([\d.]+) ×", said, re.MULTILINE) == ["0.25", "0.5", "1", "2"]
    sizes = [int(size) for size in re.findall(r"× +(\d+) ", said)]
    assert sizes[2] <= 300
    assert sizes[3] == 2 * sizes[2]
    assert re.search(rf"✓ scale: quality +hit rate [\d.]+ at {sizes[3]}, [\d.]+ at {sizes[2]};", said)
    assert "nothing to compare with yet" in said
    assert place.written("production") == ([], [])
    assert not list(place.folder.glob("var/production/*/*"))


@pytest.mark.parametrize(
    ("setting", "gate", "finding"),
    [
        ({"ORDERS__MAX_REJECTED_SHARE": "0"}, "pipeline", "rows rejected"),
        ({"ORDERS__SOURCE": "data/none.csv"}, "pipeline", "data/none.csv: no such file"),
        ({"GATE__MIN_HITS": "100000"}, "enough to judge by", "too few to compare"),
        ({"GATE__MIN_LIFT": "9"}, "better than a baseline", "min_lift is 9"),
        ({"DEPLOY__SCALE__MAX_SECONDS": "0.001"}, "scale: time", "at most 0.001"),
        ({"DEPLOY__SCALE__MAX_MEMORY_MB": "0.001"}, "scale: memory", "at most 0.001"),
        ({"DEPLOY__SCALE__BY": "nobody"}, "pipeline", "deploy.scale.by: no column 'nobody' in raw.parquet"),
    ],
)
def test_a_threshold_refuses(setting: dict[str, str], gate: str, finding: str, place: Project) -> None:
    found, said = judged(place.with_env(**setting))
    assert [name for name, passed in found.items() if not passed] == [gate]
    assert finding in said


@pytest.mark.parametrize(
    ("change", "gate", "finding"),
    [
        (SLOW, "scale: time", r"to the power of (1\.[6-9]|2\.)"),
        (HOARDING, "scale: memory", r"to the power of (1\.[6-9]|2\.)"),
        (CONFUSED_BY_MANY, "scale: quality", r"hit rate 0\.\d+ at 6\d\d|hit rate 0\.\d+ at 5\d\d"),
        (POOR, "better than a baseline", "hit rate"),
        ("raise MemoryError('all of it')", "pipeline", "MemoryError: all of it"),
    ],
)
def test_a_bad_model_is_refused(change: str, gate: str, finding: str, place: Project, project: Project) -> None:
    found, said = judged(planted(place, project, change))
    red = [name for name, passed in found.items() if not passed]
    assert red == [gate] or (change == HOARDING and red == ["scale: time", gate])  # to fill memory takes time too
    line = next(line for line in said.splitlines() if line.startswith(f"✗ {gate}"))
    assert re.search(finding, line), line


def test_a_version_worse_than_productions_is_refused(place: Project, project: Project) -> None:
    assert place.call("run", "--stage", "production").returncode == 0
    easy = place.with_env(GATE__MIN_LIFT="0.1")
    found, said = judged(easy)
    assert found == dict.fromkeys(GATES, True)
    (rate,) = re.findall(r"production 0\.(\d+) by ccccccccccc ", said)
    assert f"hit rate 0.{rate}, " in said  # on the same day's data the same version is as good as itself
    found, _ = judged(planted(easy, project, POOR))
    assert [name for name, passed in found.items() if not passed] == ["as good as production"]


def test_the_scale_check_can_be_left_out(place: Project) -> None:
    found, _ = judged(place.with_env(DEPLOY__SCALE__FACTORS="[]"))
    assert list(found) == GATES[:4]
