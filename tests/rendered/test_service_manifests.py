"""What Kubernetes is told of a service, as kubectl makes it of the project's manifests."""

from pathlib import Path
from typing import Any

import pytest
import rig
import yaml
from kube.kubectl import kustomized, program
from rig import Project, sh

COMMIT, DIGEST = "c" * 40, f"sha256:{'1' * 64}"
OVERLAY = """
import sys
sys.path.insert(0, "src")
from {package}.ops.deploy.kubernetes import Kubernetes
from {package}.ops.deploy.target import Version
target = Kubernetes("{stage}")
print(target.name, target.service.overlay(Version("registry:5000/shop/combos@{digest}", "{commit}")))
"""


@pytest.fixture(scope="module")
def project(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that serves on Kubernetes, only written."""
    return rig.generate(plain, tmp_path_factory.mktemp("served") / "p", target="kubernetes", serving="http")


def objects(project: Project, stage: str) -> tuple[str, dict[str, Any]]:
    """What the stage is called, and what is applied for its service, by kind."""
    if program() is None:
        rig.missing("KUBECTL", "no kubectl here, and only root on Debian can unpack one")
    script = OVERLAY.format(package=project.package, stage=stage, digest=DIGEST, commit=COMMIT)
    done = sh("python3", "-c", script, cwd=project.folder, env=rig.environment() | {"BURGER_COMBOS_BRANCH": "main"})
    assert done.returncode == 0, done.stderr
    name, folder = done.stdout.split()
    return name, {each["kind"]: each for each in kustomized(project.folder / folder)}


@pytest.mark.parametrize("stage", ["develop", "production"])
def test_the_service_is_of_the_stage_and_of_the_image_by_digest(project: Project, stage: str) -> None:
    name, made = objects(project, stage)
    assert made.keys() == {"Deployment", "Service", "PodDisruptionBudget"}
    assert {each["metadata"]["name"] for each in made.values()} == {name}
    deployment, service, budget = made["Deployment"], made["Service"]["spec"], made["PodDisruptionBudget"]["spec"]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"registry:5000/shop/combos@{DIGEST}"
    assert container["args"] == ["serve", "--stage", stage, "--host", "0.0.0.0", "--port", "8000"]
    assert {"name": "BURGER_COMBOS_IMAGE", "value": container["image"]} in container["env"]
    # A run's pods have the stage's label, too: they get no request.
    chosen = {"app.kubernetes.io/instance": name, "app.kubernetes.io/component": "service"}
    assert service["selector"] == budget["selector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["selector"] == chosen
    assert pod["metadata"]["labels"].items() >= chosen.items()
    assert {port["name"] for port in container["ports"]} == {service["ports"][0]["targetPort"]} == {"http"}


def test_old_pods_answer_until_new_ones_are_ready(project: Project) -> None:
    _, made = objects(project, "production")
    spec = made["Deployment"]["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    (container,) = spec["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    # To end, a pod waits for the nodes, and then for its connections (DRAIN in server.py).
    waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    text = (project.folder / f"src/{project.package}/ops/serve/server.py").read_text(encoding="utf-8")
    drains = float(text.partition("DRAIN = ")[2].split()[0])
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= waits + 2 * drains
    assert spec["replicas"] > made["PodDisruptionBudget"]["spec"]["minAvailable"] > 0


def test_a_service_of_the_stage_reads_what_its_runs_write(project: Project) -> None:
    name, made = objects(project, "production")
    spec = made["Deployment"]["spec"]["template"]["spec"]
    text = (project.folder / "production/kubernetes/base/pipeline.yaml").read_text(encoding="utf-8")
    run = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["volumeMounts"] == run["containers"][0]["volumeMounts"]
    assert spec["containers"][0]["securityContext"] == run["containers"][0]["securityContext"]
    assert spec["securityContext"] == run["securityContext"]
    secret, volume, _ = spec["volumes"]
    assert secret["secret"]["secretName"] == volume["persistentVolumeClaim"]["claimName"] == name
    assert spec["serviceAccountName"] == name
    # BURGER_COMBOS_PRODUCTION_MAIN_PORT=tcp://… of the Service itself has the prefix of the settings.
    assert spec["enableServiceLinks"] is run["enableServiceLinks"] is False
