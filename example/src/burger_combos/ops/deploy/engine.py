"""The container engine, by its command line `docker`, and the images that are made with it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..problems import Problem
from ..version import ROOT, folder_in_workspace, template
from .checkout import IN_DEVCONTAINER, PACKAGE, PREFIX, Checkout
from .programs import Ended, ask, call

# Few rights: those that production has.
CONFINED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
FACTS = "{{.ServerVersion}} {{.SecurityOptions}}{{range .ClientInfo.Plugins}} {{.Name}}{{end}} {{.DriverStatus}}"
REVISION = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
PACKED = "compression=zstd,oci-mediatypes=true"  # a third of gzip's time


class Engine:
    """The engine that `docker` reaches, on this machine or on another one."""

    def __init__(self, here: Checkout) -> None:
        self.here = here

    def do(self, *arguments: str, **how: Any) -> Ended:
        """Call docker, as `programs.call` does."""
        return call("docker", *arguments, **how)

    def ask(self, *arguments: str) -> str:
        """What docker prints; nothing where it fails."""
        return ask("docker", *arguments)

    @cached_property
    def facts(self) -> str:
        """What the engine says of itself; nothing where none answers."""
        facts = call("docker", "info", "--format", FACTS, out=False, errors=False).stdout
        return "" if facts.startswith(" ") else facts.strip()

    def obstacle(self) -> str:
        """Why there is no engine to work with; nothing where there is one."""
        if not shutil.which("docker"):
            return "in the devcontainer" if IN_DEVCONTAINER else "no container engine here"
        if not self.facts:
            return "no container engine answers (docker info says why)"
        if " buildx" not in self.facts:
            return "this docker has no buildx"
        composed = any(Path("develop", name).exists() for name in ("compose.yaml", "tracking.yaml"))
        if composed and " compose" not in self.facts:
            return "this docker has no compose"
        return ""

    def container(self, name: str, form: str = "{{.Id}}") -> str:
        """A container's id, or what the form asks for; nothing where there is no such container."""
        return self.ask("container", "inspect", "--format", form, name)

    def build(self, target: str, *options: str) -> str:
        """Build a target of the Dockerfile from what is checked out; return the image's id.

        What is built goes to, and comes from, the folder BUILD_CACHE too, where one is named: CI keeps that.

        Raises:
            Problem: it cannot be built; the last lines of the log are on standard error.
        """
        here, folder = self.here, os.environ.get("BUILD_CACHE")
        cache = f"{folder}/{target}" if folder else ""
        if cache:
            kept = f"type=local,dest={cache}.new,mode=max,{PACKED}"
            options = (*options, "--cache-from", f"type=local,src={cache}", "--cache-to", kept)
        told = {"COMMIT": here.commit, "VERSION": here.version, "TEMPLATE": template()}
        made_of = [word for name, value in told.items() for word in ("--build-arg", f"{name}={value}")]
        with tempfile.TemporaryDirectory() as place:
            written = ["--output", f"type=docker,{PACKED}", "--iidfile", f"{place}/id", "--progress", "plain"]
            workspace = ("--build-context", f"workspace={ROOT}") if folder_in_workspace() else ()
            command = ("buildx", "build", *workspace, *written, *made_of, "--target", target, *options, ".")
            built = self.do(*command, out=False, errors=False)
            if built.returncode:
                print(*built.stderr.splitlines()[-30:], sep="\n", file=sys.stderr)
                with tempfile.NamedTemporaryFile("w", prefix="build-", suffix=".log", delete=False) as log:
                    log.write(built.stderr)
                raise Problem(f"the image cannot be built; the whole log is {log.name}")
            image = Path(place, "id").read_text(encoding="utf-8").strip()
        if cache:
            shutil.rmtree(cache, ignore_errors=True)
            Path(f"{cache}.new").rename(cache)
        return image

    def fetch(self, image: str) -> bool:
        """Whether an image is here, or could be pulled."""
        return bool(self.ask("image", "inspect", image)) or not self.do("pull", "--quiet", image, out=False).returncode

    def find(self, image: str) -> str:
        """The id of the image that IMAGE names, which was built and tested elsewhere.

        Raises:
            Problem: there is none, or it is of another commit than the one that is checked out.
        """
        if not self.fetch(image):
            raise Problem(f"no such image: {image}")
        made_of = self.ask("image", "inspect", "--format", REVISION, image)
        if made_of != self.here.commit:
            raise Problem(f"IMAGE={image} is of commit {made_of}, and {self.here.commit} is checked out")
        return self.ask("image", "inspect", "--format", "{{.Id}}", image)

    def of_commit(self) -> str:
        """An image that is here of the commit that is checked out; nothing where there is none."""
        named = f"reference={self.here.project}:*"  # by label it would take seconds, of many
        ids = self.ask("images", "--quiet", "--no-trunc", "--filter", named).split()
        if not ids or self.here.commit.endswith("-dirty"):
            return ""
        found = self.do("image", "inspect", "--format", "{{.Id}} " + REVISION, *ids, out=False, errors=False).stdout
        of_it = [line.split()[0] for line in found.splitlines() if line.endswith(f" {self.here.commit}")]
        return of_it[0] if of_it else ""

    def python(self, image: str, *arguments: str, tell: Iterable[str] = (), errors: bool = True) -> Ended:
        """Call Python in an image; what it prints is returned.

        Args:
            image: the image.
            arguments: Python's.
            tell: variables of here that it is told.
            errors: show what it prints on standard error.
        """
        named = [word for name in (f"{PREFIX}DEPLOY__REGISTRY", *tell) for word in ("--env", name)]
        told = ("--env", f"{PREFIX}BRANCH={self.here.branch}", *named)
        options = ("--rm", "--network", "none", *told, "--entrypoint", "python")
        return self.do("run", *options, image, *arguments, out=False, errors=errors)

    def settings(self, image: str, *keys: str) -> list[str]:
        """Some of the stage's settings, as an image has them.

        Raises:
            Problem: they cannot be read.
        """
        ended = self.python(image, "-m", f"{PACKAGE}.ops.settings", self.here.stage, *keys)
        if ended.returncode:
            raise Problem(f"the settings of {self.here.stage} cannot be read in {image}")
        return ended.stdout.splitlines()

    def knows(self, image: str, where: str, *variables: str) -> bool:
        """Whether each of this package's variables is a setting's, as an image has them; otherwise it says which not.

        Args:
            image: the image.
            where: what names them, for the complaint.
            variables: the names; those of other programs are let through.
        """
        return not self.python(image, "-m", f"{PACKAGE}.ops.known_settings", where, *variables).returncode

    def compose(self, name: str, files: Iterable[str], *arguments: str) -> bool:
        """Call docker compose on a project of some files; whether it worked."""
        named = [word for file in files for word in ("--file", file)]
        return not self.do("compose", "--project-name", name, *named, "--progress", "quiet", *arguments).returncode

    def start(self, name: str, files: Sequence[str], service: str) -> bool:
        """Start a service and wait until it works; where it does not, its last lines are on standard error."""
        if self.compose(name, files, "up", "--detach", "--wait", service):
            return True
        self.do("logs", "--tail", "5", f"{name}-{service}-1", out_as_errors=True)
        return False


def open_to_all(file: Path) -> None:
    """Let the user read a file whom a server in a container runs as."""
    mode = file.stat().st_mode
    if mode & 0o444 != 0o444:
        file.chmod(mode | 0o444)
