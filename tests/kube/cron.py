"""Cron lines as Kubernetes reads them, which is narrower than cronsim does."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from .kinds import unknown

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DAYS = "sun|mon|tue|wed|thu|fri|sat"
VALUES = [r"[0-5]?\d", r"1?\d|2[0-3]", r"0?[1-9]|[12]\d|3[01]", rf"0?[1-9]|1[0-2]|{MONTHS}", rf"0?[0-6]|{DAYS}"]
NAMES = ["minute", "hour", "day of month", "month", "day of week"]


def parse(line: str) -> str:
    """The line in six fields for cronsim, which begin with the second.

    Raises:
        ValueError: Kubernetes would not have it.
    """
    if line.startswith("@every "):
        raise unknown("@every in a schedule")
    fields = MACROS.get(line, line).lower().replace("?", "*").split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: {fields}")
    for field, value, name in zip(fields, VALUES, NAMES, strict=True):
        for term in field.split(","):
            if not re.fullmatch(rf"(\*|({value})(-({value}))?)(/[1-9]\d*)?", term):
                raise ValueError(f"failed to parse {name}: {term}")
    steps = "*/" in fields[2] + fields[4] and fields[2] != "*" != fields[4]
    if steps or re.search(r"(^|,)\w+/", fields[4]):  # where cronsim would take other days
        raise unknown(f"such days in a schedule: {line}")
    try:
        CronSim(sixth := " ".join(["0", *fields]), datetime.now())
    except CronSimError as problem:
        raise ValueError(str(problem)) from problem
    return sixth


def latest(line: str, zone: str, until: datetime) -> datetime:
    """The last moment of a cron line up to this one; without a zone, in UTC."""
    end = until.astimezone(ZoneInfo(zone or "UTC")).replace(microsecond=0) + timedelta(seconds=1)
    return next(CronSim(parse(line), end, reverse=True))
