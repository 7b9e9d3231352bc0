"""Pods of the stand-in for a cluster, executed by the container engine."""

import json
import secrets
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest
import rig
import yaml
from containers.docker import docker
from kube.docker import LABEL
from kube.kubectl import Cluster, cluster, program
from listener import until

pytestmark = pytest.mark.docker

NAME = f"kube-{secrets.token_hex(3)}"  # of the network and of the image
IMAGE = f"localhost/{NAME}:1"
POD = f"""
restartPolicy: Never
automountServiceAccountToken: false
terminationGracePeriodSeconds: 5
securityContext:
  {{runAsNonRoot: true, fsGroup: 2000, seccompProfile: {{type: RuntimeDefault}}}}
containers:
  - name: main
    image: {IMAGE}
    command: [sh, -euc]
    securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"""
SHARED = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData: {PASSWORD: pass word, user.txt: ada}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {settings.toml: "here = true"}
"""
SPLIT = """
id; hostname
cat /run/secrets/PASSWORD /settings.toml; echo
for folder in /run/secrets /usr; do touch $folder/x 2>/dev/null || echo "$folder: not to be written"; done
touch /tmp/x
echo "$0 of $(POD): $USER_NAME \\$$0 $PASSWORD $JOB_COMPLETION_INDEX"
cat /data/*.begun
if [ "$JOB_COMPLETION_INDEX" = 1 ] && [ ! -e /data/1.tried ]; then touch /data/1.tried; exit 7; fi
"""


def pod(script: str, **container: object) -> dict[str, object]:
    """A pod's specification that a restricted namespace takes."""
    spec: dict[str, object] = yaml.safe_load(POD)
    spec["containers"][0] |= {"args": [script]} | container  # type: ignore[index]
    return spec


def thing(kind: str, name: str, spec: object) -> str:
    """An object for kubectl."""
    version = "v1" if kind == "Pod" else "batch/v1"
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def kube(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a restricted namespace, in which kubectl is."""
    if program() is None:
        rig.missing("KUBECTL", "no kubectl here, and only root on Debian can unpack one")
    docker("network", "create", NAME)
    base = docker("create", "python:3.13-slim-trixie")
    docker("commit", "--change=USER 1000:1000", base, IMAGE)  # of whom the image's files say nothing
    docker("rm", base)
    made_of = ("Pod", "PersistentVolumeClaim")
    try:
        with cluster(tmp_path_factory.mktemp("kube"), NAME, backoff=0.5) as made:
            made.kubectl("label", "namespace", "default", "pod-security.kubernetes.io/enforce=restricted")
            yield made
        for uid in {each.thing["metadata"]["uid"] for each in made.store.history if each.thing["kind"] in made_of}:
            label = f"--filter=label={LABEL}={uid}"
            lists = [["ps", "--all", label], ["volume", "ls", label], ["volume", "ls", f"--filter=name=claim-{uid}"]]
            assert [docker(*each, "--quiet") for each in lists] == [""] * 3
    finally:
        docker("image", "rm", IMAGE)
        docker("network", "rm", NAME)


def test_a_split_job_tries_again_only_what_failed(kube: Cluster) -> None:
    spec = pod(
        SPLIT,
        env=[
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "PASSWORD"}}},
            {
                "name": "POD",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}},
            },
            {"name": "USER_NAME", "value": "ada, $(PASSWORD)"},
        ],
        resources={"requests": {"cpu": "100m"}, "limits": {"cpu": 8, "memory": "64Mi"}},
        volumeMounts=[
            {"name": "data", "mountPath": "/data", "subPath": "runs"},
            {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True},
            {"name": "settings", "mountPath": "/settings.toml", "subPath": "settings.toml"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    )
    spec["volumes"] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "secrets", "secret": {"secretName": "shop", "defaultMode": 0o440}},
        {"name": "settings", "configMap": {"name": "shop"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    main = spec["containers"][0]  # type: ignore[index]
    begin = ["echo begun $JOB_COMPLETION_INDEX >/data/$(JOB_COMPLETION_INDEX).begun"]
    spec["initContainers"] = [main | {"name": "begin", "args": begin}]
    job = {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1}
    split = thing("Job", "split", job | {"template": {"spec": spec}})
    kube.kubectl("apply", "--server-side", "-f", "-", given=f"{SHARED}---\n{split}")
    kube.kubectl("wait", "--for=condition=complete", "job/split", "--timeout=60s")
    status = json.loads(kube.kubectl("get", "job/split", "-o", "jsonpath={.status}"))
    assert (status["succeeded"], status["failed"], status["completedIndexes"]) == (2, 1, "0,1")
    pods = json.loads(kube.kubectl("get", "pods", "-l", "job-name=split", "-o", "json"))["items"]
    ends = [each["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for each in pods]
    assert [each["spec"]["hostname"] for each in pods] == ["split-0", "split-1", "split-1"]
    assert ends == [0, 7, 0]
    only = "batch.kubernetes.io/job-name=split,batch.kubernetes.io/job-completion-index=0"
    assert kube.kubectl("logs", "-l", only, "--tail=-1").splitlines()[:7] == [
        "uid=1000 gid=1000 groups=1000,2000",
        "split-0",
        "pass wordhere = true",
        "/run/secrets: not to be written",
        "/usr: not to be written",
        "sh of split: ada, pass word $0 pass word 0",
        "begun 0",
    ]


def test_a_cron_job_whose_moment_comes(kube: Cluster) -> None:
    template = {"template": {"spec": pod("echo ran")}}
    daily = {"schedule": "0 4 * * *", "timeZone": "Etc/UTC", "jobTemplate": {"spec": template}}
    kube.kubectl("apply", "--server-side", "-f", "-", given=thing("CronJob", "daily", daily))
    kube.clock.advance(days=1)
    kube.kubectl("wait", "--for=jsonpath={.status.active}", "cronjob/daily", "--timeout=20s")
    job = kube.kubectl("get", "cronjob/daily", "-o", "jsonpath={.status.active[0].name}")
    kube.kubectl("wait", "--for=jsonpath={.status.lastSuccessfulTime}", "cronjob/daily", "--timeout=20s")
    assert kube.kubectl("logs", f"job/{job}") == "ran"
    kube.kubectl("delete", "cronjob/daily", "--cascade=foreground")
    assert kube.kubectl("get", "pods", "-l", f"job-name={job}", "-o", "name") == ""


def test_a_pod_that_is_deleted_may_end_what_it_does(kube: Cluster) -> None:
    script = "trap 'echo ends; exit 0' TERM; echo began; while true; do sleep 0.1; done"
    kube.kubectl("create", "-f", "-", given=thing("Pod", "long", pod(script)))
    kube.kubectl("wait", "--for=condition=Ready", "pod/long", "--timeout=20s")
    with subprocess.Popen(["kubectl", "logs", "-f", "long"], env=kube.env, text=True, stdout=subprocess.PIPE) as logs:
        assert logs.stdout
        assert logs.stdout.readline() == "began\n"
        kube.kubectl("delete", "pod/long")
        assert logs.stdout.read() == "ends\n"
    assert "NotFound" in kube.run("get", "pod/long").stderr


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"resources": {"limits": {"memory": "32Mi"}}}, {"exitCode": 137, "reason": "OOMKilled"}),
        ({"command": ["/nothing"]}, {"exitCode": 128, "reason": "StartError"}),
    ],
)
def test_how_a_pod_may_fail(container: dict[str, object], told: dict[str, object], kube: Cluster) -> None:
    spec = pod("print(len(bytes(range(256)) * 2**20))", **({"command": ["python3", "-c"]} | container))
    kube.kubectl("create", "-f", "-", given=thing("Pod", "bad", spec))
    kube.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/bad", "--timeout=20s")
    ended = json.loads(kube.kubectl("get", "pod/bad", "-o", "jsonpath={.status.containerStatuses[0].state.terminated}"))
    assert {key: ended[key] for key in told} == told
    kube.kubectl("delete", "pod/bad")


def test_a_pod_waits_for_what_it_needs(kube: Cluster) -> None:
    later = {"name": "LATER", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "word"}}}
    kube.kubectl("create", "-f", "-", given=thing("Pod", "patient", pod("echo $LATER", env=[later])))
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    kube.kubectl("wait", f"--for={reason}=CreateContainerConfigError", "pod/patient", "--timeout=20s")
    kube.kubectl("create", "configmap", "later", "--from-literal=word=there")
    kube.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/patient", "--timeout=20s")
    assert kube.kubectl("logs", "patient") == "there"


@pytest.mark.parametrize(
    ("name", "more", "container"),
    [
        ("elsewhere", {"nodeSelector": {"pool": "gpu"}}, {}),
        ("fast", {}, {"resources": {"limits": {"nvidia.com/gpu": 1}}}),
    ],
)
def test_a_pod_waits_for_a_node_as_it_asks_for(
    name: str, more: dict[str, object], container: dict[str, object], kube: Cluster
) -> None:
    kube.kubectl("create", "-f", "-", given=thing("Pod", name, pod("true", **container) | more))
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    kube.kubectl("wait", f"--for={reason}=Unschedulable", f"pod/{name}", "--timeout=20s")
    kube.kubectl("delete", f"pod/{name}")


def test_an_image_that_cannot_be_had(kube: Cluster) -> None:
    kube.kubectl("create", "-f", "-", given=thing("Pod", "none", pod("true", image="127.0.0.1:9/none:1")))
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    kube.kubectl("wait", f"--for={reason}=ErrImagePull", "pod/none", "--timeout=20s")
    events = ["get", "events", "--field-selector", "involvedObject.name=none", "-o", "jsonpath={.items[*].message}"]
    assert "ErrImagePull" in kube.kubectl(*events)
    kube.kubectl("delete", "pod/none")


SERVES = """
import http.server, os, signal, socket, sys

def end(*_):
    print("ends", flush=True)
    sys.exit()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.isfile("/tmp" + self.path) else 200)
        self.end_headers()
        self.wfile.write(socket.gethostname().encode())
    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, end)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
SERVED = """
apiVersion: v1
kind: Service
metadata: {name: served}
spec: {selector: {app: served}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: served}
spec:
  replicas: 2
  selector: {matchLabels: {app: served}}
  template:
    metadata: {labels: {app: served}}
"""


def asks(path: str) -> dict[str, object]:
    """A probe that is quick to fail, but for want of time beside others."""
    asked = {"path": path, "port": "http"}
    return {"httpGet": asked, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30}


def test_pods_that_serve_are_asked_and_begun_anew(kube: Cluster) -> None:
    its = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    probes = {"startupProbe": asks("/starting") | {"failureThreshold": 30}, "readinessProbe": asks("/not-ready")}
    probes["livenessProbe"] = asks("/dead")
    ports = [{"name": "http", "containerPort": 8000}]
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo stops >/proc/1/fd/1"]}}}
    spec = pod(SERVES, command=["python3", "-c"], securityContext=its, lifecycle=hook, ports=ports, **probes)
    service, deployment = yaml.safe_load_all(SERVED)
    deployment["spec"]["template"]["spec"] = spec | {"restartPolicy": "Always"}
    kube.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump_all([service, deployment]))
    kube.kubectl("rollout", "status", "deployment/served", "--timeout=60s")
    listed = ["get", "pods", "--selector", "app=served", "--output"]
    first, second = kube.kubectl(*listed, "jsonpath={.items[*].metadata.name}").split()
    address = f"http://127.0.0.1:{kube.services.port('served', 'default')}/"

    def answers() -> set[str]:
        found = set()
        for _ in range(20):
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                found.add(answer.read().decode())
        return found

    def inside(name: str, *command: str) -> None:
        made = kube.kubectl("get", "pod", name, "--output", "jsonpath={.status.containerStatuses[0].containerID}")
        docker(*command[:1], made.removeprefix("docker://"), *command[1:])

    until(lambda: answers() == {first, second})
    inside(first, "exec", "touch", "/tmp/not-ready")
    until(lambda: answers() == {second})
    inside(first, "exec", "rm", "/tmp/not-ready")
    until(lambda: answers() == {first, second})

    state = ["get", "pod", first, "--output", "jsonpath={.status.containerStatuses[0]}"]
    inside(first, "kill")
    until(lambda: json.loads(kube.kubectl(*state))["restartCount"] == 1)
    until(lambda: answers() == {first, second})
    assert json.loads(kube.kubectl(*state))["lastState"]["terminated"]["exitCode"] == 137
    inside(first, "exec", "touch", "/tmp/dead")
    until(lambda: json.loads(kube.kubectl(*state))["restartCount"] == 2)
    until(lambda: answers() == {first, second})
    assert json.loads(kube.kubectl(*state))["lastState"]["terminated"]["exitCode"] == 0
    events = ["get", "events", "--field-selector", f"involvedObject.name={first}", "-o", "jsonpath={.items[*].message}"]
    assert kube.kubectl(*events) == "Liveness probe failed: HTTP probe failed with statuscode: 503"

    with subprocess.Popen(["kubectl", "logs", "-f", second], env=kube.env, text=True, stdout=subprocess.PIPE) as logs:
        assert logs.stdout
        kube.kubectl("delete", f"pod/{second}")
        assert logs.stdout.read() == "stops\nends\n"
    kube.kubectl("rollout", "status", "deployment/served", "--timeout=60s")
    kube.kubectl("delete", "deployment/served", "service/served")
    until(lambda: not kube.kubectl(*listed, "name"))
