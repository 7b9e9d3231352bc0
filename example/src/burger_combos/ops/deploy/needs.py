"""What the steps of an image may use, as `[resources]` of its settings says, and the options of docker run for it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..problems import Problem
from .checkout import PACKAGE, PREFIX, Checkout, variables
from .engine import Engine

MODULE = f"{PACKAGE}.ops.needs"
AMOUNTS = ("cpu", "memory_mb", "gpu", "shm_mb")
MB = 2**20


@dataclass(frozen=True)
class Needs:
    """What a step may use, or a container that does several steps; 0 or empty where nothing is said.

    Attributes:
        cpu: processors.
        memory_mb: of 1024 × 1024 bytes.
        gpu: how many.
        shm_mb: of /dev/shm.
        node: on which machines, as it is written.
        labels: what `node` tells as labels; None where it tells something else.
        where: the file, or the variable, and the key of each of these.
    """

    cpu: float = 0
    memory_mb: int = 0
    gpu: int = 0
    shm_mb: int = 0
    node: str = ""
    labels: dict[str, str] | None = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)

    def refuse(self, key: str, why: str) -> NoReturn:
        """Refuse what is said by a key.

        Raises:
            Problem: always.
        """
        value = getattr(self, key)
        raise Problem(f"{self.where[key]}: {f'{value:g}' if isinstance(value, float) else value}: {why}")


def of_steps(engine: Engine, image: str) -> dict[str, Needs]:
    """What each step of an image may use, by name; nothing where nothing is said, or where the image is of before.

    Raises:
        Problem: the image refuses what its settings say.
    """
    ended = engine.python(image, "-m", MODULE, engine.here.stage, tell=by_variables(), errors=False)
    if ended.returncode and f"No module named {MODULE}" in ended.stderr:
        return {}
    if ended.returncode:
        *_, last = ended.stderr.strip().splitlines() or [f"what {MODULE} says cannot be read"]
        raise Problem(last.removeprefix("error: "))
    return {step: Needs(**said) for step, said in json.loads(ended.stdout).items()}


def of_container(engine: Engine, image: str) -> Needs:
    """What one container may use that does all steps of an image: each time what the step may that needs most of it.

    Raises:
        Problem: the image refuses what its settings say, or two steps are to be on different machines.
    """
    steps = list(of_steps(engine, image).values())
    if not steps:
        return Needs()
    places = {needs.node: needs for needs in steps if needs.node}
    if len(places) > 1:
        first, other, *_ = places.values()
        other.refuse("node", f"all steps are done on one machine here, and {first.where['node']} is {first.node}")
    most = {key: max(steps, key=lambda needs: float(getattr(needs, key))) for key in AMOUNTS}
    most["node"] = next(iter(places.values()), steps[0])
    found: dict[str, Any] = {key: getattr(needs, key) for key, needs in most.items()}
    where = {key: needs.where[key] for key, needs in most.items()}
    return Needs(**found, labels=most["node"].labels, where=where)


def refuse_unlabelled(asked: Iterable[Needs]) -> None:
    """Refuse nodes of a cluster that are named otherwise than by their labels.

    Raises:
        Problem: there are such.
    """
    for needs in asked:
        if needs.labels is None:
            needs.refuse("node", "the labels of nodes are expected, as pool=gpu or pool=gpu,zone=a")


def options_of(needs: Needs) -> list[str]:
    """The options of docker run for what a container may use; of nothing that is not said."""
    limits = [f"--cpus={needs.cpu:g}"] if needs.cpu else []
    limits += [f"--memory={needs.memory_mb}m"] if needs.memory_mb else []
    limits += [f"--shm-size={needs.shm_mb}m"] if needs.shm_mb else []
    return limits + _gpus(needs)


def refuse_more(engine: Engine, image: str, needs: Needs) -> None:
    """Refuse what the engine's machine does not have, or the engine does not give: a container shows that.

    Raises:
        Problem: there is something of that.
    """
    if not (options := options_of(needs)):
        return
    processors, memory = map(int, engine.ask("info", "--format", "{{.NCPU}} {{.MemTotal}}").split())
    if needs.cpu > processors:
        needs.refuse("cpu", f"the container engine's machine has {processors}")
    if needs.memory_mb > memory // MB:
        needs.refuse("memory_mb", f"the container engine's machine has {memory // MB}")
    if (gpus := _gpus(needs)) and (said := _tried(engine, image, gpus)):
        needs.refuse("gpu", f"the container engine gives none: {said}")
    if said := _tried(engine, image, options):
        raise Problem(f"[resources] of {engine.here.stage}: the container engine refuses {' '.join(options)}: {said}")


def by_variables() -> list[str]:
    """The variables here that say something of it."""
    return [name for name in variables() if name.upper().startswith(f"{PREFIX}RESOURCES__")]


def said_here(here: Checkout) -> bool:
    """Whether the settings say anything of it that are checked out; to ask an image takes a second."""
    return bool(by_variables() or _anything(here.settings().get("resources", {})))


def _anything(section: dict[str, Any]) -> bool:
    return any(_anything(value) if isinstance(value, dict) else value for value in section.values())


def _gpus(needs: Needs) -> list[str]:
    return [f"--gpus={needs.gpu}"] if needs.gpu else []


def _tried(engine: Engine, image: str, options: list[str]) -> str:
    """What the engine says where it cannot start a container with these options; nothing where it can."""
    ended = engine.do("run", "--rm", "--network=none", "--entrypoint=true", *options, image, out=False, errors=False)
    said = [line.strip() for line in ended.stderr.splitlines() if line.strip()] or ["it says nothing"]
    return said[0].rpartition("Error response from daemon: ")[2] if ended.returncode else ""
