"""A stage's settings: `<stage>/settings.toml`, overridden by environment variables.

The variable for `[orders] source` in package `shop` is `SHOP_ORDERS__SOURCE`; secrets belong there. A container may be
given them as files: `/run/secrets/NAME` is taken for the variable NAME.
"""

import os
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PositiveInt, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from . import PREFIX as PREFIX
from .problems import Problem
from .version import branch

SECRETS = Path("/run/secrets")


class Stage(StrEnum):
    """Where a run takes place; each has a folder of that name."""

    explore = "explore"
    develop = "develop"
    production = "production"


class Section(BaseModel):
    """One table of a settings file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _of_branch(value: Any) -> Any:
    return value.replace("{branch}", branch()) if isinstance(value, str) else value


class Database(Section):
    """Where the rows and the records of the runs go."""

    url: Annotated[SecretStr, BeforeValidator(_of_branch)] = SecretStr("sqlite:///var/results.db")


class Runs(Section):
    """The folders of the runs: log, artifacts, report."""

    folder: Annotated[Path, BeforeValidator(_of_branch)] = Path("var/runs")
    keep: PositiveInt = 30


class StageSettings(BaseSettings):
    """What the machinery itself needs; the project's own settings extend it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True)

    stage: Stage
    database: Database = Database()
    runs: Runs = Runs()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables come before the file."""
        stage = init_settings()["stage"]
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file(stage))


S = TypeVar("S", bound=StageSettings)


def settings_file(stage: Stage) -> Path:
    """The settings file of a stage, relative to the project's folder."""
    return Path(stage) / "settings.toml"


def enter_project(stage: Stage) -> None:
    """Make the project's folder the working directory, from anywhere inside it.

    Raises:
        Problem: no folder from here upwards holds the stage's settings.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / settings_file(stage)).is_file():
            os.chdir(folder)
            return
    raise Problem(f"{settings_file(stage)}: not found in {here} or above it; run this inside the project")


def load(kind: type[S], stage: Stage) -> S:
    """Read and check the settings of a stage.

    Raises:
        Problem: the file cannot be read, or a key or value is wrong; all that is wrong, in one line.
    """
    file = settings_file(stage)
    _adopt_secrets()
    try:
        settings = kind(stage=stage)
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{file}: not valid TOML: {error}") from None
    except SettingsError as error:
        value = getattr(error.__cause__, "doc", None)  # what JSON could not be read from
        names = [written for written in _variables().values() if os.environ[written] == value]
        raise Problem(f"environment variable {', '.join(names)}: not JSON, as a list or a section has to be") from None
    except ValidationError as error:
        raise Problem("; ".join(_complaint(file, detail) for detail in error.errors())) from None
    if kind is not StageSettings:
        _refuse_stray_variables(kind)
    return settings


def _adopt_secrets() -> None:
    for file in SECRETS.glob("*"):
        if re.fullmatch(r"[A-Z]\w*", file.name) and file.is_file():
            try:
                os.environ.setdefault(file.name, file.read_text(encoding="utf-8").strip())
            except OSError as error:
                raise Problem(f"{file}: {error.strerror}") from None
            except UnicodeError:
                raise Problem(f"{file}: not UTF-8 text") from None


def _complaint(file: Path, detail: Any) -> str:
    keys = [str(key) for key in detail["loc"]]
    here = _variables()
    names = (PREFIX + "__".join(keys[:depth]).upper() for depth in range(len(keys), 0, -1))
    where = next((f"environment variable {here[name]}" for name in names if name in here), file)
    what = "unknown key" if detail["type"] == "extra_forbidden" else detail["msg"].lower()
    return f"{where}: {'.'.join(keys)}: {what}"


def _refuse_stray_variables(kind: type[StageSettings]) -> None:
    sections = kind.model_fields.keys() - {"stage"}
    for name, written in _variables().items():
        section, nested, _ = name[len(PREFIX) :].lower().partition("__")
        others = section.endswith(tuple(f"_{each}" for each in sections))  # of a package whose name goes on
        if nested and section not in sections and not others:
            raise Problem(f"environment variable {written}: no such setting")


def _variables() -> dict[str, str]:
    """This package's environment variables: in capitals, and as they are written."""
    return {name.upper(): name for name in os.environ if name.upper().startswith(PREFIX)}
