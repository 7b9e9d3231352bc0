"""Kubeflow: compiled, executed by its local runner, and deployed by its own client to a stand-in of its server."""

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, pairwise, product
from pathlib import Path
from typing import Any

import pytest
import rig
import s3
import steps
import yaml
from containers import pytorch_base, registry
from containers.docker import belongings, build, docker, image_names
from kubeflow import server as standing_in
from kubeflow.server import Server, Thing
from rig import Project

pytestmark = [pytest.mark.docker, pytest.mark.postgresql, pytest.mark.usefixtures("containers")]

BRANCH = f"test-{secrets.token_hex(3)}"
IN_SHARDS = [step.replace("_", "-") for step in steps.IN_SHARDS]  # as Kubeflow calls them
DIGEST = f"registry.example/shop/burger-combos@sha256:{'5' * 64}"
HAS_KFP = "import importlib.util; print(importlib.util.find_spec('kfp') is not None)"
COMPILE = """
import sys
from kfp.compiler import Compiler
from burger_combos import pipeline
from burger_combos.ops.settings import Stage

if {split}:
    def fetch(run, settings, shard): ...
    def tidy_up(run, settings, shard): ...
    pipeline.STEPS = (fetch, pipeline.gate, tidy_up)
from production.graph import graph

made = graph("shop-production-main", Stage.production, "{image}", secrets=["A", "B"])
Compiler().compile(made, "var/compiled.yaml")
"""
COMPILE_SWEEP = """
from kfp.compiler import Compiler
from burger_combos.ops.settings import Stage
from production.graph import sweep_graph

made = sweep_graph("shop-production-main-sweep", Stage.production, "{image}", "shop-production-main", ["A"])
Compiler().compile(made, "var/compiled.yaml")
"""
CRON = """
from burger_combos.ops.problems import Problem
from burger_combos.ops.settings import Schedule, Stage, StageSettings
from production.server import cron

for line in {lines}:
    try:
        print(cron(StageSettings(stage=Stage.production, schedule=Schedule(cron=line, timezone={zone}))))
    except Problem as problem:
        print(problem)
"""
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "{address}"}}}}]
users: [{{name: me, user: {{token: {token}}}}}]
"""
SCHEDULE = "target.schedule(version)"
# What the deployment that is common to targets has at hand when it calls one of them.
CALL = """
import sys

from burger_combos.ops.deploy.candidate_image import collect_secrets
from burger_combos.ops.deploy.chosen_target import Chosen
from burger_combos.ops.deploy.programs import at_the_end
from burger_combos.ops.deploy.target import Version
from burger_combos.ops.problems import Problem

target = Chosen("develop")
version = Version("{image}", "{commit}" or target.here.commit, "{image}")
with at_the_end:
    try:
        target.preflight()
        {call}
    except Problem as problem:
        sys.exit(f"develop: {{problem}}")
"""


@pytest.fixture(scope="module")
def burger(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project on Kubeflow, set up and committed."""
    made = replace(generate(tmp_path_factory.mktemp("kubeflow") / "burger", target="kubeflow"), containers=True)
    steps.rework(made.folder / "src/burger_combos/pipeline.py")
    made.make("setup")
    made.git("checkout", "--quiet", "-b", BRANCH)
    (made.folder / "var").mkdir()
    yield made
    made.make("clean", "YES=1")
    assert belongings(made) == []


@pytest.fixture(scope="module")
def image(burger: Project) -> Iterator[str]:
    """The project's image, by a name with its digest."""
    name = f"burger-combos:kubeflow-{time.time_ns()}"
    made = build(burger, "runtime", f"--tag={name}", f"--build-arg=COMMIT={burger.git('rev-parse', 'HEAD')}")
    yield f"burger-combos@{made}"
    docker("image", "rm", name)


@pytest.fixture(scope="module")
def options(burger: Project) -> list[str]:
    """What docker run is told for each container of a stage on this machine."""
    mount = f'--mount=type=bind,"source={burger.folder}/var",target=/app/var'
    return ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--user=0:0", "--network=none", mount]


