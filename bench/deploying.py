"""The rows of production on a Docker host."""

import time
from collections.abc import Iterator
from functools import partial

from containers.docker import docker
from lab import Lab, Line, best, changing

CONTAINER = "burger-combos-production-main"
LOOK = "import adbc_driver_sqlite.dbapi, polars, pydantic_settings, rich.table, structlog, typer"


def deployed(lab: Lab) -> Iterator[Line]:
    """A committed change to production, and its first run done."""
    folder = lab.project.folder
    build = ["docker", "buildx", "build", "--load", "--quiet", str(folder)]
    confined = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"]
    with changing(lab) as change:

        def committed() -> float:
            change()
            lab.project.git("commit", "--quiet", "--no-verify", "--all", "--message", "Change")
            mine = f'"git_commit": "{lab.project.git("rev-parse", "HEAD")}"'
            start = time.perf_counter()
            lab.seconds("make", "deploy", cwd=folder, containers=True)
            while not any(mine in run and '"status": "ok"' in run for run in records()):
                time.sleep(0.05)
            return time.perf_counter() - start

        def records() -> list[str]:
            return docker("exec", CONTAINER, "sh", "-c", "cat var/production/runs/*/run.json; true").splitlines()

        def least() -> float:
            targets = (["--tag=bench", "--target=runtime"], ["--tag=bench-test", "--target=test"])
            seconds = sum(lab.seconds(*build, *target, containers=True) for target in targets)
            data = "--volume=bench:/app/var"
            own = (["bench-test"], [data, "bench", "gates"], [data, "bench", "run", "--stage=production"])
            return seconds + sum(lab.seconds(*confined, *each, containers=True) for each in own)

        least()
        committed()
        ours, floor = best(3, committed, least)
    what = "a committed change → in production, its first run done"
    yield Line(what, ours, "no-change build + the gates + `docker run`", floor, 2)
    yield from _looking(lab)
    lab.seconds("make", "clean", "STAGE=production", f"SURE={CONTAINER}", cwd=folder, containers=True)
    docker("volume", "rm", "bench")


def _looking(lab: Lab) -> Iterator[Line]:
    bare = ["docker", "exec", CONTAINER, "python", "-c", LOOK]
    for verb in ("status", "logs", "results"):
        look = ["make", verb, "STAGE=production"]
        ours, floor = best(
            7,
            partial(lab.seconds, *look, cwd=lab.project.folder, containers=True),
            partial(lab.seconds, *bare, containers=True),
        )
        yield Line(f"`{' '.join(look)}`", ours, "Python there importing what that needs", floor, 2)
