"""An image to begin from, in place of Python's own, with the Python for which pip knows a build of PyTorch here.

Where PyTorch's own index is out of reach, the stand-in for it is reached from a build too, by the engine's proxy.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import filelock
import pytorch
from rig import Project, change, missing

from . import clock, engine
from .docker import docker
from .images import CERTIFICATES, TLS

BASE = "python:3.13-slim-trixie"
IMAGE = "localhost/python-pytorch:1"
SUITE, VERSION = "bookworm", "3.11"


def begin_with(project: Project, folder: Path) -> Project:
    """Let a project's images find PyTorch: as they are, where its index is reached; else by a stand-in.

    Args:
        project: the project, whose Dockerfile then begins from IMAGE.
        folder: an empty one, for the settings of docker's client.
    """
    if not pytorch.environment():
        return project
    address = clock.here()
    pytorch.serve_at(address)
    with filelock.FileLock(engine.CACHE / "images.lock"):
        _make()
    change(project.folder / "Dockerfile", {f"FROM {BASE} AS base": f"FROM {IMAGE} AS base"})
    known = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    config = json.loads(known.read_text()) if known.exists() else {}
    config["proxies"] = {"default": {"httpProxy": f"http://{address}:{pytorch.PORT}", "noProxy": "*.debian.org"}}
    (folder / "config.json").write_text(json.dumps(config))
    return replace(project, env=project.env | {"DOCKER_CONFIG": str(folder)})


def _make() -> None:
    """Make the image, once for all tests; it is kept as the stand-ins are."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    form = '{{index .Config.Labels "' + engine.STAND_IN + '"}}'
    found = subprocess.run(["docker", "image", "inspect", "--format", form, IMAGE], capture_output=True, text=True)
    if found.stdout.strip() == key:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        missing("DOCKER", f"{IMAGE}: it can be made only by root on Debian")
    engine.apt("install", "--no-install-recommends", "mmdebstrap")
    include = "ca-certificates,netbase,tzdata,python3,python3-pip,python3-venv"
    with tempfile.TemporaryDirectory() as name:
        tar, place = Path(name, "debian.tar"), Path(name, "root")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={include}", SUITE, str(tar)]
        subprocess.run([*command, f"deb {engine.mirror()} {SUITE} main"], check=True)
        place.mkdir()
        subprocess.run(["tar", "-C", place, "-xf", tar, "--exclude=./dev/*", "--exclude=*.pyc"], check=True)
        tar.unlink()
        (place / f"usr/lib/python{VERSION}/EXTERNALLY-MANAGED").unlink()
        for program in ("python", "python3", f"python{VERSION}"):
            (place / "usr/local/bin" / program).symlink_to(f"/usr/bin/python{VERSION}")
        shutil.copy(CERTIFICATES, place / str(CERTIFICATES)[1:])
        index = pytorch.environment()["UV_INDEX"]
        changes = [f"LABEL {engine.STAND_IN}={key}", TLS, f'ENV LANG=C.UTF-8 UV_INDEX="{index}"', 'CMD ["python3"]']
        flags = [f"--change={each}" for each in changes]
        with subprocess.Popen(["tar", "-C", place, "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run(
                ["docker", "import", *flags, "-", IMAGE], stdin=packed.stdout, capture_output=True, check=True
            )
    assert docker("image", "inspect", "--format", form, IMAGE) == key
