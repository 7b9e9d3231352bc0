"""GitHub Actions: the workflows of a generated project, every command of theirs executed here, on a real engine."""

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import rig
import workspaces
from actions.runner import Environment, Event, Results, Workflow
from actions.stand_ins import cache, upload_artifact
from containers import host as ssh
from containers import registry
from containers.docker import build, docker, image_names, inspected, keep_no_layers
from production import Production, distinguish, grow_once
from rig import Project, environment

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


@dataclass
class Repository:
    """A project as GitHub has it, and what its workflows are given."""

    project: Project
    place: Path
    env: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    deploys: bool = False

    def __post_init__(self) -> None:
        self.branch = self.project.git("symbolic-ref", "--short", "HEAD")

    def run(self, workflow: str, event: Event, passed: Collection[str] = (), **inputs: str) -> Results:
        """What comes of an event; only what the workflows themselves name is stood in for."""
        store = self.place / secrets.token_hex(3)
        uses = {
            "docker/setup-docker-action": lambda call: call.expect("daemon-config") and None,
            "actions/cache": cache(self.place / "cache"),
            "actions/cache/restore": cache(self.place / "cache", saves=False),
            "actions/upload-artifact": upload_artifact(store / "artifacts"),
        }
        self.artifacts = store / "artifacts"
        file = self.project.folder / f".github/workflows/{workflow}.yml"
        return Workflow.read(file).run(
            self.project.folder,
            event,
            env=self.env,
            uses=uses,
            variables=self.variables,
            environments=self.environments,
            inputs=inputs,
            passed=passed,
            place=self.place / "github",
        )

    def commit(self, message: str = "Change") -> str:
        """Everything that is there as a commit, past the hooks."""
        self.project.git("add", "--all")
        self.project.git("commit", "--quiet", "--no-verify", "--message", message)
        return self.project.git("rev-parse", "HEAD")


def machine(config: Path) -> dict[str, str]:
    """GitHub's machine: docker finds its engine without a variable, and git knows nobody."""
    env = {key: value for key, value in environment(containers=True).items() if key not in rig.GIT_IDENTITY}
    if "DOCKER_CONFIG" in env:
        shutil.copytree(env["DOCKER_CONFIG"], config)
    if engine := env.pop("DOCKER_HOST", None):
        env["DOCKER_CONFIG"] = str(config)
        for command in (["create", "tests", f"--docker=host={engine}"], ["use", "tests"]):
            done = rig.sh("docker", "context", *command, cwd=config.parent, env=env)
            assert done.returncode == 0, done.stderr
    return env


@pytest.fixture
def repository(
    request: pytest.FixtureRequest, generate: Callable[..., Project], tmp_path: Path
) -> Iterator[Repository]:
    """A repository with a branch of its own besides main; nothing of its images and containers is left."""
    few = {"notebooks": "none"} if hasattr(request, "param") else {}  # of the libraries, whose layers CI keeps then
    project = replace(generate(tmp_path / "shop", reviewers="@ada @shop/ml", **few), containers=True)
    rig.configure(project, "production", {"customers = 20_000": "customers = 500"})
    grow_once(project)
    distinguish(project)
    if not hasattr(request, "param"):
        keep_no_layers(project)
    project.make("setup")
    project.git("switch", "--quiet", "--create", f"feature/{secrets.token_hex(3)}")
    made = Repository(project, tmp_path / "place", machine(tmp_path / "docker"))
    slug = slug_of(project)
    yield made
    branches = [slug, "main"]
    for stage in ("develop", "production"):
        for branch in branches if made.deploys else []:
            name = f"burger-combos-{stage}-{branch}"
            subprocess.run(["docker", "rm", "--force", name, f"{name}-next"], capture_output=True)
            subprocess.run(["docker", "volume", "rm", f"{name}_var", f"{name}_secrets"], capture_output=True)
    for image in image_names(f"burger-combos:*{slug}*"):
        docker("image", "rm", "--force", image)


def slug_of(project: Project) -> str:
    """What the branch is called in the names of containers."""
    return project.run(".venv/bin/python", "-m", "burger_combos.ops.version").stdout.split()[-1]


