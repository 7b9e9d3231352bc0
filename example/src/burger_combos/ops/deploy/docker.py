"""A Docker host as the target: this machine, or that of DOCKER_HOST or of docker's context.

A stage is a container, which has a scheduler in it, and its volumes.
"""

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

from ..problems import Problem
from . import image_cleanup, needs
from .checkout import PREFIX, setting
from .engine import CONFINED, REVISION, open_to_all
from .programs import Ended, at_the_end, call
from .ssh import Connection
from .target import Target, Version

FILES = ("develop/compose.yaml", "production/compose.yaml")
LASTING = ("--restart", "always", "--log-opt", "max-size=10m", "--log-opt", "max-file=3")
UNPACK = 'cd /run/secrets && tar -xf - && chown 1000:1000 "$@" && chmod 400 "$@"'


class DockerHost(Target):
    """A stage of this branch on a Docker host."""

    FROM_REGISTRY = False
    LOOK_NEEDS_PREFLIGHT = False
    REMOVED = "the schedule, every run and every row of {stage} on branch {branch}"

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.next = f"{self.name}-next"
        self.database = f"{self.name}-database-1"
        self.command = f"/opt/app/bin/{self.here.project}"
        if os.environ.get("SSH_KEY"):
            at_the_end.enter_context(Connection())

    def preflight(self) -> None:
        """Check that an engine answers."""
        if why := self.engine.obstacle():
            raise Problem(f"{why}: production on a Docker host needs one")

    def deployed(self) -> bool:
        """Whether there is a container of the stage."""
        return bool(self.engine.container(self.name))

    def active(self) -> Version | None:
        """What the container is made of."""
        found = self.engine.container(self.name, "{{.Config.Image}} {{.Image}} " + REVISION).split(" ")
        return Version(found[0], found[2], found[1]) if len(found) == 3 else None

    def is_active(self, version: Version) -> bool:
        """Whether the container is of the version's image, whatever that is called, and runs."""
        return self.engine.container(self.name, "{{.Image}} {{.State.Running}}") == f"{version.image} true"

    def check_resources(self, version: Version) -> None:
        """Refuse what this machine lacks, and another one."""
        asked = needs.of_container(self.engine, version.image)
        if asked.node:
            asked.refuse("node", "a Docker host is one machine, on which all steps are done: leave it out")
        needs.refuse_more(self.engine, version.image, asked)

    def limits(self, image: str) -> list[str]:
        """The options of docker run for a container that does the steps."""
        return needs.options_of(needs.of_container(self.engine, image))

    def prepare(self, version: Version, secrets: Mapping[str, bytes]) -> None:
        """Start the database beside the stage, where there is one and no other is named."""
        url = f"{PREFIX}DATABASE__URL"
        if not Path(FILES[1]).exists() or secrets.get(url, b"").strip() or self.is_active(version):
            return
        volume = f"{self.name}_secrets"
        if self.engine.ask("volume", "inspect", volume):
            mount = ("--mount", f"type=volume,source={volume},target=/run/secrets")
            test = ("--entrypoint", "test", *mount, version.image, "-e", f"/run/secrets/{url}")
            if not self.engine.do("run", "--rm", "--network", "none", *test).returncode:
                return
        if not self.engine.container(self.database):
            seed = Path("develop/seed.sql")
            open_to_all(seed)
            self.engine.compose(self.name, FILES, "create", "database")
            self.engine.compose(self.name, FILES, "cp", str(seed), "database:/docker-entrypoint-initdb.d/seed.sql")
        if not self.engine.start(self.name, FILES, "database"):
            raise Problem("the database did not start: nothing was deployed")
        self.here.say(f"the database: container {self.database}")

    def store_secrets(self, version: Version, secrets: Mapping[str, bytes]) -> None:
        """Put secrets as files into a volume that only the stage's containers have."""
        if not secrets:
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, value in secrets.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(value), 0o400
                archive.addfile(entry, io.BytesIO(value))
        volume = f"{self.name}_secrets"
        mount = ("--mount", f"type=volume,source={volume},target=/run/secrets")
        as_root = ("--interactive", "--network", "none", "--user", "0:0", "--entrypoint", "sh", *mount)
        unpack = ("-c", UNPACK, "sh", *secrets)
        if self.engine.do("run", "--rm", *as_root, version.image, *unpack, give=packed.getvalue()).returncode:
            raise Problem("the secrets cannot be stored: nothing was deployed")
        self.here.say(f"secrets, as files in volume {volume}: {' '.join(sorted(secrets))}")

    def on_candidate(self, version: Version, *command: str) -> bool:
        """Call its command line with the stage's data and secrets."""
        return not self.confined("run", "--rm", *self.limits(version.image), version.reference, *command).returncode

    def on_stage(self, *command: str, version: Version | None = None, out: bool = True, errors: bool = True) -> Ended:
        """Call the command line in the stage's container or, where that is stopped, in another of the same image."""
        state = self.engine.container(self.name, "{{.State.Running}} {{.State.Restarting}} {{.Config.Image}}")
        running, _, image = state.rpartition(" ")
        if not state:
            return Ended(command, 1, "", "")
        if running == "true false":
            return self.engine.do("exec", self.name, self.command, *command, out=out, errors=errors)
        limits = self.limits(image) if command[:1] == ("run",) else ()
        return self.confined("run", "--rm", *limits, image, *command, out=out, errors=errors)

    def backfill(self, days: int, *command: str) -> Ended:
        """Call it in a container of its own, which Ctrl-C ends, and which a deployment meanwhile leaves alone.

        Raises:
            Problem: there is such a container.
        """
        return self._beside("backfill", command)

    def sweep(self, *command: str) -> Ended:
        """Call it in a container of its own, which does all trials, as `backfill` does.

        Raises:
            Problem: there is such a container.
        """
        return self._beside("sweep", command)

    def activate(self, version: Version, by: str, action: str) -> None:
        """Start the version beside the old one, and let it take over.

        Until the deployment history has it, the old version is active; after that, the new one. A deployment that is
        stopped in between leaves a container that does nothing. The next deployment removes it.
        """
        self._lock(version.reference)
        self._finish_activation()
        self.engine.ask("rm", "--force", self.next)
        told = ("--env", f"{PREFIX}IMAGE={version.reference}")
        named = ("--name", self.next, *LASTING, *told, *self.limits(version.image))
        stage = ("--stage", self.here.stage)
        failed = "this version cannot do the stage's work: the old one stays active"
        if self.confined("run", "--detach", *named, version.reference, "schedule", *stage, out=False).returncode:
            raise Problem(failed)
        promote = ("promote", "--by", by, "--action", action, *stage)
        if self.engine.do("exec", self.next, self.command, *promote).returncode:
            self.engine.do("logs", "--tail", "5", self.next, out_as_errors=True)
            self.engine.ask("rm", "--force", self.next)
            raise Problem(failed)
        self._finish_activation()

    def tidy(self, version: Version) -> None:
        """Remove the images that the deployment history does not keep for a rollback."""
        found = self.on_stage("deployed", "--stage", self.here.stage, out=False, errors=False)
        if not found.returncode:
            (earlier,) = self.engine.settings(version.image, "deploy.keep_images")
            deployed = found.stdout.split()
            image_cleanup.remove_earlier(self.engine, [version.image, *deployed[: 1 + int(earlier)]], deployed=deployed)

    def watch(self, version: Version) -> None:
        """Nothing: the scheduler tells of a run that is missing."""

    def logs(self, run: str, *arguments: str, follow: bool) -> Ended:
        """Show the log of a run, or what the scheduler prints."""
        if run != "scheduler":
            return self.on_stage("logs", *arguments)
        options = ["--follow"] if follow else []
        return call("sh", "-c", 'exec docker logs "$@" 2>&1', "sh", *options, self.name)

    def fetch_report(self, report: Path) -> None:
        """Copy a report from the stage's volume."""
        report.parent.mkdir(parents=True, exist_ok=True)
        if self.engine.do("cp", "--quiet", f"{self.name}:/app/{report}", str(report)).returncode:
            raise Problem(f"the report {report} cannot be copied from {self.name}")

    def fetch_tracking(self, file: Path) -> Path | None:
        """Copy MLflow's file and the folder beside it, where a run of the stage has ended."""
        folder = file.with_name("deployed")
        if self.engine.obstacle() or not self.deployed():
            return None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for each in (file, file.with_suffix("")):
            if self.engine.do("cp", "--quiet", f"{self.name}:/app/{each}", f"{folder}/", errors=False).returncode:
                return None
        return folder / file.name

    def status_line(self) -> str:
        """What `status --json` prints in the stage.

        Where none is deployed, or no engine answers, it is looked for here, unless production's database is only there.
        """
        shown = self.on_stage("status", "--stage", self.here.stage, "--json", out=False, errors=False)
        if not shown.returncode:
            return shown.stdout
        only_there = self.here.stage == "production" and Path(FILES[1]).exists() and not setting("DATABASE__URL")
        return '{"stage": "production"}\n' if only_there else ""

    def remove_service(self) -> bool:
        """Remove its containers; whether there were any."""
        containers = [f"{self.name}-{each}" for each in ("service-next", "service", "port")]
        return bool(self.engine.ask("rm", "--force", *containers))

    def uninstall(self) -> None:
        """Remove containers, volumes and network."""
        self.engine.ask("rm", "--force", self.name, self.next, f"{self.name}-backfill", f"{self.name}-sweep")
        if Path(FILES[1]).exists():
            self.engine.compose(self.name, FILES, "down", "--volumes")
        for volume in ("var", "secrets"):
            self.engine.ask("volume", "rm", f"{self.name}_{volume}")
        stays = f"{self.here.project}:{self.here.stage}-{self.here.branch}-…"
        self.here.say(f"removed {self.name} with all its data; its images stay, as {stays}")

    def confined(self, verb: str, *arguments: str, out: bool = True, errors: bool = True) -> Ended:
        """Call docker run, or create, with the stage's few rights, and with its data, secrets and network."""
        network = f"{self.name}_default" if self.engine.container(self.database) else "bridge"
        mounts = (
            *("--mount", f"type=volume,source={self.name}_var,target=/app/var"),
            *("--mount", f"type=volume,source={self.name}_secrets,target=/run/secrets,readonly"),
        )
        branch = ("--env", f"{PREFIX}BRANCH={self.here.branch}")
        options = ("--init", *CONFINED, "--network", network, *mounts, *branch)
        return self.engine.do(verb, *options, *arguments, out=out, errors=errors)

    def _beside(self, what: str, command: tuple[str, ...]) -> Ended:
        """Call the command line in a container beside the stage's, of the same image."""
        name, image = f"{self.name}-{what}", self.engine.container(self.name, "{{.Config.Image}}")
        if self.engine.container(name):
            raise Problem(f"a {what} is at work in container {name}: wait for its end, or docker stop {name}")
        told = ("--rm", "--name", name, "--env", f"{PREFIX}IMAGE={image}")
        return self.confined("run", *told, *self.limits(image), image, *command)

    def _finish_activation(self) -> None:
        """End what an earlier deployment, or this one, has begun: the active container gets the stage's name."""
        image = self.engine.container(self.next, "{{.Config.Image}}")
        if not image:
            return
        if f'"{image}"' in self._last_deployment():
            self.engine.ask("stop", self.name)
            self.engine.ask("rm", "--force", self.name)
            if self.engine.do("rename", self.next, self.name).returncode:
                raise Problem(f"{self.next} is active and cannot be renamed: make deploy again does it")
        else:
            self.engine.ask("rm", "--force", self.next)

    def _last_deployment(self) -> str:
        """The last line of the deployment history, which is in the volume."""
        history = f"{self.next}:/app/var/{self.here.stage}/deployments.jsonl"
        copied = subprocess.run(["docker", "cp", "--quiet", history, "-"], capture_output=True)
        if copied.returncode:
            return ""
        with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as archive:
            file = archive.extractfile(archive.getmembers()[0])
            lines = file.read().decode().splitlines() if file else []
        return lines[-1] if lines else ""

    def _lock(self, image: str) -> None:
        """Wait until no other deployment is under way, on whatever machine it was started.

        A container's name is there once. The container ends with this program, however that ends, as its standard input
        does.
        """
        cat = ("--name", f"{self.name}-lock", "--entrypoint", "cat", image)
        command = ["docker", "run", "--rm", "--interactive", "--network", "none", *cat]
        pipe, waited = subprocess.PIPE, False
        while True:  # Ctrl-C is not for it, so it has a process group of its own
            lock = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, process_group=0)
            if _echoes(lock):
                at_the_end.callback(lock.communicate)
                return
            lock.communicate()
            if not self.engine.ask("image", "inspect", image):
                raise Problem(f"the image {image} is gone: the old version stays active; make deploy builds it again")
            if not waited:
                self.here.say("another deployment is under way: waiting for its end")
            waited = True
            time.sleep(1)


def _echoes(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process gives back the line that it is given."""
    try:
        os.write(process.stdin.fileno(), b"mine\n")  # type: ignore[union-attr]
    except BrokenPipeError:
        return False
    return bool(process.stdout.readline())  # type: ignore[union-attr]
