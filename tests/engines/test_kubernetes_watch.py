"""What looks for missing runs on Kubernetes: DEPLOYED by the real kubectl to a stand-in whose pods stay pending."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import rig
from kube.kubectl import Cluster, cluster, program
from listener import until
from rig import Project, change, environment

NAME = "burger-combos-production-main"
IMAGE = f"registry.example.org/burger-combos@sha256:{'1' * 64}"
SECRET = "https://hooks.slack.com/services/T0/B0/hunter2"
NOBODY = "nobody is told of missing runs: "

# An image is the project's folder.
DOCKER = """#!/bin/sh
case $1 in run)
    until [ "$1" = python ]; do shift; done
    shift 2
    exec .venv/bin/python "$@"
esac
"""
CALLS = """
from {package}.ops.deploy.chosen_target import Chosen
from {package}.ops.deploy.target import Version

target, version = Chosen("production"), Version("{image}", "c" * 40, "{image}")
{calls}
"""


class Deployed(NamedTuple):
    """A project, and the cluster that its production is deployed to."""

    project: Project
    kube: Cluster

    def does(self, calls: str) -> str:
        """What the machine that deploys says, from where `make deploy` has an image."""
        done = self.project.python(CALLS.format(package="burger_combos", image=IMAGE, calls=calls))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def found(self, kind: str) -> dict[str, dict[str, Any]]:
        """What there is of a kind, by name."""
        items = json.loads(self.kube.kubectl("get", kind, "--output", "json"))["items"]
        return {each["metadata"]["name"]: each for each in items}


@pytest.fixture(scope="module")
def deployed(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    kubectl = program()
    if kubectl is None:
        rig.missing("DOCKER", "no kubectl here, and only root on Debian can unpack one")
    folder = tmp_path_factory.mktemp("watch")
    made = generate(folder / "burger", target="kubernetes", ci="none")
    made.make("setup")
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    with cluster(folder) as kube:
        path = f"{folder}:{kubectl.parent}:{environment()['PATH']}"
        yield Deployed(replace(made, env=kube.env | {"PATH": path}), kube)
    shutil.rmtree(folder)


def test_it_comes_with_a_webhook_and_goes_with_the_schedule(deployed: Deployed) -> None:
    said = deployed.does("target.store_secrets(version, {}); target.schedule(version); target.watch(version)")
    assert f"{NOBODY}BURGER_COMBOS_ALERT__WEBHOOK is no secret of the stage, and alert.webhook is empty\n" in said
    assert [*deployed.found("cronjobs")] == [NAME]

    secret = f"{{'BURGER_COMBOS_ALERT__WEBHOOK': {SECRET.encode()!r}}}"
    assert NOBODY not in deployed.does(f"target.store_secrets(version, {secret}); target.watch(version)")
    found = deployed.found("cronjobs")
    assert [*found] == [NAME, f"{NAME}-watch"]
    runs, watch = (each["spec"] for each in found.values())
    assert (runs["schedule"], watch["schedule"]) == ("0 5 * * *", "0 6,10 * * *")
    assert watch["timeZone"] == runs["timeZone"]
    pod, of_run = (each["jobTemplate"]["spec"]["template"]["spec"] for each in (watch, runs))
    assert pod["containers"][0]["args"] == ["watch", "--stage", "production"]
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}  # it only looks
    for what in ("args", "resources"):
        pod["containers"][0][what] = of_run["containers"][0][what]
    assert pod == of_run  # the image, the secrets and the few rights, too
    assert SECRET not in json.dumps(found)

    platform = deployed.project.folder / "production/platform.toml"
    change(platform, {'cron = "0 5 * * *"': 'cron = "30 22 * * *"'})
    deployed.does("target.schedule(version); target.watch(version)")
    assert deployed.found("cronjobs")[f"{NAME}-watch"]["spec"]["schedule"] == "30 3,23 * * *"
    change(platform, {'cron = "30 22 * * *"': 'cron = ""'})
    said = deployed.does("target.schedule(version); target.watch(version)")
    assert f"{NOBODY}schedule.cron is empty, and so none is due\n" in said
    assert [*deployed.found("cronjobs")] == [NAME]
    change(platform, {'cron = ""': 'cron = "0 5 * * *"'})
    deployed.does("target.schedule(version); target.watch(version)")
    assert deployed.found("cronjobs")[f"{NAME}-watch"]["spec"]["schedule"] == "0 6,10 * * *"


def test_its_jobs_are_no_runs_of_the_stage(deployed: Deployed) -> None:
    deployed.kube.kubectl(
        "patch", "cronjob", f"{NAME}-watch", "--type=merge", '--patch={"spec":{"schedule":"* * * * *"}}'
    )
    until(lambda: deployed.found("jobs"), 90)
    (job,) = deployed.found("jobs").values()
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "watch"
    shown = "try:\n    target.scheduler_logs('', follow=True)\nexcept Exception as problem:\n    print(problem)"
    assert deployed.does(shown) == "no run yet\n"
    deployed.does("target.uninstall()")
    assert deployed.found("cronjobs") == deployed.found("secrets") == {}
    until(lambda: not deployed.found("jobs"), 30)
