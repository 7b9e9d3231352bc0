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
from collections.abc import Callable
from pathlib import Path

import filelock

from . import engine

LABEL = "copier-ml.stand-in"
ENTRYPOINT = Path(__file__).parent / "postgres-entrypoint.sh"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TLS = f"ENV SSL_CERT_FILE={CERTIFICATES} PIP_CERT={CERTIFICATES}"  # as this machine's, which may have its own


def provide(project: Path) -> None:
    """See to it that every image that the project's files name is there.

    Raises:
        RuntimeError: one can neither be pulled nor made here.
    """
    texts = [file.read_text() for file in [project / "Dockerfile", *project.glob("develop/compose.yaml")]]
    names = re.findall(r"^(?:ARG \w+_IMAGE=|\s+image: )(\S+:\S+)$", "\n".join(texts), re.MULTILINE)
    engine.CACHE.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(engine.CACHE / "images.lock"):
        for name in names:
            _provide(name)


def _provide(name: str) -> None:
    recipe = next((recipe for start, recipe in RECIPES.items() if name.startswith(start)), None)
    form = '{{index .Config.Labels "' + LABEL + '"}}'
    found = subprocess.run(["docker", "image", "inspect", "--format", form, name], capture_output=True, text=True)
    label = found.stdout.strip()
    if found.returncode == 0 and (label in ("", "<no value>") or label == _key()):
        return
    if subprocess.run(["docker", "pull", "--quiet", name], capture_output=True).returncode == 0:
        return
    if recipe is None or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(f"{name}: not pulled, and a stand-in can be made only by root on Debian")
    print(f"images: a stand-in for {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        recipe(name, Path(folder))


def _key() -> str:
    made_of = [Path(__file__), ENTRYPOINT, CERTIFICATES]
    return hashlib.sha256(b"".join(path.read_bytes() for path in made_of)).hexdigest()[:16]


def _debian(folder: Path, *packages: str) -> None:
    """A small Debian with these packages, which trusts whom this machine trusts."""
    engine.apt("install", "--no-install-recommends", "mmdebstrap")
    include = ",".join(["ca-certificates", "netbase", "tzdata", *packages])
    # Debian's PostgreSQL makes a cluster when it is installed; the image's makes its own at its first start.
    no_cluster = 'mkdir -p "$1/etc/postgresql-common" && cd "$1/etc/postgresql-common" && '
    no_cluster += "echo create_main_cluster=false >createcluster.conf"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={include}", "--format=tar"]
    command += [f"--essential-hook={no_cluster}", engine.SUITE, "-", f"deb {engine.mirror()} {engine.SUITE} main"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as made:
        unpack = ["tar", "-C", str(folder), "-x", "--exclude=./dev/*", "--exclude=./var/cache/apt/*", "--exclude=*.pyc"]
        subprocess.run(unpack, stdin=made.stdout, check=True)
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


def _uv(name: str, folder: Path) -> None:
    version = name.partition(":")[2]
    for program in ("uv", "uvx"):
        shutil.copy(Path(sys.executable).with_name(program), folder)
    told = subprocess.run([folder / "uv", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    if told != version:
        raise RuntimeError(f"{name}: the uv of the tests is {told}")
    _import(name, folder, 'ENTRYPOINT ["/uv"]')


def _import(name: str, folder: Path, *changes: str) -> None:
    flags = [f"--change={change}" for change in (f"LABEL {LABEL}={_key()}", *changes)]
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", *flags, "-", name], stdin=tar.stdout, capture_output=True, check=True)


RECIPES: dict[str, Callable[[str, Path], None]] = {
    "python:": _python,
    "ghcr.io/astral-sh/uv:": _uv,
    "postgres:": _postgres,
}
