"""What looks for missing runs on Kubeflow: DEPLOYED by its own client to a stand-in of its server; nothing runs it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest
from kubeflow import server as standing_in
from kubeflow.server import Server, Thing
from rig import Project, environment
from test_kubernetes_watch import DOCKER, NOBODY, SECRET

NAME = "burger-combos-production-main"
IMAGE = f"registry.example.org/burger-combos@sha256:{'1' * 64}"
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "{address}"}}}}]
users: [{{name: me, user: {{token: {token}}}}}]
"""
CALLS = """
from burger_combos.ops.deploy.chosen_target import Chosen
from burger_combos.ops.deploy.target import Version

target = Chosen("production")
version = Version("{image}", target.here.commit, "{image}")
{calls}
"""


class Deployed(NamedTuple):
    """A project, and the server that its production is deployed to."""

    project: Project
    server: Server

    def does(self, calls: str) -> str:
        """What the machine that deploys says, from where `make deploy` has an image."""
        done = self.project.python(CALLS.format(image=IMAGE, calls=calls))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def scheduled(self) -> dict[str, list[Thing]]:
        """The enabled recurring runs of each experiment."""
        names = {each["experiment_id"]: each["display_name"] for each in self.server.experiments.values()}
        found: dict[str, list[Thing]] = {}
        for each in self.server.recurring_runs.values():
            if each["status"] == "ENABLED":
                found.setdefault(names[each["experiment_id"]], []).append(each)
        return found


@pytest.fixture(scope="module")
def deployed(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("watch")
    made = generate(folder / "burger", target="kubeflow", ci="none")
    made.make("setup")
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    with standing_in.serving(made.folder, []) as server:
        (folder / "kubeconfig").write_text(KUBECONFIG.format(address=server.address, token=standing_in.TOKEN))
        reach = {"KFP_HOST": server.address, "KFP_TOKEN": standing_in.TOKEN, "KUBECONFIG": f"{folder}/kubeconfig"}
        path = f"{folder}:{environment()['PATH']}"
        given = {"RUNS__STORE": "s3://shop/runs", "DATABASE__URL": "postgresql://ada@db/shop"}
        yield Deployed(replace(made, env=reach | {"PATH": path}).with_env(**given), server)


def test_it_is_a_pipeline_of_its_own_that_comes_and_goes(deployed: Deployed) -> None:
    server = deployed.server
    said = deployed.does("target.store_secrets(version, {}); target.schedule(version); target.watch(version)")
    assert f"{NOBODY}BURGER_COMBOS_ALERT__WEBHOOK is no secret of the stage, and alert.webhook is empty\n" in said
    assert [*deployed.scheduled()] == [NAME]

    secret = f"{{'BURGER_COMBOS_ALERT__WEBHOOK': {SECRET.encode()!r}}}"
    for _ in range(2):  # a second deployment takes the place of the first
        assert NOBODY not in deployed.does(f"target.store_secrets(version, {secret}); target.watch(version)")
        runs, watch = (deployed.scheduled()[name] for name in (NAME, f"{NAME}-watch"))
        assert [each["trigger"]["cron_schedule"]["cron"] for each in runs + watch] == ["0 0 5 * * *", "0 0 6,10 * * *"]
        assert len(server.recurring_runs) == len(server.versions) == 2
    of = server.versions[watch[0]["pipeline_version_reference"]["pipeline_version_id"]]
    ((_, executor),) = of["pipeline_spec"]["deploymentSpec"]["executors"].items()
    assert executor["container"]["image"] == IMAGE
    assert executor["container"]["command"] == ["/opt/app/bin/burger-combos", "watch", "--stage", "production"]
    ((_, own),) = of["platform"].items()
    (secrets,) = own["secretAsEnv"]
    assert secrets["secretName"] == NAME
    assert [pair["envVar"] for pair in secrets["keyToEnv"]] == ["BURGER_COMBOS_ALERT__WEBHOOK"]
    assert "hunter2" not in json.dumps([of["pipeline_spec"], of["platform"]])

    never = Deployed(deployed.project.with_env(SCHEDULE__CRON=""), server)
    assert f"{NOBODY}schedule.cron is empty, and so none is due\n" in never.does("target.watch(version)")
    assert [*deployed.scheduled()] == [NAME]
    deployed.does("target.watch(version)")
    assert len(deployed.scheduled()[f"{NAME}-watch"]) == 1


def test_it_goes_with_the_stage(deployed: Deployed) -> None:
    deployed.does("target.uninstall()")
    server = deployed.server
    assert (server.pipelines, server.versions, server.experiments, server.recurring_runs) == ({},) * 4
