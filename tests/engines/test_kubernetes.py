"""Kubernetes: the real kubectl, kustomize and image, DEPLOYED to a stand-in for a cluster that EXECUTES pods."""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rig
import steps
from clusters import on_kubernetes
from containers.docker import docker
from kube.kubectl import Cluster, program
from listener import until
from rig import Project

pytestmark = pytest.mark.docker

SHARDS = 3
SETTINGS = {
    "customers = 20_000": "customers = 500",
    "[0.25, 0.5, 1, 2]": "[0.5, 1]",
    "shards = 1": f"shards = {SHARDS}",
    "cpu = 0 #": "cpu = 2 #",
    "memory_mb = 0": "memory_mb = 3000",
    "shm_mb = 0 #": "shm_mb = 96 #",
    'node = ""': 'node = "kubernetes.io/os=linux"',
    "[schedule]": "[resources.train]\nmemory_mb = 3500\n\n[schedule]",
}
AMOUNTS = {"cpu": "2", "memory": "3500Mi"}  # those of the step that may use most, as a pod does all of them

# A shard that is killed the first time, but only in its own pod: neither in a test nor on trial.
LOST = """    import os

    if os.environ.get("JOB_COMPLETION_INDEX") == "1" and not run.path("lost").exists():
        run.path("lost").touch()
        os._exit(9)  # the first process of a container cannot kill itself
"""


# The second trial of a sweep is killed, each time.
LOST_TRIAL = """

def lose(run: Run, settings: Settings) -> None:
    import os

    if "sweep" in run.record.facts and run.record.facts["sweep"]["trial"] == 2:
        os._exit(9)


STEPS = (STEPS[0], lose, *STEPS[1:])
"""

# The deployments are of some days ago, for which there are no runs.
EARLIER = """
import json, sqlite3
from datetime import UTC, datetime, timedelta

database = sqlite3.connect("var/production/results.db")
for number, line in database.execute("SELECT rowid, line FROM deployments").fetchall():
    earlier = json.loads(line) | {"at": (datetime.now(UTC) - timedelta(days=4)).isoformat()}
    database.execute("UPDATE deployments SET line = ? WHERE rowid = ?", (json.dumps(earlier), number))
# As if there had been a look: the first one tells of nothing that is long past.
database.execute("CREATE TABLE IF NOT EXISTS missing_runs (stage TEXT, due TEXT, what TEXT, told_at TEXT)")
database.commit()
"""


