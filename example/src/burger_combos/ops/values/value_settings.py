"""How values are written in a source: what is missing, numbers, dates."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field, model_validator

from ..settings import Section, StageSettings, known_zone

MISSING = (
    *("-", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "(null)", "None", "NaN", "nan", "NaT", "\\N"),
)  # as programs write it


class ValueSettings(Section):
    """What the values of a table mean."""

    null_values: tuple[str, ...] = MISSING  # with these capitals; text that is empty is missing anyway
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    date_formats: tuple[str, ...] = Field(
        default=("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d"), min_length=1
    )
    timezone: Annotated[str, AfterValidator(lambda name: name and known_zone(name))] = ""
    max_rejected_share: float = Field(default=0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        return self


def full_name(settings: ValueSettings, key: str = "") -> str:
    """A key's name with that of its section, as `data.source`; without a key, the section's own.

    The section is the field of the stage's settings that has this class; where none has, the class's module is taken to
    be called like it.
    """
    kind = type(settings)
    known = dict.fromkeys(name for each in _subclasses(StageSettings) for name in _fields(each, kind))
    machinery = __name__.rpartition(".values.")[0]
    sections = list(known) or ([] if kind.__module__.startswith(machinery) else [kind.__module__.rpartition(".")[2]])
    return " or ".join(".".join(filter(None, (section, key))) for section in sections) or key or "the table"


def _subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _fields(kind: type[BaseModel], wanted: type[BaseModel], *above: str) -> Iterator[str]:
    """The full names of the fields that hold a section of that class."""
    for name, field in kind.model_fields.items():
        for part in _parts(field.annotation):
            if part is wanted:
                yield ".".join((*above, name))
            elif isinstance(part, type) and issubclass(part, BaseModel):
                yield from _fields(part, wanted, *above, name)


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *(part for each in get_args(annotation) for part in _parts(each))]
