"""A GitHub Actions workflow, run on this machine: commands as the hosted runner starts them, actions by stand-ins.

The world is closed. A key, an action, an input or a name in an expression that is not known here is a `WorkflowError`,
so that nothing is passed over in silence.
"""

import copy
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .expressions import (
    Function,
    Open,
    Scope,
    Value,
    Variables,
    WorkflowError,
    condition,
    evaluate,
    number,
    text,
    truthy,
)
from .files import Event, WorkflowFile, action, at
from .stand_ins import Call, Failed, Outputs, StandIn, hash_of

__all__ = ["Environment", "Event", "JobResult", "Results", "StepResult", "Workflow", "WorkflowError"]

CHECKOUT = "actions/checkout"
TOKEN = "token-of-the-run"
LONGEST = 600  # seconds that a command may take


@dataclass(frozen=True)
class StepResult:
    """How a step ended; `conclusion` is success where a failure was let pass."""

    name: str
    outcome: str
    conclusion: str
    output: str = ""


@dataclass
class JobResult:
    """How a job ended, or one combination of its matrix."""

    name: str
    result: str = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[StepResult] = field(default_factory=list)
    summary: str = ""

    @property
    def failed(self) -> str | None:
        """The name of the step that made the job fail."""
        return next((step.name for step in self.steps if step.conclusion == "failure"), None)

    @property
    def output(self) -> str:
        """What all steps printed."""
        return "".join(step.output for step in self.steps)

    def step(self, name: str) -> StepResult:
        """The step of this name."""
        return next(step for step in self.steps if step.name == name)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.result}"]
        for step in self.steps:
            lines.append(f"  {step.outcome:7}  {step.name}")
            if step.outcome == "failure":
                lines += [f"    | {line}" for line in step.output.splitlines()]
        return "\n".join(lines)


class Results(dict[str, JobResult]):
    """The jobs of a run by name, in the order in which they ran.

    Names are as GitHub shows them: `job (value, value)` of a matrix, `job / its job` of a workflow that a job calls.
    """

    @property
    def results(self) -> dict[str, str]:
        """How each job ended: success, failure or skipped."""
        return {name: job.result for name, job in self.items()}

    def __str__(self) -> str:
        return "\n".join(map(str, self.values())) or "no job ran"


@dataclass(frozen=True)
class Environment:
    """What a job of an environment of the repository has besides."""

    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


class Workflow(WorkflowFile):
    """A workflow that can be run."""

    def run(
        self,
        folder: Path,
        event: Event,
        *,
        env: dict[str, str],
        uses: dict[str, StandIn] | None = None,
        variables: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
        environments: dict[str, Environment] | None = None,
        inputs: dict[str, str] | None = None,
        place: Path | None = None,
        passed: Collection[str] = (),
    ) -> Results:
        """Run all jobs, one after the other, on a commit of the repository in `folder`, which stays as it is.

        `env` is the whole environment of the hosted machine; what it has of GITHUB_, RUNNER_ and ACTIONS_ is left out.
        `uses` are the stand-ins by the action's name without its version; that of actions/checkout is there already.
        All jobs have their folders, each new, at the same path. With `place` it is `place`/work, so that several runs
        can share it, and what the jobs pushed stays in `place`/origin.git. If the event starts nothing, no job runs.
        Jobs of `passed` are taken for good ones without outputs, and not run; of a called workflow, `job / its job`.
        """
        with at(self.file.name), tempfile.TemporaryDirectory(prefix="actions", ignore_cleanup_errors=True) as own:
            if unknown := self.actions() - (uses or {}).keys() - {CHECKOUT}:
                raise WorkflowError(f"no stand-in for {', '.join(sorted(unknown))}")
            if not self.starts_on(event):
                return Results()
            run = _Run(self, place or Path(own), env, passed)
            run.begin(folder, event, self.inputs(event.name, inputs or {}))
            run.allow(uses or {}, Environment(variables or {}, secrets or {}), environments or {})
            return run.all()


