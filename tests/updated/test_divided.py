"""A project of before 0.11.0 in which everybody has written: what is its own parts from what is the template's."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import divide
import pytest
import requirements
import rig
from lived_in import change
from packaging.requirements import Requirement
from packaging.version import Version
from rig import Project, commit

pytestmark = pytest.mark.usefixtures("quick_migrations")

RELEASES = [release for release in rig.earlier_releases() if Version(release) < Version("0.11.0")]
MACHINERY = {"database", "runs", "schedule", "alert", "deploy", "monitoring", "resources", "tracking"}
OWN_SECTION = '''class Prices(Section):
    """Ours."""

    currency: str = "EUR"


class Settings(StageSettings):
'''
LOADED = """
import json
from {package}.ops.settings import load
from {package}.pipeline import Settings
settings = load(Settings, "develop")
print(json.dumps(settings.model_dump(mode="json") | {{"url": settings.database.url.get_secret_value()}}, default=str))
"""


def write_everywhere(project: Project, release: str) -> None:
    """A library, a bound, a table, values and words of one's own, each beside what later releases change."""
    change(project, "pyproject.toml", "dependencies = [\n", 'dependencies = [\n    "humanize>=4", # to tell a person\n')
    change(project, "pyproject.toml", '"polars>=1.36"', '"polars>=1.37"')
    change(project, "pyproject.toml", "dev = [\n", 'dev = [\n    "hypothesis>=6",\n')
    change(project, "README.md", "\n## ", "\nOurs: ask Ada.\n\n## ")
    pipeline = f"src/{project.package}/pipeline.py"
    change(project, pipeline, "class Settings(StageSettings):\n", OWN_SECTION)
    change(project, pipeline, "import StageSettings", "import Section, StageSettings")
    change(project, pipeline, "    gate: ", "    prices: Prices = Prices()\n    gate: ")
    for stage in ("explore", "develop", "production"):
        name = f"{stage}/settings.toml"
        change(
            project, name, "\n[database]\n", '\n# Ours, above the database.\n[prices]\ncurrency = "CHF"\n\n[database]\n'
        )
        change(project, name, "top_k = 5", "top_k = 3 # as the shop shows")
        change(project, name, 'url = "sqlite:///var/', 'url = "sqlite:///var/ours/')
        change(project, name, "keep = 30", "# They are large.\nkeep = 7")
        if Version(release) >= Version("0.3.0"):
            change(project, name, 'timezone = "UTC"', 'timezone = "Europe/Lisbon"')
            change(project, name, "deadline_minutes = 240", "deadline_minutes = 90")
            change(project, name, "max_seconds = 3600", "max_seconds = 60")


