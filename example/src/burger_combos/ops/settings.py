"""A stage's settings: `<stage>/settings.toml` and `<stage>/platform.toml`, overridden by environment variables.

The first is the project's own: data, model, gate. The second is kept by the template: database, schedule, deployment.

The variable for `[database] url` in package `shop` is `SHOP_DATABASE__URL`; secrets belong there. A container may be
given them as files: `/run/secrets/NAME` is taken for the variable NAME.
"""

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from . import PREFIX as PREFIX
from . import settings_files
from .problems import Problem, meant, told_in_one_line
from .resources import Resources
from .settings_errors import all_variables, complaint
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


def of_branch(value: Any) -> Any:
    """A text with the git branch's name filled in."""
    return value.replace("{branch}", branch()) if isinstance(value, str) else value


class Database(Section):
    """Where the rows and the records of the runs go."""

    url: Annotated[SecretStr, BeforeValidator(of_branch)] = SecretStr("sqlite:///var/results.db")
    keep_days: NonNegativeInt = 0  # rows of a day that is longer ago than that are removed; 0: none are
    parquet_url: Annotated[str, BeforeValidator(of_branch)] = ""  # each day as Parquet there, too; empty: nowhere
    feast_url: Annotated[str, BeforeValidator(of_branch)] = ""  # where the files of Feast's offline store are


class Runs(Section):
    """What runs leave: log, artifacts, report."""

    folder: Annotated[Path, BeforeValidator(of_branch)] = Path("var/runs")
    keep: PositiveInt = 30
    keep_records_days: NonNegativeInt = 0  # the same of the records in the database; a day with rows keeps its own
    store: Annotated[str, BeforeValidator(of_branch)] = ""  # where machines share it; empty: the folder is enough
    shards: PositiveInt = 1  # how many parts a step is split into that can be


def known_zone(value: str) -> str:
    """The name of a time zone, if it is one."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{value!r} is no time zone, as Europe/Lisbon is") from None
    return value


def interval(every: str) -> tuple[int, str]:
    """The time between two trainings, as a number of days or hours: 14 and "day" for 2w, 12 and "hour" for 12h."""
    number, unit = int(every[:-1]), every[-1]
    return (number, "hour") if unit == "h" else (number * (7 if unit == "w" else 1), "day")


def known_interval(value: str) -> str:
    """The time between two trainings, if it is one; empty where each run trains."""
    if value and not re.fullmatch("[1-9][0-9]{0,3}[hdw]", value):
        raise ValueError(f"{value!r} is no time between two trainings, as 12h, 7d and 2w are")
    return value


class Schedule(Section):
    """When the scheduler runs the pipeline."""

    cron: str = Field(default="0 5 * * *", description="minute hour day month weekday; empty for never")
    timezone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    deadline_minutes: PositiveFloat = 240  # a run that takes longer is stopped
    late_minutes: PositiveFloat = 60  # one that begins later than that was missing: an alert
    late_days: NonNegativeInt = 0  # so many of the last days are done again where their data changed
    train_every: Annotated[str, AfterValidator(known_interval)] = ""  # as 7d; a run takes a younger model; empty: none


class AlertFormat(StrEnum):
    """What a webhook takes."""

    auto = "auto"  # as its address says: Slack's, Teams', or another one
    json = "json"
    slack = "slack"
    teams = "teams"


class Alert(Section):
    """Who is told how a run ended, by HTTP POST; addresses of this kind are secrets."""

    webhook: SecretStr = SecretStr("")  # told of each failed, refused or missing run, and of what one noticed
    format: AlertFormat = AlertFormat.auto
    heartbeat: SecretStr = SecretStr("")  # told of each good one, to miss it when it fails to come


class Scale(Section):
    """The scale check: the pipeline at growing sizes."""

    by: str = ""  # the column of raw.parquet whose values are more or fewer; empty: the first key column that it has
    also: tuple[str, ...] = ()  # other columns whose values are new in copies, so that there are more of them too
    factors: tuple[PositiveFloat, ...] = (0.25, 0.5, 1.0, 2.0)  # times today's; none for no check
    min_quality: NonNegativeFloat = 0.95  # the share of today's quality that is enough at the largest size
    max_exponent: PositiveFloat = 1.5  # of the growth of time and of memory; 1 is in proportion
    max_seconds: PositiveFloat = 3600  # at the largest
    max_memory_mb: PositiveFloat = 8000  # where [resources] says nothing of memory; it came to be before that


class Deploy(Section):
    """What a version has to show before it goes to production, and where its image is kept."""

    registry: str = ""  # as ghcr.io/shop; empty where the engine that runs production also builds
    metric: str = ""  # the one that counts; empty: the first that a run measures
    keep_images: PositiveInt = 5  # of earlier versions, for a rollback, on the engine that builds or runs them
    min_of_production: NonNegativeFloat = 0.95  # this share of production's quality is enough; 0: no comparison
    scale: Scale = Scale()


class Review(Section):
    """How good it really was: what was published for earlier days, beside what has happened since."""

    days: int = Field(default=14, ge=1, le=366)  # the last ones whose outcome is known are looked at
    min_weight: NonNegativeFloat = 30  # a day that rests on less is chance, and is not compared
    judged_days: PositiveInt = 3  # the last ones that can be compared are judged, all together
    min_of_backtest: NonNegativeFloat = 0.8  # this share of what their runs measured is enough; 0: no comparison
    then: Literal["alert", "refuse"] = "alert"  # what to do where it is less


class Drift(Section):
    """What is unusual in a run's input: beside that of the good daily runs before it."""

    then: Literal["alert", "refuse", "ignore"] = "alert"  # refuse: before anything is trained or published
    runs: PositiveInt = 7  # of earlier days, at most; their median is what is usual
    window_days: PositiveInt = 7  # before the run's day, by the table's time_column; without one all rows are compared
    fresh_days: PositiveInt = 1  # without new rows, of the days on which they usually come
    min_rows_share: NonNegativeFloat = 0.5  # fewer rows than this share of the usual
    max_null_rise: NonNegativeFloat = 0.1  # of the share of rows without a value
    min_category_share: PositiveFloat = 0.05  # of the rows; a new or a gone category that has less is not told
    max_psi: PositiveFloat = 0.25  # how far a distribution may move: the population stability index


