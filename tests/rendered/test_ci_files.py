"""What is written for GitHub Actions and GitLab CI, here and in generated projects: as schemas and linters want it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rig
import workspaces
import yaml
from actions.runner import Event, Workflow
from answers import VALUES, Answers
from rig import ROOT, VERSION, Project, environment, sh
from workspaces import SHARED

PATH = {"PATH": f"{ROOT}/.venv/bin:{environment()['PATH']}"}  # where actionlint finds shellcheck


def checked(folder: Path, *command: str) -> str:
    """What a linter of the tests' own environment says; empty where it finds nothing."""
    done = sh(ROOT / ".venv/bin" / command[0], *command[1:], cwd=folder, env=environment() | PATH)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def workflows(*folders: Path) -> str:
    """What schemas, actionlint and zizmor say of GitHub's workflows in these folders."""
    files = [str(path) for folder in folders for path in sorted((folder / ".github/workflows").glob("*.yml"))]
    updates = [str(folder / ".github/dependabot.yml") for folder in folders]
    assert len(files) > len(folders)
    found = checked(ROOT, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    found += checked(ROOT, "check-jsonschema", "--builtin-schema", "vendor.dependabot", *updates)
    found += checked(ROOT, "actionlint", *files)
    return found + checked(ROOT, "zizmor", "--offline", "--quiet", *(str(folder / ".github") for folder in folders))


@pytest.fixture
def github(plain: Path, tmp_path: Path) -> Path:
    """A generated project for GitHub."""
    return rig.generate(plain, tmp_path / "p", reviewers="@ada").folder


@pytest.fixture(scope="module")
def many(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A workspace for GitHub; tests leave its files as they are."""
    return workspaces.generate(plain, tmp_path_factory.mktemp("many") / "shop", locked=False, ci="github")


def test_workflows_have_no_findings(plain: Path, many: Project, tmp_path: Path) -> None:
    answers: list[Answers] = [{"database": "postgresql"}, *({"target": target} for target in VALUES["target"])]
    made = [rig.generate(plain, tmp_path / str(number), **each).folder for number, each in enumerate(answers)]
    assert workflows(ROOT, many.folder, *made) == ""
    assert not list(many.folder.glob("models/*/.github"))


# The verbs of both jobs, which tests/deployed/test_faults.py sees red. Each has to succeed.
CHECK = ['make inside DO="make check explore CHECK=1"']
ON_GITHUB = ['name=$(make --silent image)\necho "name=$name" >>"$GITHUB_OUTPUT"\n', "make develop", "make scan"]
ON_GITLAB = ["IMAGE=$(make --silent image)", 'mkdir -p var && echo "IMAGE=$IMAGE" >var/image.env']
ON_GITLAB += ['make develop scan IMAGE="$IMAGE"']


def test_a_commit_is_checked_by_verbs_each_of_which_has_to_succeed(
    github: Path, many: Project, on_gitlab: tuple[Path, Path]
) -> None:
    for folder, job in ((github, "check"), (many.folder, "hooks")):
        jobs = yaml.safe_load((folder / ".github/workflows/check.yml").read_text())["jobs"]
        for name, runs in ((job, CHECK), ("image", ON_GITHUB)):
            steps = [step for step in jobs[name]["steps"] if "run" in step]
            assert [step["run"] for step in steps] == runs
            assert not [step for step in steps if {"if", "continue-on-error", "shell"} & step.keys()]
            assert "continue-on-error" not in jobs[name]
    jobs = yaml.safe_load((on_gitlab[0] / ".gitlab-ci.yml").read_text())
    for name, script in (("check", CHECK), ("build", ON_GITLAB)):
        assert jobs[name]["script"] == script
        assert "allow_failure" not in jobs[name]


# What is put where in a workflow, and what is then said of it.
SPOILT = {
    "credentials": ("persist-credentials: false", "fetch-depth: 0", r"artipacked.*\n.*/credentials\.yml"),
    "key": ("timeout-minutes: 30", "timeout: 30", r"/key\.yml::.* is not valid"),
    "name": ("steps.image.outputs.name", "steps.image.output.name", r'/name\.yml:.*property "output" is not defined'),
    "version": ("d23441a48e516b6c34aea4fa41551a30e30af803", "v6", r"unpinned-uses.*\n.*/version\.yml"),
}


def test_a_bad_workflow_is_found(github: Path) -> None:
    folder = github / ".github/workflows"
    good = (folder / "check.yml").read_text()
    for name, (before, after, _) in SPOILT.items():
        (folder / f"{name}.yml").write_text(good.replace(before, after))
    found = workflows(github)
    for _, _, finding in SPOILT.values():
        assert re.search(finding, found), found


def test_actions_are_pinned_by_commit_and_tokens_may_do_what_a_job_needs(github: Path, many: Project) -> None:
    for folder in (github, many.folder, ROOT):
        for file in (folder / ".github/workflows").glob("*.yml"):
            text = file.read_text()
            for use in re.findall(r"uses: (\S+)(.*)", text):
                here = use[0].startswith("./")  # which each version of GitHub's server knows
                assert here or re.fullmatch(r"[^@]+@[0-9a-f]{40}", use[0]), use
                assert here or re.fullmatch(r" # v[\d.]+", use[1]), use
            workflow = yaml.safe_load(text)
            assert workflow["permissions"] == {}
            for job in workflow["jobs"].values():
                assert "contents" in job["permissions"]
    assert writes(github) == {
        ("deploy", "image", "packages"),
        ("update", "propose", "contents"),
        ("update", "propose", "pull-requests"),
    }
    assert writes(many.folder) == {
        ("deploy", "deploy", "packages"),
        ("preview", "preview", "packages"),
        ("project", "image", "packages"),
        *(("update", job, right) for job in ("propose", "project") for right in ("contents", "pull-requests")),
    }


def writes(folder: Path) -> set[tuple[str, str, str]]:
    """What the jobs of a folder's workflows may write: workflow, job, what."""
    return {
        (file.stem, name, right)
        for file in (folder / ".github/workflows").glob("*.yml")
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
        for right, level in job["permissions"].items()
        if level == "write"
    }


def test_one_deployment_a_stage_at_a_time_and_the_others_wait(github: Path, many: Project) -> None:
    stages = ["${{ inputs.stage }}", "develop", "preview-${{ github.event.number }}", "production"]
    assert deploying(github) == stages
    assert deploying(many.folder) == ["${{ inputs.project }}-${{ inputs.stage }}-${{ github.event.number }}"]


def deploying(folder: Path) -> list[str]:
    """The group of each job that deploys, of which one runs at a time and is not interrupted."""
    groups = []
    for file in (folder / ".github/workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text())
        for job in workflow["jobs"].values():
            if "environment" in job:
                limit = job.get("concurrency") or workflow["concurrency"]
                assert limit["queue"] == "max"
                assert "cancel-in-progress" not in limit
                groups.append(limit["group"])
    return sorted(groups)


def test_checks_need_no_secret(github: Path, many: Project) -> None:
    checks = [folder / ".github/workflows/check.yml" for folder in (github, many.folder)]
    for file in (*checks, many.folder / ".github/workflows/changed.yml"):
        assert not re.search(r"secrets(\.|: inherit)", file.read_text())


def test_a_workspaces_project_is_deployed_with_what_one_alone_is(folders: dict[str, Path], many: Project) -> None:
    """By its target: the condition without which nothing is, and what the step is given."""

    def steps(file: Path, job: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = yaml.safe_load(file.read_text())["jobs"][job]["steps"]
        return found

    there = steps(many.folder / ".github/workflows/stage.yml", "stage")
    for target, folder in folders.items():
        *_, alone = steps(folder / ".github/workflows/deploy.yml", "production")
        wanted = " && ".join([f"inputs.target == '{target}'", *filter(None, [alone.get("if")])])
        (step,) = [each for each in there if each.get("if") == wanted]
        assert step["env"] == alone["env"]
    assert len([each for each in there if "xargs make" in each.get("run", "")]) == len(folders)


NAMED = """
on: {push: , pull_request: {types: [opened, closed]}, schedule: [{cron: "0 4 * * 1"}]}
jobs:
  which: {uses: ./.github/workflows/changed.yml}
"""
ONE = "on: {workflow_dispatch: {inputs: {project: {type: string}}}}\njobs:\n"
ONE += "  which: {uses: ./.github/workflows/changed.yml, with: {project: '${{ inputs.project }}'}}\n"


def test_the_projects_that_a_change_touches_are_checked(many: Project, tmp_path: Path) -> None:
    many = replace(many, folder=shutil.copytree(many.folder, tmp_path / "shop"))
    folder = many.folder / ".github/workflows"
    (folder / "named.yml").write_text(NAMED)
    (folder / "one.yml").write_text(ONE)
    begun = workspaces.change(many, "README.md")

    def named(event: Event, file: str = "named", **inputs: str) -> dict[str, str]:
        done = Workflow.read(folder / f"{file}.yml").run(many.folder, event, env=environment(), inputs=inputs)
        assert done.results == {"which / changed": "success"}, str(done)
        found = json.loads(done["which / changed"].outputs["projects"])
        return {each["project"]: each["target"] for each in found}

    both = {"churn": "docker", "demand": "docker"}
    assert named(Event("push")) == {}
    workspaces.change(many, SHARED)
    assert named(Event("push")) == {"churn": "docker"}  # which uses the package
    workspaces.change(many, "models/demand/README.md")
    assert named(Event("push")) == {"demand": "docker"}
    assert named(Event("push", before=begun)) == both
    assert named(Event("push", before="1" * 40)) == both  # as after a push by force
    workspaces.change(many, "pyproject.toml")
    assert named(Event("push")) == both

    many.git("switch", "--quiet", "--create", "topic", begun)
    workspaces.change(many, "models/churn/README.md")
    later = workspaces.change(many, "README.md")
    assert named(Event("push", branch="topic", commit=later)) == {"churn": "docker"}  # all that the branch brings
    request = Event("pull_request", branch="topic", commit="topic")
    assert named(request) == {"churn": "docker"}
    many.git("switch", "--quiet", "main")
    many.git("merge", "--quiet", "--no-edit", "topic")
    assert named(replace(request, before=begun, action="closed")) == {"churn": "docker"}
    assert named(Event("schedule")) == both
    assert named(Event("workflow_dispatch"), "one", project="demand") == {"demand": "docker"}
    wrong = Workflow.read(folder / "one.yml").run(
        many.folder, Event("workflow_dispatch"), env=environment(), inputs={"project": "other"}
    )
    assert "::error::models/other is no project" in wrong["which / changed"].output
    assert wrong.results == {"which / changed": "failure"}


@pytest.fixture(scope="module")
def on_gitlab(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A project alone, and a workspace, for GitLab; tests leave their files as they are."""
    top = tmp_path_factory.mktemp("gitlab")
    alone = rig.generate(plain, top / "alone", example="blank", package="ws_churn", ci="gitlab").folder
    return alone, workspaces.generate(plain, top / "many", locked=False, ci="gitlab").folder


def test_renovates_configuration_is_one(on_gitlab: tuple[Path, Path]) -> None:
    alone, many = on_gitlab
    assert checked(alone, "check-jsonschema", "--builtin-schema", "vendor.renovate", "renovate.json") == ""
    assert (alone / "renovate.json").read_bytes() == (many / "renovate.json").read_bytes()
    assert not list(many.glob("models/*/renovate.json"))


def test_a_workspaces_project_has_the_jobs_of_one_alone(on_gitlab: tuple[Path, Path]) -> None:
    """Under its name and in its folder, each with the same script; its environments and what it keeps are its own."""
    alone, many = on_gitlab
    mine = yaml.safe_load((alone / ".gitlab-ci.yml").read_text())
    theirs = yaml.safe_load((many / "models/churn/.gitlab-ci.yml").read_text())
    jobs = {name: job for name, job in mine.items() if isinstance(job, dict) and not name.startswith(".")}
    jobs = {name: job for name, job in jobs.items() if name not in ("workflow", "variables", "default")}
    assert {f"churn {name}" for name in jobs} == {name for name in theirs if not name.startswith(".")}
    for name in ("check", "build"):
        assert theirs[f"churn {name}"]["script"] == jobs[name]["script"]
    assert theirs[".churn deployed"]["script"] == mine[".deployed"]["script"]
    assert theirs[".churn undone"]["script"] == mine[".undone"]["script"]
    assert theirs[".churn"]["before_script"] == [*mine["default"]["before_script"], "cd models/churn"]
    for name, job in jobs.items():
        if "environment" in job:
            there = theirs[f"churn {name}"]
            assert there["resource_group"] == f"churn/{job['resource_group']}"
            assert (there["environment"] == f"churn/{job['environment']}") != isinstance(job["environment"], dict)
    assert theirs["churn preview"]["environment"]["on_stop"] == "churn preview's end"
    build = theirs["churn build"]["artifacts"]
    kept = [*build["paths"], build["reports"]["dotenv"], *theirs[".churn built"]["cache"]["paths"]]
    assert all(path.startswith("models/churn/") for path in kept)


def test_the_pipelines_of_a_workspace_are_as_gitlabs_schema_says(on_gitlab: tuple[Path, Path]) -> None:
    _, many = on_gitlab
    files = [str(file) for file in (many / ".gitlab-ci.yml", *many.glob("models/*/.gitlab-ci.yml"))]
    assert len(files) == 3
    assert checked(many, "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *files) == ""


def test_both_platforms_ask_the_same_of_a_change_and_a_workspace_does(
    github: Path, many: Project, on_gitlab: tuple[Path, Path]
) -> None:
    asked = [folder / ".github/pull_request_template.md" for folder in (github, many.folder)]
    asked += [folder / ".gitlab/merge_request_templates/Default.md" for folder in on_gitlab]
    assert len({file.read_bytes() for file in asked}) == 1


def test_a_new_version_of_the_template_is_released_once(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / "repository/.github")
    for name in ("Makefile", "pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / "repository")
    repository = tmp_path / "repository"
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Release"]):
        assert sh("git", *arguments, cwd=repository).returncode == 0
    head = sh("git", "rev-parse", "HEAD", cwd=repository).stdout.strip()
    (tmp_path / "bin").mkdir()
    gh, said = tmp_path / "bin/gh", tmp_path / "said"
    gh.write_text(f'#!/bin/sh\n{{ echo "$GH_TOKEN: gh $*"; cat; }} >>"{said}"\n')
    gh.chmod(0o755)
    env = environment() | {"PATH": f"{gh.parent}:{environment()['PATH']}"}
    release = Workflow.read(repository / ".github/workflows/release.yml")
    for _ in range(2):
        done = release.run(repository, Event("push"), env=env)
        assert done.results == {"release": "success"}, str(done)
        sh("git", "tag", VERSION, cwd=repository)
    call, *notes = said.read_text().splitlines()
    assert call == f"token-of-the-run: gh release create {VERSION} --target {head} --title {VERSION} --notes-file -"
    assert notes
    assert not [line for line in notes if line.startswith("## ")]
    assert f"{VERSION} is one already" in done["release"].output
