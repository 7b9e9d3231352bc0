"""The rows of production: a committed change to its first result there, and looking at it."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import rig
from clusters import on_aws, on_kubernetes
from containers.docker import docker
from lab import Lab, Line, best, build, changing, confined
from rig import Project

CONTAINER = "burger-combos-production-main"
LOOK = "import adbc_driver_sqlite.dbapi, polars, pydantic_settings, rich.table, structlog, typer"


def deployed(lab: Lab) -> Iterator[Line]:
    """A committed change to production on a Docker host, and its first run done."""
    try:
        yield _deployed(lab, lab.project, "Docker", 2)
        yield from _looked_at(lab)
    finally:
        lab.seconds("make", "clean", "STAGE=production", f"SURE={CONTAINER}", cwd=lab.project.folder, containers=True)


def _looked_at(lab: Lab) -> Iterator[Line]:
    bare = ["docker", "exec", CONTAINER, "python", "-c", LOOK]
    for verb in ("status", "logs", "results"):
        look = ["make", verb, "STAGE=production"]
        ours, floor = best(
            7,
            partial(lab.seconds, *look, cwd=lab.project.folder, containers=True),
            partial(lab.seconds, *bare, containers=True),
        )
        yield Line(f"`{' '.join(look)}`", ours, "Python there importing what that needs", floor, 2)


def on_a_cluster(lab: Lab) -> Iterator[Line]:
    """A committed change to production on Kubernetes, by the stand-in of the tests that executes it."""
    with on_kubernetes(lab.template, _new(lab)) as (project, _):
        yield _deployed(lab, project, "Kubernetes, a stand-in")


def on_an_account(lab: Lab) -> Iterator[Line]:
    """A committed change to production on AWS, by Metaflow, on moto."""
    programs = rig.postgresql_programs()
    assert programs, "no PostgreSQL server's programs"
    with rig.postgresql_server(programs) as server, on_aws(lab.template, _new(lab), server) as (project, _):
        yield _deployed(lab, project, "Metaflow, on moto's AWS")


def _deployed(lab: Lab, project: Project, where: str, limit: float = math.inf) -> Line:
    with changing(project) as change:

        def committed() -> float:
            change()
            project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Change")
            return lab.seconds("make", "deploy", "WAIT=10", cwd=project.folder, containers=True, **project.env)

        def least() -> float:
            seconds = build(lab, project, "runtime") + build(lab, project, "test") + confined(lab, "test")
            return seconds + confined(lab, "runtime", "gates") + confined(lab, "runtime", "run", "--stage=production")

        ours, floor = best(2, committed, least)
    docker("volume", "rm", "bench")
    what = f"a committed change → in production, its first run done, {where}"
    return Line(what, ours, "no-change build + the gates + `docker run`", floor, limit)


def _new(lab: Lab) -> Path:
    folder = lab.fresh()
    folder.mkdir()
    return folder
