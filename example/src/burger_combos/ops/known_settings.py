"""Whether variables are those of settings; as a program, for a machine without the libraries to ask in an image."""

import sys
from collections.abc import Iterable

from . import PREFIX
from .problems import Problem, meant, told_in_one_line
from .settings import StageSettings
from .settings_errors import all_variables, open_variables


def refuse_unknown(kind: type[StageSettings], where: str, names: Iterable[str]) -> None:
    """Let nothing through that would be a setting and is none; variables of other programs are no matter.

    Args:
        kind: the settings.
        where: what names the variables.
        names: the variables.

    Raises:
        Problem: one is none of these settings.
    """
    known = {PREFIX + name for name in all_variables(kind) if name != "STAGE"}
    begun = tuple(f"{PREFIX}{name}__" for name in open_variables(kind))
    for name in names:
        if name.startswith(PREFIX) and name not in known and not name.startswith(begun):
            raise Problem(f"{where}: {name}: no such setting{meant(name, known)}")


if __name__ == "__main__":
    with told_in_one_line():
        from ..pipeline import Settings

        refuse_unknown(Settings, sys.argv[1], sys.argv[2:])