def compiled(project: Project, *, shards: int, split: bool = False, seed: str = "0") -> tuple[Thing, Thing, bytes]:
    """What the server is sent: the pipeline, what of it is Kubernetes' own, and the very text."""
    under = project.with_env(RUNS__SHARDS=str(shards), BRANCH=BRANCH)
    under = replace(under, env=under.env | {"PYTHONPATH": ".", "PYTHONHASHSEED": seed})
    done = under.python(COMPILE.format(split=split, image=DIGEST))
    assert done.returncode == 0, done.stderr
    text = (project.folder / "var/compiled.yaml").read_bytes()
    spec, platform = yaml.safe_load_all(text)
    return spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"], text


def test_a_version_is_compiled_to_the_same_bytes_and_names_one_image(burger: Project) -> None:
    spec, platform, text = compiled(burger, shards=3)
    assert compiled(burger, shards=3, seed="1")[2] == text

    executors = spec["deploymentSpec"]["executors"]
    named = [step.replace("_", "-") for step in steps.REWORKED]
    more = [f"{step}-{copy}" for step in IN_SHARDS for copy in (2, 3)]
    assert sorted(executors) == sorted(f"exec-{name}" for name in named + more)
    for executor in executors.values():
        container = executor["container"]
        assert container["image"] == DIGEST
        assert {"name": "BURGER_COMBOS_IMAGE", "value": DIGEST} in container["env"]
        assert container["command"][:2] == ["sh", "-c"]
    for own in platform.values():
        assert own["activeDeadlineSeconds"] == "14400"
        assert [pair["envVar"] for pair in own["secretAsEnv"][0]["keyToEnv"]] == ["A", "B"]
        assert own["secretAsEnv"][0]["secretName"] == "shop-production-main"
    assert list(platform) == list(executors)