def loaded(mine: Project, libraries: Project) -> dict[str, Any]:
    """The settings that are in force, as the project's own code reads them."""
    python = libraries.folder / ".venv/bin/python"
    code = LOADED.format(package=mine.package)
    done = rig.sh(python, "-c", code, cwd=mine.folder, env=rig.environment() | {"PYTHONPATH": str(mine.folder / "src")})
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def settings(project: Project, stage: str, name: str) -> dict[str, Any]:
    return tomllib.loads((project.folder / stage / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_conflicts_where_nobody_disagrees_and_nothing_is_lost(
    release: str, project: Project, generate: Callable[..., Project], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = generate(tmp_path / "a folder, mine", release=release)
    write_everywhere(mine, release)
    commit(mine.folder, "ours")
    readme = (mine.folder / "README.md").read_bytes()
    before, in_force = settings(mine, "develop", "settings.toml"), loaded(mine, project)

    copier.run_update(mine.folder, overwrite=True, defaults=True, quiet=True, unsafe=True)

    assert mine.run("git", "grep", "--untracked", "--files-with-matches", "^<<<<<<< ").stdout == ""
    assert "UU" not in mine.git("status", "--porcelain")
    assert (mine.folder / "README.md").read_bytes() == readme
    assert (mine.folder / "docs/data.md").exists()
    for stage in ("explore", "develop", "production"):
        own, platform = settings(mine, stage, "settings.toml"), settings(mine, stage, "platform.toml")
        assert not own.keys() & MACHINERY
        assert platform.keys() <= MACHINERY
        assert own["prices"] == {"currency": "CHF"}
        assert platform["database"]["url"].startswith("sqlite:///var/ours/")
        assert platform["runs"]["keep"] == 7
        assert platform["deploy"]["metric"] == "hit_rate"
        assert platform["deploy"]["scale"]["by"] == "customer"
    words = (mine.folder / "develop/settings.toml").read_text(encoding="utf-8")
    assert "\n# Ours, above the database.\n[prices]\n" in words
    assert "top_k = 3 # as the shop shows\n" in words
    words = (mine.folder / "develop/platform.toml").read_text(encoding="utf-8")
    assert "\n# They are large.\nkeep = 7\n" in words
    own = settings(mine, "develop", "settings.toml")
    assert own == {name: section for name, section in before.items() if name not in MACHINERY}
    now = loaded(mine, project)
    for section in ("orders", "model", "gate", "prices"):
        assert {name: now[section][name] for name in in_force[section]} == in_force[section]
    assert now["url"] == in_force["url"]
    if "schedule" in before:
        for section in ("schedule", "alert"):  # of which later releases have more keys
            assert in_force[section].items() <= now[section].items()
        assert (now["schedule"]["timezone"], now["schedule"]["deadline_minutes"]) == ("Europe/Lisbon", 90)
        deploy = in_force["deploy"] | {"metric": "hit_rate"}
        assert deploy.pop("scale").items() <= now["deploy"]["scale"].items()
        assert deploy.items() <= now["deploy"].items()

    metadata = tomllib.loads((mine.folder / "pyproject.toml").read_text(encoding="utf-8"))
    theirs = [Requirement(each).name for each in metadata["project"]["dependencies"]]
    assert {"humanize", "numpy", "scipy", "polars"} <= set(theirs)
    assert "typer" not in theirs and len(theirs) == len(set(theirs))
    assert "polars>=1.37" in metadata["project"]["dependencies"]
    assert '    "humanize>=4", # to tell a person\n' in (mine.folder / "pyproject.toml").read_text(encoding="utf-8")
    assert "typer>=0.28" in metadata["dependency-groups"]["platform"]
    assert "humanize>=4" not in metadata["dependency-groups"]["platform"]
    assert "hypothesis>=6" in metadata["dependency-groups"]["dev"]
    said = capfd.readouterr().err
    assert '    TABLES = (Table("recommendations", key=("customer",)),)\n' in said
    assert '    run.measure("hit_rate", ' in said


def test_a_table_is_told_from_text_that_looks_like_one() -> None:
    mine = '''top = 1
alert.webhook = "https://ours"

[orders]
source = """query:SELECT *
[database]
url = 'no key of ours'
"""
formats = [
  "[runs]", # not a table
  ["a"],
]

[[prices]]
name = "a"

[[prices]]
name = "b"
# The last word on prices.

# What follows is theirs.
[database] # ours too
url = "x" # ours
extra = 1

[tracking.ours]
place = "here"
'''
    base = '[orders]\n\n[database]\nurl = "y"\n\n[alert]\nwebhook = ""\n'
    theirs = '# Theirs.\n\n[database]\nurl = "z"\n\n[alert]\nwebhook = "" # theirs\nheartbeat = ""\n\n[deploy]\n'
    own, platform = divide.divided_settings(mine, base, theirs)
    begun, _, _ = mine.partition("\n# What follows")
    assert own == begun
    assert platform == (
        '# Theirs.\n\n# What follows is theirs.\n[database] # ours too\nurl = "x" # ours\nextra = 1\n\n'
        '[tracking.ours]\nplace = "here"\n\n'
        '[deploy]\nmetric = "hit_rate" # the number of a run that says how good it is\n'
    )
    tomllib.loads(platform)


PROJECT = """[project]
name = "shop"
dependencies = [
    "numpy>=2.3",
    "polars>=1.36",
    "typer>=0.20",
]
# Ours.
[dependency-groups]
dev = ["mypy>=1", "pytest>=9"]

[tool.uv]
exclude-newer = "2026-11-23T00:00:00Z"
"""
DIVIDED = """[project]
name = "shop"
# Yours.
dependencies = [
    "numpy>=2.3",
    "polars>=1.36",
]

# The template's.
[dependency-groups]
platform = [
    "numpy>=2.3",
    "polars>=1.36",
    "typer>=0.28",
]

# Yours to add to.
test = ["pytest>=9"]
dev = ["mypy>=1"]

[tool.uv]
exclude-newer = "2026-11-28T00:00:00Z"
default-groups = ["platform", "dev"]
"""


NEW = {"project": ["numpy", "polars"], "platform": ["numpy", "polars", "typer"], "test": ["pytest"], "dev": ["mypy"]}


@pytest.mark.parametrize(
    ("edits", "theirs"),
    [
        ({}, {}),
        (
            {'    "numpy': '    # Ours.\n    "lightgbm>=4", # fast\n    "numpy'},
            {"project": ["lightgbm", "numpy", "polars"]},
        ),
        (
            {'    "typer>=0.20",\n': '    "typer>=0.20",\n    "zstandard",\n'},
            {"project": ["numpy", "polars", "zstandard"]},
        ),
        ({'"typer>=0.20"': '"typer>=0.27"'}, {"project": ["numpy", "polars", "typer"]}),
        ({'    "polars>=1.36",\n': ""}, {"project": ["numpy"]}),
        ({'["mypy>=1", "pytest>=9"]': '["mypy>=1", "pytest>=9", "rich"]'}, {"dev": ["mypy", "rich"]}),
        ({'["mypy>=1", "pytest>=9"]': '["pytest>=9"]'}, {"dev": []}),
        ({"dev = [": 'docs = ["mkdocs"]\ndev = ['}, {"docs": ["mkdocs"]}),
        ({"# Ours.\n[dependency-groups]\ndev": "[dependency-groups]\n# Of a check.\ndev"}, {}),
    ],
)
def test_requirements_are_parted(edits: dict[str, str], theirs: dict[str, list[str]], tmp_path: Path) -> None:
    base = PROJECT.replace("# Ours.\n", "")
    mine = PROJECT
    for old, new in edits.items():
        assert old in mine
        mine = mine.replace(old, new)
    own, before = requirements.divided(mine, base, DIVIDED)
    for name, content in (("mine", own), ("base", before), ("theirs", DIVIDED)):
        (tmp_path / name).write_text(content, encoding="utf-8")
    done = rig.sh("git", "merge-file", "-p", "mine", "base", "theirs", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    found = tomllib.loads(done.stdout)
    needed = {"project": found["project"]["dependencies"], **found["dependency-groups"]}
    assert {name: [Requirement(each).name for each in some] for name, some in needed.items()} == NEW | theirs
    comments = {line.strip() for line in mine.splitlines() if line.startswith("#") or " # " in line or "    #" in line}
    assert comments <= {line.strip() for line in done.stdout.splitlines()}
    assert "typer>=0.28" in found["dependency-groups"]["platform"]
    assert requirements.divided(done.stdout, DIVIDED, DIVIDED) == (done.stdout, DIVIDED)


@pytest.mark.parametrize(("ours", "both"), [("2026-11-25", "2026-11-28"), ("2026-12-01", "2026-12-01")])
def test_of_two_days_for_the_lock_the_later_one_stays(ours: str, both: str) -> None:
    own, before = requirements.divided(PROJECT.replace("2026-11-23", ours), PROJECT, DIVIDED)
    assert f'exclude-newer = "{both}T00:00:00Z"' in own
    assert 'exclude-newer = "2026-11-28T00:00:00Z"' in before
