"""What is unusual in a run's input beside that of the runs before it: no new rows, few rows, nulls, drift.

How far a distribution has moved is told by the population stability index (PSI): one scale for numbers of any unit and
for categories, with thresholds that are in use everywhere (0.1 is little, 0.25 is much). It depends on the bins: they
are the tenths of the usual values, or their categories. Wasserstein's distance needs no bins, but is in the
unit of each column, so no one threshold serves all columns, and it does not know categories.

What is usual is the median of the runs before: a fault is one until it is in half of them, and one day's fault makes no
other day one.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

from .plots import number
from .profile import CATEGORY, Profile
from .settings import Drift
from .unusual import Finding

BINS = 10  # of numbers: as many values of the earlier runs in each
FLOOR = 0.005  # a share that is less, or nothing, counts as this one: what no value fell into is no proof
FREQUENT = 0.02  # of the rows: less frequent categories are one bin
ENOUGH = 50  # rows, below which no column is compared
EXPECTED = 10  # rows, of which chance may leave none
RARE = 3.0  # standard deviations, which chance seldom exceeds
FEWEST = 30  # rows that a day usually has, below which it is not compared alone


def findings(now: Profile, before: Sequence[Profile], limits: Drift) -> list[Finding]:
    """What is unusual.

    Args:
        now: the profile of the run's table.
        before: those of runs for earlier days, the newest first; without any, nothing is unusual.
        limits: what is allowed.
    """
    if not before:
        return []
    if stale := _stale(now, before, limits):
        return [stale]  # there is nothing new to say of old rows
    found = [few] if (few := _few(now, before, limits) or _few_in_last_day(now, before, limits)) else []
    if now["sampled"] >= ENOUGH:
        for name in now["columns"]:
            found += _of_column(name, now, [each for each in before if name in each["columns"]], limits)
    return found


def psi(before: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of the shares of rows in each bin, before and now: 0 where nothing moved."""
    pairs = ((max(one, FLOOR), max(other, FLOOR)) for one, other in zip(before, now, strict=True))
    return math.fsum((other - one) * math.log(other / one) for one, other in pairs)


def by_chance(rows: int, rows_before: int, bins: int) -> float:
    """The PSI that samples of one distribution exceed once in a thousand times.

    It is spread as chi-squared with bins - 1 degrees of freedom, times 1 / rows + 1 / rows before; the quantile is that
    of Wilson and Hilferty.
    """
    freedom = max(1, bins - 1)
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + 3.09 * math.sqrt(spread)) ** 3 * (1 / rows + 1 / rows_before)


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])


