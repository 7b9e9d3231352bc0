"""The develop stage in containers on this machine, which are this folder's and this branch's own."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from .. import version
from ..problems import Problem
from . import needs
from .checkout import IN_DEVCONTAINER, PREFIX, VENV, Checkout, setting, variables
from .chosen_target import Chosen
from .engine import CONFINED, Engine, open_to_all
from .programs import become, call, checksum, end_with
from .target import Run

COMPOSE = "develop/compose.yaml"
ON_THIS_MACHINE = ("unix:", "npipe:", "tcp://docker:")  # the last is a service beside CI's job, which shares its folder


class Develop:
    """The containers, images and volumes of develop, and what can be done with them."""

    def __init__(self) -> None:
        self.here = here = Checkout("develop")
        self.engine = Engine(here)
        self.slug = f"{here.branch}-{checksum(str(Path.cwd()))}"
        self.name = f"{here.project}-{self.slug}"
        self.database = f"{self.name}-database-1"
        self.files = [file for file in (COMPOSE, "develop/tracking.yaml") if Path(file).exists()]
        self.made = Path("var/develop", here.branch)
        self.folder = str(Path.cwd()).replace('"', '""')

    def obstacle(self) -> str:
        """Why nothing can run in containers here; nothing where it can."""
        if why := self.engine.obstacle():
            return why
        host = self.engine.ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
        return "" if host.startswith(ON_THIS_MACHINE) else "the container engine is on another machine"

    def run(self) -> NoReturn:
        """Run the pipeline in production's image, or in the locked environment where that cannot be.

        Raises:
            Problem: the image or the database cannot be made, or a database has to be named.
        """
        if run := self._in_image():
            Chosen.develop_run(run)
        become(*Chosen.local_run(self.here))

    def sweep(self) -> NoReturn:
        """Try settings on this machine, whatever the target is: in production's image, or else as `run` does.

        Raises:
            Problem: as `run`.
        """
        command = ("sweep", "--stage", "develop")
        if run := self._in_image():
            name = ("--name", f"{self.name}-run-{os.getpid()}")
            become(*self.container(*name, *run.options, run.image, *command))
        become(self.here.command, *command)

    def _in_image(self) -> Run | None:
        """The image, and docker run's options; None where it has to be the locked environment, which is made ready."""
        here = self.here
        if why := self.obstacle() or ("" if Path("Dockerfile").exists() else "no Dockerfile here"):
            if unnamed := self.unnamed():
                self.advise(why, unnamed)
            here.say(f"{why}: in the locked environment of {VENV}")
            here.set_up()
            return None
        if image := os.environ.get("IMAGE", ""):
            here.say(f"in {image}")
            image = self.engine.find(image)
        else:
            here.say(f"in production's image, built from {here.commit}")
            image = self.engine.build("runtime", "--tag", f"{here.project}:{self.slug}")
            self.made.mkdir(parents=True, exist_ok=True)
            with (self.made / "images").open("a", encoding="utf-8") as images:
                images.write(f"{image}\n")
        Path("var").mkdir(exist_ok=True)
        options = [*CONFINED, *self._mount("var"), *_variables(BRANCH=here.branch, IMAGE=image)]
        if needs.said_here(here):
            asked = needs.of_container(self.engine, image)
            needs.refuse_more(self.engine, image, asked)
            options += needs.options_of(asked)
        if Path("data").is_dir():
            options += self._mount("data", ",readonly")
        options += [word for variable in variables() for word in ("--env", variable)]
        if Path(COMPOSE).exists():
            options += self.start_database()
        if mlflow := tracking():
            options += mlflow.start_server(self)
        return Run(self, image, options)

    def start_database(self) -> list[str]:
        """Start the database; return docker run's options by which a container reaches it.

        Raises:
            Problem: it does not start.
        """
        open_to_all(Path("develop/seed.sql"))
        if not self.engine.start(self.name, self.files, "database"):
            raise Problem("the database did not start; where develop/seed.sql is to blame, mend it and make clean")
        self.here.say(f"the database runs on as container {self.database}, until make clean")
        secrets = f"type=volume,source={self.name}_secrets,target=/run/secrets,readonly"
        return ["--network", f"{self.name}_default", "--mount", secrets]

    def inside(self) -> NoReturn:
        """Run DO, or a shell, in the devcontainer's image on this folder, without an editor.

        Raises:
            Problem: there is no engine, or the image cannot be built.
        """
        here, command = self.here, ("sh", "-c", os.environ.get("DO") or "bash")
        if why := self.obstacle():
            if IN_DEVCONTAINER:
                become(*command)  # it is there already
            raise Problem(f"{why}: the devcontainer's image needs one")
        image = self.engine.build("dev", "--tag", f"{here.project}:dev-{self.slug}")
        place, folder = f"/workspaces/{here.project}", self.folder
        if inner := version.folder_in_workspace():  # the whole workspace, of which this is a folder
            folder = folder.removesuffix(f"/{inner}")
        mount = f'type=bind,"source={folder}",target={place}'
        told = ["--env", "HOME=/tmp", "--env", "CI", *_variables(BRANCH=here.branch)]
        options = ["--workdir", f"{place}/{inner}".rstrip("/"), "--mount", mount, *told]
        cache = os.environ.get("BUILD_CACHE", "")
        if cache and not cache.startswith("/"):  # what mypy knows of libraries is kept with the image that they are in
            options += ["--env", f"MYPY_CACHE_DIR={cache}/mypy"]
        become(*self.container(*options, image, *command))

    def container(self, *arguments: str) -> list[str]:
        """The command of a container that runs as this user."""
        terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
        shown = ["--interactive", "--tty"] if terminal else []
        unlabelled = ("--security-opt", "label=disable")
        return ["docker", "run", "--rm", "--init", "--user", self.user(), *unlabelled, *shown, *arguments]

    def user(self) -> str:
        """Whose a container's files in this folder become: those of the one who is here."""
        return "0:0" if "name=rootless" in self.engine.facts else f"{os.getuid()}:{os.getgid()}"

    def local(self, *arguments: str, give: str | None = None) -> NoReturn:
        """Call the command line here, on the database in its container, with some text to read.

        The URL is the same as in the containers; libpq takes the rest from the environment.
        """
        env: dict[str, str] = {}
        if not Path(COMPOSE).exists():
            pass
        elif why := self.obstacle():
            if f"{PREFIX}DATABASE__URL" in self.unnamed():
                other = "make develop tells how to name another"
                arguments = self._without(f"{why}, and so no database in a container: {other}", arguments)
        elif not setting("DATABASE__URL"):
            port = self.engine.ask("port", self.database, "5432/tcp")
            if port:
                password = self.engine.ask("exec", self.database, "cat", "/run/secrets/PGPASSWORD")
                address, _, number = port.rpartition(":")
                env = {"PGHOSTADDR": address, "PGPORT": number, "PGPASSWORD": password}
            else:
                arguments = self._without("no database runs on this branch: make develop starts it", arguments)
        if give is None:
            become(self.here.command, *arguments, env=env)
        end_with(call(self.here.command, *arguments, give=give, env=env))

    def _without(self, why: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """What can be looked at without a database: logs are files; status knows the stages that are deployed."""
        if arguments[:1] == ("logs",):
            return arguments
        self.here.say(why)
        if arguments[:1] != ("status",):
            sys.exit(1)
        if "--deployed" not in arguments:
            sys.exit(0)
        return (*arguments, "--deployed-only")

    def clean(self) -> None:
        """Remove this branch's containers, images, volumes and results, once somebody says yes.

        Raises:
            Problem: nobody does.
        """
        here, engine, made = self.here, self.engine, self.made
        question = f"remove {made}, with the reports and rows of its runs ({len(list(made.rglob('run.json')))})"
        if why := self.obstacle():
            here.say(f"{why}: no containers to remove")
            if not made.is_dir():
                here.say(f"no {made}: nothing to remove")
                return
            here.sure("YES", "1", question)
        else:
            here.sure("YES", "1", f"{question}, and the containers, images and volumes of {self.name}")
            for container in engine.ask("ps", "--quiet", "--filter", f"name=^{self.name}-run-").split():
                engine.do("rm", "--force", container, out=False)
            if self.files and not engine.compose(self.name, self.files, "down", "--volumes"):
                raise Problem(f"the containers of {self.name} cannot be removed")
            engine.ask("image", "rm", f"{here.project}:{self.slug}", f"{here.project}:dev-{self.slug}")
            images = (made / "images").read_text(encoding="utf-8").split() if (made / "images").exists() else []
            for image in sorted(set(images)):
                if engine.ask("image", "inspect", "--format", "{{len .RepoTags}}", image) == "0":
                    engine.ask("image", "rm", image)  # one that another container runs stays
            here.say(f"removed the containers, images and volumes of {self.name}")
        if made.exists():
            shutil.rmtree(made)
        here.say(f"removed {made}")

    def unnamed(self) -> list[str]:
        """The variables that have to name databases of another server, as the settings name that of the container."""
        if not Path(COMPOSE).exists() or IN_DEVCONTAINER:
            return []
        return sorted(PREFIX + name for name in _in_container(self.here.settings()) if not setting(name))

    def advise(self, why: str, unnamed: list[str]) -> NoReturn:
        """Tell all that it takes to go on without the container, and no more."""
        self.here.say(f"{why}, and so no database in a container; name one of a PostgreSQL server of your own:")
        sources = [name for name in unnamed if name.endswith("__DATABASE_URL")]
        made = "'postgresql://USER@localhost/develop-{branch}'    # made if it is missing"
        urls = {name: "postgresql://USER@localhost/source" if name in sources else made for name in unnamed}
        lines = [f"    export {name}={url}" for name, url in urls.items()]
        lines.append("    export PGPASSWORD=…    # where the server asks for one")
        for name in sources[:1]:
            lines += [
                "and the example's data into it:",
                "    psql postgresql://USER@localhost/postgres --command 'CREATE DATABASE source'",
                "    psql postgresql://USER@localhost/source --quiet --file develop/seed.sql",
                f"or instead, data that is made up: export {name.removesuffix('DATABASE_URL')}SOURCE=sample",
            ]
        print(*lines, sep="\n", file=sys.stderr)
        sys.exit(1)

    def _mount(self, folder: str, more: str = "") -> list[str]:
        return ["--mount", f'type=bind,"source={self.folder}/{folder}",target=/app/{folder}{more}']


def tracking() -> Any:
    """The module that starts MLflow's server, which is there where MLflow keeps the runs; otherwise None."""
    is_there = Path(__file__).with_name("tracking.py").exists()
    return import_module(".tracking", __package__) if is_there else None


def _in_container(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The settings of a section, and of those in it, whose value is the URL of the database in its container."""
    for key, value in section.items():
        name = f"{prefix}{key.upper()}"
        if isinstance(value, dict):
            yield from _in_container(value, f"{name}__")
        elif key in ("url", "database_url") and re.match("postgres[a-z]*://.*@database[:/]", str(value)):
            source = setting(f"{prefix}SOURCE") or str(section.get("source", ""))
            if key == "url" or source.startswith(("table:", "query:")):
                yield name


def _variables(**values: str) -> list[str]:
    return [word for name, value in values.items() for word in ("--env", f"{PREFIX}{name}={value}")]
