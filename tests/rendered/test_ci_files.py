"""What is written for GitHub Actions and GitLab CI, here and in generated projects: as schemas and linters want it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rig
import yaml
from actions.runner import Event, Workflow
from answers import VALUES, Answers
from rig import ROOT, VERSION, Project, environment, sh

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


def test_workflows_have_no_findings(plain: Path, tmp_path: Path) -> None:
    answers: list[Answers] = [{"database": "postgresql"}, *({"target": target} for target in VALUES["target"])]
    made = [rig.generate(plain, tmp_path / str(number), **each).folder for number, each in enumerate(answers)]
    assert workflows(ROOT, *made) == ""


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


def test_actions_are_pinned_by_commit_and_tokens_may_do_what_a_job_needs(github: Path) -> None:
    for folder in (github, ROOT):
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
    writes = {
        (file.stem, name, right)
        for file in (github / ".github/workflows").glob("*.yml")
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
        for right, level in job["permissions"].items()
        if level == "write"
    }
    assert writes == {
        ("deploy", "image", "packages"),
        ("update", "propose", "contents"),
        ("update", "propose", "pull-requests"),
    }


def test_one_deployment_a_stage_at_a_time_and_the_others_wait(github: Path) -> None:
    deploying = []
    for file in (github / ".github/workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text())
        for job in workflow["jobs"].values():
            if "environment" in job:
                limit = job.get("concurrency") or workflow["concurrency"]
                assert limit["queue"] == "max"
                assert "cancel-in-progress" not in limit
                deploying.append(limit["group"])
    assert sorted(deploying) == ["${{ inputs.stage }}", "develop", "preview-${{ github.event.number }}", "production"]


def test_checks_need_no_secret(github: Path) -> None:
    assert "secrets." not in (github / ".github/workflows/check.yml").read_text()


def test_renovates_configuration_is_one(generate: Callable[..., Project], tmp_path: Path) -> None:
    made = generate(tmp_path / "p", ci="gitlab").folder
    assert checked(made, "check-jsonschema", "--builtin-schema", "vendor.renovate", "renovate.json") == ""


def test_both_platforms_ask_the_same_of_a_change(generate: Callable[..., Project], tmp_path: Path) -> None:
    github = generate(tmp_path / "github").folder / ".github/pull_request_template.md"
    gitlab = generate(tmp_path / "gitlab", ci="gitlab").folder / ".gitlab/merge_request_templates/Default.md"
    assert github.read_bytes() == gitlab.read_bytes()


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
