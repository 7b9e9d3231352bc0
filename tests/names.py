"""The rules by which a package gets its name, as Copier evaluates them."""

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_ansible_filters import AnsibleCoreFiltersExtension
from rig import ROOT

NAMES = Environment(
    loader=FileSystemLoader(ROOT), undefined=StrictUndefined, extensions=[AnsibleCoreFiltersExtension]
).get_template("hooks/answers.jinja")


def suggest(name: str) -> str:
    return str(NAMES.module.suggest(name))  # type: ignore[attr-defined]


def problem(name: str) -> str:
    return str(NAMES.module.problem(name)).strip()  # type: ignore[attr-defined]
