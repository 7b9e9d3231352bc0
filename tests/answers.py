"""What a person could answer: all combinations but of licenses, notebooks, trackers and services, and any
two answers together.

There are odd words among these.
"""

from collections.abc import Iterable
from itertools import product
from typing import Any

import yaml
from allpairspy import AllPairs
from jinja2 import Environment
from rig import ROOT

Answers = dict[str, str]

SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS: dict[str, dict[str, Any]] = {name: each for name, each in SETTINGS.items() if not name.startswith("_")}


def defaults(example: str = "recommend") -> Answers:
    """What is answered by Enter at each question of a new project that begins with this example."""
    told = {
        name: Environment().from_string(QUESTIONS[name]["default"]).render(example=example)
        for name in ("project_name", "description")
    }
    return (
        {name: question["default"] for name, question in QUESTIONS.items() if name != "folder"}  # of a workspace
        | told
        | {"example": example, "author": f"The {told['project_name']} team"}
        | {"license": "Proprietary", "target": "docker", "ci": "github", "notebooks": "marimo"}
    )


DEFAULTS = defaults()


def filled(answers: Answers) -> Answers:
    """These answers, with the defaults of the others."""
    return defaults(answers.get("example", DEFAULTS["example"])) | answers


# Words that other templates stumble over.
ODD = {
    "project_name": """The "Größte" Küche's \\ combos {{ 1 }} #1 & 汉堡 🍔 $HOME `date`""",
    "description": """It's "good" \\ {{ nothing }} {% for %} for Ünal's guests.""",
    "author": """Jörg "Joe" O'Neill \\ Söhne""",
}
REVIEWERS = "@jörg @shop/ml-team ada@example.org"
REPOSITORY = "https://github.com/shop/burger-combos"

SERVING = ("docker", "kubernetes")  # the targets to which a service can be deployed

VALUES: dict[str, list[str]] = {
    **{name: list(question["choices"].values()) for name, question in QUESTIONS.items() if "choices" in question},
    "example": [
        each for each in QUESTIONS["example"]["choices"].values() if each != "workspace"
    ],  # which is no project
    "reviewers": ["", REVIEWERS],
    "repository": ["", REPOSITORY],
    "words": ["plain", "odd"],
}


def _asked(row: Iterable[str]) -> bool:
    """Whether copier.yml would ask for all of that; a row may be the beginning of one."""
    given = dict(zip(VALUES, row, strict=False))
    elsewhere = given.get("notebooks", "jupyter") != "jupyter" and given.get("repository")
    servable = given.get("target", "docker") in SERVING and given.get("database") != "dynamodb"
    unserved = given.get("serving") == "http" and not servable
    return not (elsewhere or unserved or (given.get("ci") == "none" and given.get("reviewers")))


def _answers(row: Iterable[str]) -> Answers:
    given = dict(zip(VALUES, row, strict=True))
    words = ODD if given.pop("words") == "odd" else {}
    return {name: value for name, value in (given | words).items() if value != DEFAULTS[name]}


def called(answers: Answers) -> str:
    """A short name for a test's report."""
    words = [
        "odd" if name == "project_name" else value
        for name, value in answers.items()
        if name in ("project_name", *VALUES)
    ]
    return "-".join(words).replace(REVIEWERS, "reviewers").replace(REPOSITORY, "public") or "defaults"


PAIRWISE = [_answers(row) for row in AllPairs(list(VALUES.values()), filter_func=_asked)]
# An example is files of its own, and so are notebooks, trackers, a service and a feature store; a license is a file and
# two lines of another one.
_PAIRED = {"example", "license", "notebooks", "repository", "serving", "features", "tracking", *ODD}
_PLAIN = [each for each in map(_answers, filter(_asked, product(*VALUES.values()))) if not _PAIRED & each.keys()]
ALL = [*_PLAIN, *(answers for answers in PAIRWISE if answers not in _PLAIN)]
