"""Which combinations of settings a sweep tries: each of a grid, or some by chance."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import product
from typing import Any

from ..problems import Problem
from ..settings import Sweep

MOST = 1000  # trials of a sweep
TRIES = 1000  # at a combination that is not there yet
ENDS = ("min", "max")  # of a range
DIGITS = 4  # that count of a number which chance has chosen, so that a person can write it down

Combination = dict[str, Any]  # the value of each setting, by its full name


@dataclass(frozen=True)
class Range:
    """Numbers from the least to the greatest.

    Attributes:
        least: the least.
        most: the greatest.
        log: whether each factor is as likely as another: 1 to 10 as 10 to 100.
        whole: whether they are whole numbers.
    """

    least: float
    most: float
    log: bool
    whole: bool

    def at(self, share: float) -> float:
        """The number below which lies that share of them, from 0 up to 1."""
        if self.whole:
            first, beyond = (math.log(self.least), math.log(self.most + 1)) if self.log else (self.least, self.most + 1)
            found = first + share * (beyond - first)
            return min(int(self.most), max(int(self.least), math.floor(math.exp(found) if self.log else found)))
        first, last = (math.log(self.least), math.log(self.most)) if self.log else (self.least, self.most)
        found = first + share * (last - first)
        return min(self.most, max(self.least, float(f"{math.exp(found) if self.log else found:.{DIGITS}g}")))

    @property
    def size(self) -> float:
        """How many numbers there are."""
        return self.most - self.least + 1 if self.whole else math.inf


Choices = list[Any] | Range


def combinations(sweep: Sweep, where: str) -> list[Combination]:
    """What each trial sets.

    Args:
        sweep: the section.
        where: the file in which it stands, for messages.

    Raises:
        Problem: nothing is to be tried, a list or a range is none, or there are too few combinations, or too many.
    """
    found = choices(sweep.settings, where)
    if not found:
        raise Problem(f"{where}: [sweep.settings] names no setting to try: docs/sweeps.md tells how")
    size = math.prod(each.size if isinstance(each, Range) else len(each) for each in found.values())
    if sweep.search == "grid":
        return _grid(sweep, found, size, where)
    if not sweep.trials:
        raise Problem(f"{where}: sweep.trials: how many? A random search tries so many combinations")
    if sweep.trials > size:
        raise Problem(f"{where}: sweep.trials is {sweep.trials}, and there are {size:g} combinations only")
    _refuse_many(sweep.trials, where)
    return _by_chance(sweep, found, where)


def choices(settings: Mapping[str, Any], where: str) -> dict[str, Choices]:
    """What is to be tried of each setting, by its full name; the name may be one key, or lead through sections.

    Raises:
        Problem: it is neither a list of different values nor a range.
    """
    return {
        name: _range(name, value, where) if isinstance(value, dict) else _list(name, value, where)
        for name, value in _flat(settings).items()
    }


def _flat(settings: Mapping[str, Any], *above: str) -> dict[str, Any]:
    """Each setting by its full name: where a table has lists and tables alone, it is a section of settings."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value and all(isinstance(each, list | dict) for each in value.values()):
            found |= _flat(value, *above, key)
        else:
            found[".".join((*above, key))] = value
    return found


def _list(name: str, value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Problem(
            f'{where}: sweep.settings: "{name}" is {value!r}: '
            "a list of values, or a range as { min = 1, max = 9 }, is expected"
        )
    if not value:
        raise Problem(f'{where}: sweep.settings: "{name}" is an empty list: nothing could be tried')
    values = [_plain(each) for each in value]
    if twice := [each for place, each in enumerate(values) if each in values[:place]]:
        raise Problem(f'{where}: sweep.settings: "{name}" has {twice[0]!r} twice')
    return values


def _range(name: str, value: dict[str, Any], where: str) -> Range:
    told = f'{where}: sweep.settings: "{name}"'
    if value.keys() - {*ENDS, "log"} or not value.keys() >= {*ENDS}:
        raise Problem(
            f"{told}: a range has min, max and, if it is wanted, log = true; not {', '.join(value) or 'nothing'}"
        )
    least, most, log = value["min"], value["max"], value.get("log", False)
    for end in (least, most):
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise Problem(f"{told}: min and max are numbers, not {end!r}")
    if not isinstance(log, bool):
        raise Problem(f"{told}: log is true or false, not {log!r}")
    if least >= most:
        raise Problem(f"{told}: min is {least}, and max {most}: it has to be more")
    if log and least <= 0:
        raise Problem(f"{told}: min is {least}: with log it has to be above 0")
    return Range(least, most, log, isinstance(least, int) and isinstance(most, int))


def _grid(sweep: Sweep, found: dict[str, Choices], size: float, where: str) -> list[Combination]:
    if ranges := [name for name, each in found.items() if isinstance(each, Range)]:
        raise Problem(
            f'{where}: sweep.settings: "{ranges[0]}" is a range: a grid takes lists; search = "random" does not'
        )
    if sweep.trials > size:
        raise Problem(f"{where}: sweep.trials is {sweep.trials}, and the grid has {size:g} combinations only")
    if sweep.trials and sweep.trials < size:
        raise Problem(
            f"{where}: sweep.trials is {sweep.trials}, and a grid tries all of its {size:g} combinations: leave trials "
            'out, or set search = "random"'
        )
    _refuse_many(size, where)
    lists = [each for each in found.values() if isinstance(each, list)]
    return [dict(zip(found, values, strict=True)) for values in product(*lists)]


def _refuse_many(trials: float, where: str) -> None:
    if trials > MOST:
        raise Problem(f"{where}: [sweep] has {trials:,.0f} trials, at most {MOST:,} will do")


def _by_chance(sweep: Sweep, found: dict[str, Choices], where: str) -> list[Combination]:
    """Different combinations; the same ones for the same seed, whatever the version of Python."""
    chance = random.Random(sweep.seed)  # whose `random` alone stays as it is
    made: list[Combination] = []
    while len(made) < sweep.trials:
        for _ in range(TRIES):
            one = {name: _at(each, chance.random()) for name, each in found.items()}
            if one not in made:
                made.append(one)
                break
        else:
            made += _rest(found, made)[: sweep.trials - len(made)]
            break
    if len(made) < sweep.trials:
        raise Problem(f"{where}: sweep.trials is {sweep.trials}, and chance finds {len(made)} different ones only")
    return made


def _at(each: Choices, share: float) -> Any:
    return each.at(share) if isinstance(each, Range) else each[int(share * len(each))]


def _rest(found: dict[str, Choices], made: list[Combination]) -> list[Combination]:
    """Those that chance has not come upon, where there are few enough to list them."""
    sizes = [each.size if isinstance(each, Range) else len(each) for each in found.values()]
    if math.prod(sizes) > 100 * MOST:
        return []
    lists = [
        [int(each.least) + step for step in range(int(each.size))] if isinstance(each, Range) else each
        for each in found.values()
    ]
    every = (dict(zip(found, values, strict=True)) for values in product(*lists))
    return [each for each in every if each not in made]


def _plain(value: Any) -> Any:
    """A value of TOML as JSON has it."""
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return [_plain(each) for each in value] if isinstance(value, list) else value