class Serving(Section):
    """The service that answers by HTTP, where the project has one."""

    host: str = "127.0.0.1"  # the address that it listens at
    port: int = Field(default=8000, ge=0, le=65535)
    token: SecretStr = SecretStr("")  # which each request has to bring; without one only this machine is served


class Sweep(Section):
    """Settings to try, each combination in a trial that publishes nothing; the module `sweep` has the rest."""

    search: Literal["grid", "random"] = "grid"  # each combination; or so many of them, by chance
    trials: NonNegativeInt = 0  # of a random search; a grid has as many as it has
    seed: NonNegativeInt = 1  # of a random search
    parallel: NonNegativeInt = 0  # trials at once; 0: as many as processors and memory allow
    metric: str = ""  # which is compared; empty: the one that counts
    settings: dict[str, Any] = {}  # what to try of each setting: a list or, by chance, a range


class Monitoring(Section):
    """What is watched from day to day."""

    drift: Drift = Drift()
    review: Review = Review()


class StageSettings(BaseSettings):
    """What the machinery itself needs; the project's own settings extend it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True)

    stage: Stage
    database: Database = Database()
    runs: Runs = Runs()
    resources: Resources = Resources()
    schedule: Schedule = Schedule()
    alert: Alert = Alert()
    deploy: Deploy = Deploy()
    monitoring: Monitoring = Monitoring()
    serving: Serving = Serving()
    sweep: Sweep = Sweep()
    tracking: dict[str, dict[str, Any]] = {}  # who else keeps what is known of the runs: a module of `ops` each

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables come before the files."""
        values = settings_files.read(init_settings()["stage"])
        return init_settings, env_settings, InitSettingsSource(settings_cls, values)


S = TypeVar("S", bound=StageSettings)
T = TypeVar("T", bound=Section)


def no_stage(name: str) -> str:
    """What is wrong with a stage's name."""
    return f"stage {name!r} is none of {', '.join(Stage)}{meant(name, Stage)}"


def settings_file(stage: Stage, *keys: str) -> Path:
    """The settings file of a stage, relative to the project's folder.

    Args:
        stage: whose settings.
        keys: those that lead to a value or a section, as `"database", "url"`: it is the file in which they stand, or
            else belong. Without any it is the file that each stage has to have.
    """
    platform = bool(keys) and keys[0] in StageSettings.model_fields and keys[0] != "sweep"  # which is the project's own
    return settings_files.holder(stage, keys, platform=platform)


def origin(stage: Stage, *keys: str) -> str:
    """Where a value is set, or belongs: a variable of the environment, or a file of the stage.

    Args:
        stage: whose settings.
        keys: those that lead to the value.
    """
    here = variables()
    names = (PREFIX + "__".join(keys[:depth]).upper() for depth in range(len(keys), 0, -1))
    variable = next((here[name] for name in names if name in here), None)
    return f"environment variable {variable}" if variable else str(settings_file(stage, *keys))


def enter_project(stage: Stage) -> None:
    """Make the project's folder the working directory: the one that holds this one, or else this package's code.

    Raises:
        Problem: neither is in a folder that holds the stage's settings.
    """
    here, package = Path.cwd(), Path(__file__).resolve().parents[1]
    for folder in (here, *here.parents, *package.parents):
        sources = folder / "src"
        anothers = sources.is_dir() and not (sources / package.name).is_dir()
        if (folder / settings_file(stage)).is_file() and not anothers:
            os.chdir(folder)
            return
    raise Problem(f"{settings_file(stage)}: not found in {here} or above it; run this inside the project")