class _Run:
    """A run of a workflow, on a copy of the repository as GitHub has it."""

    def __init__(self, workflow: Workflow, place: Path, env: dict[str, str], passed: Collection[str]) -> None:
        self.workflow = workflow
        self.passed = passed
        self.place = place
        self.env = {key: each for key, each in env.items() if not key.startswith(("GITHUB_", "RUNNER_", "ACTIONS_"))}
        self.origin = place / "origin.git"
        self.ended: dict[str, dict[str, Value]] = {}
        self.inherits = True

    def begin(self, folder: Path, event: Event, inputs: dict[str, Value]) -> None:
        """Copy the repository and find the commits; make the contexts that all jobs have."""
        self.place.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.origin, ignore_errors=True)
        self.git("clone", "--quiet", "--mirror", str(folder.resolve()), str(self.origin), cwd=self.place)
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        commit = self.commit_of(event.commit)
        self.event = replace(event, commit=commit, before=event.before or self._before(commit))
        base = self.commit_of(event.before or f"refs/heads/{event.base}") if event.is_request else ""
        self.commit = self._merged(base) if event.is_request else self.event.commit
        cron = (self.workflow.on.get("schedule") or [{}])[0].get("cron", "")
        payload = self.event.payload(base, {name: text(each) for name, each in inputs.items()}, cron)
        self.contexts: dict[str, Value] = {"github": self._github() | {"event": payload}, "inputs": Open(inputs)}

    def allow(self, uses: dict[str, StandIn], everywhere: Environment, environments: dict[str, Environment]) -> None:
        """Give the run its stand-ins; and variables and secrets, but not to a pull request from a fork."""
        foreign = self.event.is_request and self.event.from_fork
        self.uses: dict[str, StandIn] = {CHECKOUT: self.checkout} | uses
        self.environments = {} if foreign else environments
        self.contexts["vars"] = Open({} if foreign else everywhere.variables)
        self.secrets = Open(({} if foreign else everywhere.secrets) | {"GITHUB_TOKEN": TOKEN})

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """What git prints, in the copy of the repository if no folder is given."""
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.origin, env=self.env, text=True, capture_output=True, timeout=LONGEST
        )
        if done.returncode:
            raise WorkflowError(f"git {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def commit_of(self, name: str) -> str:
        """The commit that is meant by a name."""
        return self.git("rev-parse", "--verify", f"{name}^{{commit}}")

    def _before(self, commit: str) -> str:
        """What a branch was before a push of one commit: its first parent; zeros where there was nothing."""
        parents = self.git("rev-list", "--parents", "--max-count=1", commit).split()[1:]
        return parents[0] if parents else "0" * 40

    def _merged(self, base: str) -> str:
        """Make the commit that GitHub runs a pull request on: the head merged into the base."""
        head, author = self.event.commit, ["-c", "user.name=GitHub", "-c", "user.email=noreply@github.com"]
        tree = self.git("merge-tree", "--write-tree", base, head)
        made = self.git(*author, "commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge {head} into {base}")
        self.git("update-ref", self.event.ref, made)
        return made

    def _github(self) -> dict[str, Value]:
        event = self.event
        return {
            "actor": event.actor,
            "api_url": "https://api.github.com",
            "base_ref": event.base if event.is_request else "",
            "event_name": event.name,
            "head_ref": event.branch if event.is_request else "",
            "ref": event.ref,
            "ref_name": event.ref.split("/", 2)[2],
            "ref_type": "branch",
            "repository": event.repository,
            "repository_owner": event.repository.partition("/")[0],
            "run_attempt": "1",
            "run_id": str(time.time_ns()),
            "run_number": "1",
            "server_url": "https://github.com",
            "sha": self.commit,
            "token": TOKEN,
            "triggering_actor": event.actor,
            "workflow": self.workflow.tree.get("name", self.workflow.file.name),
        }

    def all(self) -> Results:
        """Run all jobs."""
        results = Results()
        for key in self.workflow.order():
            with at(f"job {key}"):
                results |= self._job(key)
        return results

    def _job(self, key: str) -> dict[str, JobResult]:
        job, workflow = self.workflow.jobs[key], self.workflow
        contexts = self.contexts | {"needs": {need: self.ended[need] for need in workflow.needs(key)}}
        # GitHub looks at all that comes before a job, so also at what its needs themselves did not mind.
        before = {self.ended[each]["result"] for each in workflow.ancestors(key)}
        calls = "uses" in job
        declared = (workflow.called(key).on["workflow_call"] or {}) if calls else job
        empty = dict.fromkeys(declared.get("outputs", {}), "")
        if key in self.passed:
            self.ended[key] = {"result": "success", "outputs": empty}
            return {}
        if not condition(job.get("if"), Scope(contexts, _status(before <= {"success"}, "failure" in before))):
            self.ended[key] = {"result": "skipped", "outputs": empty}
            return {key: JobResult(key, "skipped")}
        results, outputs = self._combined(key, contexts)
        good = all(result.result != "failure" for result in results.values())
        self.ended[key] = {"result": "success" if good else "failure", "outputs": empty | outputs}
        return results

    def _called(self, key: str, name: str, contexts: dict[str, Value]) -> tuple[dict[str, JobResult], Outputs]:
        job, called = self.workflow.jobs[key], self.workflow.called(key)
        run = copy.copy(self)
        run.workflow, run.ended = called, {}
        run.passed = [each.removeprefix(f"{key} / ") for each in self.passed if each.startswith(f"{key} / ")]
        given = called.inputs("workflow_call", _texts(job.get("with"), Scope(contexts, {})))
        run.contexts = self.contexts | {"inputs": Open(given)}
        if job.get("secrets") != "inherit":
            passed = _texts(job.get("secrets"), Scope(contexts | {"secrets": self.secrets}, {}))
            run.secrets = Open(passed | {"GITHUB_TOKEN": TOKEN})
            run.inherits = False
        evaluate([job.get("name"), job.get("concurrency")], Scope(contexts, {}))
        with at(called.file.name):
            results = {f"{name} / {key}": replace(each, name=f"{name} / {key}") for key, each in run.all().items()}
            outputs = (called.on["workflow_call"] or {}).get("outputs", {})
            values = {name: each["value"] for name, each in outputs.items()}
            return results, _texts(values, Scope(run.contexts | {"jobs": run.ended}, {}))

    def _combined(self, key: str, contexts: dict[str, Value]) -> tuple[dict[str, JobResult], Outputs]:
        job = self.workflow.jobs[key]
        matrix = evaluate(job.get("strategy", {}), Scope(contexts, {})).get("matrix")
        combinations = [{}] if matrix is None else _combinations(matrix)
        nothing: dict[str, Value] = {name: None for each in combinations for name in each}
        results: dict[str, JobResult] = {}
        outputs: Outputs = {}
        for each in combinations:
            name = f"{key} ({', '.join(map(text, each.values()))})" if each else key
            inside = contexts | {"matrix": nothing | each}
            if "uses" in job:
                ended, left = self._called(key, name, inside)
            else:
                result = _Job(self, key, name, inside).run()
                ended, left = {name: result}, result.outputs
            results |= ended
            outputs |= {output: value for output, value in left.items() if value}
        return results, outputs

    def checkout(self, call: Call) -> Outputs:
        """actions/checkout: the event's branch on its commit, a pull request's merge, or what `ref` names."""
        inputs = call.expect(optional="ref fetch-depth persist-credentials")
        ref, commit = self._asked(inputs["ref"]) if inputs["ref"] else (self.event.ref, self.commit)
        for path in call.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        branch = ref.removeprefix("refs/heads/")
        copy = f"refs/remotes/origin/{branch}"
        wanted, to = (f"+{commit}:{copy}", ["-B", branch, copy]) if branch != ref else (commit, ["--detach", commit])

        def git(*arguments: str) -> None:
            self.git(*arguments, cwd=call.folder)

        git("init", "--quiet")
        git("remote", "add", "origin", self.origin.as_uri())
        depth = int(inputs["fetch-depth"] or 1)
        if not depth:
            git("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git("fetch", "--quiet", *(["--no-tags", f"--depth={depth}"] if depth else []), "origin", wanted)
        git("checkout", "--quiet", "--force", *to)
        return {"ref": ref, "commit": commit}

    def _asked(self, ref: str) -> tuple[str, str]:
        full = ref.startswith("refs/") or re.fullmatch("[0-9a-f]{40}", ref)
        for name in [ref] if full else [f"refs/heads/{ref}", f"refs/tags/{ref}"]:
            with suppress(WorkflowError):
                return name, self.commit_of(name)
        raise Failed(f"A branch or tag with the name '{ref}' could not be found")


class _Job:
    """One job, or one combination of its matrix, on a machine of its own."""

    def __init__(self, run: _Run, key: str, name: str, contexts: dict[str, Value]) -> None:
        self.owner = run
        self.tree = run.workflow.jobs[key]
        shown = self.tree.get("environment")
        shown = evaluate(shown["name"] if isinstance(shown, dict) else shown, Scope(contexts, {}))
        more = run.environments.get(text(shown), Environment())
        self.secrets = Open(run.secrets | more.secrets)
        if not run.inherits:
            # Of an environment's secrets a called workflow gets those alone whose names it is passed.
            self.secrets = Open({name: self.secrets[name] for name in run.secrets})
        contexts = contexts | {"vars": Open(contexts["vars"] | more.variables)}
        self.result = JobResult(name)
        self.root = run.place / "work"
        repository = run.event.repository.partition("/")[2]
        self.folder = self.root / repository / repository
        self.own = self.root / "_runner"
        runner = {"name": "GitHub Actions 1", "os": "Linux", "arch": "X64", "environment": "github-hosted"}
        runner |= {"temp": str(self.root / "_temp"), "tool_cache": str(self.root / "_tools")}
        event = str(self.own / "event.json")
        github = contexts["github"] | {"job": key, "workspace": str(self.folder), "event_path": event}
        self.plain = contexts
        self.steps: dict[str, Value] = {}
        self.about = {"status": "success"}
        self.contexts = contexts | {"github": github, "runner": runner, "job": self.about, "steps": self.steps}
        self.fixed = {f"GITHUB_{key.upper()}": each for key, each in github.items() if key not in ("event", "token")}
        self.fixed |= {f"RUNNER_{key.upper()}": each for key, each in runner.items()}
        self.fixed |= {"GITHUB_ACTIONS": "true", "RUNNER_TRACKING_ID": f"github_{time.time_ns()}"}
        self.env: dict[str, str] = {}
        self.paths: list[str] = []
        self.posts: list[tuple[str, Generator[Outputs, bool, None]]] = []

    @property
    def good(self) -> bool:
        """Whether no step has failed."""
        return self.result.result == "success"

    def run(self) -> JobResult:
        """Run it to its end; its folders and its processes end with it."""
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in (self.folder, self.own, self.root / "_temp", self.root / "_tools"):
            folder.mkdir(parents=True)
        (self.own / "event.json").write_text(json.dumps(self.contexts["github"]["event"]))
        try:
            self._begin()
            for place, step in enumerate(self.tree["steps"], 1):
                with at(f"step {place}"):
                    self._step(place, step)
            for name, post in reversed(self.posts):
                self._post(name, post)
            self._end()
        finally:
            _kill(self.fixed["RUNNER_TRACKING_ID"])
            shutil.rmtree(self.root, ignore_errors=True)
        return self.result

    def _begin(self) -> None:
        secrets, workflow = {"secrets": self.secrets}, self.owner.workflow.tree
        outer = {name: self.plain[name] for name in self.owner.contexts}
        self.env = _texts(workflow.get("env"), Scope(outer | secrets, {}))
        self.env |= _texts(self.tree.get("env"), Scope(self.plain | secrets, {}))
        # These do nothing here, but what is wrong in them is found.
        evaluate(workflow.get("concurrency"), Scope(outer, {}))
        evaluate([self.tree.get(key) for key in ("name", "runs-on", "concurrency")], Scope(self.plain, {}))

    def _end(self) -> None:
        self.result.outputs = _texts(self.tree.get("outputs"), self._scope(self.env))
        for name, output in self.result.outputs.items():
            if any(secret and secret in output for secret in self.secrets.values()):
                raise WorkflowError(f"the output {name} has a secret in it, and GitHub would empty it")
        if isinstance(shown := self.tree.get("environment"), dict):
            evaluate(shown.get("url"), self._scope(self.env, secrets=False))

    def _scope(self, env: dict[str, str], *, secrets: bool = True, **functions: Function) -> Scope:
        contexts = self.contexts | {"env": Variables(env)} | ({"secrets": self.secrets} if secrets else {})
        return Scope(contexts, functions | {"hashfiles": lambda *patterns: hash_of(self.folder, *patterns)})

    def _step(self, place: int, step: dict[str, Any]) -> None:
        env = self.env | _texts(step.get("env"), self._scope(self.env))
        scope = self._scope(env)
        first = str(step.get("run") or step.get("uses")).strip().partition("\n")[0]
        name = text(evaluate(step.get("name"), scope)) or f"Run {first}"
        if not condition(step.get("if"), self._scope(env, secrets=False, **_status(self.good, not self.good))):
            self._note(StepResult(name, "skipped", "skipped"), step.get("id"), {})
            return
        files = {key: self.own / f"{key}_{place}" for key in ("ENV", "OUTPUT", "PATH", "STEP_SUMMARY", "STATE")}
        for file in files.values():
            file.touch()
        path = [*reversed(self.paths), env.get("PATH") or self.owner.env.get("PATH", os.defpath)]
        around = self.owner.env | {"CI": "true"} | env | {"PATH": os.pathsep.join(path)} | self.fixed
        around |= {f"GITHUB_{key}": str(file) for key, file in files.items()}
        outputs: Outputs = {}
        if "run" in step:
            good, output = self._command(self.own / f"{place}.sh", step, scope, around)
        else:
            good, output, outputs = self._action(step, scope, around)
        try:
            outputs |= _assigned(files["OUTPUT"])
            self.env |= _assigned(files["ENV"])
        except ValueError as error:
            good, output = False, f"{output}{error}\n"
        added = [line for line in files["PATH"].read_text(encoding="utf-8").split("\n") if line]
        self.paths = [line for line in self.paths if line not in added] + added
        self.result.summary += files["STEP_SUMMARY"].read_text(encoding="utf-8")
        passed = good or truthy(evaluate(step.get("continue-on-error"), scope))
        ends = ("failure", "success")
        self._note(StepResult(name, ends[good], ends[passed], output), step.get("id"), outputs)

    def _note(self, result: StepResult, key: str | None, outputs: Outputs) -> None:
        self.result.steps.append(result)
        if result.conclusion == "failure":
            self.result.result = self.about["status"] = "failure"
        if key:
            # A good step has written all outputs that it is asked for; another may not have come to it.
            known = outputs if result.outcome == "success" else Open(outputs)
            self.steps[key] = {"outputs": known, "outcome": result.outcome, "conclusion": result.conclusion}

    def _command(self, script: Path, step: dict[str, Any], scope: Scope, env: dict[str, str]) -> tuple[bool, str]:
        for tree in (self.tree, self.owner.workflow.tree):
            step = tree.get("defaults", {}).get("run", {}) | step
        folder = self.folder / text(evaluate(step.get("working-directory"), scope))
        if not folder.is_dir():
            return False, f"No such file or directory: {folder}\n"
        script.write_text(text(evaluate(step["run"], scope)) + "\n")
        options = ["--noprofile", "--norc", "-eo", "pipefail"] if "shell" in step else ["-e"]
        limits = [evaluate(each.get("timeout-minutes"), scope) for each in (self.tree, step)]
        limit = min([LONGEST, *(60 * number(minutes) for minutes in limits if minutes is not None)])
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "start_new_session": True}
        # Into a file, not a pipe: what a step leaves in the background would keep a pipe open.
        log = script.with_suffix(".log")
        with log.open("wb") as out:
            process = subprocess.Popen(["bash", *options, script], cwd=folder, env=env, stdout=out, **streams)
            try:
                end = f"Process completed with exit code {process.wait(limit)}.\n"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                end = f"Ended after {limit:g} seconds.\n"
        output = log.read_text(encoding="utf-8", errors="replace")
        return process.returncode == 0, output + (end if process.returncode else "")

    def _action(self, step: dict[str, Any], scope: Scope, env: dict[str, str]) -> tuple[bool, str, Outputs]:
        name = action(step)
        try:
            answer = self.owner.uses[name](Call(name, _texts(step.get("with"), scope), self.folder, env))
            if isinstance(answer, Generator):
                post, answer = answer, next(answer)
                self.posts.append((name, post))
        except Failed as error:
            return False, f"{error}\n", {}
        return True, "", dict(answer or {})

    def _post(self, name: str, post: Generator[Outputs, bool, None]) -> None:
        output = ""
        try:
            post.send(self.good)
            raise WorkflowError(f"the stand-in for {name} yields twice")
        except StopIteration:
            end = "success"
        except Failed as error:
            end, output = "failure", f"{error}\n"
        self._note(StepResult(f"Post {name}", end, end, output), None, {})


def _combinations(matrix: dict[str, Any]) -> list[dict[str, Value]]:
    """The combinations of a matrix; those that GitHub would stop for another's failure are run too."""
    axes = {name: values for name, values in matrix.items() if name not in ("include", "exclude")}
    if wrong := [name for name, values in axes.items() if not isinstance(values, list) or not values]:
        raise WorkflowError(f"no list of values in the matrix: {', '.join(wrong)}")
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    grid = [each for each in grid if not any(each | without == each for without in matrix.get("exclude", []))]
    combinations, more = [dict(plain) for plain in grid], []
    for extra in matrix.get("include", []):
        # It is added wherever it changes no value of the grid, and else it is one more combination.
        fitting = [place for place, plain in enumerate(grid) if extra | plain == plain | extra]
        for place in fitting:
            combinations[place] |= extra
        more += [] if fitting else [dict(extra)]
    if not combinations + more:
        raise WorkflowError("a matrix without a combination")
    return combinations + more


def _status(success: bool, failure: bool) -> dict[str, Function]:
    def constant(holds: bool) -> Function:
        return lambda: holds

    ends = {"success": success, "failure": failure, "always": True, "cancelled": False}
    return {name: constant(holds) for name, holds in ends.items()}


def _texts(mapping: dict[str, Any] | None, scope: Scope) -> dict[str, str]:
    return {name: text(evaluate(each, scope)) for name, each in (mapping or {}).items()}


def _assigned(file: Path) -> dict[str, str]:
    """What a step wrote into a file: lines of `name=value`, and blocks that begin with `name<<END`."""
    assigned = {}
    lines = iter(file.read_text(encoding="utf-8").split("\n"))
    for line in filter(None, lines):
        found = re.fullmatch(r"(.+?)(=|<<)(.*)", line)
        if not found:
            raise ValueError(f"Invalid format '{line}'")
        name, sign, value = found.groups()
        if sign == "<<":
            block: list[str] = []
            while (each := next(lines, None)) != value:
                if each is None:
                    raise ValueError(f"Matching delimiter not found '{value}'")
                block.append(each)
            value = "\n".join(block)
        assigned[name] = value
    return assigned


def _kill(tracking: str) -> None:
    """End what a job left in the background, which the hosted runner too finds by this variable."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"RUNNER_TRACKING_ID={tracking}".encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
