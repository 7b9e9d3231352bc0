"""`make develop` where a container engine runs: production's image, and for each branch what is its own."""

import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from containers.docker import belongings, build, docker, inspected, is_there
from containers.users import UID, someone
from rig import VERSION, Project

pytestmark = pytest.mark.docker


def newest(project: Project, branch: str = "main") -> Path:
    """The folder of the newest run."""
    return max(project.folder.glob(f"var/develop/{branch}/runs/*/run.json")).parent


def develop(project: Project) -> str:
    """What `make develop` says on standard error."""
    done = project.run("make", "develop")
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_commit_is_the_same_in_label_log_record_report_and_rows(contained: Project) -> None:
    contained.make("setup")
    contained.git("switch", "--quiet", "--create", "seen")  # on main, others deploy a develop that status would see
    head = contained.git("rev-parse", "HEAD")
    assert f"in production's image, built from {head}\n" in develop(contained)
    record = json.loads((newest(contained, "seen") / "run.json").read_text())
    labels = inspected(record["image"])["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == head == record["git_commit"]
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    first = json.loads((newest(contained, "seen") / "log.jsonl").read_text().splitlines()[0])
    assert (first["commit"], first["image"]) == (head, record["image"][:19])
    assert head[:11] in (newest(contained, "seen") / "report.html").read_text()
    assert f"commit   {head}\n" in contained.make("results")
    status = contained.status()
    assert status["develop"]["commit"] == f"{head[:11]} (HEAD)"
    assert status["develop"]["image"] == record["image"].removeprefix("sha256:")[:12]
    assert status["develop"]["template"] == VERSION
    assert ", ok, " in status["develop"]["last run"]
    assert status["production"]["commit"] == "none yet"
    assert "publish" in contained.make("logs")

    source = contained.folder / "src" / contained.package / "model.py"
    source.write_text(source.read_text() + "\n# Changed.\n")
    assert f"commit   {head}-dirty\n" in contained.make("develop")
    changed = json.loads((newest(contained, "seen") / "run.json").read_text())
    assert inspected(changed["image"])["Config"]["Labels"]["org.opencontainers.image.revision"] == f"{head}-dirty"
    assert f"{head[:11]}-dirty (HEAD + changes)" in contained.make("status", "STAGE=develop")


@pytest.mark.parametrize("contained", ["sqlite"], indirect=True)
def test_cleaning_removes_each_image_that_was_made_and_no_other(contained: Project) -> None:
    source = contained.folder / "src" / contained.package / "model.py"
    for change in ("one", "two"):
        source.write_text(source.read_text() + f"\n# Change {change}.\n")
        develop(contained)
    made = (contained.folder / "var/develop/main/images").read_text().split()
    assert len(set(made)) == 2
    source.write_text(source.read_text() + "\n# Another's.\n")
    other = build(contained)  # of the same name, and untagged
    contained.make("clean", "YES=1")
    assert is_there(other)
    assert not any(map(is_there, made))


@pytest.mark.parametrize("contained", ["postgresql"], indirect=True)
def test_branches_side_by_side_share_nothing_and_leave_nothing(contained: Project) -> None:
    develop(contained)
    contained.git("worktree", "add", "-q", "-b", "other", str(contained.folder.parent / "other"))
    other = replace(contained, folder=contained.folder.parent / "other")
    before = other.run("make", "results")
    assert before.returncode != 0
    assert "no database runs on this branch" in before.stderr
    named = re.findall("the database runs on as container (.+), until make clean", develop(other))
    running = docker("ps", "--format={{.Names}}").split()
    assert [name for name in running if name in belongings(other)] == named
    assert named
    assert belongings(contained)
    assert belongings(other)
    assert set(belongings(contained)).isdisjoint(belongings(other))

    other.make("clean", "YES=1")
    assert belongings(other) == []
    assert not (other.folder / "var/develop/other").exists()
    assert "rows of recommendations for" in contained.make("results")
    contained.make("clean", "YES=1")
    assert belongings(contained) == []


@pytest.mark.parametrize("contained", ["postgresql"], indirect=True)
def test_branches_of_one_folder_share_nothing(contained: Project) -> None:
    develop(contained)
    contained.git("checkout", "-q", "-b", "feature/Next")
    before = contained.run("make", "status")
    assert before.returncode == 0
    assert "no database runs on this branch" in before.stderr
    develop(contained)
    assert newest(contained, "feature-next-*").parent.parent.name == "feature-next-0fe5d0be"
    contained.make("clean", "YES=1")
    contained.git("checkout", "-q", "main")
    assert "rows of recommendations for" in contained.make("results")


@pytest.mark.parametrize("contained", ["postgresql"], indirect=True)
def test_the_database_is_seeded_and_its_password_is_in_no_file_and_no_variable(contained: Project) -> None:
    said = develop(contained)
    found = re.search(r"as container (\S+),", said)
    assert found
    database = found[1]
    password = docker("exec", database, "cat", "/run/secrets/PGPASSWORD")
    assert len(password) == 48
    assert password not in json.dumps(inspected(database))
    for file in contained.folder.rglob("*"):
        if file.is_file() and ".venv" not in file.parts:
            assert password.encode() not in file.read_bytes(), file
    query = ["exec", database, "psql", "--username=app", "--tuples-only", "--command"]
    assert int(docker(*query, "SELECT count(DISTINCT customer) FROM orders")) == 2000
    port = inspected(database)["NetworkSettings"]["Ports"]["5432/tcp"]
    assert [each["HostIp"] for each in port] == ["127.0.0.1"]
    refused = contained.with_env(DATABASE__URL=f"postgresql://app:wrong@127.0.0.1:{port[0]['HostPort']}/app")
    assert "password authentication failed" in refused.run("make", "results").stderr


@pytest.mark.parametrize("contained", ["postgresql"], indirect=True)
def test_a_seed_that_fails_is_named(contained: Project) -> None:
    seed = contained.folder / "develop/seed.sql"
    seed.write_text(seed.read_text() + "SELEC 1;\n")
    done = contained.run("make", "develop")
    assert done.returncode != 0
    assert 'ERROR:  syntax error at or near "SELEC"' in done.stderr
    assert "where develop/seed.sql is to blame, mend it and make clean" in done.stderr


@pytest.mark.parametrize("contained", ["sqlite"], indirect=True)
def test_what_is_missing_is_made_or_said(contained: Project) -> None:
    contained.make("clean", "YES=1")
    (contained.folder / "uv.lock").unlink()
    assert "in production's image" in develop(contained)
    (contained.folder / "Dockerfile").write_text("FROM\n")
    broken = contained.run("make", "develop")
    assert broken.returncode != 0
    assert "FROM requires either one or three arguments" in broken.stderr
    (contained.folder / "Dockerfile").unlink()
    contained.make("setup")
    assert "develop: no Dockerfile here: in the locked environment of .venv\n" in develop(contained)


@pytest.mark.parametrize("contained", ["sqlite"], indirect=True)
def test_data_and_settings_of_the_environment_reach_the_image(contained: Project) -> None:
    (contained.folder / "data").mkdir()
    rows = [f"C{number % 40},Burger {number % 7},2026-01-{number % 28 + 1:02}" for number in range(400)]
    (contained.folder / "data/mine.csv").write_text("\n".join(["customer,item,ordered_at", *rows]) + "\n")
    mine = contained.with_env(ORDERS__SOURCE="data/mine.csv", ORDERS__COLUMNS__QUANTITY="")
    assert "41 rows of recommendations for" in mine.make("develop")  # with that of anybody
    whole = [row | {"run_id": ""} for row in mine.written()[0]]
    assert "41 rows of recommendations for" in mine.with_env(RUNS__SHARDS="3").make("develop")
    assert [row | {"run_id": ""} for row in mine.written()[0]] == whole
    written = replace(mine, env=mine.env | {"burger_combos_model__top_k": "2"}).make("develop")
    assert re.search("item_1 +item_2 +item_3", written)
    assert re.search("^C0 .* - +- +-", written, re.MULTILINE)
    missing = contained.with_env(ORDERS__SOURCE="data/none.csv").run("make", "develop")
    assert missing.returncode != 0
    assert "error: data/none.csv: no such file\n" in missing.stderr
    (contained.folder / "uv.lock").write_text("not a lock\n")
    broken = contained.run("make", "develop")
    assert broken.returncode != 0
    assert "uv.lock" in broken.stderr


@pytest.mark.parametrize("contained", ["sqlite"], indirect=True)
def test_a_stopped_run_leaves_no_container(contained: Project) -> None:
    contained.make("develop")
    slow = contained.folder / "src" / contained.package / "model.py"
    slow.write_text(slow.read_text() + "\nimport time\n\ntime.sleep(600)\n")
    stopped = contained.run("timeout", "--signal=INT", "15", "make", "develop")
    assert stopped.returncode != 0
    assert not [name for name in belongings(contained) if "-run-" in name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_another_user_makes_is_theirs(generate: Callable[..., Project], containers: None) -> None:
    with tempfile.TemporaryDirectory(prefix="develop") as place:
        Path(place).chmod(0o755)  # unlike pytest's own folders, open to other users
        mine = replace(generate(Path(place) / "mine"), containers=True)
        rig.hide(mine.folder)
        for path in [mine.folder, *mine.folder.rglob("*")]:
            os.chown(path, UID, UID)
        become = someone(Path(place) / "home")
        done = mine.run(*become, "make", "develop")
        assert "in production's image" in done.stderr
        assert "rows of recommendations for" in done.stdout, done.stderr
        inside = mine.run(*become, "make", "inside", "DO=make test explore CHECK=1")
        assert inside.returncode == 0, inside.stdout + inside.stderr
        assert " passed" in inside.stdout
        assert "runs to its end" in inside.stdout
        assert {path.lstat().st_uid for path in mine.folder.rglob("*")} == {UID}
        assert mine.run(*become, "make", "clean", "YES=1").returncode == 0
        assert belongings(mine) == []