def test_what_deploy_checks_is_not_checked_twice(repository: Repository) -> None:
    assert not repository.run("check", Event("push", branch="main"))


@pytest.mark.alone
@pytest.mark.parametrize("repository", ["with layers"], indirect=True)
def test_without_changed_dependencies_nothing_is_installed_and_no_library_read_again(repository: Repository) -> None:
    """On a new machine, which has only what the cache brings."""
    hooks = repository.project.folder / ".pre-commit-config.yaml"
    rig.change(hooks, {"tool.sh mypy\n": "tool.sh mypy --verbose\n        verbose: true\n"})
    repository.commit()

    def read() -> set[str]:
        """What mypy reads in a job that is good."""
        done = repository.run("check", Event("push", branch=repository.branch))
        assert set(done.results.values()) == {"success"}, str(done)
        return set(re.findall(r"Parsing (\S+)", done["check"].output))

    def installed() -> list[list[str]]:
        return [inspected(build(repository.project, target))["RootFS"]["Layers"] for target in ("deps", "dev")]

    assert any("/opt/venv/" in file for file in read())
    first = installed()
    model = repository.project.folder / "src" / repository.project.package / "model.py"
    model.write_text(model.read_text() + "\n\n# Changed.\n")
    repository.commit()
    docker("builder", "prune", "--all", "--force")
    assert read() == {f"src/{repository.project.package}/model.py"}
    assert installed() == first


def test_a_commit_on_main_goes_to_develop_and_production_and_back(repository: Repository, tmp_path: Path) -> None:
    if not registry.is_there():
        rig.missing("DOCKER", "no docker-registry here: python3 tests/containers/engine.py brings one")
    if not ssh.is_there():
        rig.missing("DOCKER", "no SSH server here (dropbear), or not root, who starts one")
    project = repository.project
    project.git("switch", "--quiet", "main")
    repository.deploys = True
    stages = [Production(project, "main", stage) for stage in ("develop", "production")]
    with registry.serving(tmp_path) as address, ssh.host(tmp_path / "host") as elsewhere:
        repository.variables = {"REGISTRY": f"{address}/Shop"}
        reached = {"DOCKER_HOST": elsewhere.address, "SSH_KNOWN_HOSTS": elsewhere.known_hosts}
        given = {"SSH_KEY": elsewhere.key, "SETTINGS": "ALERT__HEARTBEAT=http://127.0.0.1:9/nobody\n"}
        repository.environments["production"] = Environment(reached, given)
        commits = []
        for checked in (False, True):
            model = project.folder / "src" / project.package / "model.py"
            model.write_text(model.read_text() + f"\n\n# {secrets.token_hex(4)}\n")
            commits.append(repository.commit())
            done = repository.run("deploy", Event("push"), ["check"] if checked else [])
            if not checked:
                good(done, commits[0])
                assert list(repository.artifacts.rglob("report.html"))
            assert set(done.results.values()) == {"success"}, str(done)
            image = done["image"].outputs["name"]
            assert re.fullmatch(rf"{address}/shop/burger-combos@sha256:[0-9a-f]{{64}}", image)
            for stage in stages:
                assert inspected(stage.name)["Config"]["Image"] == image
                assert stage.seen()["record"]["git_commit"] == commits[-1]
                assert stage.seen()["record"]["status"] == "ok"
                assert stage.seen()["deployments"][-1]["by"] == "ada"
                assert f"commit   {commits[-1]}" in done[stage.stage].output
        assert "a rehearsal, on this runner, as environment develop" in done["develop"].output
        assert "a rehearsal" not in done["production"].output
        came, left = (elsewhere.log.read_text().count(what) for what in ("auth succeeded for 'ada'", "Exit (ada)"))
        assert 0 < came == left
        attested(image)
        first, second = commits

        late = repository.run("deploy", Event("push", commit=first), ["check"])  # was slower than the one after it
        assert set(late.results.values()) == {"success"}, str(late)
        assert f"{second} is deployed already, which is newer than {first}" in late["production"].output
        assert stages[1].seen()["deployments"][-1]["commit"] == second

        back = repository.run("rollback", Event("workflow_dispatch"), stage="production")
        assert back.results == {"rollback": "success"}, str(back)
        assert stages[1].history()[-1] == ("rollback", first)
        assert f"commit   {first}" in back["rollback"].output
        assert stages[0].history()[-1] == ("deploy", second)

        refused = replace(elsewhere, key=elsewhere.key.replace("A", "B"))
        repository.environments["production"].secrets["SSH_KEY"] = refused.key
        red = repository.run("rollback", Event("workflow_dispatch"), stage="production")
        assert red.results == {"rollback": "failure"}


