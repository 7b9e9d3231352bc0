"""What Kubernetes is told that a run may use, as kubectl makes it of the project's manifests and of its settings."""

import json
from pathlib import Path
from typing import Any

import pytest
import rig
import yaml
from kube.kubectl import kustomized, program
from rig import Project, sh

OVERLAY = """
import sys
sys.path.insert(0, "src")
from {package}.ops.deploy import needs
from {package}.ops.deploy.kubernetes import Kubernetes
from {package}.ops.deploy.target import Version
needs.of_container = lambda *_: needs.Needs({said})
target = Kubernetes("production")
target.engine.settings = lambda *_: ["0 5 * * *", "UTC", "60", "240", "3"]
print(target._overlay(Version("registry:5000/shop/combos@sha256:{digest}", "{commit}"), target.name, suspended=False))
"""


@pytest.fixture(scope="module")
def project(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project for Kubernetes, only written."""
    return rig.generate(plain, tmp_path_factory.mktemp("pods") / "p", target="kubernetes")


def job(project: Project, said: str) -> dict[str, Any]:
    """The specification of the jobs."""
    if program() is None:
        rig.missing("KUBECTL", "no kubectl here, and only root on Debian can unpack one")
    script = OVERLAY.format(package=project.package, said=said, commit="c" * 40, digest="1" * 64)
    done = sh("python3", "-c", script, cwd=project.folder, env=rig.environment() | {"BURGER_COMBOS_BRANCH": "main"})
    assert done.returncode == 0, done.stderr
    made = kustomized(project.folder / done.stdout.strip())
    (cronjob,) = (each for each in made if each["kind"] == "CronJob")
    assert cronjob["metadata"]["name"] == "burger-combos-production-main"
    found: dict[str, Any] = cronjob["spec"]["jobTemplate"]["spec"]
    return found


def test_without_a_word_it_is_as_the_manifests_have_it(project: Project) -> None:
    text = (project.folder / "production/kubernetes/base/pipeline.yaml").read_text(encoding="utf-8")
    before = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod = job(project, "")["template"]["spec"]
    assert pod["containers"][0]["resources"] == before["containers"][0]["resources"]
    assert [each["name"] for each in pod["volumes"]] == ["secrets", "runs", "tmp"]
    assert not pod.keys() & {"nodeSelector", "tolerations"}
    made = kustomized(project.folder / "production/kubernetes/develop")
    assert [each["kind"] for each in made] == ["ServiceAccount", "PersistentVolumeClaim", "CronJob"]


def test_each_amount_is_requested_and_is_the_limit(project: Project) -> None:
    made = job(project, "cpu=1.5, memory_mb=6000, gpu=2, shm_mb=512, labels={'pool': 'gpu', 'zone': 'a'}")
    pod = made["template"]["spec"]
    (container,) = pod["containers"]
    amounts = {"cpu": "1.5", "memory": "6000Mi", "nvidia.com/gpu": "2"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "512Mi"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
    assert pod["nodeSelector"] == {"pool": "gpu", "zone": "a"}
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "pool", "operator": "Equal", "value": "gpu"},
        {"key": "zone", "operator": "Equal", "value": "a"},
    ]
    # What is filled in by its place in a list is where it was.
    name = volumes["secrets"]["secret"]["secretName"]
    assert name == volumes["runs"]["persistentVolumeClaim"]["claimName"] == "burger-combos-production-main"
    assert (made["completionMode"], made["completions"]) == ("Indexed", 3)


def test_what_is_not_said_stays(project: Project) -> None:
    (container,) = job(project, "cpu=2")["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "1Gi"},
        "limits": {"cpu": "2", "memory": "4Gi"},
    }


def test_who_only_looks_waits_for_no_gpu_and_for_no_room(project: Project) -> None:
    script = f"""
import json, sys
sys.path.insert(0, "src")
from {project.package}.ops.deploy.pod_resources import only_look
limits = {{"cpu": "8", "memory": "9000Mi", "nvidia.com/gpu": "1"}}
container = {{"resources": {{"requests": dict(limits), "limits": limits}}}}
only_look(container)
print(json.dumps(container["resources"]))
"""
    done = sh("python3", "-c", script, cwd=project.folder)
    assert json.loads(done.stdout) == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "8", "memory": "9000Mi"},
    }
