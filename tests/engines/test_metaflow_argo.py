"""Metaflow on Argo Workflows: COMPILED, and DEPLOYED to a stand-in for Kubernetes' API; no cluster runs it here."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import argo
import pytest
import s3
import steps
from cronsim import CronSim
from listener import until
from rig import Project, change, environment

NAME = "burgercombos.prod.main.pipeline"
WATCH = "burgercombos.prod.main.watch"
SWEEP = "burgercombos.prod.main.sweep"
SECRET = "burger-combos-production-main"
WEBHOOK = "'BURGER_COMBOS_ALERT__WEBHOOK': b'https://hooks.slack.com/services/T/B/hunter2'"
URL = "'BURGER_COMBOS_DATABASE__URL': b'postgresql://ada@db/shop'"

# Images are folders, as deep as a deployment looks into them.
DOCKER = """#!/bin/sh
case $1 in
create) echo "${2##*:}" ;;
cp) cp -r "$IMAGES/${3%%:*}${3#*:}" "$4" ;;
run)
    until [ "$1" != "${1#*@sha256:}" ]; do shift; done
    image=$IMAGES/${1##*:} python=$PWD/.venv/bin/python
    shift
    cd "$image/app" && PYTHONPATH=$image/opt/app exec "$python" "$@"
    ;;
esac
"""


# What `make sweep` does, but for what is asked of the database.
SWEPT = """
        target.active = lambda: Version(version.reference, version.commit)
        target.on_stage = lambda *command, **how: print("SHOWN", *command)
        target.engine.find = str
        target.sweep("sweep", "--stage", "production")
"""

# What `make deploy` has at hand when it calls the target.
CALLS = """
import sys

from burger_combos.ops.deploy.chosen_target import Chosen
from burger_combos.ops.deploy.programs import Ended, at_the_end
from burger_combos.ops.deploy.target import Version
from burger_combos.ops.problems import Problem

target, version = Chosen("production"), Version("{image}", "{commit}", "{image}")
with at_the_end:
    try:
        target.preflight()
        {calls}
    except Problem as problem:
        sys.exit(f"production: {{problem}}")
"""


class Argo(NamedTuple):
    """A project, and the cluster that its production is deployed to."""

    project: Project
    objects: argo.Objects

    def image(self) -> str:
        """An image of the commit that is checked out, by its digest."""
        digest = self.project.git("rev-parse", "HEAD").ljust(64, "0")
        folder = Path(self.project.env["IMAGES"]) / digest
        if not folder.exists():
            for stage in ("explore", "develop", "production"):
                shutil.copytree(self.project.folder / stage, folder / "app" / stage)
            shutil.copytree(self.project.folder / "src", folder / "opt/app")
        return f"registry.example.org/burger-combos@sha256:{digest}"

    def does(self, calls: str, image: str = "", commit: str = "") -> str:
        """What the machine that deploys says, from where `make deploy` has an image."""
        image, commit = image or self.image(), commit or self.project.git("rev-parse", "HEAD")
        done = self.project.python(CALLS.format(image=image, commit=commit, calls=calls))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def production(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argo]:
    folder = tmp_path_factory.mktemp("argo")
    made = generate(folder / "burger", target="metaflow-argo", ci="none")
    change(made.folder / "production/profiles/config_production.json", {'S3": ""': 'S3": "s3://shop/metaflow"'})
    change(made.folder / "production/platform.toml", {'store = ""': 'store = "s3://shop/runs"'})
    steps.rework(made.folder / "src/burger_combos/pipeline.py")
    made.make("setup")
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    path = f"{folder}:{environment()['PATH']}"
    with s3.serving("shop") as bucket, argo.serving(folder) as cluster:
        env = bucket | {"PATH": path, "IMAGES": f"{folder}/images", "KUBECONFIG": cluster.kubeconfig}
        yield Argo(replace(made, env=env), cluster.objects)


def container(template: dict[str, Any], step: str) -> dict[str, Any]:
    """What a step's pod runs."""
    name = step.replace("_", "-")
    found = next(each["container"] for each in template["spec"]["templates"] if each["name"] == name)
    return dict(found)


def test_compiled_it_is_what_argo_knows(production: Argo) -> None:
    """COMPILED."""
    printed = production.does(
        "target.secret_store = lambda *_, **how: Ended((), 0, 'secrets'); "
        "target.place(version, '--quiet', 'argo-workflows', 'create', '--only-json')"
    )
    template = argo.validated("workflowtemplates", json.loads(printed))
    assert template["metadata"]["name"] == NAME
    assert production.objects == {}
    with pytest.raises(ValueError, match="replicas"):
        argo.validated("workflowtemplates", template | {"spec": template["spec"] | {"replicas": 1}})


def test_deployed_it_is_on_the_digest_the_commit_and_the_schedule(production: Argo) -> None:
    """DEPLOYED."""
    commit = production.project.git("rev-parse", "HEAD")
    production.does(f"target.store_secrets(version, {{{URL}}}); target.schedule(version)")
    template = production.objects[f"workflowtemplates/default/{NAME}"]
    assert template["metadata"]["annotations"]["metaflow/tags"] == json.dumps([f"git:{commit}"])
    given = {each["name"]: each["value"] for each in template["spec"]["arguments"]["parameters"]}
    assert given == {"commit": f'"{commit}"', "date": '""', "kind": '"daily"'}
    assert template["spec"]["activeDeadlineSeconds"] == 240 * 60
    for step in ["start", *steps.REWORKED, *steps.BETWEEN, "end"]:
        pod = container(template, step)
        told = {each["name"]: each.get("value") for each in pod["env"]}
        assert pod["image"] == told["BURGER_COMBOS_IMAGE"] == production.image()
        assert (told["BURGER_COMBOS_STAGE"], told["BURGER_COMBOS_BRANCH"]) == ("production", "main")
        assert pod["securityContext"] == {"allowPrivilegeEscalation": False, "runAsNonRoot": True}
        assert pod["envFrom"] == [{"secretRef": {"name": SECRET}}]
    assert "postgresql://" not in json.dumps(template)
    retried = {each["name"]: each.get("retryStrategy", {}).get("limit") for each in template["spec"]["templates"]}
    split = {step.replace("_", "-"): 2 for step in steps.IN_SHARDS}
    assert {name: limit for name, limit in retried.items() if limit} == split

    cron = production.objects[f"cronworkflows/default/{NAME}"]["spec"]
    assert (cron["suspend"], cron["timezone"]) == (False, "UTC")
    assert cron["workflowSpec"] == {"workflowTemplateRef": {"name": NAME}}
    (line,) = cron["schedules"]
    assert next(CronSim(line, datetime(2026, 1, 31, 6, tzinfo=UTC))) == datetime(2026, 2, 1, 5, tzinfo=UTC)


def test_secrets_stay_until_they_are_given_anew_and_are_there_for_who_looks(production: Argo) -> None:
    production.does(f"target.store_secrets(version, {{{URL}, 'A': b'a', 'B': b'b'}})")
    said = production.does("target.store_secrets(version, {'B': b'c'}); target.secret_store('run', 'env')")
    assert "A=a\n" in said
    assert "B=c\n" in said
    kept = production.objects[f"secrets/default/{SECRET}"]["data"]
    assert base64.b64decode(kept["B"]) == b"c"


def test_a_rollback_brings_back_the_flow_and_the_schedule_of_its_image(production: Argo) -> None:
    project = production.project
    first, image = project.git("rev-parse", "HEAD"), production.image()
    change(project.folder / "production/platform.toml", {'cron = "0 5 * * *"': 'cron = ""'})
    change(project.folder / "production/flow.py", {"] = {}": '] = {"train": {"cpu": 4, "memory": 8192}}'})
    only_in_image = {"import polars as pl\n": "import only_in_image\nimport polars as pl\n", "audit_it": "audit_all"}
    change(project.folder / "src/burger_combos/pipeline.py", only_in_image)
    project.git("commit", "--all", "--no-verify", "--message", "Wait")
    (Path(project.env["IMAGES"]) / production.image().partition(":")[2] / "opt/app/only_in_image.py").touch()
    production.does("target.schedule(version)")
    template = production.objects[f"workflowtemplates/default/{NAME}"]
    assert container(template, "train")["resources"]["requests"]["cpu"] == "4.0"
    assert container(template, "audit_all")["resources"]["requests"]["cpu"] == "2.0"
    assert production.objects[f"cronworkflows/default/{NAME}"]["spec"]["suspend"] is True

    project.git("reset", "--quiet", "--hard", first)
    production.does("target.schedule(version)", image, first)
    template = production.objects[f"workflowtemplates/default/{NAME}"]
    assert container(template, "train")["image"] == image
    assert container(template, "train")["resources"]["requests"]["cpu"] == "2.0"
    assert container(template, "audit_it")["image"] == image
    assert template["spec"]["arguments"]["parameters"][0]["value"] == f'"{first}"'
    assert production.objects[f"cronworkflows/default/{NAME}"]["spec"]["suspend"] is False


def test_a_steps_pod_has_what_the_settings_say_of_it(production: Argo) -> None:
    """DEPLOYED."""
    project = production.project
    first, platform = project.git("rev-parse", "HEAD"), project.folder / "production/platform.toml"
    of_train = 'cpu = 4\nmemory_mb = 9000\ngpu = 1\nshm_mb = 512\nnode = "pool=gpu,zone=a"'
    change(
        platform, {"memory_mb = 0": "memory_mb = 3000", "[schedule]": f"[resources.train]\n{of_train}\n\n[schedule]"}
    )
    project.git("commit", "--all", "--no-verify", "--message", "Resources")
    said = production.does("target.check_resources(version); target.schedule(version)")
    assert "refuse" not in said
    template = production.objects[f"workflowtemplates/default/{NAME}"]
    pods = {each["name"]: each for each in template["spec"]["templates"]}
    resources = container(template, "train")["resources"]
    requests = {key: resources["requests"][key] for key in ("cpu", "memory")}
    assert (requests, resources["limits"]["nvidia.com/gpu"]) == ({"cpu": "4.0", "memory": "9000.0M"}, "1")
    assert pods["train"]["nodeSelector"] == {"pool": "gpu", "zone": "a"}
    assert pods["train"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "pool", "operator": "Equal", "value": "gpu"},
        {"key": "zone", "operator": "Equal", "value": "a"},
    ]
    shared = {"name": "dhsm", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}}
    assert shared in pods["train"]["volumes"]
    assert {"name": "dhsm", "mountPath": "/dev/shm"} in container(template, "train")["volumeMounts"]
    confined = {"allowPrivilegeEscalation": False, "runAsNonRoot": True}
    assert container(template, "train")["securityContext"] == confined
    others = container(template, "audit_it")["resources"]
    assert (others["requests"]["cpu"], others["requests"]["memory"]) == ("2.0", "3000.0M")  # cpu is flow.py's
    assert not pods["audit-it"].keys() & {"nodeSelector", "tolerations"}

    def refused(change_of: dict[str, str], file: Path = platform) -> str:
        before = file.read_text()
        change(file, change_of)
        project.git("commit", "--all", "--no-verify", "--message", "Badly")
        calls = "target.check_resources(version); target.schedule(version)"
        script = CALLS.format(image=production.image(), commit=project.git("rev-parse", "HEAD"), calls=calls)
        done = project.python(script)
        file.write_text(before)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        return done.stderr

    labels = "the labels of nodes are expected, as pool=gpu or pool=gpu,zone=a"
    told = f"production: production/platform.toml: resources.train.node: gpu: {labels}\n"
    assert refused({"pool=gpu,zone=a": "gpu"}) == told
    assert "production/platform.toml: resources.trian: no such step: " in refused(
        {"resources.train]": "resources.trian]"}
    )
    told = "error: flow.py: RESOURCES_OF: [resources] of the settings says it, too: move it there\n"
    assert told in refused({"] = {}": '] = {"train": {"cpu": 4}}'}, project.folder / "production/flow.py")
    project.git("reset", "--quiet", "--hard", first)