def good(done: Results, commit: str) -> None:
    """What the checks say of a commit in which nothing is wrong."""
    check, image = done["check / check"].output, done["check / image"].output
    assert " passed" in check
    assert "explore/first_look.py runs to its end" in check
    assert f"commit   {commit}" in image
    assert "its packages are the lock's" in image
    assert "No vulnerabilities found" in image


def attested(image: str) -> None:
    """The registry has what the image is made of and how, beside it."""

    def get(kind: str, digest: str) -> dict[str, object]:
        host, _, path = image.partition("@")[0].partition("/")
        request = Request(f"http://{host}/v2/{path}/{kind}/{digest}", headers={"Accept": MANIFESTS})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, object] = json.load(answer)
            return found

    manifests = get("manifests", image.partition("@")[2])["manifests"]
    assert isinstance(manifests, list)
    (made,) = [each["digest"] for each in manifests if "annotations" not in each]
    layers = get("manifests", made)["layers"]
    assert isinstance(layers, list)
    assert layers[-1]["mediaType"].endswith("+zstd")  # gzip takes three times as long
    (about,) = [each["digest"] for each in manifests if "annotations" in each]
    layers = get("manifests", about)["layers"]
    assert isinstance(layers, list)
    kinds = {each["annotations"]["in-toto.io/predicate-type"]: each["digest"] for each in layers}
    assert len(kinds) == 2
    (sbom,) = [digest for kind, digest in kinds.items() if "spdx" in kind]
    assert '"polars"' in json.dumps(get("blobs", sbom))
    (provenance,) = [digest for kind, digest in kinds.items() if "slsa" in kind]
    assert "uv sync" in json.dumps(get("blobs", provenance))


def test_a_pull_request_has_a_develop_of_its_own_until_it_is_closed(repository: Repository) -> None:
    head = repository.project.git("rev-parse", "HEAD")
    repository.deploys = True
    opened = repository.run("preview", Event("pull_request", branch=repository.branch))
    assert opened.results == {"preview": "success"}, str(opened)
    preview = Production(repository.project, slug_of(repository.project), "develop")
    assert preview.seen()["record"]["git_commit"] == head
    assert f"commit   {head}" in opened["preview"].output
    fork = repository.run("preview", Event("pull_request", branch=repository.branch, from_fork=True))
    assert fork.results == {"preview": "skipped"}
    status = repository.project.status()
    assert status["develop"]["commit"] == f"{head[:11]} (HEAD)"
    assert "just now by ada" in status["develop"]["deployed"]
    assert f"commit   {head}" in repository.project.make("results", "STAGE=develop")
    closed = repository.run("preview", Event("pull_request", branch=repository.branch, action="closed"))
    assert closed.results == {"preview": "success"}, str(closed)
    assert preview.containers() == []
    assert not [name for name in docker("volume", "ls", "--format={{.Name}}").split() if preview.name in name]


def with_gh(repository: Repository, place: Path) -> Path:
    """Give its machine a gh that knows of no pull request; return the file with what it is asked for."""
    said, gh = place / "said", place / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\necho "$GH_TOKEN: gh $*" >>"{said}"\n[ "$2" != list ] || echo 0\n')
    gh.chmod(0o755)
    repository.env["PATH"] = f"{gh.parent}:{repository.env['PATH']}"
    return said


