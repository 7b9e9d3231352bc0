"""What a step may use: the section `[resources]` of a stage's settings, and `[resources.NAME]` of one step."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticKnownError

WORD = "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
LABEL = re.compile(f"([a-z0-9.-]+/)?{WORD}=({WORD})?")  # as Kubernetes takes it


class Amounts(BaseModel):
    """What one step may use. Nothing said is 0 or empty: then it has what the target gives by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: float = Field(default=0, ge=0, allow_inf_nan=False)  # processors
    memory_mb: int = Field(default=0, ge=0)  # of 1024 × 1024 bytes, as all sizes here
    gpu: int = Field(default=0, ge=0)  # NVIDIA's
    shm_mb: int = Field(default=0, ge=0)  # of /dev/shm, by which processes share tensors; it counts as memory, too
    node: str = ""  # on which machines: their labels as pool=gpu,zone=a, or the name of a queue

    @property
    def labels(self) -> dict[str, str] | None:
        """The labels that `node` tells; None where it tells something else."""
        pairs = [each.strip() for each in self.node.split(",")] if self.node else []
        found = dict(each.split("=") for each in pairs if LABEL.fullmatch(each))
        return found if len(found) == len(pairs) else None


def _refuse_value(value: Any) -> Any:
    """What is no section is meant as a key, and there is none of that name."""
    if isinstance(value, dict | Amounts):
        return value
    raise PydanticKnownError("extra_forbidden")


class Resources(Amounts):
    """What each step may use, and by its name what another one may."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Annotated[Amounts, BeforeValidator(_refuse_value)]] = Field(init=False)

    @property
    def named(self) -> dict[str, Amounts]:
        """What is said of single steps, by name."""
        return dict(self.__pydantic_extra__)

    def of(self, step: str) -> Amounts:
        """What a step may use: what is said of it and, where nothing is, what is said of all."""
        common = {key: getattr(self, key) for key in Amounts.model_fields}
        own = self.named.get(step)
        return Amounts(**common | (own.model_dump(exclude_unset=True) if own else {}))
