"""Whether a run's input has new rows, and as many as usual."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from statistics import fmean, median, stdev

from .input_findings import Finding
from .plots import number
from .profile import Profile
from .settings import Drift

EXPECTED = 10  # rows, of which chance may leave none
RARE = 3.0  # standard deviations, which chance seldom exceeds
FEWEST = 30  # rows that a day usually has, below which it is not compared alone
LATE = 22  # days, whose spread tells how different days are
NEXT_TO_NOTHING = 0.01  # of the usual rows: what a day without any counts as


def stale(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
    """No rows that are newer than those of the run before, where such usually come."""
    if not now["time_column"]:
        return _same(now, before, limits)
    newest, last = now["newest"], before[0]["newest"]
    if not last or newest > last:
        return None
    day = _day(now["day"])
    if not newest:
        return Finding("fresh", "", f"no rows before {day}, the run before had such")
    lag = min((_day(each["day"]) - _day(each["newest"])).days for each in before if each["newest"])
    since = [_day(newest) + timedelta(each) for each in range(1, (day - _day(newest)).days - lag + 1)]
    usual = [rows for each in since if (rows := _usually(each, now))]
    if len(usual) < limits.fresh_days or sum(usual) < EXPECTED:
        return None
    days = "1 day" if len(usual) == 1 else f"{len(usual)} days"
    return Finding("fresh", "", f"no new rows since {_day(newest)}, on {days} that should have some")


def _usually(day: date, now: Profile) -> float:
    """How many rows such a day has: as the same weekdays before, or else as the least of all days."""
    by_day = now["by_day"]
    filled = [place for place, rows in enumerate(by_day) if rows]
    if not filled:  # the table ends before all days that are counted
        return EXPECTED
    place = len(by_day) - (_day(now["day"]) - day).days
    same = [by_day[each] for each in range(place - 7, filled[0] - 1, -7) if each <= filled[-1]]
    return median(same) if same else min(by_day[filled[0] : filled[-1] + 1])


def _same(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
    """The very same rows as in the runs before, where the table has no time column."""
    if not now.get("hash"):
        return None
    equal = []
    for each in before:
        if each.get("hash") != now["hash"]:
            break
        equal.append(each)
    if not equal or (_day(now["day"]) - _day(equal[-1]["day"])).days < limits.fresh_days:
        return None
    week_before = str(_day(now["day"]) - timedelta(7))
    if any(each["day"] == week_before and each.get("same") for each in before):
        return None  # as each week on that day
    return Finding("fresh", "", f"no new rows: the same ones as in the run for {equal[-1]['day']}")


def few(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
    """Fewer rows than usual: in all days that are compared, or in the last of them alone."""
    rows, usual = now["window"], median(each["window"] for each in before)
    least = limits.min_rows_share * usual
    if rows + 2 * math.sqrt(least) >= least:
        return _few_in_last_day(now, before, limits)
    of = f" of the last {now['window_days']} days" if now["time_column"] else ""
    return Finding("rows", "", f"{rows:,} rows{of}, {rows / usual:.2f} × the usual {number(usual)}")


def _few_in_last_day(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
    """Fewer rows on the day before the run's than on the same weekdays before, and than days differ of late."""
    share = _last_share(now)
    earlier = [found for each in before if (found := _last_share(each)) is not None]
    if share is None or not earlier:
        return None
    by_day = now["by_day"]
    usual, rows = _usual(by_day, len(by_day) - 1), by_day[-1]
    least = limits.min_rows_share * min(1.0, median(earlier))  # less than 1 where rows come late
    of_late = [found for back in range(2, LATE) if (found := _share_of(by_day, len(by_day) - back)) is not None]
    logs = [math.log(max(each, NEXT_TO_NOTHING)) for each in of_late]
    if len(logs) > 1:
        least = min(least, math.exp(fmean(logs) - RARE * stdev(logs)))
    if rows + RARE * math.sqrt(least * usual) >= least * usual:
        return None
    day = _day(now["day"]) - timedelta(1)
    return Finding("rows", "", f"{rows:,} rows on {day:%A}, {day}, {share:.2f} × the usual {number(usual)}")


def _last_share(profile: Profile) -> float | None:
    return _share_of(profile["by_day"], len(profile["by_day"]) - 1)


def _share_of(by_day: Sequence[int], place: int) -> float | None:
    """A day's rows beside those of the same weekdays before; None where these are too few to say."""
    usual = _usual(by_day, place)
    return by_day[place] / usual if usual >= FEWEST else None


def _usual(by_day: Sequence[int], place: int) -> float:
    first = next((each for each, rows in enumerate(by_day) if rows), len(by_day))
    same = [by_day[each] for each in range(place - 7, first - 1, -7)]
    return median(same) if len(same) > 1 else 0


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])