def test_missing_runs_are_watched_for_by_a_flow_of_its_own(production: Argo) -> None:
    """DEPLOYED."""
    project, nobody = production.project, "nobody is told of missing runs: "
    said = production.does("target.watch(version)")
    assert nobody + "BURGER_COMBOS_ALERT__WEBHOOK is no secret of the stage, and alert.webhook is empty\n" in said
    assert f"workflowtemplates/default/{WATCH}" not in production.objects
    said = production.does(f"target.store_secrets(version, {{{WEBHOOK}}}); target.watch(version)")
    assert nobody not in said
    template = production.objects[f"workflowtemplates/default/{WATCH}"]
    pod = container(template, "start")
    told = {each["name"]: each.get("value") for each in pod["env"]}
    assert pod["image"] == told["BURGER_COMBOS_IMAGE"] == production.image()
    assert told["BURGER_COMBOS_STAGE"] == "production"
    assert pod["envFrom"] == [{"secretRef": {"name": SECRET}}]
    assert "hunter2" not in json.dumps(template)
    cron = production.objects[f"cronworkflows/default/{WATCH}"]["spec"]
    assert cron["suspend"] is False
    (line,) = cron["schedules"]
    looks = CronSim(line, datetime(2026, 1, 31, 6, 30, tzinfo=UTC))  # an hour after 05:00, and after its deadline
    assert next(looks) == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert next(looks) == datetime(2026, 2, 1, 6, tzinfo=UTC)

    first, image = project.git("rev-parse", "HEAD"), production.image()
    change(project.folder / "production/platform.toml", {'cron = "0 5 * * *"': 'cron = ""'})
    project.git("commit", "--all", "--no-verify", "--message", "Wait")
    assert f"{nobody}schedule.cron is empty, and so none is due\n" in production.does("target.watch(version)")
    assert f"cronworkflows/default/{WATCH}" not in production.objects
    project.git("reset", "--quiet", "--hard", first)
    production.does("target.watch(version)", image, first)
    assert production.objects[f"cronworkflows/default/{WATCH}"]["spec"]["schedules"] == [line]


