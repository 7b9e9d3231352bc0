"""How values are written in a source: what is missing, numbers, dates."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..settings import Section, known_zone

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
