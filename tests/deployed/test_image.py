"""The image that production runs: what is in it, and what is not."""

import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from containers.docker import build, docker, inspected
from rig import ROOT, Project, sh

if sys.version_info >= (3, 14):
    import tarfile
else:
    from backports.zstd import tarfile

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

PACKAGES = """
import importlib.metadata, re
for each in importlib.metadata.distributions():
    print(re.sub("[-_.]+", "-", each.name.lower()) + "==" + each.version)
"""
SECRET = b"hunter2-never-in-an-image"


@pytest.fixture(scope="session")
def burger(containers: None, generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The default project, set up and committed; tests leave its files as they are."""
    made = replace(generate(tmp_path_factory.mktemp("burger") / "burger"), containers=True)
    rig.hide(made.folder)
    made.make("setup")
    return made


@pytest.fixture
def copy(burger: Project, tmp_path: Path) -> Project:
    """The same project, for a test to change."""
    shutil.copytree(burger.folder, tmp_path / "burger", ignore=shutil.ignore_patterns(".venv"))
    return replace(burger, folder=tmp_path / "burger")


def packages(image: str) -> set[str]:
    return set(docker("run", "--rm", "--entrypoint=python", image, "-c", PACKAGES).split())


def test_the_dockerfile_is_as_hadolint_wants_it(burger: Project) -> None:
    done = sh(ROOT / ".venv/bin/hadolint", "Dockerfile", cwd=burger.folder)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_develops_is_what_runs(burger: Project) -> None:
    runtime, dev = packages(build(burger)), packages(build(burger, "dev"))
    ours = "burger-combos==0.1.0"
    assert runtime - {ours} < dev
    assert ours in runtime
    locked = burger.run("uv", "export", "--locked", "--no-dev", "--no-hashes", "--no-emit-project", "--no-annotate")
    assert runtime - {ours} - packages("python:3.13-slim-trixie") <= set(locked.stdout.split())


def test_nothing_is_in_it_that_does_not_run(burger: Project) -> None:
    image = build(burger)
    tools = "for tool in uv git make gcc cc ld; do command -v $tool; done; true"
    assert docker("run", "--rm", "--entrypoint=sh", image, "-c", tools) == ""
    assert docker("run", "--rm", "--entrypoint=id", image, "--user") == "1000"
    base = inspected("python:3.13-slim-trixie")["Size"]
    added = inspected(image)["Size"] - base
    assert added < 520e6, f"{added / 1e6:.0f} MB over Python's own image"


@pytest.mark.parametrize("user", ["1000:1000", "4242:4242", "0:0"])
def test_it_needs_no_rights(user: str, burger: Project) -> None:
    confined = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={user}"]
    shown = docker("run", "--rm", *confined, "--tmpfs=/app/var:mode=1777", build(burger), "run", "--stage=production")
    assert "rows of recommendations for" in shown


def test_a_read_only_place_is_one_clear_line(burger: Project) -> None:
    with pytest.raises(AssertionError) as failed:
        docker("run", "--rm", "--read-only", build(burger), "run")
    assert "error: sqlite:///var/develop/no-branch/results.db: var/develop/no-branch: Read-only file system" in str(
        failed.value
    )


def test_a_change_of_code_adds_one_small_layer(copy: Project) -> None:
    before = inspected(build(copy))
    source = copy.folder / "src/burger_combos/model.py"
    source.write_text(source.read_text() + "\nCHANGED = True\n")
    after = inspected(build(copy))
    old, new = before["RootFS"]["Layers"], after["RootFS"]["Layers"]
    assert sum(mine != theirs for mine, theirs in zip(old, new, strict=True)) == 1
    sizes = docker("history", "--human=false", "--format={{.Size}} {{.CreatedBy}}", after["Id"])
    size = re.search(r"^(\d+) COPY /opt/app", sizes, re.MULTILINE)
    assert size
    assert int(size[1]) < 3_000_000
    command = ["run", "--rm", "--entrypoint=python", after["Id"], "-c"]
    assert docker(*command, "from burger_combos.model import CHANGED; print(CHANGED)") == "True"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "uv.lock").unlink(), "uv.lock is missing: make setup writes it"),
        (
            lambda folder: (folder / "pyproject.toml").write_text(
                (folder / "pyproject.toml").read_text().replace('"jinja2>=3.1"', '"jinja2>=3.1.1"')
            ),
            "error: The lockfile at `uv.lock` needs to be updated",
        ),
    ],
    ids=["missing", "stale"],
)
def test_without_the_lock_as_it_should_be_nothing_is_built(
    spoil: Callable[[Path], object], message: str, copy: Project
) -> None:
    spoil(copy.folder)
    with pytest.raises(AssertionError, match=rf"\d {message}"):  # the seconds before what is said
        build(copy)


@pytest.fixture
def bare(copy: Project) -> Project:
    """A project with few libraries, which are installed anew in each image that begins from another base."""
    metadata = copy.folder / "pyproject.toml"
    named, system = metadata.read_text().split("[build-system]")
    named = re.sub(r'^    "(?!pytest).*",\n', "", named, flags=re.MULTILINE).replace('["marimo>=0.25"]', "[]")
    metadata.write_text(f"{named}[build-system]{system}")
    assert copy.run("uv", "lock", "--quiet").returncode == 0
    return copy


def test_what_a_project_needs_of_the_system_is_in_each_image_and_costs_others_nothing(bare: Project) -> None:
    shown = "dpkg-query --show --showformat='${db:Status-Status} ' libgomp1 bc || true"

    def there(target: str) -> list[str]:
        return docker("run", "--rm", "--entrypoint=sh", build(bare, target), "-c", shown).split()

    def size(image: str) -> int:
        history = docker("history", "--no-trunc", "--human=false", "--format={{.Size}} {{.CreatedBy}}", image)
        found = re.search(r"^(\d+) RUN .*system-packages\.txt", history, re.MULTILINE)
        assert found
        return int(found[1])

    assert size(build(bare)) < 10_000
    listed = bare.folder / "system-packages.txt"
    listed.write_bytes(b"# Ours.\n\nlibgomp1 # LightGBM\r\n  bc\n")
    for target in ("runtime", "test", "dev"):
        assert there(target) == ["installed", "installed"], target
    assert size(build(bare)) > 100_000
    listed.write_text("# None yet.\n")
    assert there("runtime") == []
    listed.write_text("libgomp1\nno-such-thing\n")
    with pytest.raises(AssertionError, match="Unable to locate package no-such-thing"):
        build(bare)


def test_secrets_and_what_runs_left_stay_out(copy: Project, tmp_path: Path) -> None:
    source = "src/burger_combos"
    for name in (".env", "id_rsa", "var/token", "data/orders.csv", f"{source}/.env", f"{source}/data/orders.csv"):
        (copy.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.folder / name).write_bytes(SECRET)
    planted = copy.folder / source / "planted.txt"
    for expected in (False, True):  # the second time one is planted where it has to be found, in what is copied
        if expected:
            planted.write_bytes(SECRET)
        docker("image", "save", "--output", str(tmp_path / "image.tar"), build(copy))
        assert holds(tmp_path / "image.tar", SECRET) == expected


def holds(image: Path, text: bytes) -> bool:
    """Whether any file of any layer holds the text."""
    with tarfile.open(image) as whole:
        for member in whole:
            if not member.isfile():
                continue
            with suppress(tarfile.ReadError), tarfile.open(fileobj=whole.extractfile(member)) as files:
                for each in files:
                    content = files.extractfile(each) if each.isfile() else None
                    if content and each.size < 1e6 and text in content.read():
                        return True
    return False
