"""What each step of the pipeline may use; as a program, in JSON, for whoever starts the containers: needs.py STAGE."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout

from .problems import Problem, meant, told_in_one_line
from .resources import Amounts
from .settings import Stage, StageSettings, load, settings_file


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
            file = settings_file(settings.stage, "resources", name)
            known = f"pipeline.py has the steps {', '.join(steps)}{meant(name, steps)}"
            raise Problem(f"{file}: resources.{name}: no such step: {known}")
    needs = {step: resources.of(step) for step in steps}
    for step, amounts in needs.items():
        if 0 < amounts.memory_mb < amounts.shm_mb:
            where = named(settings, step, "shm_mb")
            raise Problem(f"{where}: {amounts.shm_mb}, and memory_mb, of which it is a part, is {amounts.memory_mb}")
    if "max_memory_mb" in scale.model_fields_set and largest_memory(needs.values()):
        file = settings_file(settings.stage, "deploy", "scale", "max_memory_mb")
        raise Problem(f"{file}: deploy.scale.max_memory_mb: resources.memory_mb says it: leave this key out")
    return needs


def largest_memory(needs: Iterable[Amounts]) -> int:
    """The memory of the step that may use most, in MB; 0 where nothing is said of any."""
    return max((amounts.memory_mb for amounts in needs), default=0)


def named(settings: StageSettings, step: str, key: str) -> str:
    """File and key that say something of a step: those of the step itself, or else of all."""
    own = settings.resources.named.get(step)
    keys = ("resources", step, key) if own and key in own.model_fields_set else ("resources", key)
    return f"{settings_file(settings.stage, *keys)}: {'.'.join(keys)}"


if __name__ == "__main__":
    with told_in_one_line():
        with redirect_stdout(sys.stderr):  # whatever a library says when it is imported
            from ..pipeline import STEPS, Settings
            from .steps import names

            stage = load(Settings, Stage(sys.argv[1]))
            found = of_steps(stage, names(STEPS))
        keys = Amounts.model_fields
        print(
            json.dumps(
                {step: {key: (getattr(amounts, key), named(stage, step, key)) for key in keys} for step, amounts in found.items()}
            )
        )
