"""What tests ask the engine."""

import json
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from rig import Project


def docker(*arguments: str) -> str:
    """What a docker command prints that has to succeed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def inspected(image: str) -> dict[str, Any]:
    """What the engine knows of an image or a container."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", image))
    return found[0]


def image_names(pattern: str) -> list[str]:
    """The images by name and tag that have such a name; to list all of them takes seconds."""
    command = ["images", f"--filter=reference={pattern}", "--format={{.Repository}}:{{.Tag}}"]
    names: list[str] = []
    for _ in range(3):
        with suppress(AssertionError):  # an image that somebody removes at this moment makes the whole list fail
            names = docker(*command).split()
            break
    return [name for name in names if not name.endswith(":<none>")]  # which was pulled by its digest


def is_there(image: str) -> bool:
    """Whether the engine has an image."""
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def build(project: Project, target: str = "runtime", *options: str) -> str:
    """The id of the image that the project's Dockerfile makes."""
    with tempfile.TemporaryDirectory() as folder:
        options = (*options, "--progress=plain", f"--target={target}", f"--iidfile={folder}/id")
        packed = "--output=type=docker,compression=zstd,oci-mediatypes=true"  # as the project does it: once for both
        docker("buildx", "build", packed, *options, str(project.folder))
        return Path(folder, "id").read_text()


def keep_no_layers(project: Project) -> None:
    """Let CI keep no built layers in a folder: to export them all takes longer than the rest of most jobs."""
    for file in [*project.folder.glob(".github/workflows/*.yml"), *project.folder.glob(".gitlab-ci.yml")]:
        file.write_text(file.read_text().replace("BUILD_CACHE: .build-cache", 'BUILD_CACHE: ""'))


def belongings(project: Project) -> list[str]:
    """The names of all containers, volumes, networks and images of the project's folder and branch."""
    slug = project.run("sh", "-c", "pwd -P | cksum | cut -d ' ' -f 1").stdout.strip()
    slug = f"{project.git('symbolic-ref', '--short', 'HEAD')}-{slug}"
    lists = [
        ["ps", "--all", "--format={{.Names}}"],
        *([what, "ls", "--format={{.Name}}"] for what in ("volume", "network")),
    ]
    names = [name for what in lists for name in docker(*what).split()]
    return [name for name in names if slug in name] + image_names(f"*:*{slug}*")
