"""Production that answers by HTTP, on a real engine: under load while versions come and go, and one is killed."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rig
from containers.docker import docker, image_names, inspected
from listener import until
from ports import free_port
from production import Production, leave_out_what_takes_long
from rig import Project
from served import Client, Load

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

TOKEN = "a-token-that-nobody-guesses"
# The container's first process restarts with the container; the other is Python.
KILL = "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || ! grep -qa bin/python $p/cmdline || kill -9 ${p#/proc/}; done"


@pytest.fixture
def production(generate: Callable[..., Project], tmp_path: Path) -> Iterator[tuple[Production, Client]]:
    """A project that serves, committed and not yet deployed, and a client of it; nothing of it is left behind."""
    project = replace(generate(tmp_path / "shop", serving="http"), containers=True)
    client = Client(free_port(), TOKEN)
    rig.configure(
        project,
        "production",
        {"customers = 20_000": "customers = 500", "port = 8000": f"port = {client.port}", "cpu = 0 #": "cpu = 2 #"},
    )
    leave_out_what_takes_long(project)
    project.make("setup")
    project.git("checkout", "--quiet", "-b", f"test-{secrets.token_hex(3)}")
    made = Production(project)
    yield made, client
    made.project.make("clean", "STAGE=production", f"SURE={made.name}")
    assert made.containers() == []
    assert not [name for name in docker("volume", "ls", "--format={{.Name}}").split() if made.name in name]
    for image in image_names(f"*:*{made.branch}*"):
        docker("image", "rm", image)


def test_no_request_is_lost_when_a_version_is_deployed_or_rolled_back(production: tuple[Production, Client]) -> None:
    made, client = production
    first = made.commit()
    refused = made.refused()
    assert "serving.token is empty, and 0.0.0.0 is not this machine alone" in refused
    assert f"{first} cannot serve the results: the old version stays active" in refused
    (made.project.folder / "production/secrets").mkdir(exist_ok=True)
    (made.project.folder / "production/secrets/BURGER_COMBOS_SERVING__TOKEN").write_text(f"{TOKEN}\n")
    assert f"serving at http://127.0.0.1:{client.port}/results" in made.deploy()
    until(made.done_by(first))
    client.until("/ready")
    assert Client(client.port).ask("/results").status == 401
    service, port = f"{made.name}-service", f"{made.name}-port"
    assert inspected(service)["Image"] == inspected(made.name)["Image"]
    assert not inspected(service)["HostConfig"]["PortBindings"]
    limits = [inspected(each)["HostConfig"]["NanoCpus"] for each in (made.name, service)]
    assert limits == [2_000_000_000, 0]  # what steps may use is none of what answers

    keys = [row["customer"] for row in client.rows(limit=50)[:40]]
    paths = [f"/results/{key}" for key in keys]
    with Load(client.port, paths, TOKEN) as load:
        load.done(100)
        second = made.commit()
        made.deploy()
        until(made.done_by(second))
        load.done(100)
    assert (set(load.statuses), load.failed) == ({200}, [])
    assert client.ask("/results?limit=1").headers["x-git-commit"] == second
    shown = made.project.status("STAGE=production")["production"]["service"]
    assert shown == f"http://127.0.0.1:{client.port}, running, of {second[:11]}"
    assert "serving " in made.project.make("logs", "STAGE=production", "RUN=service")
    assert "nothing to do" in made.deploy()

    with Load(client.port, paths, TOKEN) as load:
        load.done(100)
        subprocess.run(["docker", "exec", service, "sh", "-c", KILL], check=False)
        load.done(100)
    assert set(load.statuses) == {200}
    assert inspected(service)["RestartCount"] == 1

    with Load(client.port, paths, TOKEN) as load:
        load.done(100)
        made.project.make("rollback")
        load.done(100)
    assert (set(load.statuses), load.failed) == ({200}, [])
    assert inspected(service)["Image"] == inspected(made.name)["Image"]
    assert inspected(service)["Config"]["Labels"]["org.opencontainers.image.revision"] == first

    docker("restart", "-t", "5", port)  # as with the machine: the service takes the new socket
    client.until("/ready")
