"""Projects whose production is beyond this machine's engine: in a cluster, and in an account at AWS."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aws
import rig
from containers import registry
from containers.docker import docker, image_names, inspected
from kube.kubectl import Cluster, cluster
from rig import Project


@contextmanager
def on_kubernetes(
    template: Path, folder: Path, backoff: float = 10, **answers: str
) -> Iterator[tuple[Project, Cluster]]:
    """A project on a branch of its own, a registry, and a stand-in for a cluster with a restricted namespace."""
    project = rig.generate(template, folder / "shop", target="kubernetes", **answers)
    network, branch = f"kube-{secrets.token_hex(3)}", f"test-{secrets.token_hex(3)}"
    docker("network", "create", network)
    with registry.serving(folder) as address, cluster(folder, network, backoff=backoff) as kube:
        kube.kubectl("create", "namespace", "shop")
        kube.kubectl("label", "namespace", "shop", "pod-security.kubernetes.io/enforce=restricted")
        kube.kubectl("config", "set-context", "--current", "--namespace", "shop")
        path = f"{rig.ROOT}/.venv/bin{os.pathsep}{kube.env['PATH']}"
        env = kube.env | {"NAMESPACE": "shop", "PATH": path}
        project = replace(project, containers=True, env=env)
        rig.change(project.folder / "production/platform.toml", {'registry = ""': f'registry = "{address}/shop"'})
        project.make("setup")
        project.git("checkout", "--quiet", "-b", branch)
        yield project, kube
    docker("network", "rm", network)
    for image in image_names(f"*:*{branch}*"):
        docker("image", "rm", image)


@contextmanager
def on_aws(template: Path, folder: Path, server: str) -> Iterator[tuple[Project, dict[str, str]]]:
    """A project on Metaflow, a registry, and the account, by its variables, with a database on a PostgreSQL server."""
    project = rig.generate(template, folder / "burger", target="metaflow-aws", ci="none")
    store = {'store = ""': f'store = "s3://{aws.BUCKET}/runs"'}
    rig.change(project.folder / "production/platform.toml", store)
    with aws.serving() as account, registry.serving(folder) as address:
        profile = project.folder / "production/profiles/config_production.json"
        profile.write_text(json.dumps(json.loads(profile.read_text()) | aws.equip(account), indent=4) + "\n")
        project.make("setup")
        env = account | {"REGISTRY": address, "BURGER_COMBOS_DATABASE__URL": rig.new_database(server, project)}
        yield replace(project, env=env, containers=True), account
        for name in image_names(f"{address}/*"):
            for task in docker("ps", "--all", "--quiet", f"--filter=ancestor={name}").split():
                docker("rm", "--force", task)
            docker("image", "rm", "--force", inspected(name)["Id"])
