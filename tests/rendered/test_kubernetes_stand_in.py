"""The stand-in for a cluster, held against what Kubernetes documents of itself; nothing is executed here."""

import copy
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rig
import yaml
from kube import container, cron, fields, pods, protobuf
from kube.budgets import evict
from kube.controllers import Controllers, ranges
from kube.deployments import Deployments
from kube.kinds import Object, Refused
from kube.kubectl import Cluster, cluster, program
from kube.services import LAG, Proxy, addresses
from kube.store import Clock, Store, stamp

POD = yaml.safe_load("""
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: default}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: main
      image: shop@sha256:1
      env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: shop, key: password}}}]
      resources: {requests: {memory: 64Mi}, limits: {memory: 128Mi, cpu: 1}}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: secrets, mountPath: /run/secrets, readOnly: true}]
  volumes: [{name: secrets, secret: {secretName: shop}}]
""")
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "split", "namespace": "default"},
    "spec": {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "template": {"spec": POD["spec"]}},
}
DAILY = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "daily", "namespace": "default"},
    "spec": {"schedule": "0 4 * * *", "jobTemplate": {"spec": {"template": {"spec": POD["spec"]}}}},
}
CLAIM = yaml.safe_load("""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
""")

PROBE = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2}
DEPLOYMENT, SERVICE, BUDGET = yaml.safe_load_all("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: served, namespace: default}
spec:
  replicas: 2
  minReadySeconds: 2
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: served}}
  template:
    metadata: {labels: {app: served}}
    spec:
      containers:
        - name: main
          image: shop@sha256:1
          ports: [{name: http, containerPort: 8000}]
          lifecycle: {preStop: {exec: {command: [sleep, "1"]}}}