def without_writer(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the columns that tell who wrote them."""
    return [{name: value for name, value in row.items() if name not in ("run_id", "git_commit")} for row in rows]


class Deployed:
    """A project for Kubernetes and the cluster that it is deployed to."""

    def __init__(self, project: Project, kube: Cluster) -> None:
        self.project = project
        self.kube = kube
        self.name = f"burger-combos-production-{project.git('symbolic-ref', '--short', 'HEAD')}"

    def make(self, *arguments: str) -> str:
        """Both outputs of a verb that has to succeed."""
        done = self.project.run("make", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refused(self, *arguments: str) -> str:
        """What a verb says on standard error that has to fail."""
        done = self.project.run("make", *arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def commit(self, text: str = "") -> str:
        """Commit a change of the model; return the commit."""
        file = self.project.folder / "src/burger_combos/model.py"
        file.write_text(file.read_text() + (text or f"\n# {secrets.token_hex(4)}\n"))
        self.project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Change")
        return self.project.git("rev-parse", "HEAD")

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs of runs, oldest first; those that only look are not among them."""
        runs = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component notin (look,watch)"
        order = "--sort-by=.metadata.creationTimestamp"
        found: list[dict[str, Any]] = json.loads(
            self.kube.kubectl("get", "jobs", "--selector", runs, order, "--output", "json")
        )["items"]
        return found

    def cronjob(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kube.kubectl("get", "cronjob", self.name, "--output", "json"))
        return found

    def rows(self) -> list[dict[str, Any]]:
        """What is recommended to whom, as the database in the cluster's volume has it, without who wrote it."""
        return without_writer(
            json.loads(self.in_volume(rig.ROWS.format(package="burger_combos", stage="production")))[0]
        )

    def in_volume(self, script: str) -> str:
        """What a script prints in the active image, with the cluster's volume."""
        claim = self.kube.kubectl("get", "persistentvolumeclaim", self.name, "--output", "jsonpath={.metadata.uid}")
        pod = self.cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        variables = [f"--env={each['name']}={each['value']}" for each in pod["env"] if "value" in each]
        volume = f"--volume=claim-{claim}:/app/var"
        return docker("run", "--rm", *variables, volume, "--entrypoint=python", pod["image"], "-c", script)

    def pods(self, job: str) -> list[tuple[str, str]]:
        """The shard and the phase of each pod of a job, in the order of their begin."""
        selector = f"batch.kubernetes.io/job-name={job}"
        order = "--sort-by=.metadata.creationTimestamp"
        items = json.loads(self.kube.kubectl("get", "pods", "--selector", selector, order, "--output", "json"))["items"]
        shard = "batch.kubernetes.io/job-completion-index"
        return [(pod["metadata"]["labels"][shard], pod["status"]["phase"]) for pod in items]


@pytest.fixture(scope="module")
def deployed(containers: None, tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Deployed]:
    """A project that is set up and committed, a registry, and a cluster with a restricted namespace."""
    if program() is None:
        rig.missing("DOCKER", "no kubectl here, and only root on Debian can unpack one")
    with on_kubernetes(template, tmp_path_factory.mktemp("kubernetes"), backoff=0.5) as (project, kube):
        rig.configure(project, "production", SETTINGS)
        steps.rework(project.folder / "src/burger_combos/pipeline.py")
        project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Settings")
        yield Deployed(project, kube)


def test_from_a_commit_to_its_rows_and_back(deployed: Deployed, tmp_path: Path) -> None:
    assert deployed.project.status()["production"]["commit"] == "none yet"
    assert "nothing was rolled back" in deployed.refused("rollback")
    first = deployed.commit()
    said = deployed.make("deploy", "WAIT=15")
    digest = re.search(rf"deployed {first} as (\S+@sha256:[0-9a-f]{{64}})", said)
    assert digest, said
    assert "✓ as good as production" in said
    job = deployed.cronjob()["spec"]
    assert job["schedule"] == "0 5 * * *"
    assert job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] == digest[1]
    (run,) = deployed.jobs()
    succeeded = [(str(shard), "Succeeded") for shard in range(SHARDS)]
    until(lambda: sorted(deployed.pods(run["metadata"]["name"])) == succeeded)  # a moment after the run's record
    for each in (job["jobTemplate"], run):
        pod = each["spec"]["template"]["spec"]
        assert pod["containers"][0]["resources"] == {"requests": AMOUNTS, "limits": AMOUNTS}
        assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "96Mi"}} in pod["volumes"]
        mounted = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert mounted["shm"] == "/dev/shm"
        assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    badly = deployed.project.with_env(RESOURCES__NODE="gpu").run("make", "deploy")
    assert badly.stderr.splitlines()[-2] == (
        "production: environment variable BURGER_COMBOS_RESOURCES__NODE: resources.node: gpu: the labels of nodes are "
        "expected, as pool=gpu or pool=gpu,zone=a"
    )

    status = deployed.project.status()["production"]
    assert status["commit"] == f"{first[:11]} (HEAD)"
    assert status["image"].endswith(digest[1].partition("sha256:")[2][:12])
    assert ", ok, " in status["last run"]
    assert status["published"].startswith(("500 rows of recommendations for ", "501 rows of recommendations for "))
    logs = deployed.make("logs", "STAGE=production")
    done = re.findall(r"\] (\w+) .*shard=(\d)-of-3", logs)
    assert sorted(done) == sorted((step, str(shard)) for step in steps.IN_SHARDS for shard in range(SHARDS))
    assert logs.count(" audit_it ") == 1
    assert f"commit={first}" in logs
    rows = deployed.rows()
    alone = deployed.project.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/alone.db", RUNS__SHARDS="1")
    assert alone.call("run", "--stage", "production", "--date", rows[0]["date"]).returncode == 0
    assert without_writer(alone.written("production")[0]) == rows
    results = deployed.make("results", "STAGE=production")
    assert f"commit   {first}\n" in results
    report = deployed.project.folder / results.partition("report   ")[2].split("\n")[0]
    assert first[:11] in report.read_text()
    assert run["metadata"]["name"] in report.name or run["metadata"]["name"] in results
    assert deployed.name in deployed.make("logs", "STAGE=production", "RUN=scheduler")

    again = deployed.make("deploy")
    assert "is deployed already" in again
    second = deployed.commit()
    deployed.make("deploy", "WAIT=15")
    assert deployed.project.status()["production"]["commit"] == f"{second[:11]} (HEAD)"
    assert f"rolled back to {first}" in deployed.make("rollback", "WAIT=15")
    status = deployed.project.status()["production"]
    assert status["commit"] == f"{first[:11]} (1 commit behind HEAD)"
    assert "a rollback" in status["deployed"]
    assert f"commit   {first}\n" in deployed.make("results", "STAGE=production")
    assert deployed.cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] == digest[1]