def test_a_sweep_is_a_flow_of_its_own_until_it_has_ended(production: Argo) -> None:
    """DEPLOYED; that it has run is only said here."""

    def swept(phase: str, calls: str) -> dict[str, Any]:
        def begun() -> list[dict[str, Any]]:
            workflows = [each for key, each in [*production.objects.items()] if key.startswith("workflows/")]
            return [each for each in workflows if each["spec"]["workflowTemplateRef"] == {"name": SWEEP}]

        before = len(begun())
        with ThreadPoolExecutor() as beside:
            said = beside.submit(production.does, calls)
            until(lambda: said.done() or len(begun()) > before)
            assert len(begun()) > before, said.result()
            template = dict(production.objects[f"workflowtemplates/default/{SWEEP}"])
            for key in [key for key in production.objects if key.startswith("workflows/")]:
                production.objects[key]["status"] = {"phase": phase}
        return {"said": said.result(), "template": template}

    ended = swept("Succeeded", SWEPT.strip())
    assert "8 trials at once" in ended["said"]
    assert "SHOWN results --stage production --sweep last" in ended["said"]
    assert f"workflowtemplates/default/{SWEEP}" not in production.objects
    spec = argo.validated("workflowtemplates", ended["template"])["spec"]
    assert spec["parallelism"] == 8
    pods = {each["name"]: each for each in spec["templates"]}
    assert pods["trial"]["retryStrategy"]["limit"] == 2
    assert "withParam" in json.dumps(spec)
    for step in ("start", "trial", "judge", "end"):
        assert container(ended["template"], step)["image"] == production.image()
        assert container(ended["template"], step)["envFrom"] == [{"secretRef": {"name": SECRET}}]
    assert container(ended["template"], "trial")["resources"]["requests"]["memory"] == "8192.0M"

    caught = SWEPT.strip().replace("target.sweep(", "catch(target.sweep, ")
    caught = f"""def catch(do, *given):
            try:
                do(*given)
            except Problem as problem:
                print(problem)
        {caught}"""
    assert " failed before its trials were done: the same command goes on with them" in swept("Failed", caught)["said"]
    assert f"workflowtemplates/default/{SWEEP}" in production.objects  # until it is uninstalled
    for key in [key for key in production.objects if key.startswith("workflows/")]:
        del production.objects[key]


