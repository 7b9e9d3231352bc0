"""Metaflow on Argo Workflows: COMPILED, and DEPLOYED to a stand-in for Kubernetes' API; no cluster runs it here."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import argo
import aws
import pytest
from cronsim import CronSim
from rig import Project, environment

IMAGE = f"registry.example.org/burger-combos@sha256:{'1' * 64}"
NAME = "burgercombos.prod.main.pipeline"

# The image, as far as a deployment looks into it, made of the work tree.
DOCKER = """#!/bin/sh
case $1 in
create) echo container ;;
cp) case $3 in */app/.) cp -r explore develop production "$4" ;; *) cp -r src/burger_combos "$4" ;; esac ;;
rm) ;;
run) while [ "$1" != "$IMAGE" ]; do shift; done && shift && exec .venv/bin/python "$@" ;;
esac
"""


class Argo(NamedTuple):
    """A project, and the cluster that its production is deployed to."""

    project: Project
    objects: argo.Objects

    def does(self, commands: str) -> str:
        """What the machine that deploys says, from where `make deploy` has an image."""
        begin = ". production/host.sh; . production/candidate.sh; image=$IMAGE reference=$IMAGE; ready"
        done = self.project.run("sh", "-euc", f"{begin}; {commands}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def production(generate: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argo]:
    folder = tmp_path_factory.mktemp("argo")
    made = generate(folder / "burger", target="metaflow", metaflow_on="argo", ci="none")
    made.make("setup")
    profile = made.folder / "production/profiles/config_production.json"
    profile.write_text(profile.read_text().replace('S3": ""', f'S3": "s3://{aws.BUCKET}/metaflow"'))
    made.git("commit", "--all", "--no-verify", "--message", "Name the bucket")
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    with aws.serving() as bucket, argo.serving(folder) as cluster:
        env = bucket | {"PATH": f"{folder}:{environment()['PATH']}", "IMAGE": IMAGE, "KUBECONFIG": cluster.kubeconfig}
        yield Argo(replace(made, env=env), cluster.objects)


def container(template: dict[str, Any], step: str) -> dict[str, Any]:
    """What a step's pod runs."""
    found = next(each["container"] for each in template["spec"]["templates"] if each["name"] == step)
    return dict(found)


def test_compiled_it_is_what_argo_knows(production: Argo) -> None:
    """COMPILED."""
    printed = production.does("""
        settings() { echo; }
        vault() { echo burger-combos-production-main; }
        place . --quiet argo-workflows create --only-json
    """)
    template = argo.validated("workflowtemplates", json.loads(printed))
    assert template["metadata"]["name"] == NAME
    assert production.objects == {}
    with pytest.raises(ValueError, match="replicas"):
        argo.validated("workflowtemplates", template | {"spec": template["spec"] | {"replicas": 1}})


def test_deployed_it_is_on_the_digest_the_commit_and_the_schedule(production: Argo) -> None:
    """DEPLOYED."""
    commit = production.project.git("rev-parse", "HEAD")
    production.does(
        "given=$(mktemp -d); echo postgresql://ada@db/shop >$given/BURGER_COMBOS_DATABASE__URL; secrets; charge"
    )
    template = production.objects[f"workflowtemplates/default/{NAME}"]
    assert template["metadata"]["annotations"]["metaflow/tags"] == json.dumps([f"git:{commit}"])
    given = {each["name"]: each["value"] for each in template["spec"]["arguments"]["parameters"]}
    assert given == {"commit": f'"{commit}"', "date": '""'}
    assert template["spec"]["activeDeadlineSeconds"] == 240 * 60
    for step in ("start", "check", "train", "evaluate", "gate", "recommend", "publish", "end"):
        pod = container(template, step)
        told = {each["name"]: each.get("value") for each in pod["env"]}
        assert pod["image"] == told["BURGER_COMBOS_IMAGE"] == IMAGE
        assert (told["BURGER_COMBOS_STAGE"], told["BURGER_COMBOS_BRANCH"]) == ("production", "main")
        assert pod["envFrom"] == [{"secretRef": {"name": "burger-combos-production-main"}}]
    assert "postgresql://" not in json.dumps(template)
    retried = {each["name"]: each.get("retryStrategy", {}).get("limit") for each in template["spec"]["templates"]}
    assert {name: limit for name, limit in retried.items() if limit} == {"recommend": 2}

    cron = production.objects[f"cronworkflows/default/{NAME}"]["spec"]
    assert (cron["suspend"], cron["timezone"]) == (False, "UTC")
    assert cron["workflowSpec"] == {"workflowTemplateRef": {"name": NAME}}
    (line,) = cron["schedules"]
    assert next(CronSim(line, datetime(2026, 1, 31, 6, tzinfo=UTC))) == datetime(2026, 2, 1, 5, tzinfo=UTC)


def test_secrets_stay_until_they_are_given_anew_and_are_there_for_who_looks(production: Argo) -> None:
    production.does("given=$(mktemp -d); echo a >$given/A; echo b >$given/B; secrets")
    said = production.does("given=$(mktemp -d); echo c >$given/B; secrets; vault run env")
    assert "A=a\n" in said
    assert "B=c\n" in said
    kept = production.objects["secrets/default/burger-combos-production-main"]["data"]
    assert base64.b64decode(kept["B"]) == b"c"


def test_without_a_schedule_it_waits_and_away_with_it_nothing_is_left(production: Argo) -> None:
    production.does("charge; begin")
    (begun,) = [each for key, each in production.objects.items() if key.startswith("workflows/")]
    assert begun["spec"]["workflowTemplateRef"] == {"name": NAME}
    assert production.does("runs").startswith(f"argo-{begun['metadata']['name']} ")

    settings = production.project.folder / "production/settings.toml"
    settings.write_text(settings.read_text().replace('cron = "0 5 * * *"', 'cron = ""'))
    production.does("charge")
    assert production.objects[f"cronworkflows/default/{NAME}"]["spec"]["suspend"] is True

    production.does("withdraw")
    assert [key for key in production.objects if not key.startswith("workflows/")] == []


def test_what_is_missing_is_said_in_one_line(production: Argo) -> None:
    profile = production.project.folder / "production/profiles/config_production.json"
    text = profile.read_text()
    profile.write_text(text.replace(f"s3://{aws.BUCKET}/metaflow", ""))
    done = production.project.run("sh", "-euc", ". production/host.sh; ready")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "production: production/profiles/config_production.json: METAFLOW_DATASTORE_SYSROOT_S3 is empty"
    )
    profile.write_text(text)
    nowhere = replace(production.project, env=production.project.env | {"KUBECONFIG": "/nowhere"})
    done = nowhere.run("sh", "-euc", ". production/host.sh; ready")
    assert done.returncode == 1
    assert done.stderr.startswith("production: no scheduler to deploy to: ConfigException: ")
    assert done.stderr.count("\n") == 1