def test_the_schedule_runs_it(deployed: Deployed) -> None:
    before = len(deployed.jobs())
    deployed.kube.kubectl(
        "patch", "cronjob", deployed.name, "--type=merge", '--patch={"spec":{"schedule":"* * * * *"}}'
    )
    until(lambda: len(deployed.jobs()) > before, 90)
    deployed.kube.kubectl("patch", "cronjob", deployed.name, "--type=merge", '--patch={"spec":{"suspend":true}}')
    run = deployed.jobs()[-1]["metadata"]["name"]
    assert re.fullmatch(rf"{deployed.name}-\d{{8}}", run)
    until(lambda: [phase for _, phase in deployed.pods(run)] == ["Succeeded"] * SHARDS, 90)
    assert f"run      {run}\n" in deployed.make("results", "STAGE=production")


def test_a_shard_that_is_lost_is_begun_again_alone(deployed: Deployed) -> None:
    pipeline = deployed.project.folder / "src/burger_combos/pipeline.py"
    good = pipeline.read_text()
    pipeline.write_text(good.replace(steps.CHOOSES, LOST + steps.CHOOSES))
    commit = deployed.commit()
    deployed.make("deploy", "WAIT=15")
    job = deployed.jobs()[-1]["metadata"]["name"]
    done = [("0", "Succeeded"), ("1", "Failed"), ("1", "Succeeded"), ("2", "Succeeded")]
    until(lambda: sorted(deployed.pods(job)) == done)
    assert f"commit   {commit}\n" in deployed.make("results", "STAGE=production")
    pipeline.write_text(good)
    deployed.commit()


def test_a_sweep_has_a_pod_for_each_trial(deployed: Deployed) -> None:
    before, jobs = deployed.rows(), deployed.jobs()
    said = deployed.make("sweep", "STAGE=production")
    assert f"job {deployed.name}-sweep: 5 at once" in said
    assert "5 of 5 pods have ended" in said
    assert "4 trials beside the settings of now" in said
    assert len(re.findall(r"(?m)^\d +\d+ +0\.\d+ +\d+\.\d", said)) == 5
    assert " is the best: hit rate " in said or "The settings of now are the best" in said
    assert deployed.rows() == before
    assert [job["metadata"]["name"] for job in deployed.jobs()] == [job["metadata"]["name"] for job in jobs]
    found = json.loads(deployed.make("results", "STAGE=production", "SWEEP=last", "JSON=1"))
    assert sorted(each["trial"] for each in found["trials"]) == [0, 1, 2, 3, 4]
    assert found["commit"] == deployed.kube.kubectl(
        "get", "cronjob", deployed.name, "--output", r"jsonpath={.metadata.labels.app\.kubernetes\.io/version}"
    )
    assert not any(each["problem"] for each in found["trials"])


