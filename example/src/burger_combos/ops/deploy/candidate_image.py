"""An image on its way to a stage, always the same one, by its digest."""

import os
import re
import sys
from pathlib import Path

from ..problems import Problem
from . import secret_commands
from .checkout import PREFIX, variables
from .engine import CONFINED, Engine
from .programs import ask


class Candidate:
    """The image of what is checked out.

    IMAGE names one that was built and tested elsewhere; otherwise it is the one that is here of this commit, as make
    develop builds it, or a new one.
    """

    def __init__(self, engine: Engine, image: str) -> None:
        """Give the image a name, which keeps it from being cleaned away; what is deployed is the digest."""
        self.engine, self.here, self.image = engine, engine.here, image
        digest = image.removeprefix("sha256:")[:12]
        self.kept = f"{self.here.project}:{self.here.stage}-{self.here.branch}-{digest}"
        if engine.do("tag", image, self.kept).returncode:
            raise Problem(f"the image {image} cannot be named {self.kept}")

    @classmethod
    def choose(cls, engine: Engine) -> "Candidate":
        """Take the image of the commit that is checked out, or build it."""
        here, named = engine.here, os.environ.get("IMAGE", "")
        if named and "sha256:" not in named:
            raise Problem(f"IMAGE={named}: not a digest, as in NAME@sha256:…")
        if named:
            return cls(engine, engine.find(named))
        if image := engine.of_commit():
            here.say(f"the image that is here of {here.commit}")
            return cls(engine, image)
        here.say(f"building the image of {here.commit}")
        return cls(engine, engine.build("runtime"))

    def examine(self, target: str, *options: str) -> bool:
        """Run a target of the Dockerfile that adds to this very image what examines it; whether it passes."""
        examiner = self.engine.build(target, "--build-context", f"runtime=docker-image://{self.kept}")
        try:
            return not options or not self.engine.do("run", "--rm", "--init", *options, examiner).returncode
        finally:
            self.engine.ask("image", "rm", examiner)

    def unit_tests(self) -> None:
        """Run its unit tests, in the very image.

        Raises:
            Problem: one fails.
        """
        if not self.examine("test", "--network", "none", *CONFINED):
            raise Problem(f"the unit tests refuse {self.here.commit}: nothing was deployed")

    def push(self) -> str:
        """Push it to the registry that REGISTRY or [deploy] registry names, if one does; return what to call it.

        Raises:
            Problem: the registry does not take it.
        """
        named = os.environ.get("IMAGE", "")
        if "@" in named:
            return named
        registry = os.environ.get("REGISTRY") or "".join(self.engine.settings(self.image, "deploy.registry"))
        if not registry:
            return self.image
        remote = f"{registry.lower()}/{self.here.project}"
        tag = f"{remote}:{self.here.commit}"
        self.engine.do("tag", self.image, tag)
        if self.engine.do("push", "--quiet", tag, out=False).returncode:
            raise Problem(f"{remote} cannot be pushed to: nothing was deployed")
        form = "{{range .RepoDigests}}{{println .}}{{end}}"
        digests = self.engine.ask("image", "inspect", "--format", form, self.image)
        reference = next(line for line in digests.splitlines() if line.startswith(f"{remote}@"))
        self.here.say(f"pushed {reference}")
        return reference


def make_image(engine: Engine) -> None:
    """Build the image, compare it with the lock, and push it where a registry is named; print what to call it."""
    if "io.containerd.snapshotter" in engine.facts:
        image = engine.build("runtime", "--provenance", "mode=max", "--sbom", "true")
    else:
        engine.here.say("without SBOM and provenance, which this engine's image store cannot hold (containerd's can)")
        image = engine.build("runtime")
    candidate = Candidate(engine, image)
    candidate.examine("test")
    engine.here.say(f"its packages are the lock's: {image}")
    print(candidate.push())


def scan(engine: Engine) -> None:
    """List the known vulnerabilities for which there is a fix, of IMAGE where that is named.

    Raises:
        Problem: there are some.
    """
    named = os.environ.get("IMAGE", "")
    candidate = Candidate(engine, engine.find(named) if named else engine.build("runtime"))
    cache = f"type=volume,source={engine.here.project}-scan,target=/root/.cache"
    if not candidate.examine("scan", "--mount", cache):
        raise Problem("known vulnerabilities that have a fix: make upgrade, or a newer base image, brings it")


def collect_secrets(stage: str) -> dict[str, bytes]:
    """The secrets that are given here: each value by the name of its variable.

    They are what the commands of the stage's secrets.toml print, the files of its folder secrets/, this package's
    settings among the environment variables, and the lines of CI's SETTINGS, as DATABASE__URL=…. What is named twice is
    taken from the last of these, and then its command does not run.

    Raises:
        Problem: a line of SETTINGS names none, or a command gives none.
    """
    files = sorted(Path(stage, "secrets").glob("[!.]*"))
    found = {file.name: file.read_bytes() for file in files if file.is_file()}
    given = dict.fromkeys(found, f"a file of {stage}/secrets/")
    found |= {name.upper(): f"{os.environ[name]}\n".encode() for name in variables()}
    given |= {name.upper(): "the environment" for name in variables()}
    for line in os.environ.get("SETTINGS", "").splitlines():
        key, _, value = line.partition("=")
        if re.search("[^A-Z0-9_]", key):
            raise Problem(f"SETTINGS: {key} is no setting's name, as DATABASE__URL is")
        if key:
            found[PREFIX + key] = f"{value}\n".encode()
            given[PREFIX + key] = "SETTINGS"
    commands = secret_commands.read(stage)
    for name in commands.keys() & given.keys():
        file = f"{stage}/{secret_commands.FILE}"
        print(f"{stage}: {name} comes from {given[name]}, so its command in {file} does not run", file=sys.stderr)
    return secret_commands.values(stage, commands, given) | found


def deployed_by() -> str:
    """The person, or CI, that deploys."""
    return os.environ.get("DEPLOYED_BY") or ask("git", "config", "user.name") or ask("id", "-un")