---
apiVersion: v1
kind: Service
metadata: {name: served, namespace: default}
spec: {selector: {app: served}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: served, namespace: default}
spec: {minAvailable: 1, selector: {matchLabels: {app: served}}}
""")


def put(thing: Object, path: str, value: Any) -> Object:
    """The object with another value at a path, which goes if the value is None."""
    *parts, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    changed = copy.deepcopy(thing)
    place: Any = changed
    for part in parts:
        place = place[part] if isinstance(part, int) else place.setdefault(part, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


def refusal(action: str, code: int) -> Object:
    """What a job does about a pod that ends with this code."""
    return {"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": [code]}}]}


class Machine:
    """A cluster without an API and without threads, whose pods end as the test says."""

    def __init__(self) -> None:
        self.clock = Clock()
        # At ten seconds past a minute, whatever time it is.
        self.clock.ahead = datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC) - datetime.now(UTC)
        self.store = Store(self.clock, has_node=False)
        self.controllers = Controllers(self.store, backoff=10)
        self.deployments = Deployments(self.store)

    def look(self, **later: float) -> None:
        """Let the controllers look, after so long."""
        self.clock.advance(**later)
        for _ in range(5):  # what one of them does is the other's to see
            self.controllers.look()
            self.deployments.look()
        assert self.controllers.errors == []

    def names(self, kind: str) -> list[str]:
        """The names of all objects of a kind."""
        return [each["metadata"]["name"] for each in self.store.all(kind)]

    def end(self, phase: str, index: int | None = None, code: int = 0) -> None:
        """End the pods that go on, or the one of an index."""
        ends = [{"name": "main", "state": {"terminated": {"exitCode": code}}}]
        for pod in self.store.all("Pod"):
            mine = index is None or pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == str(index)
            if mine and pod["status"]["phase"] == "Pending":
                self.store.set_status(pod, phase=phase, containerStatuses=ends)
        self.look()

    def ready(self, *pods: str, word: str = "True") -> None:
        """Let pods be ready, all of them or those of these names."""
        for number, pod in enumerate(self.store.all("Pod")):
            if not pods or pod["metadata"]["name"] in pods:
                held = {"type": "Ready", "status": word, "lastTransitionTime": stamp(self.clock.now())}
                self.store.set_status(pod, phase="Running", podIP=f"10.0.0.{number}", conditions=[held])
        self.look()

    def pods(self, image: str) -> list[str]:
        """The names of the pods of an image."""
        found = self.store.all("Pod")
        return [pod["metadata"]["name"] for pod in found if pod["spec"]["containers"][0]["image"] == image]

    def status(self, kind: str, name: str) -> Object:
        """An object's status, with the types of its conditions."""
        status: Object = self.store.get(kind, "default", name)["status"]
        held = {each["type"]: each["reason"] for each in status.get("conditions", [])}
        return status | {"conditions": held}


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without a node, for kubectl."""
    if program() is None:
        rig.missing("KUBECTL", "no kubectl here, and only root on Debian can unpack one")
    with cluster(tmp_path) as made:
        yield made


def test_what_is_good_is_taken(machine: Machine) -> None:
    for thing in (POD, JOB, DAILY, CLAIM, DEPLOYMENT, SERVICE, BUDGET):
        machine.store.create(thing)


CONTAINER = "spec/containers/0"
IN_CRON = "spec/jobTemplate/spec"
IN_SET = "spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("thing", "path", "value", "code", "told"),
    [
        (POD, "spec/container", [], 400, 'unknown field "spec.container"'),
        (POD, f"{CONTAINER}/imagePolicy", "Never", 400, "imagePolicy"),
        (POD, "spec/terminationGracePeriodSeconds", "ten", 400, "terminationGracePeriodSeconds"),
        (POD, "metadata/namespace", "shop", 404, 'namespaces "shop" not found'),
        (POD, "metadata/name", "One", 422, "RFC 1123"),
        (POD, "metadata/labels", {"branch": "feature/x"}, 422, "a valid label"),
        (POD, "spec/serviceAccountName", "deployer", 403, 'serviceaccount "deployer" not found'),
        (POD, f"{CONTAINER}/volumeMounts/0/name", "secret", 422, "Not found: 'secret'"),
        (POD, f"{CONTAINER}/volumeMounts", [{"name": "secrets", "mountPath": "/a"}] * 2, 422, "must be unique"),
        (POD, f"{CONTAINER}/volumeMounts/0/subPath", "../x", 422, "without '..'"),
        (POD, f"{CONTAINER}/resources/requests/memory", "1Gi", 422, "less than or equal to memory limit of 128Mi"),
        (POD, f"{CONTAINER}/resources/limits/memory", "1GB", 400, "quantities must match"),
        (POD, f"{CONTAINER}/env/0/value", "x", 422, "may not be specified when `value` is not empty"),
        (POD, f"{CONTAINER}/env/0/valueFrom", {}, 422, "must specify exactly one source"),
        (POD, f"{CONTAINER}/env/0/valueFrom/fieldRef", {"fieldPath": "metadata.name"}, 422, "exactly one source"),
        (POD, "spec/volumes/0/emptyDir", {}, 422, "more than 1 volume type"),
        (POD, "spec/volumes", POD["spec"]["volumes"] * 2, 422, "Duplicate value: 'secrets'"),
        (POD, "spec/initContainers", POD["spec"]["containers"], 422, "Duplicate value: 'main'"),
        (POD, "spec/restartPolicy", "Sometimes", 422, "restartPolicy"),
        (POD, "spec/affinity", {"nodeAffinity": {}}, 501, "spec.affinity"),
        (POD, "spec/tolerations", [{"key": "a", "operator": "In"}], 422, "supported values: Equal, Exists"),
        (POD, "spec/tolerations", [{"key": "a", "operator": "Exists", "value": "b"}], 422, "value must be empty"),
        (POD, f"{CONTAINER}/resources/requests", {"nvidia.com/gpu": 1}, 422, "must be equal to nvidia.com/gpu limit"),
        (POD, "spec/volumes/0", {"name": "secrets", "hostPath": {"path": "/"}}, 501, "hostPath"),
        (JOB, "spec/template/spec/restartPolicy", "Always", 422, "supported values: ('OnFailure', 'Never')"),
        (JOB, "spec/template/spec/restartPolicy", None, 422, "'Always'"),
        (JOB, "spec/completionMode", "NonIndexed", 422, ""),
        (JOB, "spec/backoffLimit", -1, 422, "greater than or equal to 0"),
        (JOB, "spec/selector", {"matchLabels": {"a": "b"}}, 422, "auto-generated"),
        (JOB, "metadata/name", "x" * 64, 422, "63"),
        (JOB, "spec/successPolicy", {"rules": [{"succeededCount": 1}]}, 501, "spec.successPolicy"),
        (JOB, "spec/podFailurePolicy", refusal("FailIndex", 3), 422, "supported values"),
        (JOB, "spec/podFailurePolicy", refusal("FailJob", 0), 422, "must be ordered"),
        (DAILY, "metadata/name", "d" * 53, 422, "52 characters"),
        (DAILY, "spec/schedule", "0 4 * *", 422, "exactly 5 fields"),
        (DAILY, "spec/schedule", "0 4 * * 7", 422, "day of week"),
        (DAILY, "spec/schedule", "60 4 * * *", 422, "minute"),
        (DAILY, "spec/schedule", "TZ=UTC 0 4 * * *", 422, "use timeZone"),
        (DAILY, "spec/schedule", "@every 1h", 501, "@every"),
        (DAILY, "spec/timeZone", "Europe/Bonn", 422, "unknown time zone"),
        (DAILY, "spec/concurrencyPolicy", "Never", 422, "supported values"),
        (DAILY, "spec/schedule", None, 422, "'schedule' is a required property"),
        (DAILY, f"{IN_CRON}/backoffLimitPerIndex", 1, 422, "requires indexed completion mode"),
        (DAILY, f"{IN_CRON}/template/spec/containers/0/name", "Main", 422, "RFC 1123"),
        (CLAIM, "spec/accessModes", [], 422, "at least 1 access mode"),
        (CLAIM, "spec/volumeMode", "Block", 501, "spec.volumeMode: Block"),
        (CLAIM, "spec/resources/requests/storage", "0", 422, "greater than zero"),
        (DEPLOYMENT, "spec/selector/matchLabels", {"app": "other"}, 422, "does not match template `labels`"),
        (DEPLOYMENT, "spec/selector/matchLabels", {}, 422, "empty selector is invalid"),
        (DEPLOYMENT, "spec/strategy/rollingUpdate/maxSurge", 0, 422, "may not be 0 when `maxSurge` is 0"),
        (DEPLOYMENT, "spec/strategy/rollingUpdate/maxSurge", "much", 422, "or a percentage"),
        (DEPLOYMENT, "spec/minReadySeconds", 600, 422, "must be greater than minReadySeconds"),
        (DEPLOYMENT, "spec/strategy", {"type": "Recreate"}, 501, "spec.strategy.type: Recreate"),
        (DEPLOYMENT, "spec/paused", True, 501, "spec.paused"),
        (DEPLOYMENT, "spec/template/spec/restartPolicy", "Never", 422, "supported values: 'Always'"),
        (DEPLOYMENT, f"{IN_SET}/readinessProbe", {"periodSeconds": 1}, 422, "must specify a handler type"),
        (DEPLOYMENT, f"{IN_SET}/readinessProbe", PROBE | {"periodSeconds": 0}, 422, "must be 1 or more"),
        (DEPLOYMENT, f"{IN_SET}/livenessProbe", PROBE | {"successThreshold": 2}, 422, "must be 1"),
        (DEPLOYMENT, f"{IN_SET}/startupProbe", {"tcpSocket": {"port": 1}}, 501, "startupProbe.tcpSocket"),
        (DEPLOYMENT, f"{IN_SET}/lifecycle/preStop", {"sleep": {"seconds": 5}}, 501, "preStop.sleep"),
        (DEPLOYMENT, f"{IN_SET}/ports/0/name", "HTTP", 422, "at most 15 of"),
        (SERVICE, "spec/type", "LoadBalancer", 501, "spec.type: LoadBalancer"),
        (SERVICE, "metadata/name", "1st", 422, "a DNS-1035 label"),
        (SERVICE, "spec/ports", [], 422, "Required value"),
        (SERVICE, "spec/ports", [{"port": 1}, {"port": 2}], 422, "spec.ports[1].name: Required value"),
        (SERVICE, "spec/clusterIP", "10.96.0.1", 501, "spec.clusterIP"),
        (BUDGET, "spec/maxUnavailable", 1, 422, "cannot be both set"),
        (BUDGET, "spec/minAvailable", "50%", 501, "with a percentage"),
        (BUDGET, "spec/minAvailable", -1, 422, "greater than or equal to 0"),
    ],
)
def test_what_kubernetes_refuses(thing: Object, path: str, value: Any, code: int, told: str, machine: Machine) -> None:
    changed = put(thing, path, value)
    if path == "spec/completionMode":
        changed["spec"]["backoffLimitPerIndex"] = 1
    with pytest.raises(Refused) as refused:
        machine.store.create(changed)
    assert (refused.value.code, told in refused.value.message) == (code, True), refused.value.message


@pytest.mark.parametrize(
    ("thing", "path", "value", "told"),
    [
        (JOB, "spec/template/spec/containers/0/image", "other", "spec.template: Invalid value: field is immutable"),
        (JOB, "spec/backoffLimitPerIndex", 2, "field is immutable"),
        (CLAIM, "spec/accessModes", ["ReadWriteMany"], "spec is immutable after creation"),
        (CLAIM, "spec/resources/requests/storage", "1Mi", "can not be less"),
        (POD, "spec/terminationGracePeriodSeconds", 5, "may not change fields"),
        (DEPLOYMENT, "spec/selector/matchLabels", {"app": "s"}, "spec.selector: Invalid value: field is immutable"),
    ],
)
def test_what_may_not_change(thing: Object, path: str, value: Any, told: str, machine: Machine) -> None:
    made = machine.store.create(thing)
    assert machine.store.replace(made) == made
    with pytest.raises(Refused, match=r"Forbidden|immutable") as refused:
        machine.store.replace(put(made, path, value))
    assert told in refused.value.message
    machine.store.replace(put(made, "metadata/annotations", {"a": "b"}))
    with pytest.raises(Refused, match="has been modified"):
        machine.store.replace(made)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("spec/securityContext/runAsNonRoot", None, "runAsNonRoot != true"),
        ("spec/securityContext/runAsUser", 0, "runAsUser=0"),
        ("spec/securityContext/seccompProfile", None, "seccompProfile"),
        (f"{CONTAINER}/securityContext/allowPrivilegeEscalation", None, "allowPrivilegeEscalation != false"),
        (f"{CONTAINER}/securityContext/capabilities", {"drop": ["NET_RAW"]}, "unrestricted capabilities"),
    ],
)
def test_a_restricted_namespace(path: str, value: Any, told: str, machine: Machine) -> None:
    space = {"name": "safe", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    machine.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": space})
    pod = put(POD, "metadata/namespace", "safe")
    machine.store.create(put(pod, "metadata/name", "good"))
    with pytest.raises(Refused, match="violates PodSecurity") as refused:
        machine.store.create(put(pod, path, value))
    assert (refused.value.code, told in refused.value.message) == (403, True)
    job = put(put(JOB, "metadata/namespace", "safe"), "spec/template/spec", put(pod, path, value)["spec"])
    machine.store.create(job)  # which is no pod yet
    machine.look()
    assert machine.names("Pod") == ["good"]
    assert [(each["reason"], told in each["message"]) for each in machine.store.all("Event")] == [
        ("FailedCreate", True)
    ]


@pytest.mark.parametrize(
    ("line", "zone", "until", "latest"),
    [
        ("0 4 * * *", "", "2026-03-02T12:00:10", "2026-03-02T04:00:00"),
        ("0 4 * * *", "Europe/Berlin", "2026-07-02T12:00:10", "2026-07-02T02:00:00"),
        ("*/15 * * * *", "", "2026-03-02T12:15:00", "2026-03-02T12:15:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T01:30:00"),  # a night without 02:30
        ("@weekly", "", "2026-03-02T12:00:00", "2026-03-01T00:00:00"),
        ("0 0 13 * FRI", "", "2026-03-07T12:00:00", "2026-03-06T00:00:00"),  # either of both
    ],
)
def test_moments(line: str, zone: str, until: str, latest: str) -> None:
    found = cron.latest(line, zone, datetime.fromisoformat(until).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(latest).replace(tzinfo=UTC)


def test_a_cron_job_makes_a_job_at_its_moment(machine: Machine) -> None:
    machine.store.create(put(put(DAILY, "spec/schedule", "30 13 * * *"), "spec/timeZone", "Europe/Berlin"))
    machine.look(minutes=29)
    assert machine.names("Job") == []
    machine.look(minutes=1)
    due = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
    assert machine.names("Job") == [f"daily-{int(due.timestamp()) // 60}"]
    job = machine.store.all("Job")[0]
    assert job["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-02T13:30:00+01:00"
    }
    status = machine.status("CronJob", "daily")
    assert (status["lastScheduleTime"], status["active"][0]["name"]) == (stamp(due), job["metadata"]["name"])
    machine.end("Succeeded")
    status = machine.status("CronJob", "daily")
    assert ("active" in status, status["lastSuccessfulTime"]) == (False, stamp(machine.clock.now()))
    machine.look(hours=23)
    assert len(machine.names("Job")) == 1


@pytest.mark.parametrize(("policy", "jobs", "active"), [("Allow", 2, 2), ("Forbid", 1, 1), ("Replace", 1, 1)])
def test_a_moment_while_a_job_goes_on(policy: str, jobs: int, active: int, machine: Machine) -> None:
    machine.store.create(put(put(DAILY, "spec/schedule", "* * * * *"), "spec/concurrencyPolicy", policy))
    machine.look(minutes=1)
    first = machine.names("Job")
    machine.look(minutes=1)
    assert (len(machine.names("Job")), len(machine.status("CronJob", "daily")["active"])) == (jobs, active)
    assert (first[0] in machine.names("Job")) == (policy != "Replace")
    assert len(machine.names("Pod")) == active


def test_a_suspended_cron_job_waits_and_is_late_only_as_long_as_it_may(machine: Machine) -> None:
    limited = put(put(DAILY, "spec/suspend", True), "spec/startingDeadlineSeconds", 600)
    strict = machine.store.create(put(limited, "spec/schedule", "1 12 * * *"))
    free = put(put(DAILY, "spec/suspend", True), "spec/schedule", "1 12 * * *")
    patient = machine.store.create(put(free, "metadata/name", "patient"))
    machine.look(hours=1)
    assert machine.names("Job") == []
    for each in (strict, patient):
        now = machine.store.current(each)
        assert now
        machine.store.replace(put(now, "spec/suspend", False))
    machine.look()
    assert [name.rpartition("-")[0] for name in machine.names("Job")] == ["patient"]


def test_old_jobs_go(machine: Machine) -> None:
    machine.store.create(put(put(DAILY, "spec/schedule", "* * * * *"), f"{IN_CRON}/backoffLimit", 0))
    for phase in ["Succeeded", "Failed"] * 5:
        machine.look(minutes=1)
        machine.end(phase)
    outcomes = [list(machine.status("Job", name)["conditions"])[-1] for name in machine.names("Job")]
    assert sorted(outcomes) == ["Complete"] * 3 + ["Failed"]
    assert len(machine.names("Pod")) == 4


def test_an_index_that_fails_is_tried_again_alone(machine: Machine) -> None:
    machine.store.create(put(JOB, "spec/backoffLimitPerIndex", 1))
    machine.look()
    assert [name[:8] for name in machine.names("Pod")] == ["split-0-", "split-1-", "split-2-"]
    pod = machine.store.all("Pod")[1]
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "split"
    assert pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1"
    assert pod["spec"]["hostname"] == "split-1"
    assert pod["spec"]["containers"][0]["env"][-1]["name"] == "JOB_COMPLETION_INDEX"
    machine.end("Failed", 1)
    machine.look(seconds=9)
    assert len(machine.names("Pod")) == 3
    machine.look(seconds=2)
    assert [name[:8] for name in machine.names("Pod")][3:] == ["split-1-"]
    machine.end("Succeeded")
    status = machine.status("Job", "split")
    assert status["conditions"] == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    counts = {key: status.get(key) for key in ("succeeded", "failed", "completedIndexes", "failedIndexes")}
    assert counts == {"succeeded": 3, "failed": 1, "completedIndexes": "0-2", "failedIndexes": ""}


def test_an_index_that_fails_too_often(machine: Machine) -> None:
    machine.store.create(put(put(JOB, "spec/backoffLimitPerIndex", 0), "spec/parallelism", 1))
    machine.look()
    for phase in ("Failed", "Succeeded", "Succeeded"):
        machine.end(phase)
    status = machine.status("Job", "split")
    assert status["conditions"] == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}
    assert (status["completedIndexes"], status["failedIndexes"]) == ("1,2", "0")


@pytest.mark.parametrize(
    ("action", "code", "failed", "left"),
    [
        ("FailJob", 3, {"PodFailurePolicy"}, 0),
        ("FailJob", 4, set(), 3),
        ("FailIndex", 3, set(), 2),
        ("Ignore", 3, set(), 3),
    ],
)
def test_an_exit_code_that_says_what_to_do(
    action: str, code: int, failed: set[str], left: int, machine: Machine
) -> None:
    job = put(put(JOB, "spec/backoffLimitPerIndex", 2), "spec/podFailurePolicy", refusal(action, 3))
    machine.store.create(job)
    machine.look()
    machine.end("Failed", 0, code)
    machine.look(seconds=11)
    going = [pod for pod in machine.store.all("Pod") if pod["status"]["phase"] == "Pending"]
    status = machine.status("Job", "split")
    assert (set(status["conditions"].values()), len(going)) == (failed, left)
    assert status["failedIndexes"] == ("0" if action == "FailIndex" else "")


def test_a_job_gives_up(machine: Machine) -> None:
    job = put(put(JOB, "spec/completionMode", "NonIndexed"), "spec/completions", 1)
    machine.store.create(put(job, "spec/backoffLimit", 2))
    for wait in (0, 10, 20):
        machine.look(seconds=wait)
        machine.end("Failed")
    assert machine.status("Job", "split")["conditions"]["Failed"] == "BackoffLimitExceeded"
    assert machine.status("Job", "split")["failed"] == 3


def test_a_job_that_lasts_too_long_and_then_goes_itself(machine: Machine) -> None:
    machine.store.create(put(put(JOB, "spec/activeDeadlineSeconds", 60), "spec/ttlSecondsAfterFinished", 100))
    machine.look()
    machine.look(seconds=61)
    assert machine.names("Pod") == []
    assert machine.status("Job", "split")["conditions"]["Failed"] == "DeadlineExceeded"
    machine.look(seconds=101)
    assert machine.names("Job") == []


def test_a_pod_that_somebody_deletes_is_replaced(machine: Machine) -> None:
    machine.store.create(JOB)
    machine.look()
    before = machine.names("Pod")
    machine.store.delete(machine.store.all("Pod")[0])
    machine.look()
    machine.look(seconds=11)
    assert [name[:8] for name in machine.names("Pod")] == ["split-1-", "split-2-", "split-0-"]
    assert before[0] not in machine.names("Pod")
    assert machine.status("Job", "split")["failed"] == 1


def test_a_suspended_job(machine: Machine) -> None:
    made = machine.store.create(put(JOB, "spec/suspend", True))
    machine.look()
    assert machine.names("Pod") == []
    assert machine.status("Job", "split")["conditions"] == {"Suspended": "JobSuspended"}
    now = machine.store.current(made)
    assert now
    machine.store.replace(put(now, "spec/suspend", False))
    machine.look()
    assert (len(machine.names("Pod")), machine.status("Job", "split")["conditions"]) == (3, {})


def test_what_an_owner_takes_with_it(machine: Machine) -> None:
    cron_job = machine.store.create(put(DAILY, "spec/schedule", "* * * * *"))
    machine.look(minutes=1)
    machine.store.delete(machine.store.all("Job")[0], "Orphan")
    assert (machine.names("Job"), len(machine.names("Pod"))) == ([], 1)
    machine.look(minutes=1)
    machine.store.delete(cron_job, "Foreground")
    assert (machine.names("CronJob"), machine.names("Job"), len(machine.names("Pod"))) == ([], [], 1)
    machine.store.delete(machine.store.get("Namespace", "", "default"))
    assert [machine.names(kind) for kind in ("Namespace", "Pod", "ServiceAccount")] == [[], [], []]


def test_a_deployment_replaces_its_pods_one_after_the_other(machine: Machine) -> None:
    made = machine.store.create(DEPLOYMENT)
    machine.look()
    old, new = "shop@sha256:1", "shop@sha256:2"
    assert len(machine.pods(old)) == 2
    assert machine.status("Deployment", "served")["conditions"]["Available"] == "MinimumReplicasUnavailable"
    machine.ready()
    assert "availableReplicas" not in machine.status("Deployment", "served")  # not ready for long enough
    machine.look(seconds=3)
    status = machine.status("Deployment", "served")
    assert (status["replicas"], status["availableReplicas"], status["observedGeneration"]) == (2, 2, 1)
    assert status["conditions"]["Progressing"] == "NewReplicaSetAvailable"

    first = machine.pods(old)
    machine.ready(first[0], word="False")  # which is no matter of progress
    machine.look(seconds=601)
    assert machine.status("Deployment", "served")["conditions"]["Progressing"] == "NewReplicaSetAvailable"
    made = machine.store.get("Deployment", "default", "served")
    machine.store.replace(put(made, f"{IN_SET}/image", new))
    machine.look()
    assert (machine.pods(old), len(machine.pods(new))) == (first, 1)
    machine.look(seconds=60)
    assert (machine.pods(old), len(machine.pods(new))) == (first, 1)  # neither is ready
    machine.ready(*first)
    machine.look(seconds=3)
    machine.ready(*machine.pods(new))
    assert (machine.pods(old), len(machine.pods(new))) == (first, 1)
    machine.look(seconds=3)
    assert (len(machine.pods(old)), len(machine.pods(new))) == (1, 2)
    assert machine.status("Deployment", "served")["updatedReplicas"] == 2
    machine.ready(*machine.pods(new))
    machine.look(seconds=3)
    assert (machine.pods(old), len(machine.pods(new))) == ([], 2)
    assert len(machine.names("ReplicaSet")) == 2

    made = machine.store.get("Deployment", "default", "served")
    machine.store.replace(put(made, f"{IN_SET}/image", old))  # rolled back, to a ReplicaSet that is there
    machine.look(seconds=599)
    assert machine.status("Deployment", "served")["conditions"]["Progressing"] == "ReplicaSetUpdated"
    machine.look(seconds=601)
    status = machine.status("Deployment", "served")
    assert (len(machine.pods(old)), len(machine.pods(new)), len(machine.names("ReplicaSet"))) == (1, 2, 2)
    assert (status["conditions"]["Progressing"], status["readyReplicas"]) == ("ProgressDeadlineExceeded", 2)
    made = machine.store.get("Deployment", "default", "served")
    machine.store.replace(put(made, f"{IN_SET}/image", new))
    machine.look()
    assert (machine.pods(old), len(machine.pods(new))) == ([], 2)
    assert machine.status("Deployment", "served")["conditions"]["Progressing"] == "NewReplicaSetAvailable"


def test_a_pod_of_a_deployment_that_is_gone_is_replaced(machine: Machine) -> None:
    machine.store.create(DEPLOYMENT)
    machine.look()
    machine.ready()
    gone, stays = machine.store.all("Pod")
    machine.store.delete(gone)
    machine.look()
    names = machine.names("Pod")
    assert (stays["metadata"]["name"] in names, gone["metadata"]["name"] in names, len(names)) == (True, False, 2)
    made = machine.store.get("Deployment", "default", "served")
    machine.store.replace(put(made, "spec/replicas", 1))
    machine.look()
    assert machine.names("Pod") == [stays["metadata"]["name"]]  # the other is not ready
    machine.store.delete(machine.store.get("Deployment", "default", "served"))
    machine.look()
    assert machine.names("Pod") == machine.names("ReplicaSet") == []


def test_a_budget_keeps_pods_from_being_evicted(machine: Machine) -> None:
    machine.store.has_node = True  # pods take their time to end
    machine.store.create(DEPLOYMENT)
    machine.store.create(BUDGET)
    machine.look()
    machine.ready()
    assert machine.status("PodDisruptionBudget", "served")["disruptionsAllowed"] == 1
    first, second = machine.store.all("Pod")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first["metadata"]["name"]}}
    evict(machine.store, first, eviction)
    machine.look()
    status = machine.status("PodDisruptionBudget", "served")
    assert (status["currentHealthy"], status["expectedPods"], status["disruptionsAllowed"]) == (1, 3, 0)
    assert status["conditions"] == {"DisruptionAllowed": "InsufficientPods"}
    eviction["metadata"] = {"name": second["metadata"]["name"]}
    with pytest.raises(Refused, match="would violate the pod's disruption budget") as refused:
        evict(machine.store, second, eviction)
    assert refused.value.code == 429
    machine.ready()
    evict(machine.store, second, eviction)


def test_a_service_leads_to_pods_that_are_ready(machine: Machine) -> None:
    machine.store.has_node = True  # pods take their time to end
    machine.store.create(DEPLOYMENT)
    service = machine.store.create(SERVICE)
    machine.look()

    def found() -> list[tuple[str, int]]:
        return addresses(machine.store, service, service["spec"]["ports"][0])

    assert found() == []
    first, second = machine.store.all("Pod")
    machine.ready(second["metadata"]["name"])
    assert found() == [("10.0.0.1", 8000)]
    machine.ready()
    assert found() == [("10.0.0.0", 8000), ("10.0.0.1", 8000)]
    machine.store.delete(first)
    assert found() == [("10.0.0.1", 8000)]
    machine.store.delete(second)
    assert found() == [("10.0.0.0", 8000), ("10.0.0.1", 8000)]  # all that there is, until a new one is ready
    machine.look()
    machine.ready(*(each["metadata"]["name"] for each in machine.store.all("Pod")[2:]))
    assert found() == [("10.0.0.2", 8000), ("10.0.0.3", 8000)]


def test_a_pod_is_told_of_services_that_were_there_before(machine: Machine) -> None:
    pod = put(POD, "spec/containers/0/env", [])
    assert container.environment(machine.store, pod, pod["spec"]["containers"][0]) == {}
    address = machine.store.create(put(SERVICE, "metadata/name", "a-shop"))["spec"]["clusterIP"]
    told = container.environment(machine.store, pod, pod["spec"]["containers"][0])
    assert told["A_SHOP_SERVICE_HOST"] == told["A_SHOP_PORT_80_TCP_ADDR"] == address
    assert told["A_SHOP_PORT"] == told["A_SHOP_PORT_80_TCP"] == f"tcp://{address}:80"
    assert told["A_SHOP_SERVICE_PORT"] == told["A_SHOP_SERVICE_PORT_HTTP"] == told["A_SHOP_PORT_80_TCP_PORT"] == "80"
    quiet = put(pod, "spec/enableServiceLinks", False)
    assert container.environment(machine.store, quiet, pod["spec"]["containers"][0]) == {}


def test_what_is_ready_is_known_a_moment_later() -> None:
    proxy = Proxy()
    proxy.look([("10.0.0.1", 8000)])
    assert proxy.known() == []
    proxy.seen[0] = (proxy.seen[0][0] - LAG, proxy.seen[0][1])
    proxy.look([])
    assert proxy.known() == [("10.0.0.1", 8000)]
    proxy.shutdown()
    proxy.server_close()


@pytest.mark.parametrize(
    ("selector", "means"),
    [("", True), ("a=b", True), ("a==b,c!=d", True), ("a in (b, x),c", False), ("a notin (b)", False), ("!c", True)],
)
def test_label_selectors(selector: str, means: bool) -> None:
    assert fields.selected(selector, {"a": "b"}) == means


@pytest.mark.parametrize(
    ("value", "amount"), [("1Gi", 2**30), ("100m", 0.1), (2, 2), ("1e3", 1000), ("1.5k", 1500), ("0", 0)]
)
def test_quantities(value: Any, amount: float) -> None:
    assert float(pods.quantity(value)) == amount


def test_indexes_in_a_status() -> None:
    assert ranges({0, 2, 3, 4, 7, 8}) == "0,2-4,7,8"


def test_patches() -> None:
    thing = {"a": {"b": [1, 2], "c/d": 3}}
    operations: list[Object] = [
        {"op": "test", "path": "/a/b/1", "value": 2},
        {"op": "replace", "path": "/a/b/0", "value": 5},
        {"op": "add", "path": "/a/b/-", "value": 6},
        {"op": "remove", "path": "/a/c~1d"},
    ]
    assert fields.patched(thing, operations) == {"a": {"b": [5, 2, 6]}}
    with pytest.raises(Refused, match="'x' not found"):
        fields.patched(thing, [{"op": "replace", "path": "/x/y", "value": 1}])
    assert fields.merged(thing, {"a": {"b": None}, "e": {"f": 1}}) == {"a": {"c/d": 3}, "e": {"f": 1}}
    with pytest.raises(Refused, match="strategic merge patches of lists"):
        fields.strategic(thing, {"a": {"b": [3]}})


def test_protobuf_of_what_is_not_known() -> None:
    typed = b"\x0a\x02v1\x12\x07Service"
    with pytest.raises(Refused, match="Service in protobuf"):
        protobuf.read(protobuf.MAGIC + b"\x0a" + bytes([len(typed)]) + typed + b"\x12\x00")


def test_kubectl_applies_what_kustomize_makes(kube: Cluster, tmp_path: Path) -> None:
    (tmp_path / "daily.yaml").write_text(yaml.safe_dump(DAILY))
    image = {"name": "shop", "newName": "registry/shop", "digest": "sha256:2"}
    kustomization = {"resources": ["daily.yaml"], "nameSuffix": "-main", "namespace": "shop", "images": [image]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    apply = ["apply", "--server-side", "-k", str(tmp_path)]
    assert 'namespaces "shop" not found' in kube.run(*apply).stderr
    assert kube.kubectl("create", "namespace", "shop") == "namespace/shop created"
    assert kube.kubectl(*apply) == "cronjob.batch/daily-main serverside-applied"
    its_image = "jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].image}"
    assert kube.kubectl("get", "cj/daily-main", "-n", "shop", "-o", its_image) == "registry/shop@sha256:2"
    kube.kubectl("annotate", "cronjob/daily-main", "-n", "shop", "commit=abc")
    kube.kubectl("patch", "cronjob/daily-main", "-n", "shop", "-p", '{"spec": {"suspend": true}}')
    (tmp_path / "daily.yaml").write_text(yaml.safe_dump(put(DAILY, "spec/suspend", False)))
    assert 'conflict with "kubectl-patch": .spec.suspend' in kube.run(*apply).stderr
    kube.kubectl(*apply, "--force-conflicts")
    (tmp_path / "daily.yaml").write_text(yaml.safe_dump(put(DAILY, "spec/timeZone", "Etc/UTC")))
    kube.kubectl(*apply)
    spec = json.loads(kube.kubectl("get", "cronjob/daily-main", "-n", "shop", "-o", "json"))
    assert spec["metadata"]["annotations"] == {"commit": "abc"}  # nobody applied them
    assert (spec["spec"]["suspend"], spec["spec"]["timeZone"], spec["metadata"]["generation"]) == (False, "Etc/UTC", 4)
    assert "unknown field" in kube.run("create", "-f", "-", given=yaml.safe_dump(put(DAILY, "spec/zone", "x"))).stderr


def test_kubectl_starts_a_job_and_waits(kube: Cluster) -> None:
    kube.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump(DAILY))
    kube.kubectl("create", "secret", "generic", "shop", "--from-literal=password=secret")
    assert kube.kubectl("create", "job", "now", "--from=cronjob/daily") == "job.batch/now created"
    made = kube.store.get("Job", "default", "now")["spec"]["template"]["spec"]
    assert made == kube.store.get("CronJob", "default", "daily")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "timed out" in kube.run("wait", "--for=condition=complete", "job/now", "--timeout=100ms").stderr
    [pod] = kube.store.all("Pod")
    threading.Timer(0.3, lambda: kube.store.set_status(pod, phase="Succeeded")).start()
    assert "condition met" in kube.kubectl("wait", "--for=condition=complete", "job/now", "--timeout=10s")
    listed = ["get", "pods", "-l", "job-name=now", "--field-selector", "status.phase=Succeeded", "-o", "name"]
    assert kube.kubectl(*listed) == f"pod/{pod['metadata']['name']}"
    assert "does not have a host assigned" in kube.run("logs", "job/now").stderr
    kube.kubectl("delete", "cronjob/daily", "--cascade=foreground")
    assert kube.kubectl("get", "cronjobs,jobs,pods", "-o", "name") == ""
    assert "doesn't have a resource type" in kube.run("get", "statefulsets").stderr


def test_kubectl_waits_for_a_rollout(kube: Cluster) -> None:
    apply = ["apply", "--server-side", "-f", "-"]
    kube.kubectl(*apply, given=yaml.safe_dump_all([put(DEPLOYMENT, "spec/minReadySeconds", 0), SERVICE, BUDGET]))
    rollout = ["rollout", "status", "deployment/served"]
    assert "timed out waiting for the condition" in kube.run(*rollout, "--timeout=300ms").stderr
    held = [{"type": "Ready", "status": "True", "lastTransitionTime": stamp(kube.clock.now())}]
    for pod in kube.store.all("Pod"):
        kube.store.set_status(pod, phase="Running", conditions=held)
    assert "successfully rolled out" in kube.kubectl(*rollout, "--timeout=5s")
    kube.kubectl("wait", "--for=jsonpath={.status.disruptionsAllowed}=1", "pdb/served", "--timeout=5s")
    first, second = (pod["metadata"]["name"] for pod in kube.store.all("Pod"))
    for pod, done in ((first, ""), (second, "TooManyRequests")):
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/default/pods/{pod}/eviction"
        assert done in kube.run("create", "--raw", path, "-f", "-", given=json.dumps(eviction)).stderr
    kube.kubectl("delete", "deployment/served", "service/served", "pdb/served")
    assert kube.kubectl("get", "deployments,replicasets,services,pdb,pods", "-o", "name") == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["get", "pods", "--field-selector", "spec.nodeName=here"], "field label not supported"),
        (["get", "--raw", "/api/v1/pods?labelSelector=a%20b"], "unable to parse requirement"),
        (["get", "--raw", "/api/v1/pods?continue=x"], "the option continue of GET pods"),
        (["exec", "one", "--", "true"], "does not know"),
        (["scale", "deployment/served", "--replicas=3"], "of deployments/scale"),
        (["apply", "-f", "-"], "strategic merge patches of lists"),
    ],
)
def test_what_the_stand_in_does_not_know(arguments: list[str], told: str, kube: Cluster) -> None:
    kube.store.create(POD)
    kube.store.create(DEPLOYMENT)
    done = kube.run(*arguments, given=yaml.safe_dump(put(POD, f"{CONTAINER}/image", "other")))
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr


def test_the_api_warns_of_what_a_namespace_is_against(kube: Cluster) -> None:
    space = kube.store.get("Namespace", "", "default")
    kube.store.replace(put(space, "metadata/labels", {"pod-security.kubernetes.io/warn": "restricted"}))
    job = put(JOB, "spec/template/spec/securityContext", {})
    assert "Warning: would violate PodSecurity" in kube.run("create", "-f", "-", given=yaml.safe_dump(job)).stderr