def load(kind: type[S], stage: Stage) -> S:
    """Read and check the settings of a stage, in the project's folder, to which their paths are relative.

    Raises:
        Problem: there is no such file, it cannot be read, or a key or value is wrong; all that is wrong, in one line.
    """
    enter_project(stage)
    _adopt_secrets()
    _refuse_own_sections(kind)
    try:
        settings = kind(stage=stage)
    except SettingsError as error:
        value = getattr(error.__cause__, "doc", None)  # what JSON could not be read from
        names = [written for written in variables().values() if os.environ[written] == value]
        raise Problem(f"environment variable {', '.join(names)}: not JSON, as a list or a section has to be") from None
    except ValidationError as error:
        raise Problem(_complaints(kind, stage, (), error)) from None
    if kind is not StageSettings:
        _refuse_stray_variables(kind)
    return settings


def section(kind: type[T], stage: Stage, keys: tuple[str, ...], values: dict[str, Any]) -> T:
    """A table of a stage's settings that only its reader knows.

    Args:
        kind: what it may hold.
        stage: whose settings they are.
        keys: where it stands in them.
        values: what it holds.

    Raises:
        Problem: a key or value is wrong; all that is wrong, in one line.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise Problem(_complaints(kind, stage, keys, error)) from None


def _adopt_secrets() -> None:
    for file in SECRETS.glob("*"):
        if re.fullmatch(r"[A-Z]\w*", file.name) and file.is_file():
            try:
                os.environ.setdefault(file.name, file.read_text(encoding="utf-8").strip())
            except OSError as error:
                raise Problem(f"{file}: {error.strerror}") from None
            except UnicodeError:
                raise Problem(f"{file}: not UTF-8 text") from None


def _complaints(kind: type[BaseModel], stage: Stage, above: tuple[str, ...], error: ValidationError) -> str:
    """Where settings are wrong, and how; `above` are the keys that lead to what `kind` holds."""
    told: dict[tuple[int | str, ...], str] = {}
    for detail in sorted(error.errors(), key=lambda each: len(each["loc"]), reverse=True):
        place = detail["loc"]
        if any(other[: len(place)] == place for other in told):
            continue  # a list is not too short for having a wrong value
        keys = [str(key) for key in (*above, *place)]
        told[place] = f"{origin(stage, *keys)}: {'.'.join(keys)}: {complaint(kind, place, detail)}"
    return "; ".join(told.values())


def _refuse_own_sections(kind: type[StageSettings]) -> None:
    """A section of the project's own that is called as one of the machinery came to be."""
    ours: dict[str, tuple[type[BaseModel], str]] = {
        "monitoring": (Monitoring, "0.13.0"),
        "serving": (Serving, "0.14.0"),
        "resources": (Resources, "0.15.0"),
        "sweep": (Sweep, "0.15.0"),
    }
    for name, (section, since) in ours.items():
        found = kind.model_fields[name].annotation
        if not (isinstance(found, type) and issubclass(found, section)):
            raise Problem(
                f"{kind.__module__}.{kind.__name__}.{name}: [{name}] is the machinery's own section since {since}: "
                "rename yours, here and in settings.toml"
            )


def _refuse_stray_variables(kind: type[StageSettings]) -> None:
    known = {name for name in all_variables(kind) if name != "STAGE"}
    alike = {re.sub("_+", "_", name): name for name in known if "__" in name}
    sections = kind.model_fields.keys() - {"stage"}
    for full, written in variables().items():
        name = full[len(PREFIX) :]
        section, nested, _ = name.lower().partition("__")
        others = section.endswith(tuple(f"_{each}" for each in sections))  # of a package whose name goes on
        stray = nested and section not in sections and not others
        if stray or (not nested and name not in known and name in alike):  # as `_` written for `__`
            like = alike.get(re.sub("_+", "_", name), name)
            raise Problem(f"environment variable {written}: no such setting{meant(like, alike.values(), PREFIX)}")


def variables() -> dict[str, str]:
    """This package's environment variables: in capitals, and as they are written."""
    return {name.upper(): name for name in os.environ if name.upper().startswith(PREFIX)}


if __name__ == "__main__":  # the values of some keys, a line for each
    with told_in_one_line():
        if sys.argv[1] not in list(Stage):
            raise Problem(no_stage(sys.argv[1]))
        for name in sys.argv[2:]:
            value: Any = load(StageSettings, Stage(sys.argv[1]))
            for key in name.split("."):
                value = getattr(value, key)
            print(value)
