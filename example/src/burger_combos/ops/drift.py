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
from itertools import pairwise
from statistics import median

from .freshness import EXPECTED, RARE, few, stale
from .input_findings import Finding
from .profile import CATEGORY, Profile
from .settings import Drift

BINS = 10  # of numbers: as many values of the earlier runs in each
FLOOR = 0.005  # a share that is less, or nothing, counts as this one: what no value fell into is no proof
FREQUENT = 0.02  # of the rows: less frequent categories are one bin
ENOUGH = 50  # rows, below which no column is compared
SETTLED = 3  # runs, with fewer of which nobody knows what comes and goes by itself


def findings(now: Profile, before: Sequence[Profile], limits: Drift) -> list[Finding]:
    """What is unusual.

    Args:
        now: the profile of the run's table; each column in it gets its `psi`, and the categories that `changed`.
        before: those of runs for earlier days, the newest first; without any, nothing is unusual.
        limits: what is allowed.
    """
    if not before:
        return []
    if old := stale(now, before, limits):
        return [old]  # of which there is nothing new to say
    found = [fewer] if (fewer := few(now, before, limits)) else []
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
    changed: list[Finding] = []
    if "shares" in column and (shares := [each["shares"] for each in earlier if "shares" in each]):
        usual_shares = _usual_shares(shares)
        changed = list(_come_and_gone(name, usual_shares, column["shares"], rows, limits))
        bins = _by_category(usual_shares, column["shares"])
    elif values := [each["quantiles"] for each in earlier if each.get("quantiles") and column.get("quantiles")]:
        bins = _in_tenths(values, column["quantiles"])
    else:
        return
    column["changed"], column["psi"] = [each.value for each in changed], round(psi(*bins), 4)
    if len(before) < SETTLED:
        return
    if not any(value not in column["changed"] for each in earlier for value in each.get("changed", [])):
        yield from changed  # of no column whose values come and go by themselves, as days do
    allowed = limits.max_psi + by_chance(int(rows[0]), rows[1], len(bins[0]))
    as_ever = median(each.get("psi", 0) for each in earlier)  # of a column that moves with time, as a counter does
    if not column["changed"] and column["psi"] > max(allowed, 2 * as_ever):
        what = f"column {name}" + ": the time of day" * (name == now["time_column"])
        text = f"{what}: its distribution moved, PSI {column['psi']:.2f} of {limits.max_psi:g} allowed"
        yield Finding("moved", name, text)


def _there(profile: Profile, name: str) -> float:
    """How many values of a column the sample has, about."""
    return float(profile["sampled"] * (1 - profile["columns"][name]["nulls"]))


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
