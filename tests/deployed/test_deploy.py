"""Production on a Docker host, on a real engine: deployed, looked at, rolled back; and what goes wrong on the way."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rig
from containers import registry
from containers.docker import docker, image_names, inspected
from listener import until
from production import Production, distinguish, grow_once, leave_out_what_takes_long
from rig import Project, environment

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

# The container's first process restarts with the container; the other is Python.
KILL = "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || ! grep -qa bin/python $p/cmdline || kill -9 ${p#/proc/}; done"
SECRET = "hunter2-for-production-only"

RESOURCES = {
    "cpu = 0 #": "cpu = 1.5 #",
    "memory_mb = 0": "memory_mb = 3000",
    "shm_mb = 0 #": "shm_mb = 96 #",
    "[schedule]": "[resources.train]\nmemory_mb = 3500\n\n[schedule]",
}
# A container says how much memory its processes can share.
SHARED = """
import os
import sys

shared = os.statvfs("/dev/shm")
print(f"shared: {shared.f_frsize * shared.f_blocks >> 20} MB", file=sys.stderr)
"""
SWEEP = {'"model.neighbours" = [5, 10, 20, 50]': '"model.neighbours" = [5, 10]'}
# The second trial of a sweep asks for more memory than its container has.
GREEDY = """

def greedy(run: Run, settings: Settings) -> None:
    if "sweep" in run.record.facts and run.record.facts["sweep"]["trial"] == 2:
        bytearray(b"1") * (4 << 30)


STEPS = (STEPS[0], greedy, *STEPS[1:])
"""
# What this engine's machine has not, and how that is refused.
BEYOND = {
    "RESOURCES__GPU=1": "resources.gpu: 1: the container engine gives none: .+",
    "RESOURCES__CPU=4096": r"resources.cpu: 4096: the container engine's machine has \d+",
    "RESOURCES__NODE=gpu": "resources.node: gpu: a Docker host is one machine, .+",
    "RESOURCES__TRIAN__GPU=1": "resources.trian: no such step: the steps of pipeline.py are .+; train is meant\\?",
}


# A model that recommends what is popular to everybody.
POOR = """

_learnt = learnt


def learnt(blocks, orders, neighbours):
    model = _learnt(blocks, orders, neighbours)
    model.affinity.data[:] = 0
    return model
