"""What is checked out here, and what is called after it."""

import os
import re
import sys
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import PREFIX as PREFIX
from .. import version
from ..problems import Problem
from .programs import call

PACKAGE = __name__.partition(".")[0]
VENV = os.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv"
IN_DEVCONTAINER = VENV == "/opt/venv"
PYTHON = f"{VENV}/bin/python"  # where the libraries are


class Checkout:
    """A stage of what is checked out."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    @cached_property
    def _pyproject(self) -> dict[str, Any]:
        found: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
        return found

    @property
    def project(self) -> str:
        """The name of images and containers, as shop-combos."""
        return str(self._pyproject["name"])

    @property
    def version(self) -> str:
        """The project's version."""
        return str(self._pyproject.get("version", ""))

    @property
    def command(self) -> str:
        """The command line of the locked environment."""
        return f"{VENV}/bin/{self.project}"

    @property
    def commit(self) -> str:
        """The commit, with -dirty where there are changes that it does not hold."""
        return version.commit()

    @property
    def branch(self) -> str:
        """The branch as a name for what is made of it."""
        return version.branch()

    @property
    def name(self) -> str:
        """What this stage of this branch is called where it is deployed."""
        return f"{self.project}-{self.stage}-{self.branch}"

    def say(self, text: str) -> None:
        """Tell on standard error what is going on."""
        print(f"{self.stage}: {text}", file=sys.stderr, flush=True)

    def sure(self, variable: str, value: str, question: str) -> None:
        """Ask on the terminal whether somebody means it, unless a variable says so.

        Raises:
            Problem: nobody does.
        """
        if os.environ.get(variable) == value:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise Problem(f"{question}? Nothing was removed; {variable}={value} says that you mean it")
        print(f"{self.stage}: {question}? [y/N] ", end="", file=sys.stderr, flush=True)
        if not sys.stdin.readline().lower().startswith("y"):
            raise Problem("nothing was removed")

    def set_up(self) -> None:
        """Install the locked environment where it is missing, as in CI."""
        if not os.access(self.command, os.X_OK) and call("sh", "develop/setup.sh").returncode:
            raise Problem("the environment cannot be set up")

    def settings(self) -> dict[str, Any]:
        """The stage's settings as its files have them, by section."""
        found: dict[str, Any] = {}
        for file in (Path(self.stage, "settings.toml"), Path(self.stage, "platform.toml")):
            try:
                sections = tomllib.loads(file.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue
            except tomllib.TOMLDecodeError as error:
                raise Problem(f"{file}: {error}") from None
            for name, section in sections.items():
                found[name] = found.get(name, {}) | section if isinstance(section, dict) else section
        return found


def variables() -> list[str]:
    """This package's settings among the environment variables, by name."""
    return [name for name in os.environ if re.match(f"{PREFIX}.*__", name.upper())]


def setting(name: str) -> str:
    """What an environment variable says of a setting, which is named without the package's prefix."""
    return os.environ.get(PREFIX + name, "")