def test_the_graph_is_the_steps_in_their_order_and_splits_what_can_be_split(burger: Project) -> None:
    spec, _, _ = compiled(burger, shards=3)
    tasks = spec["root"]["dag"]["tasks"]
    parts = {step: [step, f"{step}-2", f"{step}-3"] for step in IN_SHARDS}
    order = [parts.get(name, [name]) for name in (step.replace("_", "-") for step in steps.REWORKED)]
    assert {name: task.get("dependentTasks", []) for name, task in tasks.items()} == after(order)

    for shard, name in enumerate(parts["choose"]):
        task = tasks.pop(name)
        assert task["inputs"]["parameters"]["option"] == {"runtimeValue": {"constant": f"--shard={shard}"}}
        assert task["retryPolicy"]["maxRetryCount"] == 2
        assert task["taskInfo"] == {"name": f"choose {shard + 1} of 3"}
    for name in chain.from_iterable(parts[step] for step in IN_SHARDS if step != "choose"):
        assert tasks.pop(name)["retryPolicy"]["maxRetryCount"] == 2
    for task in tasks.values():
        assert "retryPolicy" not in task
        assert task["cachingOptions"] == {}
        assert task["inputs"]["parameters"]["run_id"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    assert spec["deploymentSpec"]["executors"]["exec-audit-it"]["container"]["args"][0] == "audit_it"

    whole, _, _ = compiled(burger, shards=1)
    task = whole["root"]["dag"]["tasks"]["choose"]
    assert (task["inputs"]["parameters"]["option"], task["taskInfo"]["name"]) == (
        {"runtimeValue": {"constant": ""}},
        "choose",
    )
    assert "retryPolicy" not in task


def test_a_task_has_what_the_settings_say_of_its_step(burger: Project) -> None:
    """COMPILED."""
    of_choose = {"CPU": "1.5", "MEMORY_MB": "9000", "GPU": "2", "SHM_MB": "512", "NODE": "pool=gpu"}
    asking = burger.with_env(**{f"RESOURCES__CHOOSE__{key}": value for key, value in of_choose.items()})
    spec, platform, _ = compiled(asking.with_env(RESOURCES__CPU="1"), shards=2)
    executors = spec["deploymentSpec"]["executors"]
    memory = {"resourceMemoryLimit": "9000Mi", "resourceMemoryRequest": "9000Mi"}
    for name in ("exec-choose", "exec-choose-2"):
        resources = executors[name]["container"]["resources"]
        assert resources.items() >= {"resourceCpuLimit": "1.5", "resourceCpuRequest": "1.5", **memory}.items()
        accelerator = resources["accelerator"]
        assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("nvidia.com/gpu", "2")
        own = platform[name]
        assert own["nodeSelector"]["labels"] == {"pool": "gpu"}
        assert own["tolerations"] == [
            {"key": "nvidia.com/gpu", "operator": "Exists"},
            {"key": "pool", "operator": "Equal", "value": "gpu"},
        ]
        (shared,) = own["emptyDirMounts"]
        assert (shared["mountPath"], shared["medium"], shared["sizeLimit"]) == ("/dev/shm", "Memory", "512Mi")
    others = executors["exec-load"]["container"]["resources"]
    assert (others["resourceCpuLimit"], "resourceMemoryLimit" in others) == ("1", False)
    assert not platform["exec-load"].keys() & {"nodeSelector", "tolerations", "emptyDirMounts"}

    script = "import json; from production.graph import arguments; print(json.dumps(arguments()[3]))"
    limits = ["--cpus=1.5", "--memory=9000m", "--shm-size=512m", "--gpus=2"]
    argv = f"import sys; sys.argv = ['graph', 'a', 'b', 'c', *{limits}]; {script}"
    local = json.loads(replace(burger, env=burger.env | {"PYTHONPATH": "."}).python(argv).stdout)
    assert (local["nano_cpus"], local["mem_limit"], local["shm_size"]) == (1_500_000_000, "9000m", "512m")
    assert [each["Count"] for each in local["device_requests"]] == [2]


def test_a_first_step_that_is_split_is_begun_and_a_last_one_joined(burger: Project) -> None:
    spec, _, _ = compiled(burger, shards=2, split=True)
    tasks = spec["root"]["dag"]["tasks"]
    order = [["fetch"], ["fetch-2", "fetch-3"], ["gate"], ["tidy-up", "tidy-up-2"], ["tidy-up-3"]]
    assert {name: task.get("dependentTasks", []) for name, task in tasks.items()} == after(order)
    options = [["--begin"], ["--shard=0", "--shard=1"], [""], ["--shard=0", "--shard=1"], ["--join"]]
    given = [[tasks[name]["inputs"]["parameters"]["option"]["runtimeValue"] for name in names] for names in order]
    assert given == [[{"constant": option} for option in each] for each in options]


def test_a_sweep_has_a_task_for_each_trial_and_as_many_at_once_as_may_be(burger: Project) -> None:
    """COMPILED."""
    under = burger.with_env(SWEEP__PARALLEL="2", RESOURCES__TRAIN__MEMORY_MB="9000")
    under = replace(under, env=under.env | {"PYTHONPATH": "."})
    done = under.python(COMPILE_SWEEP.format(image=DIGEST))
    assert done.returncode == 0, done.stderr
    spec, platform = yaml.safe_load_all((burger.folder / "var/compiled.yaml").read_text())
    tasks = spec["root"]["dag"]["tasks"]
    trials = ["trial", "trial-2", "trial-3", "trial-4"]
    assert {name: task.get("dependentTasks", []) for name, task in tasks.items()} == {
        "begin": [],
        "trial": ["begin"],
        "trial-2": ["begin"],
        "trial-3": ["begin", "trial"],
        "trial-4": ["begin", "trial-2"],
        "end": trials,
    }
    anyway = {name for name, task in tasks.items() if "ALL_UPSTREAM_TASKS_COMPLETED" in json.dumps(task)}
    assert anyway == {"trial-3", "trial-4", "end"}
    for name in ("begin", *trials):
        container = spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
        assert container["image"] == DIGEST
        assert container["resources"]["resourceMemoryLimit"] == "9000Mi"
        own = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{name}"]
        assert own["secretAsEnv"][0]["secretName"] == "shop-production-main"


def after(order: list[list[str]]) -> dict[str, list[str]]:
    """What each task comes after, where those of a list come after all of the list before."""
    return {name: before for before, names in pairwise([[], *order]) for name in names}


def test_the_cron_line_is_the_servers(burger: Project) -> None:
    """Its first field is the second, and its Sunday is 0 alone."""
    lines = {
        "0 5 * * *": "0 0 5 * * *",
        "*/15 6-8 1,15 jan-mar *": "0 */15 6-8 1,15 JAN-MAR *",
        "0 5 * * 7": "0 0 5 * * 0",
        "0 5 * * mon-fri": "0 0 5 * * 1,2,3,4,5",
        "0 5 * * 5-7": "0 0 5 * * 0,5,6",
        "0 5 * * */2": "0 0 5 * * */2",
        "": "",
        "0 5 L * *": "production/platform.toml: schedule.cron: '0 5 L * *': the server knows neither L nor #",
        "0 5 * * 1#2": "production/platform.toml: schedule.cron: '0 5 * * 1#2': the server knows neither L nor #",
        "61 5 * * *": "production/platform.toml: schedule.cron: '61 5 * * *': Bad minute",
    }
    under = replace(burger, env=burger.env | {"PYTHONPATH": "."})
    told = under.python(CRON.format(lines=[*lines], zone="'UTC'"))
    assert told.stdout.splitlines() == list(lines.values()), told.stderr
    elsewhere = under.python(CRON.format(lines=["0 5 * * *"], zone="'Europe/Lisbon'"))
    assert "schedule.timezone: the server's is UTC" in elsewhere.stdout


def rows(project: Project) -> list[dict[str, Any]]:
    """What is recommended to whom, without who wrote it."""
    return [{key: row[key] for key in row if key != "run_id"} for row in project.written()[0]]


def test_shards_are_the_whole_and_a_lost_one_is_done_again_alone(
    burger: Project, image: str, options: list[str]
) -> None:
    """EXECUTED by Kubeflow's local runner, in the very image."""
    split = burger.with_env(RUNS__SHARDS="3")
    told = [*options, "--env=BURGER_COMBOS_RUNS__SHARDS", f"--env=BURGER_COMBOS_BRANCH={BRANCH}"]
    program = [".venv/bin/python", "-u", "-W", "ignore", "-m", "production.graph", "burger", image]
    runs = burger.folder / f"var/develop/{BRANCH}/runs"
    for run_id in ("lost", "found"):
        (runs / run_id / "recommendations-1-of-3.parquet").mkdir(parents=True)

    failed = split.run(*program, "lost", *told)
    assert failed.returncode == 1, failed.stdout
    assert failed.stderr.splitlines()[-1].startswith("error: Pipeline ")
    assert failed.stdout.count("is a directory") == 3, failed.stdout
    assert rows(burger) == []
    assert not docker("ps", "--quiet", "--filter=label=burger-combos.run=lost")

    said = []
    env = rig.environment(containers=True) | split.env
    with subprocess.Popen(
        [*program, "found", *told], cwd=burger.folder, env=env, stdout=subprocess.PIPE, text=True
    ) as running:
        for line in running.stdout or ():
            said.append(line)
            if "is a directory" in line:
                (runs / "found/recommendations-1-of-3.parquet").rmdir()
    assert running.returncode == 0, said
    assert sum("is a directory" in line for line in said) == 1
    done = re.findall(r"\[info\] (\w+) .*shard=(.)-of-3", "".join(said))
    assert sorted(done) == sorted(product(steps.IN_SHARDS, "012"))
    parts = rows(burger)

    split.make("develop")
    assert rows(burger) == parts
    shown = docker("run", "--rm", *options, f"--env=BURGER_COMBOS_BRANCH={BRANCH}", image, "run", "--stage=develop")
    assert f"{len(parts):,} rows of recommendations for" in shown
    assert rows(burger) == parts
    assert docker("run", "--rm", "--entrypoint=python", image, "-c", HAS_KFP) == "False"


class Stage:
    """A project's develop on the stand-in."""

    def __init__(self, project: Project, server: Server, folder: Path, given: dict[str, str]) -> None:
        (folder / "kubeconfig").write_text(KUBECONFIG.format(address=server.address, token=standing_in.TOKEN))
        reach = {"KFP_HOST": server.address, "KFP_TOKEN": standing_in.TOKEN, "KUBECONFIG": str(folder / "kubeconfig")}
        self.project = replace(project, env=project.env | reach)
        self.server = server
        self.written = project.with_env(**given).written

    def active(self) -> Thing:
        """The recurring run that is enabled, of which there has to be one."""
        (found,) = (each for each in self.server.recurring_runs.values() if each["status"] == "ENABLED")
        return found

    def call(self, image: str, call: str, commit: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """A function of the target, as a deployment calls it."""
        project = replace(self.project, env=self.project.env | env)
        return project.python(CALL.format(image=image, commit=commit, call=call))

    def refused(self, image: str, call: str, commit: str = "", **env: str) -> str:
        """What a function says that has to fail."""
        done = self.call(image, call, commit=commit, **env)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return next(line for line in done.stderr.splitlines() if re.match("(error|develop): ", line))


@pytest.fixture(scope="module")
def stage(burger: Project, postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Develop with a schedule and quick gates, on PostgreSQL, and with a store that steps on many machines share."""
    apart = ["--read-only", "--tmpfs=/tmp", "--tmpfs=/app/var", "--cap-drop=ALL", "--network=host"]
    given = {
        "DATABASE__URL": rig.new_database(postgresql, burger),
        "RUNS__STORE": "s3://shop/burger",
        "MODEL__TOP_K": "3",
        "RUNS__SHARDS": "2",
    }
    with (
        registry.serving(tmp_path_factory.mktemp("registry")) as address,
        s3.serving("shop") as reach,
        standing_in.serving(burger.folder, apart) as server,
    ):
        folder = burger.folder / "develop/secrets"
        folder.mkdir()
        for key, value in ({f"BURGER_COMBOS_{key}": value for key, value in given.items()} | reach).items():
            (folder / key).write_text(f"{value}\n")
        quick = burger.with_env(SCHEDULE__CRON="30 5 * * 7", DEPLOY__SCALE__FACTORS="[]", DEPLOY__REGISTRY=address)
        yield Stage(quick, server, tmp_path_factory.mktemp("stage"), given)
        for image in image_names(f"{address}/*") + image_names(f"burger-combos:develop-{BRANCH}-*"):
            docker("image", "rm", image)


def test_a_version_is_deployed_run_and_taken_back(burger: Project, stage: Stage) -> None:
    """DEPLOYED to the stand-in by the real client, and EXECUTED there by Kubeflow's local runner."""
    server, verbs = stage.server, stage.project
    first = burger.git("rev-parse", "HEAD")
    verbs.make("deploy", "STAGE=develop", "WAIT=15")
    (version,) = server.versions.values()
    deployed = next(iter(version["pipeline_spec"]["deploymentSpec"]["executors"].values()))["container"]["image"]
    called = f"{first}-{deployed.partition('@sha256:')[2][:12]}"
    scheduled = stage.active()
    assert version["display_name"] == server.named(scheduled) == called
    assert scheduled["trigger"] == {"cron_schedule": {"cron": "0 30 5 * * 0"}}
    assert (scheduled["max_concurrency"], scheduled["no_catchup"]) == (1, True)
    assert [each["display_name"] for each in server.experiments.values()] == [f"burger-combos-develop-{BRANCH}"]
    assert server.secrets[f"burger-combos-develop-{BRANCH}"]["BURGER_COMBOS_MODEL__TOP_K"] == "3"

    ((run_id, run),) = server.runs.items()
    assert server.named(run) == called
    written, records = stage.written()
    assert {(row["run_id"], row["git_commit"]) for row in written} == {(run_id, first)}
    assert "item_3" in written[0] and not written[0].get("item_4")
    assert json.loads(records[-1]["record"])["image"] == deployed
    assert verbs.status()["develop"]["commit"].startswith(first[:11])
    assert run_id in verbs.make("results", "STAGE=develop")
    assert "rows_published" in verbs.make("logs", "STAGE=develop")
    told = verbs.make("logs", "STAGE=develop", "RUN=scheduler")
    assert f"ENABLED    0 30 5 * * 0 {called}" in told
    assert f"SUCCEEDED  run {run_id} {called}" in told
    assert [told.count(f"SUCCEEDED  {step}") for step in ("load", "publish")] == [1, 1]

    swept = verbs.make("sweep", "STAGE=develop")
    assert "metric   hit rate\n" in swept
    found = json.loads(verbs.make("results", "STAGE=develop", "SWEEP=last", "JSON=1"))
    assert sorted(each["trial"] for each in found["trials"]) == [0, 1, 2, 3, 4]
    assert not any(each["problem"] for each in found["trials"])
    assert found["commit"] == first
    assert stage.written()[0] == written
    assert [each["display_name"] for each in server.pipelines.values()] == [f"burger-combos-develop-{BRANCH}"]

    burger.git("commit", "--allow-empty", "--quiet", "--no-verify", "--message", "Change")
    refused = verbs.run("make", "sweep", "STAGE=develop").stderr
    assert " is checked out: a sweep is started from what is deployed" in refused
    second = burger.git("rev-parse", "HEAD")
    server.asked.clear()
    verbs.make("deploy", "STAGE=develop", "WAIT=15")
    assert server.named(stage.active()).startswith(f"{second}-")
    old, new = (server.asked.index(f"POST /apis/v2beta1/recurringruns{what}") for what in ("/ID:disable", ""))
    assert new < old

    server.asked.clear()
    verbs.with_env(SCHEDULE__CRON="0 1 * * *").make("rollback", "STAGE=develop", "WAIT=15")
    scheduled = stage.active()
    assert server.named(scheduled) == called
    assert scheduled["trigger"]["cron_schedule"]["cron"] == "0 30 5 * * 0"  # its own, whatever is checked out here
    assert not [each for each in server.asked if "upload" in each]
    assert [server.named(each) for each in server.runs.values()][-1] == called
    assert {row["git_commit"] for row in stage.written()[0]} == {first}


def test_a_run_that_fails_says_so(stage: Stage) -> None:
    assert stage.call(DIGEST, SCHEDULE).returncode == 0
    run_id = stage.call(DIGEST, "target.run_once(version)").stdout.strip()
    followed = stage.call(DIGEST, "target.logs('', follow=True)")
    assert f"error: run {run_id} FAILED" in followed.stderr  # no registry has it
    assert f"FAILED     run {run_id}" in followed.stdout


def test_what_cannot_be_deployed_is_one_line_and_changes_nothing(image: str, stage: Stage) -> None:
    server = stage.server
    before = [dict(each) for each in server.recurring_runs.values()]
    assert "no version 0000-" in stage.refused(image, SCHEDULE, commit="0" * 40).replace("0" * 36, "")
    assert "[deploy] registry" in stage.refused("sha256:" + "5" * 64, SCHEDULE)
    assert stage.refused(image, SCHEDULE, KFP_HOST="").startswith("develop: KFP_HOST is not set")
    assert "Connection refused" in stage.refused(image, SCHEDULE, KFP_HOST="http://127.0.0.1:1")
    assert "401" in stage.refused(image, SCHEDULE, KFP_TOKEN="another")
    assert "names no cluster" in stage.refused(
        image, "target.store_secrets(version, collect_secrets('develop'))", KUBECONFIG="/nowhere"
    )
    assert "schedule.cron" in stage.refused(image, SCHEDULE, BURGER_COMBOS_SCHEDULE__CRON="0 5 L * *")
    assert "runs.store" in stage.refused(image, SCHEDULE, BURGER_COMBOS_RUNS__STORE="")
    assert "SQLite" in stage.refused(image, SCHEDULE, BURGER_COMBOS_DATABASE__URL="sqlite:///var/results.db")
    assert [*server.recurring_runs.values()] == before


def test_what_is_withdrawn_leaves_nothing(stage: Stage) -> None:
    stage.project.make("clean", "STAGE=develop", "CI=1")
    server = stage.server
    left = (server.pipelines, server.versions, server.experiments, server.recurring_runs, server.runs, server.secrets)
    assert left == ({},) * 6


def test_a_network_is_trained_by_the_local_runner(generate: Callable[..., Project], tmp_path: Path) -> None:
    """EXECUTED by Kubeflow's local runner, in an image with PyTorch."""
    project = replace(generate(tmp_path / "reader", example="images", target="kubeflow"), containers=True)
    (tmp_path / "docker").mkdir()
    project = pytorch_base.begin_with(project, tmp_path / "docker")
    project.make("setup")
    done = project.run("make", "develop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no container engine answers" not in done.stderr
    assert " rows of image_labels for " in done.stdout
    assert re.search(r"Task \S*'train'\S* finished with status \S*SUCCESS", done.stdout + done.stderr)
    project.make("clean", "YES=1")
    assert belongings(project) == []
