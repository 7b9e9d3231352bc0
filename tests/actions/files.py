"""The files of GitHub Actions workflows: read, found to have only what is known here, and what starts them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from .expressions import Open, Value, WorkflowError, number, text

WORKFLOW = {"name", "on", "permissions", "concurrency", "env", "defaults", "jobs"}
JOB = {"name", "needs", "if", "permissions", "environment", "concurrency", "runs-on", "outputs", "env", "defaults"}
JOB |= {"steps", "strategy", "timeout-minutes"}
CALL = {"name", "needs", "if", "permissions", "concurrency", "strategy", "uses", "with", "secrets"}
HERE = "./"  # how the names of what is in the repository itself begin
STEP = {"name", "id", "if", "env", "continue-on-error", "timeout-minutes"}
EVENTS = {
    "push": {"branches", "branches-ignore"},
    "pull_request": {"branches", "branches-ignore", "types"},
    "workflow_dispatch": {"inputs"},
    "schedule": {"cron"},
    "workflow_call": {"inputs", "outputs", "secrets"},
}
# What only some events have, and is null in the others; all else that an event does not have is an error.
FIELDS = ("action", "after", "before", "inputs", "number", "pull_request", "ref", "schedule")


@dataclass(frozen=True)
class Event:
    """What starts a workflow.

    Of a pull request, `commit` and `branch` are the head's. `base` is the default branch, and the one that a pull
    request is to be merged into; it has to be there. A push brings the branch from `before` to its commit; from that
    one's first parent, if none is named. The base of a pull request was at `before`, if that is named.
    """

    name: str
    commit: str = "HEAD"
    branch: str = "main"
    base: str = "main"
    action: str = "opened"
    number: int = 7
    from_fork: bool = False
    before: str = ""
    repository: str = "ada/shop"
    actor: str = "ada"

    @property
    def is_request(self) -> bool:
        """Whether it is of a pull request."""
        return self.name == "pull_request"

    @property
    def ref(self) -> str:
        """What `github.ref` is."""
        return f"refs/pull/{self.number}/merge" if self.is_request else f"refs/heads/{self.branch}"

    def payload(self, base_commit: str, inputs: dict[str, str], cron: str) -> dict[str, Any]:
        """What `github.event` is."""
        owner, _, name = self.repository.partition("/")
        mine = {"full_name": self.repository, "name": name, "owner": {"login": owner}, "fork": False}
        theirs = mine | {"full_name": f"eve/{name}", "owner": {"login": "eve"}, "fork": True}
        head = {"ref": self.branch, "sha": self.commit, "repo": theirs if self.from_fork else mine}
        base = {"ref": self.base, "sha": base_commit, "repo": mine}
        request = {"number": self.number, "head": head, "base": base, "draft": False, "user": {"login": self.actor}}
        about: dict[str, dict[str, Any]] = {
            "push": {"ref": self.ref, "before": self.before, "after": self.commit},
            "pull_request": {"action": self.action, "number": self.number, "pull_request": request},
            "workflow_dispatch": {"ref": self.ref, "inputs": Open(inputs)},
            "schedule": {"schedule": cron},
        }
        always = {"repository": mine | {"default_branch": self.base}, "sender": {"login": self.actor}}
        return dict.fromkeys(FIELDS) | always | about[self.name]


@dataclass(frozen=True)
class WorkflowFile:
    """A workflow's file, read and found to have only what is known here."""

    file: Path
    tree: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a workflow."""
        with at(path.name):
            made = cls(path, yaml.load(path.read_text(encoding="utf-8"), _Loader))
            _check(made.tree)
            made.order()
        return made

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """The jobs by their ids."""
        jobs: dict[str, dict[str, Any]] = self.tree["jobs"]
        return jobs

    @property
    def on(self) -> dict[str, Any]:
        """The events that start it, with their filters."""
        return _events(self.tree["on"])

    def needs(self, job: str) -> list[str]:
        """The jobs that a job names as its needs."""
        return _listed(self.jobs[job].get("needs"))

    def ancestors(self, job: str) -> set[str]:
        """All jobs that have to end before a job."""
        return {each for need in self.needs(job) for each in {need, *self.ancestors(need)}}

    def order(self) -> list[str]:
        """The jobs, each after those that it needs."""
        ordered: list[str] = []
        while len(ordered) < len(self.jobs):
            ready = [job for job in self.jobs if job not in ordered and {*self.needs(job)} <= {*ordered}]
            if not ready:
                raise WorkflowError(f"needs that cannot be met: {', '.join(self.jobs.keys() - {*ordered})}")
            ordered.append(ready[0])
        return ordered

    def starts_on(self, event: Event) -> bool:
        """Whether an event starts it."""
        if event.name not in EVENTS or event.name == "workflow_call":
            raise WorkflowError(f"no event known here: {event.name}")
        if event.name not in self.on:
            return False
        rule = self.on[event.name] or {}
        usual = ["opened", "synchronize", "reopened"]
        if event.is_request and event.action not in (_listed(rule.get("types")) or usual):
            return False
        if event.name not in ("push", "pull_request"):
            return True
        branch = event.base if event.is_request else event.branch
        chosen, ignored = _listed(rule.get("branches")), _listed(rule.get("branches-ignore"))
        return not _matches(ignored, branch) and (not chosen or _matches(chosen, branch))

    def called(self, job: str) -> Self:
        """The workflow, beside this one, that a job calls."""
        called = self.read(self.file.parent / Path(self.jobs[job]["uses"]).name)
        if "workflow_call" not in called.on:
            raise WorkflowError(f"{called.file.name} cannot be called")
        return called

    def actions(self) -> set[str]:
        """The names of the actions that it uses, and that the workflows use that it calls."""
        used = {action(step) for job in self.jobs.values() for step in job.get("steps", []) if "uses" in step}
        return used.union(*(self.called(key).actions() for key, job in self.jobs.items() if "uses" in job))

    def inputs(self, event: str, given: dict[str, str]) -> dict[str, Value]:
        """The inputs of a start by hand or of a call, with the defaults of those not given."""
        declared = (self.on.get(event) or {}).get("inputs") if event in ("workflow_dispatch", "workflow_call") else {}
        declared = declared or {}
        if unknown := given.keys() - declared.keys():
            raise WorkflowError(f"no input: {', '.join(sorted(unknown))}")
        return {name: _input(name, rule or {}, given.get(name)) for name, rule in declared.items()}


class _Loader(yaml.SafeLoader):
    """YAML 1.2, as GitHub reads it: `on` and `yes` are texts; and no key may come twice."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        pairs = [
            (self.construct_object(key, deep=True), self.construct_object(each, deep=True)) for key, each in node.value
        ]
        if len(dict(pairs)) < len(pairs):
            raise WorkflowError(f"a key comes twice among {', '.join(str(key) for key, _ in pairs)}")
        return dict(pairs)


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
for _kind, _pattern, _starts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), _starts)


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say in an error where in the workflow it is."""
    try:
        yield
    except WorkflowError as error:
        raise WorkflowError(f"{where}: {error}") from error


def action(step: dict[str, Any]) -> str:
    """The name of the action that a step uses, without its version."""
    return str(step["uses"]).partition("@")[0]


def _known(given: Any, allowed: set[str] | None, *required: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise WorkflowError(f"not a mapping: {given}")
    if unknown := given.keys() - (given.keys() if allowed is None else allowed):
        raise WorkflowError(f"not known here: {', '.join(sorted(map(str, unknown)))}")
    if missing := {*required} - given.keys():
        raise WorkflowError(f"missing: {', '.join(sorted(missing))}")
    return given


def _check(tree: Any) -> None:
    _known(tree, WORKFLOW, "on", "jobs")
    _check_common(tree)
    for name, rule in _events(tree["on"]).items():
        with at(f"on {name}"):
            for part in rule or [] if name == "schedule" else [rule or {}]:
                for each in (_known(part, EVENTS[name]).get("inputs") or {}).values():
                    _known(each or {}, {"description", "required", "default", "type", "options"})
                for each in (part.get("outputs") or {}).values():
                    _known(each, {"description", "value"}, "value")
    for key, job in _known(tree["jobs"], None).items():
        with at(f"job {key}"):
            _check_common(job)
            _check_call(job) if "uses" in job else _check_job(job)


def _check_call(job: dict[str, Any]) -> None:
    _known(job, CALL)
    _check_strategy(job)
    _known(job.get("with", {}), None)
    if job.get("secrets") != "inherit":
        _known(job.get("secrets", {}), None)
    if not job["uses"].startswith(f"{HERE}.github/workflows/"):
        raise WorkflowError(f"only a workflow of the same repository can be called: {job['uses']}")


def _check_job(job: dict[str, Any]) -> None:
    _known(job, JOB, "runs-on", "steps")
    _check_strategy(job)
    _known(job.get("outputs", {}), None)
    if isinstance(job.get("environment"), dict):
        _known(job["environment"], {"name", "url"}, "name")
    ids = [step["id"] for step in job["steps"] if "id" in step]
    if len({*ids}) < len(ids):
        raise WorkflowError("two steps with one id")
    for place, step in enumerate(job["steps"], 1):
        with at(f"step {place}"):
            _check_step(step)


def _check_strategy(job: dict[str, Any]) -> None:
    _known(job.get("strategy", {}), {"matrix", "fail-fast", "max-parallel"})


def _check_common(tree: dict[str, Any]) -> None:
    _known(tree.get("env", {}), None)
    if isinstance(tree.get("concurrency"), dict):
        _known(tree["concurrency"], {"group", "cancel-in-progress", "queue"}, "group")
    run = _known(tree.get("defaults", {}), {"run"}).get("run", {})
    _check_shell(_known(run, {"shell", "working-directory"}))


def _check_step(step: Any) -> None:
    if "uses" in _known(step, None):
        _known(step, STEP | {"uses", "with"})
        if "@" not in step["uses"] and not step["uses"].startswith(HERE):
            raise WorkflowError(f"no version: {step['uses']}")
    else:
        _known(step, STEP | {"run", "shell", "working-directory"}, "run")
    for part in ("env", "with"):
        _known(step.get(part, {}), None)
    _check_shell(step)


def _check_shell(tree: dict[str, Any]) -> None:
    if tree.get("shell", "bash") != "bash":
        raise WorkflowError(f"only bash is known here, not {tree['shell']}")


def _events(on: Any) -> dict[str, Any]:
    events: dict[str, Any] = on if isinstance(on, dict) else dict.fromkeys(_listed(on))
    if unknown := events.keys() - EVENTS.keys():
        raise WorkflowError(f"events not known here: {', '.join(sorted(unknown))}")
    return events


def _matches(patterns: list[str], branch: str) -> bool:
    """Whether the last pattern that fits a branch is not one that begins with `!`."""
    matching = False
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        if re.search(r"[]?+\[\\]", plain):
            raise WorkflowError(f"only * is known here in a branch's pattern: {pattern}")
        parts = [re.escape(part).replace(r"\*", "[^/]*") for part in plain.split("**")]
        if re.fullmatch(".*".join(parts), branch):
            matching = plain == pattern
    return matching


def _input(name: str, rule: dict[str, Any], given: str | None) -> Value:
    options = [text(each) for each in rule.get("options", [])]
    usual = text(rule.get("default")) or (options[0] if options and not rule.get("required") else "")
    value, kind = usual if given is None else given, rule.get("type", "string")
    good = {
        "boolean": value in ("", "true", "false"),
        "choice": value in options,
        "number": number(value) == number(value),
    }
    if not good.get(kind, True) or (rule.get("required") and not value):
        raise WorkflowError(f"the input {name} cannot be '{value}'")
    return {"boolean": value == "true", "number": number(value)}.get(kind, value)


def _listed(one_or_more: Any) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else list(one_or_more or [])
