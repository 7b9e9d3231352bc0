"""Each fault turns the verb red that looks for it. CI's jobs are these verbs, see tests/rendered/test_ci_files.py."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import rig
from containers.docker import belongings, docker, image_names
from rig import Project

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

FINAL = "USER 1000:1000\n"
PACKAGES = "/opt/venv/lib/python3.13/site-packages"
# A lint error, a type error, an import from explore, and a secret.
BAD = '"""Bad."""\n\nfrom explore import first_look\n\nx: int = "a"\n\n\ndef bad() -> None:\n    print(first_look)\n'
BAD += '    print("https://ada:hunter2hunter2@example.org")\n'
FOUND = ("D103", "Incompatible types", "TID251", "Basic Auth Credentials", "assert 1 == 2")
FAILS = "def test_bad() -> None:\n    assert max(0, 1) == 2\n"


@pytest.fixture
def mine(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project as CI has it, which makes no environment there; nothing of it is left behind."""
    made = replace(generate(tmp_path_factory.mktemp("faults") / "shop"), containers=True, env={"CI": "true"})
    assert made.run("sh", "develop/uv.sh", "lock", "--quiet").returncode == 0
    made.git("init", "--quiet", "--initial-branch=faults")
    commit(made)
    yield made
    made.make("clean", "YES=1")
    assert belongings(made) == []
    for image in image_names("burger-combos:*-faults-*"):
        docker("image", "rm", "--force", image)


def commit(project: Project) -> None:
    """Everything that is there, past the hooks."""
    project.git("add", "--all")
    project.git("commit", "--quiet", "--no-verify", "--message", "Change")


def red(project: Project, *arguments: str) -> str:
    """What a verb says that has to fail."""
    done = project.run("make", *arguments)
    assert done.returncode != 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_checks_find_what_hooks_tests_and_the_first_look_do(mine: Project) -> None:
    (mine.folder / "src/burger_combos/bad.py").write_text(BAD)
    (mine.folder / "tests/test_bad.py").write_text(FAILS)
    rig.change(mine.folder / "explore/first_look.py", {"few = ": "1 / 0\n    few = "})
    commit(mine)
    said = red(mine, "inside", "DO=make -k check explore CHECK=1")
    assert [finding for finding in (*FOUND, "ZeroDivisionError") if finding not in said] == []
    assert "check: hooks failed, tests failed" in said


def test_the_image_is_refused_for_its_packages_and_the_pipeline_in_it_for_its_model(mine: Project) -> None:
    rig.change(mine.folder / "src/burger_combos/model.py", {"Model(affinity": "Model(0 * affinity"})
    dockerfile = mine.folder / "Dockerfile"
    rig.change(dockerfile, {FINAL: f"RUN mkdir /opt/vulnerable-0.1.dist-info\n{FINAL}"})
    commit(mine)
    image = mine.make("--silent", "image").strip()
    assert "'better than a baseline' refuses" in red(mine, "develop", f"IMAGE={image}")
    assert "GHSA-0000" in red(mine, "scan", f"IMAGE={image}")
    rig.change(dockerfile, {FINAL: f"RUN pip install --target {PACKAGES} six\n{FINAL}"})
    commit(mine)
    assert "six" in red(mine, "image")  # a package that no lock names
