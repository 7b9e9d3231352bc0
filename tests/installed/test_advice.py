"""Each command that a generated project names, in its pages and its messages, is there.

On a PATH without uv and without Copier, as on a new account. What the commands do, other tests know.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from answers import REPOSITORY, Answers
from rig import Project

# Pages and messages of all kinds; the first is the session's project, which is set up.
KINDS: list[Answers] = [
    {},
    {"database": "postgresql", "ci": "gitlab", "notebooks": "jupyter", "repository": REPOSITORY, "tracking": "mlflow"},
    {"target": "kubernetes", "notebooks": "none", "ci": "none"},
    {"target": "metaflow-argo"},
    {"target": "metaflow-aws"},
    {"target": "kubeflow", "database": "postgresql"},
]
# What only the project's own environment has, or uv's; a message names it with the path to it, or through a script.
TOOLS = "copier|detect-secrets|jupyter|jupytext|marimo|mypy|nbstripout|pip|pre-commit|pytest|ruff|uv|uvx"
CALLED = "add|convert|copy|edit|execute|export|install|lab|lock|pip|python|recopy|run|sync|tool|update|venv"
BARE = re.compile(rf"(?<![\w./$-])(?:uvx \w|(?:{TOOLS}) (?:--?\w|(?:{CALLED})\b))")
REACHED = re.compile(r"(?:sh develop/(?:uv|tool)\.sh |^ *tool |\$again |eval \").*$|python\" -m $")
SPOKEN = {"a", "another", "environments", "it", "one", "such", "the", "them", "up"}  # "make them one" is no verb
# What git, a shell and coreutils bring, or the page says that one needs.
PROGRAMS = {"docker", "echo", "env", "export", "git", "mkdir", "printf", "ssh-keyscan", "xcode-select"}
SET_UP = {".venv/bin/python"}  # which each environment has; this one may not be set up


@pytest.fixture(params=KINDS, ids=lambda answers: "-".join(answers.values()).replace("/", "") or "defaults")
def there(
    request: pytest.FixtureRequest, project: Project, generate: Callable[..., Project], tmp_path: Path
) -> Project:
    """A project, and a PATH without uv."""
    made = generate(tmp_path / "p", **request.param) if request.param else project
    return replace(made, env={"PATH": rig.path_without("uv", "uvx", "copier")})


def texts(project: Project, *patterns: str) -> dict[str, str]:
    found = [path for pattern in patterns for path in sorted(project.folder.glob(pattern))]
    return {path.relative_to(project.folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def named(page: str) -> Iterator[str]:
    """The commands of a page: those in blocks, without what is said of them, and those between backticks."""
    page = re.sub(r"(?ms)^```.*?^```", "", page.partition("\nmake, [uv]")[0])  # without make: test_without_make.py
    for line in re.findall(r"^    (\S.*)$", page, re.MULTILINE):
        yield re.split(r"  +|  …", line)[0]
    first = "|".join((*PROGRAMS, TOOLS, "make", "sh", r"\.venv/\S+"))
    yield from (" ".join(found.split()) for found in re.findall(rf"`((?:{first})\s[^`]+)`", page))


def complaint(project: Project, command: str) -> str:
    """What a shell says to a command whose program is not there, or make to one that it does not know."""
    program, *words = re.sub('"[^"]*"', "''", command).split()
    if program == "make":
        done = project.run("make", "--dry-run", *(word for word in words if re.fullmatch(r"[a-z]+", word)))
        return "" if "No rule" not in done.stderr else done.stderr
    if program == "sh":
        return "" if (project.folder / words[0]).exists() else f"no {words[0]}"
    if program.removeprefix(".venv/bin/") == Path(project.command).name or program in PROGRAMS | SET_UP:
        return ""
    return "" if (project.folder / program).exists() else f"no {program}"


def test_each_command_of_a_page_is_there(there: Project) -> None:
    pages = texts(there, "README.md", "*/README.md", "docs/*.md")
    found = {(page, command) for page, text in pages.items() for command in named(text)}
    assert len(found) > 20
    said = {command: complaint(there, command) for command in {command for _, command in found}}
    assert [(page, command, said[command]) for page, command in sorted(found) if said[command]] == []


def test_no_message_names_what_is_not_there(there: Project) -> None:
    verbs = set(re.findall(r"^([a-z]+):", (there.folder / "Makefile").read_text(), re.MULTILINE))
    wrong = []
    for name, text in texts(there, "Makefile", "*/*.sh", "production/*.py", "src/*/*.py", "src/*/ops/**/*.py").items():
        for line in text.splitlines():
            bare = [found for found in BARE.finditer(line) if not REACHED.search(line[: found.start()])]
            unknown = [verb for verb in re.findall(r"\bmake ([a-z]+)\b", line) if verb not in verbs | SPOKEN]
            wrong += [f"{name}: {line.strip()}"] * bool(bare or unknown)
    assert "\n".join(wrong) == ""
