"""GitLab: the pipeline of a generated project, executed on a real engine; what gitlab-ci-local leaves out is read."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rig
import workspaces
import yaml
from containers.docker import docker, image_names, keep_no_layers
from gitlab import ORIGIN, Pipelines, idle, running
from production import Production, grow_once
from rig import ROOT, Project, sh

NAME = "gitlab_shop"  # always the same, as what every job's engine begins with is made for it
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
CHECKS = {"check": "on_success", "build": "on_success"}
UNDOING = {"rollback develop": "manual", "rollback production": "manual"}
ON_MAIN = CHECKS | UNDOING | {"develop": "on_success", "production": "manual"}
TO_MERGE = CHECKS | {"preview": "on_success", "preview's end": "manual"}
UPDATE = "propose: [update,Follow the template's newest release]"
UPGRADE = "propose: [upgrade,Newer versions of the dependencies]"


@pytest.fixture(scope="session")
def started(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is on GitLab, set up; tests take copies."""
    made = generate(tmp_path_factory.mktemp("gitlab") / "shop", package=NAME, ci="gitlab", database="postgresql")
    rig.configure(made, "production", {"customers = 20_000": "customers = 500"})
    grow_once(made)
    made.make("setup")
    return replace(made, containers=True)


@pytest.fixture
def pipelines(request: pytest.FixtureRequest, started: Project, tmp_path: Path) -> Pipelines:
    """Those of a copy of it, with a commit of its own."""
    shutil.copytree(started.folder, tmp_path / "shop", ignore=shutil.ignore_patterns(".venv"))
    project = replace(started, folder=tmp_path / "shop")
    if not hasattr(request, "param"):
        keep_no_layers(project)
    Production(project).commit(f"\n\n# {secrets.token_hex(4)}\n")
    return idle(project, tmp_path / "runner")


@pytest.fixture
def run(containers: None, pipelines: Pipelines) -> Iterator[Pipelines]:
    """The same, to be run."""
    with running(pipelines) as made:
        yield made


@pytest.mark.docker
@pytest.mark.parametrize("pipelines", ["with layers"], indirect=True)
def test_a_commit_on_main_goes_to_develop_and_at_a_click_to_production(run: Pipelines) -> None:
    head = run.project.git("rev-parse", "HEAD")
    done = run.run("push")
    assert done.passed == {"check": True, "build": True, "develop": True}, done.output
    assert " passed" in done.logs["check"]
    assert "explore/first_look.py runs to its end" in done.logs["check"]
    assert "No vulnerabilities found" in done.logs["build"]
    assert f"commit   {head}" in done.logs["build"]
    assert list(run.artifact("build", "var/develop").rglob("report.html"))
    told = run.artifact("build", ".gitlab-ci-reports/dotenv/var/image.env").read_text()
    image = told.removeprefix("IMAGE=").strip()
    assert re.fullmatch(rf"{run.registry}/group/shop/gitlab-shop@sha256:[0-9a-f]{{64}}", image), told
    done.logs |= run.run("push", "production").logs
    for stage in ("develop", "production"):
        assert "a rehearsal, on this runner, as there is no variable DEPLOY_HOST" in done.logs[stage]
        assert "the database: container gitlab-shop-" in done.logs[stage]
        assert f"deployed {head} as {image}" in done.logs[stage]
        assert f"commit   {head}" in done.logs[stage]


@pytest.mark.docker
def test_a_merge_request_has_a_develop_of_its_own_until_it_is_closed(run: Pipelines) -> None:
    project = run.project
    branch = f"preview-{secrets.token_hex(3)}"
    project.git("switch", "--quiet", "--create", branch)
    preview = Production(project, branch, "develop")
    here = f"--volume={SOCKET}:/tests/engine"  # stands for a Docker host, which keeps what is deployed

    try:
        opened = run.run("merge_request_event", "preview", "--needs", here, DEPLOY_HOST="unix:///tests/engine")
        assert opened.passed == {"build": True, "preview": True}, opened.output
        assert "a rehearsal" not in opened.logs["preview"]
        assert preview.seen()["record"]["git_commit"] == project.git("rev-parse", "HEAD")
        assert preview.seen()["deployments"][-1]["by"] == "ada"
        closed = run.run("merge_request_event", "preview's end", here, DEPLOY_HOST="unix:///tests/engine")
        assert closed.passed == {"preview's end": True}, closed.output
        assert preview.containers() == []
        assert not [name for name in docker("volume", "ls", "--format={{.Name}}").split() if preview.name in name]
    finally:
        project.run("make", "clean", "STAGE=develop", "CI=1")
        if mine := [*image_names(f"*:*{branch}*"), *image_names(f"{run.registry}/*/*/*")]:
            docker("image", "rm", "--force", *mine)