def test_once_a_week_updates_are_proposed(template: Path, generate: Callable[..., Project], tmp_path: Path) -> None:
    newer = rig.next_release(template, tmp_path / "template", rig.append("template/Makefile.jinja", "\n# Newer.\n"))
    project = generate(tmp_path / "shop")
    rig.follow(project, newer)
    metadata = project.folder / "pyproject.toml"
    metadata.write_text(re.sub(r'(exclude-newer = ")[^T]+', r"\g<1>2026-11-20", metadata.read_text()))
    project.make("setup")
    repository = Repository(project, tmp_path / "place", env=machine(tmp_path / "docker"))
    said = with_gh(repository, tmp_path)
    done = repository.run("update", Event("schedule"))
    assert set(done.results.values()) == {"success"}, str(done)
    origin = tmp_path / "place/github/origin.git"

    def proposed(branch: str, *arguments: str) -> str:
        return rig.sh("git", *arguments, branch, cwd=origin).stdout

    assert "# Newer." in proposed("update:Makefile", "show")
    assert "_commit: 99.0.0" in proposed("update:.copier-answers.yml", "show")
    assert (
        proposed("update", "log", "-1", "--format=%an: %s")
        == "github-actions[bot]: Follow the template's newest release\n"
    )
    assert 'exclude-newer = "2026-11-20' not in proposed("upgrade:uv.lock", "show")
    assert "# Newer." not in proposed("upgrade:Makefile", "show")
    assert said.read_text().count("token-of-the-run: gh pr create --fill --head up") == 2

    project.git("pull", "--quiet", str(origin), "update")  # merged: there is nothing more to propose
    again = repository.run("update", Event("schedule"))
    assert "this is the newest release" in str([job.output for job in again.values()])


def test_once_a_week_updates_of_a_workspace_and_of_each_project_are_proposed(template: Path, tmp_path: Path) -> None:
    newer = tmp_path / "template"

    def change(folder: Path) -> None:
        for name in ("template/Makefile.jinja", "workspace/Makefile"):
            rig.append(name, "\n# Newer.\n")(folder)

    rig.next_release(template, newer, change)
    root = workspaces.generate(template, tmp_path / "shop", ci="github")
    for each in (root, *(workspaces.project(root, name) for name in workspaces.PROJECTS)):
        rig.follow(each, newer)
    metadata = root.folder / "pyproject.toml"
    metadata.write_text(re.sub(r'(exclude-newer = ")[^T]+', r"\g<1>2026-11-20", metadata.read_text()))
    assert root.run("sh", "develop/uv.sh", "lock", "--quiet").returncode == 0
    workspaces.change(root)
    repository = Repository(root, tmp_path / "place", machine(tmp_path / "docker"))
    said = with_gh(repository, tmp_path)
    done = repository.run("update", Event("schedule"))
    assert set(done.results.values()) == {"success"}, str(done)
    assert len(done) == 5
    origin = tmp_path / "place/github/origin.git"

    def proposed(branch: str) -> list[str]:
        """The files that a branch changes."""
        return rig.sh("git", "diff", "--name-only", f"main...{branch}", cwd=origin).stdout.split()

    assert proposed("update") == [".copier-answers.yml", "Makefile"]
    for name in workspaces.PROJECTS:
        assert proposed(f"update-{name}") == [f"models/{name}/{file}" for file in (".copier-answers.yml", "Makefile")]
    assert {"pyproject.toml", "uv.lock"} >= {*proposed("upgrade")} > {"pyproject.toml"}
    assert said.read_text().count("token-of-the-run: gh pr create --fill --head up") == 4


@pytest.fixture
def many(template: Path, containers: None, tmp_path: Path) -> Iterator[Repository]:
    """A workspace on main, with a registry; nothing of its images and containers is left."""
    if not registry.is_there():
        rig.missing("DOCKER", "no docker-registry here: python3 tests/containers/engine.py brings one")
    root = replace(workspaces.generate(template, tmp_path / "shop", ci="github"), containers=True)
    for name in workspaces.PROJECTS:
        grow_once(workspaces.project(root, name))
        distinguish(workspaces.project(root, name))
    keep_no_layers(root)
    workspaces.change(root)
    made = Repository(root, tmp_path / "place", machine(tmp_path / "docker"))
    with registry.serving(tmp_path) as address:
        made.variables = {"REGISTRY": f"{address}/Shop"}
        yield made
    for name in (package.replace("_", "-") for package in workspaces.PROJECTS.values()):
        for stage in ("develop", "production"):
            deployed = f"{name}-{stage}-main"
            subprocess.run(["docker", "rm", "--force", deployed, f"{deployed}-next"], capture_output=True)
            subprocess.run(["docker", "volume", "rm", f"{deployed}_var", f"{deployed}_secrets"], capture_output=True)
        for image in [*image_names(f"{name}*:*"), *image_names(f"{address}/shop/{name}:*")]:
            docker("image", "rm", "--force", image)


