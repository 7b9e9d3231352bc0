"""The rows of the inner loop: one changed line to its result, to its commit, and the devcontainer."""

import math
import time
from collections.abc import Iterator

import rig
from containers.devcontainer import install
from containers.docker import docker, inspected
from lab import Lab, Line, best, build, changing, confined
from rig import Project

TARGETS: dict[str, dict[str, str]] = {
    "Docker": {},
    "Kubernetes": {"target": "kubernetes"},
    "Metaflow": {"target": "metaflow-argo"},
    "Kubeflow": {"target": "kubeflow"},
}


def again(lab: Lab) -> Iterator[Line]:
    """One changed line to the next result, in the locked environment."""
    python = lab.project.folder / ".venv/bin/python"
    with changing(lab.project) as change:

        def changed() -> float:
            change()
            return lab.seconds("make", "develop", cwd=lab.project.folder)

        ours, floor = best(7, changed, lambda: lab.seconds(python, "-c", "import numpy, polars"))
    what = "`make develop` after one changed line, no container engine"
    yield Line(what, ours, "Python importing numpy and polars", floor, 4)


def committing(lab: Lab) -> Iterator[Line]:
    """One changed line to the commit, its hooks warm."""
    folder = lab.project.folder
    model = str(next(folder.glob("src/*/model.py")))
    tools = [["ruff", "format", model], ["ruff", "check", model], ["mypy"]]
    with changing(lab.project) as change:

        def committed() -> float:
            change()
            lab.seconds(".venv/bin/ruff", "format", "--quiet", model, cwd=folder)
            return lab.seconds("git", "commit", "--quiet", "--all", "--message", "Change", cwd=folder)

        def least() -> float:
            change()
            return sum(lab.seconds(f".venv/bin/{tool[0]}", *tool[1:], cwd=folder) for tool in tools)

        ours, floor = best(5, committed, least)
    remark = "" if ours < 3 else "**over 3 s**"
    yield Line(
        "`git commit` of one changed line, eight hooks", ours, "formatter, linter and types alone", floor, 3, remark
    )


def developed(lab: Lab) -> Iterator[Line]:
    """One changed line to the next result, from the rebuilt image, on each target."""
    for target, answers in TARGETS.items():
        project = rig.generate(lab.template, lab.fresh(), **answers)
        project.make("setup")
        yield _developed(lab, target, project)


def _developed(lab: Lab, target: str, project: Project) -> Line:
    with changing(project) as change:

        def changed() -> float:
            change()
            return lab.seconds("make", "develop", cwd=project.folder, containers=True)

        ours, floor = best(
            5, changed, lambda: build(lab, project, "runtime") + confined(lab, "runtime", "run", "--stage=develop")
        )
    lab.seconds("make", "clean", "YES=1", cwd=project.folder, containers=True)
    docker("volume", "rm", "bench")
    what = f"`make develop` in the image after one changed line, {target}"
    remark = f"the image has {inspected('bench-runtime')['Size'] / 1e6:.0f} MB"
    limit = 1.5 if target == "Docker" else math.inf
    return Line(what, ours, "no-change build + `docker run` of the pipeline", floor, limit, remark)


def devcontainer(lab: Lab) -> Iterator[Line]:
    """Opening the devcontainer anew, its image cached."""
    cli, folder = install(), lab.project.folder
    up = [str(cli), "up", "--workspace-folder", str(folder), "--remove-existing-container"]
    lab.seconds(*up, containers=True)
    mine = ["--filter", f"label=devcontainer.local_folder={folder}"]
    image = docker("ps", "--format={{.Image}}", *mine)

    def least() -> float:
        start = time.perf_counter()
        container = docker("run", "--detach", "--init", image)
        docker("exec", container, "true")
        seconds = time.perf_counter() - start
        docker("rm", "--force", container)
        return seconds

    ours, floor = best(3, lambda: lab.seconds(*up, containers=True), least)
    docker("rm", "--force", docker("ps", "--quiet", *mine))
    yield Line("`devcontainer up`, image cached", ours, "`docker run` of the same image until it answers", floor)