"""


@pytest.fixture
def production(
    request: pytest.FixtureRequest, generate: Callable[..., Project], tmp_path: Path
) -> Iterator[Production]:
    """A project with a small sample, committed and not yet deployed; nothing of it is left behind."""
    project = replace(generate(tmp_path / "shop", database=getattr(request, "param", "sqlite")), containers=True)
    rig.configure(project, "production", {"customers = 20_000": "customers = 500"})
    if not hasattr(request, "param"):  # what takes long of a candidate is looked at once
        leave_out_what_takes_long(project)
    elif request.param != "sqlite":  # in whose image the tests are the same
        grow_once(project)
        (project.folder / "tests/test_pipeline.py").unlink()
    distinguish(project)
    project.make("setup")
    project.git("checkout", "--quiet", "-b", f"test-{secrets.token_hex(3)}")
    made = Production(project)
    yield made
    made.project.make("clean", "STAGE=production", f"SURE={made.name}")
    assert made.containers() == []
    assert not [name for name in docker("volume", "ls", "--format={{.Name}}").split() if made.name in name]
    for image in image_names(f"*:*{made.branch}*"):
        docker("image", "rm", image)


@pytest.mark.parametrize("production", ["sqlite", "postgresql"], indirect=True)
def test_the_five_commands_of_the_readme(production: Production) -> None:
    readme = (production.project.folder / "production/README.md").read_text()
    block = re.search(r"## Five commands\n\n((?:    .*\n)+)", readme)
    assert block
    commands = [line.split("  ")[0].split() for line in re.findall(r"^    (.*)$", block[1], re.MULTILINE)]
    assert [command[:2] for command in commands] == [
        ["make", verb] for verb in ("deploy", "status", "logs", "results", "rollback")
    ]
    assert production.project.status()["production"]["commit"] == "none yet"
    first = production.project.git("rev-parse", "HEAD")
    production.deploy()
    until(production.done_by(first))
    for container in production.containers():  # which may be on another machine, without this folder
        assert {mount["Type"] for mount in inspected(container)["Mounts"]} == {"volume"}
        assert not inspected(container)["HostConfig"]["PortBindings"]
    second = production.commit()
    shown = {}
    for command in commands:
        shown[command[1]] = production.project.make(*command[1:])
        until(production.done_by(first if command[1] == "rollback" else second))
    assert all(gate in shown["deploy"] for gate in ("✓ data", "✓ better than", "✓ as good as", "✓ scale: memory"))
    assert f"{second[:11]} (HEAD)" in shown["status"]
    assert f"commit={second}" in shown["logs"].splitlines()[0]
    assert f"commit   {second}\n" in shown["results"]
    report = production.project.folder / shown["results"].partition("report   ")[2].strip()
    assert second[:11] in report.read_text()
    assert (
        production.project.status("STAGE=production")["production"]["commit"] == f"{first[:11]} (1 commit behind HEAD)"
    )
    assert production.history() == [("deploy", first), ("deploy", second), ("rollback", first)]
    rows = production.project.make("results", "STAGE=production")
    assert f"commit   {first}\n" in rows
    missed = str(datetime.now(UTC).date() - timedelta(days=1))
    assert f" rows of recommendations for {missed}, " in production.project.make("run", f"DATE={missed}")
    caught_up = production.project.make("results", "STAGE=production", f"DATE={missed}")
    assert f"commit   {first}\n" in caught_up
    both = production.project.make("results", "STAGE=production").splitlines()
    assert [line for line in both if not line.startswith("each day")] == rows.splitlines()


def test_from_a_commit_to_the_schedule_and_back_by_digest(production: Production, tmp_path: Path) -> None:
    if not registry.is_there():
        rig.missing("DOCKER", "no docker-registry here: python3 tests/containers/engine.py brings one")
    with registry.serving(tmp_path) as address:
        scheduled = {'registry = ""': f'registry = "{address}/shop"', 'cron = "0 5 * * *"': 'cron = "* * * * *"'}
        rig.configure(production.project, "production", scheduled)
        first = production.commit_all()
        assert f"pushed {address}/shop/" in production.deploy()
        reference = inspected(production.name)["Config"]["Image"]
        assert re.fullmatch(rf"{address}/shop/burger-combos@sha256:[0-9a-f]{{64}}", reference)
        deployed: dict[str, str] = {}

        def ended() -> bool:  # between two of a minute
            deployed.update(production.project.status()["production"])
            return ", ok, " in deployed["last run"]

        until(ended)
        assert deployed["commit"] == f"{first[:11]} (HEAD)"
        assert reference[-64:][:12] in deployed["image"]
        assert deployed["template"] == rig.VERSION
        assert deployed["deployed"].endswith(" by Ada")
        assert deployed["published"].startswith(("49", "50"))
        assert "hit rate 0." in deployed["result"]
        assert "× what is demanded" in deployed["worst gate"]
        assert re.fullmatch(r"20.. UTC|20\d\d-\d\d-\d\d \d\d:\d\d UTC", deployed["next run"])
        assert production.seen()["record"]["image"] == reference

        def runs() -> list[str]:
            return sorted(production.inside("ls var/production/runs").split())

        until(lambda: len(runs()) > 1, 90)  # by itself, on the minute
        one, two, *_ = runs()
        assert f"id={one}" in production.project.make("logs", "STAGE=production", f"RUN={one}")
        assert "publish" in production.project.make("logs", "STAGE=production", f"RUN={two}", "FOLLOW=1")

        def shown() -> bool:  # until the next minute's has replaced it
            newest = runs()[-1]
            results = production.project.run("make", "results", "STAGE=production", f"RUN={newest}")
            return f"run      {newest}\n" in results.stdout

        until(shown)
        replaced = production.project.run("make", "results", "STAGE=production", f"RUN={one}")
        assert f"no row in production of run '{one}' (or a later one replaced it)" in replaced.stderr
        assert "active=True" in production.project.make("logs", "STAGE=production", "RUN=scheduler")

        second = production.commit()
        production.deploy()
        until(production.done_by(second))
        newer = inspected(production.name)["Config"]["Image"]
        assert newer != reference
        docker("image", "rm", "--force", inspected(reference)["Id"])
        production.project.make("rollback")  # pulled by its digest, as it is not here any longer
        until(production.done_by(first))
        assert inspected(production.name)["Config"]["Image"] == reference
        assert production.project.status()["production"]["deployed"].endswith(" by Ada, a rollback")

    third = production.commit()
    refused = production.refused()
    assert f"{address}/shop/" in refused
    assert "cannot be pushed to: nothing was deployed" in refused
    assert production.history() == [("deploy", first), ("deploy", second), ("rollback", first)]
    assert third not in json.dumps(production.seen())


def test_the_image_that_was_tested_is_the_one_that_is_deployed(production: Production) -> None:
    for stage in ("develop", "production"):
        rig.configure(production.project, stage, RESOURCES | SWEEP)
    production.commit(SHARED)
    production.commit(GREEDY, "pipeline.py")
    assert "shared: 96 MB" in production.project.run("make", "develop").stderr
    swept(production.project.make("sweep"))
    tested = (production.project.folder / f"var/develop/{production.branch}/images").read_text().split()[-1]
    assert "the image that is here of" in production.deploy()
    assert inspected(production.name)["Image"] == tested
    before = inspected(production.name)["Id"]
    assert f"is deployed already, as {tested}: nothing to do" in production.deploy()
    assert inspected(production.name)["Id"] == before
    assert len(production.history()) == 1
    told = inspected(production.name)["HostConfig"]
    assert (told["NanoCpus"], told["Memory"] >> 20, told["ShmSize"] >> 20) == (1_500_000_000, 3500, 96)
    rows = production.project.make("results", "STAGE=production")
    swept(production.project.make("sweep", "STAGE=production"))
    assert production.project.make("results", "STAGE=production") == rows
    assert not told["DeviceRequests"]
    for setting, why in BEYOND.items():
        name, _, value = setting.partition("=")
        refused = Production(production.project.with_env(**{name: value}), production.branch).refused()
        (line,) = (line for line in refused.splitlines() if "resources." in line)
        assert re.fullmatch(
            f"production: (environment variable BURGER_COMBOS_{name}|production/platform.toml): {why}", line
        )
    assert inspected(production.name)["Id"] == before

    head = production.project.git("rev-parse", "HEAD")
    production.commit()
    for given, message in [(tested, f"is of commit {head}, and"), ("shop:latest", "not a digest")]:
        assert message in production.refused(f"IMAGE={given}")
    production.project.git("checkout", "--quiet", head)
    mine = Production(production.project.with_env(BRANCH=production.branch), production.branch)
    assert "nothing to do" in mine.deploy(f"IMAGE={tested}")
    production.project.git("checkout", "--quiet", production.branch)

    # Two more versions, and one before the active one may be kept.
    begun = f"burger-combos:production-{production.branch}-"
    docker("tag", tested, other := f"{begun}2-0123456789ab")  # as of another branch
    rig.configure(production.project, "production", {"keep_images = 5": "keep_images = 1"})
    production.commit_all()
    assert "of earlier versions" not in production.deploy()
    second = inspected(production.name)["Image"]
    production.commit()
    said = production.deploy()
    assert f"removed the images of earlier versions that no rollback goes back to: {begun}{tested[7:19]}\n" in said
    kept = {name: inspected(name)["Id"] for name in image_names(f"{begun}*")}
    assert kept.pop(other) == tested
    assert sorted(kept.values()) == sorted([second, inspected(production.name)["Image"]])
    production.project.make("clean", "YES=1")


def swept(said: str) -> None:
    """Two trials beside the settings of now, of which memory ended one."""
    assert "2 trials beside the settings of now" in said
    assert re.search(r"(?m)^1 +5 +0\.\d+ ", said)
    assert "trial 2: killed by SIGKILL; was memory short?" in said
    assert " is the best: hit rate " in said or "The settings of now are the best" in said


def test_dockers_context_tells_where_production_is(production: Production, tmp_path: Path) -> None:
    shutil.copytree(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"), tmp_path / "config")
    elsewhere = {"DOCKER_HOST": "", "DOCKER_CONFIG": str(tmp_path / "config")}
    mine = replace(production.project, env=elsewhere)
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    assert mine.run("docker", "context", "create", "there", f"--docker=host={host}").returncode == 0
    assert mine.run("docker", "context", "use", "there").returncode == 0
    head = mine.git("rev-parse", "HEAD")
    Production(mine).deploy()
    until(production.done_by(head))
    assert mine.status()["production"]["commit"] == f"{head[:11]} (HEAD)"
    without = replace(production.project, env=elsewhere | {"DOCKER_CONTEXT": "default"})
    assert "no container engine answers" in without.run("make", "deploy").stderr


def test_what_no_commit_holds_is_deployed_only_where_one_says_so(production: Production) -> None:
    head = production.project.git("rev-parse", "HEAD")
    (production.project.folder / "notes.txt").write_text("later\n")
    assert "DIRTY=1 make deploy" in production.refused()
    assert production.containers() == []
    production.deploy("DIRTY=1")
    until(production.done_by(f"{head}-dirty"))
    assert production.project.status()["production"]["commit"] == f"{head[:11]}-dirty (HEAD + changes)"
    assert f"commit   {head}-dirty\n" in production.project.make("results", "STAGE=production")
    traced = production.project.make("trace", "STAGE=production", "KEY=C0000003")
    assert f"\ncommit   {head}-dirty  Begin from copier-ml\n" in traced
    assert " rows read with customer=C0000003\n" in traced
    told = json.loads(production.project.make("trace", "STAGE=production", "KEY=C0000003", "JSON=1"))
    assert (told["commit"], told["subject"]) == (f"{head}-dirty", "Begin from copier-ml")


def test_what_the_gates_refuse_changes_nothing(production: Production) -> None:
    first = production.project.git("rev-parse", "HEAD")
    production.deploy()
    until(production.done_by(first))
    before = inspected(production.name)["Id"]
    test = production.project.folder / "tests/test_new.py"
    test.write_text("def test_new() -> None:\n    assert 1 == 2\n")
    second = production.commit_all()
    assert f"the unit tests refuse {second}: nothing was deployed" in production.refused()
    test.unlink()
    production.commit(POOR)
    (production.project.folder / "tests/test_model.py").unlink()
    third = production.commit_all()
    refused = production.project.run("make", "deploy")
    assert "✗ better than a baseline" in refused.stdout
    assert "✗ as good as production" in refused.stdout
    assert f"the gates refuse {third}: nothing was deployed" in refused.stderr
    production.project.git("reset", "--quiet", "--hard", first)
    rig.configure(production.project, "production", {"0 5 * * *": "0 25 * * *"})
    production.commit_all()
    assert "the old one stays active" in production.refused()
    assert inspected(production.name)["Id"] == before
    assert production.containers() == [production.name]
    assert production.history() == [("deploy", first)]


def said(container: str, *options: str) -> str:
    """All that a container has said."""
    logs = ["docker", "logs", *options, container]
    return subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def test_a_secret_is_nowhere_but_where_it_is_needed(production: Production, tmp_path: Path) -> None:
    prefix = production.project.package.upper()
    folder = production.project.folder / "production/secrets"
    folder.mkdir()
    (folder / f"{prefix}_ALERT__WEBHOOK").write_text(f"http://127.0.0.1:9/{SECRET}")
    (tmp_path / "vault").write_text(f"{SECRET}-of-a-command\n")
    named = folder.with_name("secrets.toml")
    named.write_text(f'{prefix}_ALERT__WEBHOK = "cat {tmp_path}/vault"\n')
    production.commit_all()
    assert f"{prefix}_ALERT__WEBHOK: no such setting; {prefix}_ALERT__WEBHOOK is meant?" in production.refused()
    assert not production.containers()
    named.write_text(f'{prefix}_ALERT__WEBHOOK = "false"\nTOKEN = ["cat", "{tmp_path}/vault"]\n')
    production.commit_all()
    mine = Production(production.project.with_env(ALERT__HEARTBEAT=f"http://127.0.0.1:9/{SECRET}"))
    seen, ended = [], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if SECRET.encode() in file.read_bytes():
                        seen.append(file.read_text())
                except OSError:
                    pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        deployed = mine.deploy()
        until(mine.done_by(mine.project.git("rev-parse", "HEAD")))
    finally:
        ended.set()
        watcher.join()
    assert seen == []
    assert f"{prefix}_ALERT__HEARTBEAT {prefix}_ALERT__WEBHOOK TOKEN" in deployed
    assert f"{prefix}_ALERT__WEBHOOK comes from a file of production/secrets/, so its command" in deployed
    assert SECRET not in deployed + said(mine.name)
    assert "alert.heartbeat cannot be reached" in said(mine.name)
    container = inspected(mine.name)
    assert SECRET not in json.dumps(container) + json.dumps(inspected(container["Image"]))
    assert mine.inside(f"grep -rl {SECRET} /app/var /tmp /opt/app; true") == ""
    assert SECRET not in mine.inside("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert mine.inside(f"cat /run/secrets/{prefix}_ALERT__WEBHOOK").endswith(SECRET)
    assert mine.inside("stat -c '%a %u' /run/secrets/*").split("\n") == ["400 1000"] * 3
    assert mine.inside("cat /run/secrets/TOKEN") == f"{SECRET}-of-a-command"
    docker("image", "save", "--output", str(tmp_path / "image.tar"), container["Image"])
    assert SECRET.encode() not in (tmp_path / "image.tar").read_bytes()
    assert "production/secrets" not in production.project.git("status", "--porcelain", "--ignored=no")


def test_a_killed_scheduler_comes_back_and_does_nothing_twice(production: Production) -> None:
    head = production.project.git("rev-parse", "HEAD")
    production.deploy()
    until(production.done_by(head))
    runs = production.inside("ls var/production/runs")
    started = inspected(production.name)["State"]["StartedAt"]
    production.inside(KILL)
    until(lambda: inspected(production.name)["State"]["StartedAt"] != started)
    until(lambda: "active=True" in said(production.name, "--since=" + inspected(production.name)["State"]["StartedAt"]))
    time.sleep(2)
    assert production.inside("ls var/production/runs") == runs
    assert production.project.status()["production"]["next run"].endswith("05:00 UTC")
    docker("stop", production.name)
    stopped = production.project.status()["production"]  # looked at from a container of the same image
    assert stopped["commit"] == f"{head[:11]} (HEAD)"
    assert f"commit   {head}\n" in production.project.make("results", "STAGE=production")
    production.deploy()
    assert docker("inspect", "--format={{.State.Running}}", production.name) == "true"


def test_an_interrupted_deployment_leaves_the_old_version_active(production: Production) -> None:
    first = production.project.git("rev-parse", "HEAD")
    production.deploy()
    until(production.done_by(first))
    second = production.commit()
    env = environment(containers=True) | production.project.env
    for moment in ("the gates, in", "-next"):
        deploying = subprocess.Popen(
            ["make", "deploy"],
            cwd=production.project.folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        lines = iter(deploying.stderr or [])
        if moment == "-next":
            until(lambda: any(name.endswith("-next") for name in production.containers()))
        else:
            assert any(moment in line for line in lines)
        os.killpg(deploying.pid, signal.SIGKILL)
        deploying.wait()
        active = production.history()[-1][1]
        assert active in (first, second)
        if active == first:
            assert production.done_by(first)()
    production.deploy()
    until(production.done_by(second))
    assert production.history()[-1] == ("deploy", second)
    until(lambda: production.containers() == [production.name])


def test_two_deployments_at_once_come_one_after_the_other(production: Production) -> None:
    first = production.project.git("rev-parse", "HEAD")
    other = replace(production.project, folder=production.project.folder.parent / "other")
    production.project.git("clone", "--quiet", ".", str(other.folder))
    shutil.copy(production.project.folder / "uv.lock", other.folder)
    other.make("setup")
    theirs = Production(other).commit()
    deploying = [
        subprocess.Popen(
            ["make", "deploy"],
            cwd=project.folder,
            env=environment(containers=True),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for project in (production.project, other)
    ]
    for each in deploying:
        said, _ = each.communicate(timeout=300)
        assert each.returncode == 0, said
    made = production.history()
    assert sorted(made) == sorted([("deploy", first), ("deploy", theirs)])
    until(production.done_by(made[-1][1]))
    until(lambda: production.containers() == [production.name])
    assert inspected(production.name)["Config"]["Image"] == production.seen()["deployments"][-1]["image"]


def test_a_full_disk_is_one_clear_line_and_loses_nothing(production: Production) -> None:
    volume = ["--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=size=8m,mode=1777", f"{production.name}_var"]
    docker("volume", "create", *volume)
    first = production.project.git("rev-parse", "HEAD")
    production.deploy()
    until(production.done_by(first))
    rows = production.project.make("results", "STAGE=production")
    production.inside("dd if=/dev/zero of=var/full bs=1k count=20000 2>/dev/null; true")
    full = subprocess.run(
        ["docker", "exec", production.name, production.command, "run", "--stage", "production"],
        capture_output=True,
        text=True,
    )
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert re.search(r"^error: .*(No space left on device|disk is full|disk I/O error)", full.stderr, re.MULTILINE)
    production.commit()
    assert "nothing was deployed" in production.refused()
    both = production.project.make("results", "STAGE=production").splitlines()
    assert [line for line in both if not line.startswith("each day")] == rows.splitlines()
    production.inside("rm var/full")
    production.deploy()


def test_a_read_only_disk_refuses_what_is_deployed(production: Production) -> None:
    volume = ["--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=ro", f"{production.name}_var"]
    docker("volume", "create", *volume)
    refused = production.refused()
    assert re.search("read-only file system", refused, re.IGNORECASE)
    assert "Traceback" not in refused
    assert "nothing was deployed" in refused


@pytest.mark.alone
def test_an_engine_killed_in_the_middle_of_a_run_and_of_a_deployment_loses_nothing(production: Production) -> None:
    pid = Path(os.environ.get("DOCKER_HOST", "").removeprefix("unix://")).parent / "pid"
    if not pid.exists():
        rig.missing("DOCKER", "the engine here is not the tests' own: python3 tests/containers/engine.py starts one")

    def kill_the_engine() -> None:
        os.kill(int(pid.read_text()), signal.SIGKILL)
        until(lambda: subprocess.run(["docker", "version"], capture_output=True).returncode != 0)
        until(lambda: subprocess.run(["docker", "version"], capture_output=True).returncode == 0)
        until(lambda: docker("inspect", "--format={{.State.Running}}", production.name) == "true")

    first = production.project.git("rev-parse", "HEAD")
    production.deploy()
    until(production.done_by(first))
    pipeline = production.project.folder / "src/burger_combos/pipeline.py"
    publish = '    """Put the day\'s rows in place, all at once."""\n'
    assert publish in pipeline.read_text()
    pipeline.write_text(pipeline.read_text().replace(publish, publish + '    __import__("time").sleep(20)\n'))
    second = production.commit_all()
    production.deploy()
    until(lambda: "recommend" in production.seen()["record"].get("steps", {}))
    kill_the_engine()
    assert f"commit   {first}\n" in production.project.make("results", "STAGE=production")
    until(production.done_by(second))
    assert f"commit   {second}\n" in production.project.make("results", "STAGE=production")

    # Not before its unit tests run: a build that has not begun waits until the engine is back, and all goes well.
    slow = production.project.folder / "tests/test_slow.py"
    slow.write_text("import time\n\n\ndef test_slow() -> None:\n    time.sleep(5)\n")
    third = production.commit_all()
    command = ["make", "deploy"]
    env = environment(containers=True)
    deploying = subprocess.Popen(command, cwd=production.project.folder, env=env, stderr=subprocess.PIPE, text=True)
    of_third = f"--filter=label=org.opencontainers.image.revision={third}"
    until(lambda: docker("ps", "--quiet", of_third) != "")
    kill_the_engine()
    deploying.communicate(timeout=120)
    assert deploying.returncode != 0
    assert production.history()[-1] == ("deploy", second)
    assert production.project.status()["production"]["next run"].endswith("05:00 UTC")
    production.deploy()
    until(production.done_by(third))
    assert production.containers() == [production.name]


def test_without_an_engine_or_a_deployment_it_is_said(production: Production) -> None:
    for verb in ("rollback", "run"):
        nothing = production.project.run("make", verb)
        assert nothing.returncode != 0
        assert "nothing is deployed from branch" in nothing.stderr
    for verb in ("logs", "results"):
        done = production.project.run("make", verb, "STAGE=production")
        assert done.returncode != 0
        assert "yet in production" in done.stderr
    without = replace(production.project, containers=False)
    done = without.run("make", "deploy")
    assert "no container engine answers (docker info says why): production on a Docker host needs one" in done.stderr
    assert without.status()["production"]["commit"] == "none yet"
    kept = production.project.run("make", "clean", "STAGE=production")
    assert kept.returncode != 0
    assert f"Nothing was removed; SURE={production.name} says that you mean it" in kept.stderr