CHECKS = [f"check / {job}" for job in ("workspace", "hooks", "image")]


def test_a_commit_deploys_the_projects_of_a_workspace_that_it_touches(many: Repository) -> None:
    churn, demand = (
        {
            stage: Production(workspaces.project(many.project, name), "main", stage)
            for stage in ("develop", "production")
        }
        for name in workspaces.PROJECTS
    )

    def names(project: str, checked: bool = False) -> set[str]:
        """The jobs of a project alone, and those that a commit brings all the same."""
        matrix = f"({project}, docker)"
        deployed = {f"deploy {matrix} / {job}" for job in ("image", "develop / stage", "production / stage")}
        return {"check / changed / changed", "check / check", *deployed} | (
            {"check / workspace", f"check / hooks {matrix}", f"check / image {matrix}"} if checked else set()
        )

    def deployed(where: dict[str, Production], commit: str, done: Results) -> None:
        """Both stages have what was pushed of this commit."""
        project = where["develop"].project.folder.name
        image = done[f"deploy ({project}, docker) / image"].outputs["name"]
        assert re.search(rf"/shop/ws-{project}@sha256:[0-9a-f]{{64}}$", image)
        for stage in where.values():
            assert inspected(stage.name)["Config"]["Image"] == image
            assert stage.seen()["record"]["git_commit"] == commit
            assert stage.seen()["record"]["status"] == "ok"

    # One of the two: all its jobs, and none of the other's.
    first = workspaces.change(many.project, "models/demand/src/ws_demand/pipeline.py")
    done = many.run("deploy", Event("push"))
    assert done.results == dict.fromkeys(names("demand", checked=True), "success"), str(done)
    deployed(demand, first, done)
    assert [stage.containers() for stage in churn.values()] == [[], []]
    assert [path.name for path in many.artifacts.iterdir()] == ["run-demand"]
    assert list(many.artifacts.rglob("report.html"))
    said = "a rehearsal, on this runner, as environment demand-production has no variable DOCKER_HOST"
    assert said in done["deploy (demand, docker) / production / stage"].output

    # What they could share: the one that uses it, with the new one inside.
    many.environments["churn-production"] = Environment(secrets={"SETTINGS": "ALERT__HEARTBEAT=http://127.0.0.1:9/\n"})
    file = many.project.folder / workspaces.SHARED
    file.write_text(file.read_text() + 'WORD = "shared"\n')
    second = workspaces.change(many.project)
    done = many.run("deploy", Event("push"), CHECKS)
    assert done.results == dict.fromkeys(names("churn"), "success"), str(done)
    deployed(churn, second, done)
    deployed_before = inspected(demand["production"].name)["Config"]["Image"]
    assert churn["production"].inside("python -c 'import shared; print(shared.WORD)'") == "shared"
    assert "ALERT__HEARTBEAT" in churn["production"].inside("ls /run/secrets")
    assert demand["production"].seen()["record"]["git_commit"] == first

    # Neither: a result nevertheless.
    third = workspaces.change(many.project, "README.md")
    done = many.run("deploy", Event("push"), CHECKS)
    assert done.results == {"check / changed / changed": "success", "check / check": "success", "deploy": "skipped"}
    back = many.run("rollback", Event("workflow_dispatch", commit=third), project="demand", stage="production")
    assert back["rollback / stage"].result == "failure"  # there is no version before
    assert "no earlier" in back["rollback / stage"].output
    assert inspected(demand["production"].name)["Config"]["Image"] == deployed_before