def test_it_runs_once_and_uninstall_leaves_nothing(production: Argo) -> None:
    production.does("target.run_once(version)")
    (begun,) = [each for key, each in production.objects.items() if key.startswith("workflows/")]
    assert begun["spec"]["workflowTemplateRef"] == {"name": NAME}
    assert production.does("print(*target.runs())").startswith(f"argo-{begun['metadata']['name']} ")
    production.does("target.uninstall()")
    assert [key for key in production.objects if not key.startswith("workflows/")] == []


def test_what_is_missing_is_said_in_one_line(production: Argo) -> None:
    def refused(project: Project, calls: str) -> subprocess.CompletedProcess[str]:
        return project.python(CALLS.format(image=production.image(), commit="", calls=calls))

    done = refused(production.project, "target.store_secrets(version, {})")
    assert done.returncode == 1
    assert "error: production/platform.toml: database.url: a file of a task's own; a server is needed\n" in done.stderr
    profile = production.project.folder / "production/profiles/config_production.json"
    text = profile.read_text()
    change(profile, {"s3://shop/metaflow": ""})
    done = refused(production.project, "pass")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "production: production/profiles/config_production.json: METAFLOW_DATASTORE_SYSROOT_S3 is empty"
    )
    profile.write_text(text)
    nowhere = replace(production.project, env=production.project.env | {"KUBECONFIG": "/nowhere"})
    done = refused(nowhere, "pass")
    assert done.returncode == 1
    assert done.stderr.startswith("production: no scheduler to deploy to: ConfigException: ")
    assert done.stderr.count("\n") == 1
