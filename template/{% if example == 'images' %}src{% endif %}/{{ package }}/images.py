"""Yours: where the images and their labels come from, and what an image is."""

from base64 import b64decode
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
import pandera.polars as pa
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import Field, PositiveInt, model_validator

from .ops.settings import Section
from .ops.tables import TableSettings
from .ops.threads import in_threads
from .sample import SampleSettings

Pixels = NDArray[np.uint8]  # shape (images, channels, size, size)

ANY_ZONE = timedelta(hours=14)  # by which a day may end later, or begin earlier, than in UTC
EARLY, LATE = "is before 1900", "is in the future"
AT_ONCE = 500  # images that a thread reads


class Columns(Section):
    """What the columns are called in the source; "" for one that is not there.

    Each image is in one of two columns: `file` has its path in the folder, or `content` its bytes in base64.
    """

    image: str = "image"
    file: str = ""
    content: str = "content"
    label: str = "label"
    added_at: str = "added_at"
    labelled_at: str = "labelled_at"


class ImageSettings(TableSettings):
    """The section `[images]` of a stage's settings."""

    source: str = Field(
        default="sample", min_length=1, description="sample, FILE.csv, FILE.parquet, their URL, or table:NAME"
    )
    time_column: str = "added_at"  # rows of the run's day, or later, are left out
    columns: Columns = Columns()
    folder: str = ""  # where the files lie that the column `file` names
    labels: tuple[str, ...] = ()  # those that there are; another one is a mistake; empty: all that occur
    size: int = Field(default=8, ge=8, le=512, multiple_of=4)  # pixels: each image is scaled to size × size
    color: bool = False  # whether colours count; else images are grey
    review_days: PositiveInt = 10  # how long after it came an image may get its label
    sample: SampleSettings = SampleSettings()

    @property
    def holder(self) -> str:
        """Our name of the column that has the images."""
        return "content" if self.columns.content else "file"

    @property
    def channels(self) -> int:
        """How many numbers a pixel has."""
        return 3 if self.color else 1

    @model_validator(mode="after")
    def _one_holder(self) -> Self:
        if bool(self.columns.file) == bool(self.columns.content):
            raise ValueError('columns: either file or content names a column, and the other one is ""')
        if self.columns.file and not self.folder:
            raise ValueError("columns.file names a column of paths: folder says where these files lie")
        return self


class Reader:
    """Reads the images that a table holds, and keeps their pixels."""

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        self._pixels: dict[str, Pixels] = {}

    def has_file(self, held: pl.Series) -> pl.Series:
        """Whether each value is the path of a file in the folder; shape (images,)."""
        return pl.Series([value is None or self._file(value) is not None for value in held], dtype=pl.Boolean)

    def is_picture(self, held: pl.Series) -> pl.Series:
        """Whether each value leads to a picture that can be read, shape (images,); what `has_file` refuses counts."""
        new = [value for value in held.unique() if value is not None and value not in self._pixels]
        slices = (new[start : start + AT_ONCE] for start in range(0, len(new), AT_ONCE))
        for found in in_threads(self._read, slices):
            self._pixels |= found
        return pl.Series(
            [value is None or value in self._pixels or self._lost(value) for value in held], dtype=pl.Boolean
        )

    def pixels(self, held: pl.Series) -> Pixels:
        """The pixels of images that were read before, shape (images, channels, size, size)."""
        shape = (len(held), self._settings.channels, self._settings.size, self._settings.size)
        found = np.empty(shape, np.uint8)
        for place, value in enumerate(held):
            found[place] = self._pixels[value]
        return found

    def _lost(self, value: str) -> bool:
        return self._settings.holder == "file" and self._file(value) is None

    def _file(self, value: str) -> Path | None:
        """The file of a path in the folder; None where there is none, or it lies outside."""
        folder = Path(self._settings.folder).resolve()
        file = (folder / value).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None

    def _read(self, values: Iterable[str]) -> dict[str, Pixels]:
        """The pixels of each of them that is a picture."""
        found = {}
        for value in values:
            try:
                file = self._file(value) if self._settings.holder == "file" else None
                if self._settings.holder == "content":
                    content = decoded(value)
                elif file:
                    content = file.read_bytes()
                else:
                    continue
                found[value] = picture(content, self._settings.size, color=self._settings.color)
            except (OSError, ValueError):
                continue
        return found


def decoded(text: str) -> bytes:
    """The bytes of base64, which may be broken into lines.

    Raises:
        ValueError: it is none.
    """
    return b64decode("".join(text.split()), validate=True)


def picture(content: bytes, size: int, *, color: bool) -> Pixels:
    """The pixels of an image file, shape (channels, size, size): upright, on white, scaled to a square.

    Raises:
        ValueError: it is no picture with 8 bits a channel that Pillow reads, or is broken.
    """
    try:
        with Image.open(BytesIO(content)) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(("I", "F")):  # whose numbers have no agreed white
                raise ValueError(f"mode {image.mode}")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB" if color else "L").resize((size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # as each of Pillow's formats raises its own
        raise ValueError(f"no picture: {error}") from error
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if color else pixels[None]


def schema(today: date, settings: ImageSettings, reader: Reader) -> pa.DataFrameSchema:
    """An image: what it is called, where its pixels are, its label if somebody has given it one, and when both came.

    A row that does not fit is set aside with the reason given here, so checks are to be of rows.

    Args:
        today: nothing is later.
        settings: which columns there are, and which labels.
        reader: keeps the pixels of what fits.
    """
    latest = datetime.combine(today + timedelta(days=1), time()) + ANY_ZONE
    in_time = [pa.Check.ge(datetime(1900, 1, 1), error=EARLY), pa.Check.lt(latest, error=LATE)]
    holds = [pa.Check(_each(reader.is_picture), error="is no picture that can be read")]
    if settings.holder == "file":
        holds.append(pa.Check(_each(reader.has_file), error="is no file in images.folder"))
    allowed = [pa.Check.isin(settings.labels, error="is none of images.labels")] if settings.labels else []
    columns = {
        "image": pa.Column(pl.String, pa.Check(_each(pl.Series.is_first_distinct), error="is there twice")),
        settings.holder: pa.Column(pl.String, holds),
        "label": pa.Column(pl.String, allowed, nullable=True),
    }
    if settings.columns.added_at:
        columns["added_at"] = pa.Column(pl.Datetime("us"), in_time)
    if settings.columns.labelled_at:
        columns["labelled_at"] = pa.Column(pl.Datetime("us"), in_time, nullable=True)
    return pa.DataFrameSchema(columns)


def _each(fits: Callable[[pl.Series], pl.Series]) -> Callable[[pa.PolarsData], pl.LazyFrame]:
    """A check of a column by a function of its values."""

    def check(data: pa.PolarsData) -> pl.LazyFrame:
        column = data.lazyframe.select(pl.col(data.key)).collect()[data.key]
        return fits(column).alias(data.key).to_frame().lazy()

    return check


def known_before(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """The same rows, without the labels that were given on a day or later."""
    if "labelled_at" not in rows.columns:
        return rows
    late = pl.col("labelled_at") >= datetime.combine(day, time())
    return rows.with_columns(pl.when(~late.fill_null(False)).then("label").alias("label"))
