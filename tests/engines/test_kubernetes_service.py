"""A service on Kubernetes, DEPLOYED to the stand-in: under load while versions come and go and a pod dies."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rig
from clusters import on_kubernetes
from containers.docker import docker
from kube.kubectl import Cluster, program
from listener import until
from production import Production
from served import Client, Load

pytestmark = pytest.mark.docker

TOKEN = "a-token-that-nobody-guesses"
SETTINGS = {"customers = 20_000": "customers = 500", "[0.25, 0.5, 1, 2]": "[]"}
VERSION = "app.kubernetes.io/version"


class Served(Production):
    """A project whose service is in the cluster."""

    def __init__(self, project: rig.Project, kube: Cluster) -> None:
        super().__init__(project)
        self.kube = kube
        self.of_service = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=service"

    @property
    def client(self) -> Client:
        """A client of it."""
        return Client(self.kube.services.port(self.name, "shop"), TOKEN)

    def get(self, what: str, *options: str) -> Any:
        """What the cluster has."""
        return json.loads(self.kube.kubectl("get", what, *options, "--output", "json"))

    def pods(self) -> list[dict[str, Any]]:
        """The service's pods that are not on their way out."""
        found: list[dict[str, Any]] = self.get("pods", "--selector", self.of_service)["items"]
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def commits(self) -> list[str]:
        """Of which commits they are."""
        return [each["metadata"]["labels"][VERSION] for each in self.pods()]

    def service(self) -> str:
        """What `make status` says of it."""
        return self.project.status("STAGE=production")["production"]["service"]


@pytest.fixture
def served(containers: None, tmp_path: Path, template: Path) -> Iterator[Served]:
    """A project that serves, with a token in its secrets; committed and not yet deployed."""
    if program() is None:
        rig.missing("DOCKER", "no kubectl here, and only root on Debian can unpack one")
    with on_kubernetes(template, tmp_path, backoff=0.5, serving="http") as (project, kube):
        rig.configure(project, "production", SETTINGS)
        secrets = project.folder / "production/secrets"
        secrets.mkdir()
        (secrets / "BURGER_COMBOS_SERVING__TOKEN").write_text(f"{TOKEN}\n")
        yield Served(project, kube)


def test_no_request_is_lost_when_a_version_is_deployed_or_rolled_back(served: Served) -> None:
    first = served.commit_all()
    assert f"service {served.name}: it answers once there are results" in served.deploy()
    client = served.client
    client.until("/ready")
    served.kube.kubectl("rollout", "status", f"deployment/{served.name}", "--timeout=60s")
    assert Client(client.port).ask("/results").status == 401
    run = served.get(f"cronjob/{served.name}")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    pods = served.pods()
    assert [each["spec"]["containers"][0]["image"] for each in pods] == [run["image"]] * 2
    assert len({each["status"]["containerStatuses"][0]["imageID"] for each in pods}) == 1
    assert "@sha256:" in run["image"]
    assert served.service() == f"{served.name}, 2 of 2 pods ready, of {first[:11]}"
    logs = served.project.make("logs", "STAGE=production", "RUN=service")
    assert all(f"[pod/{each['metadata']['name']}/service]" in logs for each in pods)
    assert logs.count("] serving ") == 2

    paths = [f"/results/{row['customer']}" for row in client.rows(limit=50)[:40]]
    with Load(client.port, paths, TOKEN, pause=0.05) as load:
        load.done(100)
        second = served.commit()
        assert f"service {served.name}" in served.deploy()
        assert served.commits() == [second] * 2
        until(lambda: client.ask("/results?limit=1").headers["x-git-commit"] == second)
        load.done(100)
    assert (set(load.statuses), load.failed) == ({200}, [])

    budget = served.get(f"pdb/{served.name}")["status"]
    assert (budget["currentHealthy"], budget["disruptionsAllowed"]) == (2, 1)
    with Load(client.port, paths, TOKEN, pause=0.05) as load:
        load.done(100)
        killed = served.pods()[0]
        docker("kill", killed["status"]["containerStatuses"][0]["containerID"].removeprefix("docker://"))
        until(lambda: served.get(f"pod/{killed['metadata']['name']}")["status"]["containerStatuses"][0]["ready"])
        load.done(100)
    assert set(load.statuses) == {200}
    assert {len(bodies) for bodies in load.bodies.values()} == {1}

    ops = served.project.folder / "src/burger_combos/ops"
    rig.change(ops / "serve/command.py", {"server.serve(settings, host": "raise SystemExit(9)  # ("})
    rig.change(ops / "deploy/service.py", {'PATIENCE = "300s"': 'PATIENCE = "5s"'})
    third = served.commit_all()
    with Load(client.port, paths, TOKEN, pause=0.05) as load:
        refused = served.refused()
        assert "the new version's pods do not become ready: the old ones go on" in refused
        assert sorted(served.commits()) == sorted([second, second, third])
        told, _, of = served.service().partition(": ")
        assert (told, set(of.split(", "))) == (
            f"{served.name}, 2 of 2 pods ready",
            {f"2 of {second[:11]}", f"0 of {third[:11]}"},
        )
        load.done(100)
        rig.change(ops / "deploy/service.py", {'PATIENCE = "5s"': 'PATIENCE = "300s"'})
        served.project.make("rollback", f"TO={first}")
        assert served.commits() == [first] * 2
        load.done(100)
    assert (set(load.statuses), load.failed) == ({200}, [])

    served.project.make("clean", "STAGE=production", f"SURE={served.name}")
    kinds = "deployments,replicasets,services,poddisruptionbudgets,cronjobs,jobs,secrets,persistentvolumeclaims"
    assert served.kube.kubectl("get", kinds, "--output", "name") == ""
    until(lambda: not served.kube.kubectl("get", "pods", "--output", "name"), 60)
