"""What a target does: the interface between the verbs, which are the same everywhere, and what runs a stage."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, NoReturn

from ..problems import Problem
from . import image_cleanup
from .checkout import PACKAGE, Checkout
from .engine import Engine
from .programs import Ended, become

if TYPE_CHECKING:
    from .develop import Develop


class Version(NamedTuple):
    """A version on its way to a stage, or active there."""

    reference: str  # what the image is called where it runs: with its digest, or the id of one that no registry has
    commit: str
    image: str = ""  # the image here; empty where it has not been looked for


class Run(NamedTuple):
    """A run of develop in a container: the image and docker run's options."""

    develop: "Develop"
    image: str
    options: list[str]


class AnyService(ABC):
    """What answers by HTTP where a stage is deployed."""

    _target: "Target"

    def check(self, version: Version) -> None:
        """Refuse a version that could not serve the stage, before it is activated.

        Raises:
            Problem: it could not; the version's own words are on standard error.
        """
        asked = ("serve", "--check", "--host", "0.0.0.0", "--stage", self._target.here.stage)
        if self._serves(version) and not self._target.on_candidate(version, *asked):
            raise Problem(f"{version.commit} cannot serve the results: the old version stays active")

    def _serves(self, version: Version) -> bool:
        """Whether a version's image has a service at all; one of before the answer has not."""
        module = f"import {PACKAGE}.ops.serve.command"
        return not self._target.engine.python(version.image, "-c", module, errors=False).returncode

    def move(self, version: Version) -> None:
        """Let the active version answer, in place of the one that does; no request is lost.

        Raises:
            Problem: it does not begin to; then the old one goes on.
        """
        if self._serves(version):
            self.start(version)
        else:
            self._target.remove_service()
            self._target.here.say(f"{version.commit} is of before the service: nothing answers by HTTP")

    @abstractmethod
    def start(self, version: Version) -> None:
        """Let a version that has a service answer; see `move`."""

    @abstractmethod
    def logs(self, *, follow: bool) -> Ended:
        """Show what it prints."""

    @abstractmethod
    def state(self) -> str:
        """Where it answers, and of which commit it is."""


class Target(ABC):
    """A stage of this branch where it is deployed."""

    FROM_REGISTRY: ClassVar[bool]  # whether the target takes images from a registry only
    LOOK_NEEDS_PREFLIGHT: ClassVar[bool]  # whether looking, too, needs what a deployment needs
    REMOVED: ClassVar[str]  # what `uninstall` removes of {stage} and {branch}

    def __init__(self, stage: str) -> None:
        self.here = Checkout(stage)
        self.engine = Engine(self.here)
        self.name = self.here.name

    @abstractmethod
    def preflight(self) -> None:
        """Check that the target can be reached.

        Raises:
            Problem: it cannot; the message says what is missing.
        """

    @abstractmethod
    def deployed(self) -> bool:
        """Whether the stage is deployed."""

    @abstractmethod
    def active(self) -> Version | None:
        """The active version; None where there is none."""

    def is_active(self, version: Version) -> bool:
        """Whether a version is the active one, and works."""
        now = self.active()
        return now is not None and (now.reference, now.commit) == (version.reference, version.commit)

    @abstractmethod
    def check_resources(self, version: Version) -> None:
        """Refuse a version whose `[resources]` ask for what the target cannot give.

        Raises:
            Problem: they do; the message names file and key.
        """

    @abstractmethod
    def prepare(self, version: Version, secrets: Mapping[str, bytes]) -> None:
        """Make ready what the stage stands on, as a database beside it."""

    @abstractmethod
    def store_secrets(self, version: Version, secrets: Mapping[str, bytes]) -> None:
        """Store secrets where only the stage reads them, never on a command line. What was stored earlier stays.

        Args:
            version: what is to be deployed.
            secrets: each value by the name of its variable.

        Raises:
            Problem: they cannot be stored, or lack something.
        """

    @abstractmethod
    def on_candidate(self, version: Version, *command: str) -> bool:
        """Call the command line of a version that is not active, where the stage runs; whether it ended well."""

    @abstractmethod
    def on_stage(self, *command: str, version: Version | None = None, out: bool = True, errors: bool = True) -> Ended:
        """Call the command line where the stage runs, or as if it were there.

        Args:
            command: its arguments.
            version: the version in whose name, where that is not the active one yet.
            out: show standard output; otherwise it is returned.
            errors: show standard error.
        """

    def backfill(self, days: int, *command: str) -> Ended:
        """Call the command line for work on so many days where the stage runs; its output is shown.

        Raises:
            Problem: such work is being done there.
        """
        return self.on_stage(*command)

    @abstractmethod
    def sweep(self, *command: str) -> Ended:
        """Try settings where the stage runs, and show what came of it.

        Args:
            command: that of the command line by which it is done on one machine.

        Raises:
            Problem: a sweep is at work there, or this one did not come to its end.
        """

    @abstractmethod
    def activate(self, version: Version, by: str, action: str) -> None:
        """Make a version the active one, note it in the deployment history, and run it once.

        Args:
            version: the version.
            by: who does it.
            action: `deploy` or `rollback`.

        Raises:
            Problem: it cannot be; then the old version stays active.
        """

    def tidy(self, version: Version) -> None:
        """Remove images of versions before the one just deployed, here where they were built; the registry has them."""
        (most,) = self.engine.settings(version.image, "deploy.keep_images")
        image_cleanup.remove_earlier(self.engine, [version.image], int(most))

    @abstractmethod
    def watch(self, version: Version) -> None:
        """Let runs of the active version that are missing be noticed, apart from these, and told.

        Raises:
            Problem: they cannot be.
        """

    @abstractmethod
    def logs(self, run: str, *arguments: str, follow: bool) -> Ended:
        """Show a log.

        Args:
            run: the run's id; empty for the last run, `scheduler` for what the target itself tells.
            arguments: those of the command line's logs.
            follow: go on as it grows.
        """

    @abstractmethod
    def status_line(self) -> str:
        """The line that `status --json` prints where the stage is deployed; nothing where it is not."""

    @abstractmethod
    def fetch_report(self, report: Path) -> None:
        """Bring the report of a run here, under the same path."""

    def fetch_tracking(self, file: Path) -> Path | None:
        """Bring MLflow's SQLite file and the folder beside it here, under another path; None where there are none."""
        return None

    @cached_property
    def service(self) -> AnyService | None:
        """What answers by HTTP; None where the project has no service."""
        is_there = Path(__file__).with_name("service.py").exists()
        found: AnyService | None = import_module(".service", __package__).Service(self) if is_there else None
        return found

    def remove_service(self) -> bool:
        """Remove what answers by HTTP, as the project has no service any more, or all goes; whether there was any."""
        return False

    @abstractmethod
    def uninstall(self) -> None:
        """Remove the stage with its schedule, its secrets and all that the target keeps of it."""

    @classmethod
    def develop_run(cls, run: Run) -> NoReturn:
        """Run develop in its image as the target runs a stage."""
        name = ("--name", f"{run.develop.name}-run-{os.getpid()}")
        become(*run.develop.container(*name, *run.options, run.image, "run", "--stage", "develop"))

    @classmethod
    def local_run(cls, here: Checkout) -> list[str]:
        """The command that runs develop without a container."""
        return [here.command, "run", "--stage", "develop"]
