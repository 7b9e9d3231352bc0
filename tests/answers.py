"""What a person could answer: all combinations but of licenses, notebooks, trackers and services, and any
two answers together.

There are odd words among these.
"""

from itertools import cycle
from typing import Any

import covertable
import yaml
from covertable.evaluate import evaluate
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


def _either(*conditions: tuple[str, str, str]) -> dict[str, Any]:
    return {"operator": "or", "conditions": [{"left": a, "operator": b, "value": c} for a, b, c in conditions]}


# What copier.yml asks for together, as covertable takes it.
_ASKED = [
    _either(("serving", "eq", "none"), *(("target", "eq", target) for target in SERVING)),
    _either(("serving", "eq", "none"), ("database", "ne", "dynamodb")),
    _either(("reviewers", "eq", ""), ("ci", "ne", "none")),
    _either(("repository", "eq", ""), ("notebooks", "eq", "jupyter")),
]
# What a project's processes are made by where there is no container engine, and the targets that change none then.
RUNNING = ["example", "target", "database", "serving", "features", "notebooks", "tracking"]
ELSEWHERE = {"kubernetes": "docker", "kubeflow": "docker", "metaflow-aws": "metaflow-argo"}


def asked(row: Answers) -> bool:
    """Whether copier.yml would ask for all of that; a row may have some of the answers."""
    return not any(evaluate(rule, row, {}) is False for rule in _ASKED)


def _covering(values: dict[str, list[str]], *begun: Answers, strength: int = 2) -> list[Answers]:
    """Rows in which any two values are, or more, that can be answered together; those that are there come first."""
    rules = [rule for rule in _ASKED if values.keys() >= {each["left"] for each in rule["conditions"]}]
    # Of the salts up to 100, the one that gives the fewest rows.
    how = {"strength": strength, "constraints": rules, "presets": list(begun), "salt": "53", "tolerance": 5}
    rows: list[Answers] = covertable.make(values, **how)
    return rows


def _whole(rows: list[Answers]) -> list[Answers]:
    """These rows with each value by turns of what changes no process."""
    turns = {name: cycle(values) for name, values in VALUES.items() if name not in RUNNING}
    targets = {
        one: cycle([each for each in VALUES["target"] if ELSEWHERE.get(each, each) == one])
        for one in _RUNNING["target"]
    }
    found = []
    for row in rows:
        full = dict(row)
        for name, values in (turns | {"target": targets[row["target"]]}).items():
            full[name] = next(each for each in values if asked(full | {name: each}))
        found.append(full)
    return found


def _answers(row: Answers) -> Answers:
    row = {name: row[name] for name in VALUES}
    words = ODD if row["words"] == "odd" else {}
    return {name: value for name, value in (row | words).items() if name != "words" and value != DEFAULTS[name]}


def called(answers: Answers) -> str:
    """A short name for a test's report."""
    words = [
        "odd" if name == "project_name" else value
        for name, value in answers.items()
        if name in ("project_name", *VALUES)
    ]
    return "-".join(words).replace(REVIEWERS, "reviewers").replace(REPOSITORY, "public") or "defaults"


_RUNNING = {name: [each for each in VALUES[name] if each not in ELSEWHERE] for name in RUNNING}
_RUN_ROWS = _whole(_covering(_RUNNING))
# Any two answers that make a difference to what runs here, and any two of all.
RUN = [_answers(row) for row in _RUN_ROWS]
PAIRWISE = [_answers(row) for row in _covering(VALUES, *_RUN_ROWS)]
# A file is chosen, and written, by at most three of these.
_MIXED = ["target", "database", "ci", "reviewers"]
_FIRST = {name: values[0] for name, values in VALUES.items()}
_PLAIN = [_answers(_FIRST | row) for row in _covering({name: VALUES[name] for name in _MIXED}, strength=3)]
ALL: list[Answers] = []
for _each in [{}, *_PLAIN, *PAIRWISE]:
    if _each not in ALL:
        ALL.append(_each)