def _stale(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
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


def _few(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
    """Fewer rows than usual."""
    rows, usual = now["window"], median(each["window"] for each in before)
    least = limits.min_rows_share * usual
    if rows + 2 * math.sqrt(least) >= least:
        return None
    of = f" of the last {now['window_days']} days" if now["time_column"] else ""
    return Finding("rows", "", f"{rows:,} rows{of}, {rows / usual:.2f} × the usual {number(usual)}")


def _few_in_last_day(now: Profile, before: Sequence[Profile], limits: Drift) -> Finding | None:
    """Fewer rows on the day before the run's than on the same weekdays before, and than on any day of late."""
    share = _last_share(now)
    earlier = [found for each in before if (found := _last_share(each)) is not None]
    if share is None or not earlier:
        return None
    usual = _usual(now["by_day"], len(now["by_day"]) - 1)
    least = limits.min_rows_share * min(1.0, median(earlier))  # less than 1 where rows come late
    rows = now["by_day"][-1]
    of_late = [found for back in range(2, 16) if (found := _share_of(now["by_day"], len(now["by_day"]) - back))]
    if rows + RARE * math.sqrt(least * usual) >= least * usual or share >= min(of_late, default=math.inf):
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


def _of_column(name: str, now: Profile, before: Sequence[Profile], limits: Drift) -> Iterator[Finding]:
    column = now["columns"][name]
    before = [each for each in before if each["sampled"] >= ENOUGH]
    if not before:
        return
    earlier = [each["columns"][name] for each in before]
    usual = median(each["nulls"] for each in earlier)
    chance = RARE * math.sqrt(column["nulls"] * (1 - column["nulls"]) / now["window"])
    if column["nulls"] > usual + limits.max_null_rise + chance:
        yield Finding("nulls", name, f"column {name}: {column['nulls']:.1%} have no value, usually {usual:.1%}")
    rows = _there(now, name), round(median(_there(each, name) for each in before))
    if min(rows) < ENOUGH:
        return
    for kind in ("quantiles", "hours"):
        if column.get(kind) and (values := [each[kind] for each in earlier if each.get(kind)]):
            what = f"column {name}" + ": the time of day" * (kind == "hours")
            yield from _moved(name, what, *_in_tenths(values, column[kind]), rows, limits)
    if "shares" in column and (shares := [each["shares"] for each in earlier if "shares" in each]):
        of_usual = _usual_shares(shares)
        changed = list(_come_and_gone(name, of_usual, column["shares"], rows, limits))
        yield from changed
        if not changed:
            yield from _moved(name, f"column {name}", *_by_category(of_usual, column["shares"]), rows, limits)


def _there(profile: Profile, name: str) -> float:
    """How many values of a column the sample has, about."""
    return float(profile["sampled"] * (1 - profile["columns"][name]["nulls"]))


def _moved(
    name: str, what: str, before: list[float], now: list[float], rows: tuple[float, int], limits: Drift
) -> Iterator[Finding]:
    """Shares that moved further than allowed, and than chance moves them."""
    found = psi(before, now)
    if found > limits.max_psi + by_chance(int(rows[0]), rows[1], len(before)):
        yield Finding("moved", name, f"{what}: its distribution moved, PSI {found:.2f} of {limits.max_psi:g} allowed")


def _in_tenths(before: Sequence[Sequence[float]], now: Sequence[float]) -> tuple[list[float], list[float]]:
    """The shares of numbers in bins that have as many of the usual ones each, where these differ enough."""
    alike = [each for each in before if len(each) == len(before[0])]
    usual = sorted(map(median, zip(*alike, strict=True)))
    edges = sorted({usual[len(usual) * each // BINS] for each in range(1, BINS)} | {usual[0], usual[-1]})

    def shares(values: Sequence[float]) -> list[float]:
        below = [0, *(bisect_right(values, edge) for edge in edges), len(values)]
        return [(after - until) / len(values) for until, after in pairwise(below)]

    return shares(usual), shares(sorted(now))


def _usual_shares(before: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in before for name in each)
    return {name: median(each.get(name, 0) for each in before) for name in names}


def _by_category(usual: dict[str, float], now: dict[str, float]) -> tuple[list[float], list[float]]:
    """The shares of the frequent categories, and of the rest."""
    frequent = [name for name, share in usual.items() if share >= FREQUENT]
    old, new = ([shares.get(name, 0) for name in frequent] for shares in (usual, now))
    return [*old, 1 - math.fsum(old)], [*new, 1 - math.fsum(new)]


def _come_and_gone(
    name: str, usual: dict[str, float], now: dict[str, float], rows: tuple[float, int], limits: Drift
) -> Iterator[Finding]:
    """Categories that there usually are not, and those that there usually are."""
    least = max(limits.min_category_share, EXPECTED / min(rows))
    for value, share in now.items():
        if share >= least and not usual.get(value):
            yield Finding("new", name, f"column {name}: {value!r} is new, {share:.1%} of the rows", value)
    for value, share in usual.items():
        if share >= least and value not in now:
            was = f"usually {share:.1%} of the rows"
            yield Finding("gone", name, f"column {name}: {value!r} is gone or below {CATEGORY:.0%}, {was}", value)
