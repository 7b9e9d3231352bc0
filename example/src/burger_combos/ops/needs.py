"""What each step of the pipeline may use; as a program, in JSON, for whoever starts containers: needs.py STAGE."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import Any

from .problems import Problem, meant, told_in_one_line
from .resources import Amounts, Resources
from .settings import Stage, StageSettings, load, origin


def of_steps(settings: StageSettings, steps: Sequence[str]) -> dict[str, Amounts]:
    """What each step may use, by name, in their order.

    Args:
        settings: those of the stage.
        steps: the names of STEPS of pipeline.py.

    Raises:
        Problem: a section is of no step, more memory is shared than there is, or another key says the memory as well.
    """
    resources, scale = settings.resources, settings.deploy.scale
    for name in resources.named:
        if name not in steps:
            known = f"the steps of pipeline.py are {', '.join(steps)}{meant(name, steps)}"
            raise Problem(f"{origin(settings.stage, 'resources', name)}: resources.{name}: no such step: {known}")
    needs = {step: resources.of(step) for step in steps}
    for step, amounts in needs.items():
        if 0 < amounts.memory_mb < amounts.shm_mb:
            where = place(settings, step, "shm_mb")
            raise Problem(f"{where}: {amounts.shm_mb} is part of memory_mb, which is {amounts.memory_mb}")
    if "max_memory_mb" in scale.model_fields_set and largest_memory(needs.values()):
        where = origin(settings.stage, "deploy", "scale", "max_memory_mb")
        raise Problem(f"{where}: deploy.scale.max_memory_mb: resources.memory_mb says it: leave this key out")
    return needs


def of_task(settings: StageSettings, steps: Sequence[str]) -> Amounts:
    """What one task may use that does all steps: each time what the step may that needs most of it.

    Raises:
        Problem: as `of_steps`, or two steps are to be on different machines.
    """
    needs = of_steps(settings, steps)
    places = {amounts.node: step for step, amounts in needs.items() if amounts.node}
    if len(places) > 1:
        first, other, *_ = places.values()
        both = f"{place(settings, first, 'node')} is {needs[first].node}"
        raise Problem(f"{place(settings, other, 'node')}: a trial does all steps on one machine, and {both}")
    most = {key: max(getattr(amounts, key) for amounts in needs.values()) for key in Amounts.model_fields}
    return Amounts(**most)


def largest_memory(needs: Iterable[Amounts]) -> int:
    """The memory of the step that may use most, in MB; 0 where nothing is said of any."""
    return max((amounts.memory_mb for amounts in needs), default=0)


def place(settings: StageSettings, step: str, key: str) -> str:
    """The file, or the variable, and the key that say something of a step: those of the step itself, or else of all."""
    own = settings.resources.named.get(step)
    keys = ("resources", step, key) if own and key in own.model_fields_set else ("resources", key)
    return f"{origin(settings.stage, *keys)}: {'.'.join(keys)}"


def told(settings: StageSettings) -> dict[str, dict[str, Any]]:
    """What is said of each step, with file and key of each amount; nothing where nothing is said of any.

    Raises:
        Problem: as `of_steps`.
    """
    if settings.resources == Resources():
        return {}  # and the pipeline with its libraries need not be imported
    from ..pipeline import STEPS
    from .steps import names

    return {
        step: {
            **amounts.model_dump(),
            "labels": amounts.labels,
            "where": {key: place(settings, step, key) for key in Amounts.model_fields},
        }
        for step, amounts in of_steps(settings, names(STEPS)).items()
    }


if __name__ == "__main__":
    with told_in_one_line():
        with redirect_stdout(sys.stderr):  # whatever a library says when it is imported
            said = told(load(StageSettings, Stage(sys.argv[1])))
        print(json.dumps(said))
