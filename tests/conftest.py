"""Generated projects and the databases that they write to."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import filelock
import pytest
import rig
from answers import VALUES
from containers import engine, images
from containers.docker import belongings
from copier import _main as copier_main
from forked import Forked
from quick_copies import quick_copies
from rig import Project


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no test once the time that CI has for them is over; what is left out is told as skipped.

    One that has failed is run again nevertheless, as it would count as skipped.
    """
    again = getattr(item, "execution_count", 1) > 1
    if not again and time.time() > float(os.environ.get("TESTS_UNTIL", "inf")):
        pytest.skip("no time is left for it (TESTS_UNTIL)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with another file where CI says so: it has no time for all of these, and not always for the same ones."""
    if items and items[0].path.parent.name in ("deployed", "engines"):
        middle = items[int(len(items) * float(os.environ.get("TESTS_FROM", "0")))].path
        first = next(place for place, item in enumerate(items) if item.path == middle)
        items[:] = items[first:] + items[:first]


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """Copies in a fraction of their time."""
    with quick_copies():
        yield


@pytest.fixture
def quick_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of a migration's time: its Python begins with what this one has read and compiled already."""
    monkeypatch.setattr(copier_main, "subprocess", Forked(subprocess.run))


@pytest.fixture(scope="session")
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work tree as a repository of its own, tagged with its version, made once; tests only read it."""
    top = tmp_path_factory.getbasetemp()
    folder = (top.parent if hasattr(request.config, "workerinput") else top) / "template"
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            begun = folder.with_name("template.new")
            begun.mkdir()
            rig.snapshot(begun).rename(folder)
    return folder


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without a history, which is copied sooner."""
    folder = tmp_path_factory.mktemp("plain")
    rig.copy_work_tree(folder)
    return folder


@pytest.fixture(scope="session")
def folders(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a project of each target, with MLflow, only written; tests leave its files as they are."""
    top = tmp_path_factory.mktemp("targets")
    return {
        target: rig.generate(plain, top / target, tracking="mlflow", target=target).folder
        for target in VALUES["target"]
    }


@pytest.fixture(scope="session")
def generate(template: Path) -> Callable[..., Project]:
    """Generate a project into a folder, with the default answers but for those given."""
    return partial(rig.generate, template)


@pytest.fixture(scope="session")
def project(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project of the default answers, set up; tests leave its files as they are."""
    made = generate(tmp_path_factory.mktemp("project") / "burger")
    made.make("setup")
    return made


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Project:
    """The default project with a small sample, and a database and runs of the test's own."""
    return project.with_env(
        ORDERS__SAMPLE__CUSTOMERS="300",
        DATABASE__URL=f"sqlite:///{tmp_path}/results.db",
        RUNS__FOLDER=str(tmp_path / "runs"),
    )


@pytest.fixture
def place(project: Project, tmp_path: Path) -> Project:
    """A folder with the settings of a project whose environment is there, as an image has them."""
    for stage in ("explore", "develop", "production"):
        (tmp_path / stage).mkdir()
        for name in ("settings.toml", "platform.toml"):
            shutil.copy(project.folder / stage / name, tmp_path / stage / name)
    (tmp_path / ".venv").symlink_to(project.folder / ".venv")
    mine = replace(project, folder=tmp_path).with_env(COMMIT="c" * 40, IMAGE="sha256:" + "1" * 64, BRANCH="main")
    return mine.with_env(ORDERS__SAMPLE__CUSTOMERS="300")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL, without a database's name, of a PostgreSQL server."""
    programs = rig.postgresql_programs()
    if programs is None:
        rig.missing("POSTGRESQL", "no PostgreSQL server's programs (initdb) here")
    with rig.postgresql_server(programs, "-F") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def stored(request: pytest.FixtureRequest, shop: Project) -> Project:
    """The shop, once on SQLite and once on PostgreSQL, with an empty database each time."""
    if request.param == "sqlite":
        return shop
    return shop.with_env(DATABASE__URL=rig.new_database(request.getfixturevalue("postgresql"), shop))


@pytest.fixture(scope="session")
def containers(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A container engine that has the images which generated projects begin from."""
    if not engine.is_there():
        rig.missing("DOCKER", "no container engine here: python3 tests/containers/engine.py make test starts one")
    images.provide(generate(tmp_path_factory.mktemp("images") / "burger", database="postgresql").folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def contained(
    request: pytest.FixtureRequest, containers: None, generate: Callable[..., Project], tmp_path: Path
) -> Iterator[Project]:
    """A new project whose develop stage runs in containers, on SQLite and on PostgreSQL."""
    made = replace(generate(tmp_path / "a folder, mine", database=request.param), containers=True)
    rig.hide(made.folder)
    yield made
    made.make("clean", "YES=1")
    assert belongings(made) == []