def test_a_trial_that_is_lost_is_told_and_the_others_are_compared(deployed: Deployed) -> None:
    pipeline = deployed.project.folder / "src/burger_combos/pipeline.py"
    good = pipeline.read_text()
    pipeline.write_text(good + LOST_TRIAL)
    deployed.commit()
    deployed.make("deploy", "WAIT=15")
    said = deployed.make("sweep", "STAGE=production")
    assert "\ntrial 2: it was killed; was memory short?; make logs STAGE=production RUN=" in said
    found = json.loads(deployed.make("results", "STAGE=production", "SWEEP=last", "JSON=1"))
    assert {each["trial"] for each in found["trials"] if each["problem"]} == {2}
    pipeline.write_text(good)
    deployed.commit()


def test_what_a_gate_refuses_does_not_get_there(deployed: Deployed) -> None:
    before = deployed.cronjob()["spec"]
    settings = deployed.project.folder / "production/settings.toml"
    settings.write_text(settings.read_text().replace("min_lift = 1.0", "min_lift = 9.0"))
    deployed.commit()
    said = deployed.refused("deploy")
    assert "the gates refuse" in said
    assert "✗ better than a baseline" in said
    assert deployed.cronjob()["spec"] == before
    listed = deployed.kube.kubectl("get", "cronjobs", "--output", "name").split()
    assert f"cronjob.batch/{deployed.name}-next" not in listed


def test_secrets_are_files_of_the_pods_and_nowhere_else(deployed: Deployed) -> None:
    secret = f"https://alerts.example.org/{secrets.token_hex(8)}"
    folder = deployed.project.folder / "production/secrets"
    folder.mkdir()
    (folder / "BURGER_COMBOS_ALERT__WEBHOOK").write_text(secret)
    deployed.project.git("reset", "--quiet", "--hard", "HEAD~1")
    deployed.make("deploy")
    everything = deployed.kube.kubectl("get", "cronjobs,jobs,pods,configmaps", "--output", "yaml")
    assert secret not in everything
    kept = deployed.kube.kubectl("get", "secret", deployed.name, "--output", "jsonpath={.data}")
    assert list(json.loads(kept)) == ["BURGER_COMBOS_ALERT__WEBHOOK"]


def test_a_missing_run_is_noticed_by_a_cronjob_of_its_own(deployed: Deployed) -> None:
    """EXECUTED; the webhook of the secret before is out of reach."""
    watch, before = f"{deployed.name}-watch", len(deployed.jobs())
    deployed.in_volume(EARLIER)
    every = '--patch={"spec":{"schedule":"* * * * *"}}'
    deployed.kube.kubectl("patch", "cronjob", watch, "--type=merge", every)
    selector = f"app.kubernetes.io/instance={deployed.name},app.kubernetes.io/component=watch"
    done = (
        "get",
        "jobs",
        "--selector",
        selector,
        "--output",
        "jsonpath={.items[?(@.status.succeeded==1)].metadata.name}",
    )
    until(lambda: deployed.kube.kubectl(*done), 120)
    deployed.kube.kubectl("patch", "cronjob", watch, "--type=merge", '--patch={"spec":{"suspend":true}}')
    said = deployed.kube.kubectl("logs", f"job/{deployed.kube.kubectl(*done).split()[0]}")
    assert int(said.rpartition("missing=")[2].split()[0]) >= 2
    assert "lost=" in said and "alert.webhook cannot be reached" in said
    assert "alerts.example.org" not in said
    assert len(deployed.jobs()) == before


def test_a_cluster_that_cannot_be_reached_is_told_in_one_line(deployed: Deployed, tmp_path: Path) -> None:
    nobody = tmp_path / "config"
    nobody.write_text(Path(deployed.project.env["KUBECONFIG"]).read_text().replace("127.0.0.1:", "127.0.0.1:1"))
    away = replace(deployed.project, env=deployed.project.env | {"KUBECONFIG": str(nobody)})
    done = away.run("make", "deploy")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("production: no cluster to deploy to: ")
    assert "production" not in away.status() or away.status()["production"]["commit"] == "none yet"


def test_uninstall(deployed: Deployed) -> None:
    assert f"SURE={deployed.name}" in deployed.refused("clean", "STAGE=production")
    deployed.make("clean", "STAGE=production", f"SURE={deployed.name}")
    left = deployed.kube.kubectl(
        "get", "cronjobs,jobs,secrets,persistentvolumeclaims,serviceaccounts", "--output", "name"
    )
    assert deployed.name not in left