@pytest.mark.docker
def test_once_a_week_updates_are_proposed(
    containers: None, template: Path, generate: Callable[..., Project], tmp_path: Path
) -> None:
    newer = rig.next_release(template, tmp_path / "template", rig.append("template/Makefile.jinja", "\n# Newer.\n"))
    project = generate(tmp_path / "shop", ci="gitlab")
    rig.follow(project, newer)
    metadata = project.folder / "pyproject.toml"
    metadata.write_text(re.sub(r'(exclude-newer = ")[^T]+', r"\g<1>2026-11-20", metadata.read_text()))
    project.make("setup")

    # GitLab's repository: git goes to a folder instead, which is asked for what GitLab is asked for.
    origin = tmp_path / "origin.git"
    project.run("git", "clone", "--quiet", "--bare", ".", str(origin))
    project.run("git", "-C", str(origin), "config", "receive.advertisePushOptions", "true")
    hook = origin / "hooks/pre-receive"
    hook.write_text('#!/bin/sh\nenv | grep "^GIT_PUSH_OPTION_" | sort >>options\n')
    hook.chmod(0o755)
    reached = ORIGIN.replace("https://", "https://update:token-of-the-project@")
    git = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "url./tests/origin.git.insteadOf",
        "GIT_CONFIG_VALUE_0": reached,
    }
    git |= {"GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "*", "UPDATE_TOKEN": "token-of-the-project"}
    cache = project.run("uv", "cache", "dir").stdout.strip()
    folders = [f"--volume={newer}:{newer}:ro", f"--volume={origin}:/tests/origin.git"]
    folders.append(f"--volume={cache}:/root/.cache/uv")
    with running(idle(project, tmp_path / "runner"), seeded=False) as run:
        done = run.run("schedule", *folders, **git)
        assert done.passed == {UPDATE: True, UPGRADE: True}, done.output

        def proposed(branch: str, *arguments: str) -> str:
            return sh("git", *arguments, branch, cwd=origin).stdout

        assert "# Newer." in proposed("update:Makefile", "show")
        assert "_commit: 99.0.0" in proposed("update:.copier-answers.yml", "show")
        assert proposed("update", "log", "-1", "--format=%an: %s") == "Ada: Follow the template's newest release\n"
        assert 'exclude-newer = "2026-11-20' not in proposed("upgrade:uv.lock", "show")
        assert "# Newer." not in proposed("upgrade:Makefile", "show")
        options = (origin / "options").read_text()
        assert options.count("=merge_request.create\n") == 2
        for title in ("Follow the template's newest release", "Newer versions of the dependencies"):
            assert f"=merge_request.title={title}\n" in options

        project.git("pull", "--quiet", str(origin), "update")  # merged: there is nothing more to propose
        again = run.run("schedule", UPDATE, *folders, **git)
        assert "this is the newest release" in again.logs[UPDATE], again.output
        assert (origin / "options").read_text() == options


def test_each_event_brings_the_jobs_that_it_should(pipelines: Pipelines) -> None:
    assert pipelines.jobs("push") == ON_MAIN
    assert pipelines.jobs("schedule") == {UPDATE: "on_success", UPGRADE: "on_success"}
    pipelines.project.git("switch", "--quiet", "--create", "feature/Next")
    assert pipelines.jobs("push") == CHECKS
    assert pipelines.jobs("merge_request_event") == TO_MERGE


def test_no_job_runs_twice_for_a_merge_request(pipelines: Pipelines) -> None:
    """The rules of the workflow, which gitlab-ci-local does not look at, as rules of a job."""
    rules = yaml.safe_load((pipelines.project.folder / ".gitlab-ci.yml").read_text())["workflow"]["rules"]
    asked = {"it": {"script": "true", "image": "none", "rules": rules}}
    (pipelines.project.folder / "asked.yml").write_text(yaml.safe_dump(asked))

    def runs(event: str, *arguments: str, **variables: str) -> bool:
        return bool(pipelines.jobs(event, "--file=asked.yml", *arguments, **variables))

    assert runs("push", CI_OPEN_MERGE_REQUESTS="group/shop!7")  # of main, which is deployed all the same
    pipelines.project.git("switch", "--quiet", "--create", "feature/Next")
    assert runs("push")
    assert not runs("push", CI_OPEN_MERGE_REQUESTS="group/shop!7")
    assert runs("merge_request_event", CI_OPEN_MERGE_REQUESTS="group/shop!7")
    assert runs("schedule", CI_OPEN_MERGE_REQUESTS="group/shop!7")
    assert not runs("push", CI_COMMIT_BRANCH="", CI_COMMIT_TAG="v1")


def test_it_is_as_gitlabs_schema_says(pipelines: Pipelines) -> None:
    file = pipelines.project.folder / ".gitlab-ci.yml"
    command = [str(ROOT / ".venv/bin/check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", str(file)]
    done = sh(*command, cwd=pipelines.project.folder)
    assert done.returncode == 0, done.stdout
    file.write_text(file.read_text().replace("  on_stop:", "  on_end:"))
    assert sh(*command, cwd=pipelines.project.folder).returncode != 0


def test_one_deployment_of_a_stage_at_a_time_and_none_is_interrupted(pipelines: Pipelines) -> None:
    written = yaml.safe_load((pipelines.project.folder / ".gitlab-ci.yml").read_text())
    places = {}
    for name, job in written.items():
        if isinstance(job, dict) and "environment" in job:
            whole = written.get(job.get("extends"), {}) | job
            place = job["environment"] if isinstance(job["environment"], str) else job["environment"]["name"]
            assert job["resource_group"] == place
            assert not whole.get("interruptible")
            places[name] = place
    assert places == {
        **{"develop": "develop", "rollback develop": "develop"},
        **{"production": "production", "rollback production": "production"},
        **dict.fromkeys(("preview", "preview's end"), "preview/$CI_COMMIT_REF_SLUG"),
    }
    end = written[written["preview"]["environment"]["on_stop"]]
    assert end["environment"] == {"name": places["preview"], "action": "stop"}
    assert written["default"].get("interruptible") is None


@pytest.fixture
def many(template: Path, tmp_path: Path) -> Pipelines:
    """Those of a workspace, on main as GitLab has it."""
    root = replace(workspaces.generate(template, tmp_path / "shop", ci="gitlab"), containers=True)
    for name in workspaces.PROJECTS:
        grow_once(workspaces.project(root, name))
    keep_no_layers(root)
    workspaces.change(root)
    return idle(root, tmp_path / "runner")


def of(*projects: str, jobs: dict[str, str]) -> dict[str, str]:
    """These jobs of the projects of a workspace."""
    return {f"{project} {name}": when for project in projects for name, when in jobs.items()}


def test_each_event_brings_the_jobs_of_the_projects_that_it_touches(many: Pipelines) -> None:
    mine = {"check": "on_success"}
    undoing = of("churn", "demand", jobs=UNDOING)
    deployed = {name: when for name, when in ON_MAIN.items() if name not in UNDOING}
    workspaces.change(many.project, "README.md")
    assert many.jobs("push") == mine | undoing
    workspaces.change(many.project, "models/demand/README.md")
    assert many.jobs("push") == mine | undoing | of("demand", jobs=deployed)
    workspaces.change(many.project, "uv.lock")
    assert many.jobs("push") == mine | undoing | of("churn", "demand", jobs=deployed)
    own = {f"{project} propose": "on_success" for project in workspaces.PROJECTS}
    assert many.jobs("schedule") == {UPDATE: "on_success", UPGRADE: "on_success"} | own
    many.project.git("switch", "--quiet", "--create", "feature/Next", "origin/main")
    workspaces.change(many.project, "models/churn/src/ws_churn/pipeline.py")
    assert many.jobs("push") == mine | of("churn", jobs=CHECKS)
    assert many.jobs("merge_request_event") == mine | of("churn", jobs=TO_MERGE)
    workspaces.change(many.project, workspaces.SHARED)
    assert many.jobs("merge_request_event") == mine | of("churn", "demand", jobs=TO_MERGE)


@pytest.mark.docker
def test_a_commit_deploys_the_project_of_a_workspace_that_it_touches(containers: None, many: Pipelines) -> None:
    head = workspaces.change(many.project, "models/demand/src/ws_demand/pipeline.py")
    with running(many) as run:
        done = run.run("push")
        jobs = {"check", "demand check", "demand build", "demand develop"}
        assert done.passed == dict.fromkeys(jobs, True), done.output
        assert "hooks of the workspace passed" in done.logs["check"]
        assert "explore/first_look.py runs to its end" in done.logs["demand check"]
        assert list(run.artifact("demand build", "models/demand/var/develop").rglob("report.html"))
        told = run.artifact("demand build", ".gitlab-ci-reports/dotenv/models/demand/var/image.env").read_text()
        image = told.removeprefix("IMAGE=").strip()
        assert re.fullmatch(rf"{run.registry}/group/shop/ws-demand@sha256:[0-9a-f]{{64}}", image), told
        assert f"deployed {head} as {image}" in done.logs["demand develop"]
        assert f"commit   {head}" in done.logs["demand develop"]
