"""Yours: made-up images for `source = "sample"`: handwritten digits, some of them every day, the same ones every time.

The digits are those that scikit-learn ships, of Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository (1998). Each is moved by up to a pixel and made noisy, so that no two images are alike.
"""

from base64 import b64encode
from datetime import date, datetime, time, timedelta
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt
from sklearn.datasets import load_digits

from .ops.settings import Section

SIDE = 8  # pixels
BRIGHTEST = 16  # of the digits
LONGEST = 10  # days until somebody has labelled an image
DAY = 86_400  # seconds


class SampleSettings(Section):
    """How many images to make up."""

    images_a_day: PositiveInt = 20
    days: PositiveInt = 100
    seed: NonNegativeInt = 1


def make_up(settings: SampleSettings, day: date) -> pl.DataFrame:
    """The images of the `days` before `day`, each with its content; one in 500 is spoilt, as real ones are.

    A day's images do not depend on `day`, so from a day to the next the oldest go and new ones come. A label is there
    once somebody has seen the image, one to ten days after it came.
    """
    return pl.concat(_of(settings, day - timedelta(days=back), day) for back in range(settings.days, 0, -1))


def _of(settings: SampleSettings, came: date, day: date) -> pl.DataFrame:
    """The images of one day, as they are known at the beginning of another."""
    random = np.random.default_rng((settings.seed, came.toordinal()))
    size = settings.images_a_day
    digits, numbers = _digits()
    chosen = random.integers(0, len(digits), size)
    moved = random.integers(-1, 2, (size, 2))
    noise = random.normal(0, 1, (size, SIDE, SIDE))
    seconds = np.sort(random.integers(0, DAY, size))
    waited = random.integers(1, LONGEST + 1, size)
    spoilt = random.random(size) < 0.002
    start = datetime.combine(came, time())
    rows = []
    for place, number in enumerate(chosen):
        down, across = moved[place]
        image = np.pad(digits[number], 1)[1 - down :, 1 - across :][:SIDE, :SIDE] + noise[place]
        content = png((image * 255 / BRIGHTEST).clip(0, 255).astype(np.uint8))
        labelled = start + timedelta(days=int(waited[place]), hours=12)
        known = labelled < datetime.combine(day, time())
        rows.append(
            {
                "image": f"D{came:%Y%m%d}-{place:05}",
                "content": content[: len(content) // 2] if spoilt[place] else content,
                "label": str(numbers[number]) if known else None,
                "added_at": start + timedelta(seconds=int(seconds[place])),
                "labelled_at": labelled if known else None,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"label": pl.String, "labelled_at": pl.Datetime("us")})


def png(pixels: NDArray[np.uint8]) -> str:
    """An image as a table holds it: a PNG in base64; shape (height, width), or (height, width, 3) with colours."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


@cache
def _digits() -> tuple[NDArray[np.float64], NDArray[Any]]:
    """The images, shape (digits, SIDE, SIDE), and which digit each is, shape (digits,)."""
    found = load_digits()
    return found.images, found.target
