"""Whether the settings may be what a sweep tries; everything is checked before anything runs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from .. import provenance, records
from ..problems import Problem, meant
from ..settings import PREFIX, StageSettings, load, settings_file, variables
from ..version import commit
from .combinations import Combination
from .plan import as_text

S = TypeVar("S", bound=StageSettings)


def now(settings: StageSettings) -> dict[str, Any]:
    """The settings that make a result, by full name."""
    return {name: value for name, value in provenance.in_force(settings).items() if provenance.makes_result(name)}


def refuse(settings: StageSettings, trials: Sequence[Combination]) -> None:
    """Refuse settings that are none of the project's own, and values that they cannot have.

    Args:
        settings: those of the stage, with the project's own sections.
        trials: what each trial sets.

    Raises:
        Problem: a setting is unknown or set by an environment variable, a value is not of its type, or the metric is
            none that this version has measured.
    """
    where, known = settings_file(settings.stage, "sweep"), now(settings)
    for name in trials[0]:
        told = f'{where}: sweep.settings: "{name}"'
        if name not in known:
            if name.partition(".")[0] in StageSettings.model_fields:
                raise Problem(f"{told} changes no result: only settings of the project's own sections are tried")
            raise Problem(f"{told}: no such setting" + (meant(name, known) or f"; known: {', '.join(known)}"))
        if known[name] == provenance.MASK:
            raise Problem(f"{told} is a secret: it would stand in the records of the trials")
        if variable := variables().get(variable_of(name).upper()):
            raise Problem(f"{told}: environment variable {variable} sets it, for every trial: unset that")
    for each in trials:
        _refuse_values(type(settings), settings, each, str(where))
    _refuse_metric(settings, str(where))


@contextmanager
def under(combination: Combination) -> Iterator[None]:
    """The environment variables that set what a trial tries."""
    before = dict(os.environ)
    os.environ.update({variable_of(name): as_text(value) for name, value in combination.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper().replace(".", "__")


def _refuse_values(kind: type[S], settings: StageSettings, combination: Combination, where: str) -> None:
    with under(combination):
        try:
            found = now(load(kind, settings.stage))
        except Problem as problem:
            text = str(problem)
            for name in combination:
                text = text.replace(f"environment variable {variable_of(name)}: ", f"{where}: sweep.settings: ")
            raise Problem(text) from None
    for name, value in combination.items():
        if found.get(name) != value:
            raise Problem(f'{where}: sweep.settings: "{name}": {value!r} would be taken for {found.get(name)!r}')


def _refuse_metric(settings: StageSettings, where: str) -> None:
    """Refuse a metric that the last good run of this commit has not measured; without one, the first trial tells."""
    wanted = settings.sweep.metric
    if not wanted or commit().endswith(("-dirty", "uncommitted", "unknown")):
        return
    last = records.good(settings, git_commit=commit())
    if last:
        refuse_unmeasured(wanted, list(last.metrics), where)


def refuse_unmeasured(wanted: str, known: Sequence[str], where: str) -> None:
    """Refuse a metric that is not among those that were measured.

    Raises:
        Problem: it is not.
    """
    if wanted not in known:
        listed = f"; measured: {', '.join(known)}" if known else "; no metric is measured"
        raise Problem(f"{where}: sweep.metric: {wanted!r} is not measured{meant(wanted, known) or listed}")
