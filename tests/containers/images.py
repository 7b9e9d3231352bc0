"""The base images that generated projects name: pulled, or where no registry is reached, made as stand-ins.

A stand-in has the name of the image that it stands for and a label with the key of what it is made of; it is made once,
and never takes the place of an image without that label.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import filelock

from . import engine

HERE = Path(__file__).parent
ENTRYPOINT = HERE / "postgres-entrypoint.sh"
GITLAB = HERE / "gitlab"
GITLAB_HELPER = "localhost/gitlab-helper:1"  # gitlab-ci-local's helper and its wait, in one
MADE = ("docker:", GITLAB_HELPER)  # never pulled: only stand-ins know the tests' registry and their seed
SBOM = "docker/buildkit-syft-scanner:stable-1"  # which buildx itself names
TOOLS = (  # of every stand-in for what only runs commands
    *("busybox", "docker-buildx", "docker-cli", "docker-compose", "docker.io", "git", "iptables"),
    *("make", "openssh-client", "python3", "rsync", "socat"),
)
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TLS = f"ENV SSL_CERT_FILE={CERTIFICATES} PIP_CERT={CERTIFICATES}"  # as this machine's, which may have its own


def provide(project: Path, *more: str) -> None:
    """See to it that every image is there that the project's files name, that buildx needs for an SBOM, and more.

    Raises:
        RuntimeError: one can neither be pulled nor made here.
    """
    engine.CACHE.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(engine.CACHE / "images.lock"):
        for name in [*names(project), *more]:
            _provide(name)


def names(project: Path) -> list[str]:
    """The images that a project, or each of a workspace, begins from, and what buildx needs for an SBOM."""
    patterns = ("Dockerfile", "models/*/Dockerfile", "develop/*.yaml", ".gitlab-ci.yml")
    files = [file for pattern in patterns for file in sorted(project.glob(pattern))]
    text = "\n".join(file.read_text() for file in files)
    found = re.findall(r"^(?:FROM|\s*image:|\s*- name:) (\S+:\S+)", text, re.MULTILINE)
    return [*dict.fromkeys(found), SBOM]


def _provide(name: str) -> None:
    recipe = next((recipe for start, recipe in RECIPES.items() if name.startswith(start)), None)
    form = '{{index .Config.Labels "' + engine.STAND_IN + '"}}'
    found = subprocess.run(["docker", "image", "inspect", "--format", form, name], capture_output=True, text=True)
    label = found.stdout.strip()
    if found.returncode == 0 and (label in ("", "<no value>") or label == _key()):
        return
    pull = ["docker", "pull", "--quiet", name]
    if not name.startswith(MADE) and subprocess.run(pull, capture_output=True).returncode == 0:
        return
    if recipe is None or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(f"{name}: not pulled, and a stand-in can be made only by root on Debian")
    print(f"images: a stand-in for {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        recipe(name, Path(folder))


def _key() -> str:
    made_of = [CERTIFICATES, *HERE.glob("images.py"), *HERE.glob("*.sh"), *HERE.glob("stand_in_*"), *GITLAB.iterdir()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in made_of)).hexdigest()[:16]


def _debian(folder: Path, *packages: str) -> None:
    """A small Debian with these packages, fetched once for all; it trusts whom this machine trusts."""
    include = ",".join(["ca-certificates", "netbase", "tzdata", *packages])
    tar = engine.CACHE / f"debian-{zlib.crc32(include.encode()):08x}.tar"
    if not tar.exists():
        engine.apt("install", "--no-install-recommends", "mmdebstrap")
        # Debian's PostgreSQL makes a cluster when it is installed; the image's makes its own at its first start.
        no_cluster = 'mkdir -p "$1/etc/postgresql-common" && cd "$1/etc/postgresql-common" && '
        no_cluster += "echo create_main_cluster=false >createcluster.conf"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={include}"]
        command += [f"--essential-hook={no_cluster}", engine.SUITE]
        begun = tar.with_suffix(".begun.tar")
        subprocess.run([*command, str(begun), f"deb {engine.mirror()} {engine.SUITE} main"], check=True)
        begun.rename(tar)
    unpack = [
        "tar",
        "-C",
        str(folder),
        "-xf",
        str(tar),
        "--exclude=./dev/*",
        "--exclude=./var/cache/apt/*",
        "--exclude=*.pyc",
    ]
    subprocess.run(unpack, check=True)
    for each in Path("/etc/apt/apt.conf.d").glob("99*"):
        shutil.copy(each, folder / "etc/apt/apt.conf.d")
    shutil.copy(CERTIFICATES, folder / str(CERTIFICATES)[1:])


def _python(name: str, folder: Path) -> None:
    version = name.partition(":")[2].partition("-")[0]
    _debian(folder, "python3", "python3-pip", "python3-venv")
    (folder / f"usr/lib/python{version}/EXTERNALLY-MANAGED").unlink()
    for program in ("python", "python3", f"python{version}"):
        (folder / "usr/local/bin" / program).symlink_to(f"/usr/bin/python{version}")
    _import(name, folder, TLS, "ENV LANG=C.UTF-8", 'CMD ["python3"]')


def _postgres(name: str, folder: Path) -> None:
    version = name.partition(":")[2].partition("-")[0]
    _debian(folder, f"postgresql-{version}")
    shutil.copy(ENTRYPOINT, folder / "usr/local/bin")
    (folder / "docker-entrypoint-initdb.d").mkdir()
    path = f"ENV PATH=/usr/lib/postgresql/{version}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    data = "/var/lib/postgresql/data"
    changes = [f"ENV PGDATA={data} LANG=C.UTF-8", f"VOLUME {data}", "STOPSIGNAL SIGINT", "EXPOSE 5432"]
    _import(name, folder, path, *changes, f'ENTRYPOINT ["{ENTRYPOINT.name}"]', 'CMD ["postgres"]')


def _mlflow(name: str, folder: Path) -> None:
    version = name.partition(":v")[2]
    _debian(folder, "python3", "python3-pip", "python3-venv")
    place = folder / "opt/mlflow"
    install = ["uv", "pip", "install", "--quiet", f"--target={place}", "--python-version=3.13", "--only-binary=:all:"]
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([*install, f"mlflow=={version}"], env=env, check=True)
    program = folder / "usr/local/bin/mlflow"
    program.write_text('#!/bin/sh\nexec python3 -m mlflow "$@"\n')
    program.chmod(0o755)
    _import(name, folder, "ENV PYTHONPATH=/opt/mlflow LANG=C.UTF-8", 'CMD ["bash"]')


def _uv(name: str, folder: Path) -> None:
    version = name.partition(":")[2]
    for program in ("uv", "uvx"):
        shutil.copy(Path(sys.executable).with_name(program), folder)
    told = subprocess.run([folder / "uv", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    if told != version:
        raise RuntimeError(f"{name}: the uv of the tests is {told}")
    _import(name, folder, 'ENTRYPOINT ["/uv"]')


def _grype(name: str, folder: Path) -> None:
    shutil.copy(HERE / "stand_in_grype.sh", folder / "grype")
    _import(name, folder, 'ENTRYPOINT ["/grype"]')


def _sbom(name: str, folder: Path) -> None:
    _debian(folder, *TOOLS)
    shutil.copy(HERE / "stand_in_sbom.py", folder / "sbom.py")
    _import(name, folder, 'ENTRYPOINT ["python3", "/sbom.py"]')


def _docker(name: str, folder: Path) -> None:
    """As Alpine has it: busybox's tools; bash, make and python3 are there only when apk is asked for them."""
    _debian(folder, *TOOLS)
    shutil.copy(GITLAB / "apk", folder / "usr/local/bin")
    told = subprocess.run(["chroot", folder, "busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for applet in set(told.split()) - {"busybox", "ip"}:
        (folder / "usr/local/bin" / applet).symlink_to("/bin/busybox")
    (folder / "usr/bin/sh").unlink()
    (folder / "usr/bin/sh").symlink_to("busybox")
    (folder / "usr/lib/apk").mkdir()
    for program in ("bash", "make", "python3"):
        shutil.copy(folder / "usr/bin" / program, folder / "usr/lib/apk")
        (folder / "usr/bin" / program).unlink()
    _import(name, folder, TLS, 'CMD ["sh"]')


def _dockerd(name: str, folder: Path) -> None:
    _debian(folder, *TOOLS)
    shutil.copy(GITLAB / "dockerd-entrypoint.sh", folder / "usr/local/bin")
    changes = ["VOLUME /var/lib/docker", "EXPOSE 2375 2376", 'ENTRYPOINT ["dockerd-entrypoint.sh"]', "CMD []"]
    _import(name, folder, TLS, *changes)


def _gitlab_helper(name: str, folder: Path) -> None:
    _debian(folder, *TOOLS)
    shutil.copy(GITLAB / "helper-entrypoint.sh", folder / "usr/local/bin")
    _import(name, folder, 'ENTRYPOINT ["helper-entrypoint.sh"]')


def _import(name: str, folder: Path, *changes: str) -> None:
    flags = [f"--change={change}" for change in (f"LABEL {engine.STAND_IN}={_key()}", *changes)]
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", *flags, "-", name], stdin=tar.stdout, capture_output=True, check=True)


RECIPES: dict[str, Callable[[str, Path], None]] = {
    "python:": _python,
    "ghcr.io/astral-sh/uv:": _uv,
    "postgres:": _postgres,
    "ghcr.io/mlflow/mlflow:": _mlflow,
    "anchore/grype:": _grype,
    SBOM: _sbom,
    "docker:29-dind": _dockerd,
    "docker:": _docker,
    GITLAB_HELPER: _gitlab_helper,
}
