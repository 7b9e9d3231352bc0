"""The stand-in for a cluster, held against the schemas that Kubernetes publishes: its fields, and what it fills in."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube.kinds import KINDS, OF_KIND, OLDEST, VERSION, Object
from kube.published import KNOWN, definitions, field, full, inner, short
from kube.store import Clock, Store

README = Path(__file__).parents[2] / "template/production/README.md.jinja"
# Each type that is known, with as little in it as may be.
BARE = """
kind: Namespace
metadata: {name: other}
---
kind: ConfigMap
---
kind: Secret
---
kind: ServiceAccount
---
kind: PersistentVolumeClaim
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
kind: Service
spec: {selector: {app: it}, ports: [{port: 80}]}
---
kind: PodDisruptionBudget
spec: {minAvailable: 1, selector: {matchLabels: {app: it}}}
---
kind: Event
involvedObject: {}
---
kind: NetworkPolicy
---
kind: Role
---
kind: RoleBinding
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: it}
---
kind: Pod
spec: {containers: [{name: it, image: "it:1", resources: {limits: {cpu: 1}}}]}
---
kind: Pod
metadata: {name: owned, ownerReferences: [{apiVersion: v1, kind: Pod, name: it, uid: "1"}], managedFields: [{}]}
spec:
  imagePullSecrets: [{name: it}]
  restartPolicy: Never
  securityContext: {seccompProfile: {type: RuntimeDefault}}
  tolerations: [{key: it}]
  initContainers: [{name: before, image: it}]
  containers:
    - name: it
      image: it:latest
      env:
        - {name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: B, valueFrom: {configMapKeyRef: {name: it, key: it}}}
        - {name: C, valueFrom: {secretKeyRef: {name: it, key: it}}}
      envFrom: [{configMapRef: {name: it}}, {secretRef: {name: it}}]
      resources: {}
      securityContext: {capabilities: {}}
      volumeMounts: [{name: a, mountPath: /it}]
  volumes:
    - {name: a, emptyDir: {}}
    - {name: b, secret: {secretName: it, items: [{key: it, path: it}]}}
    - {name: c, configMap: {name: it}}
    - {name: d, persistentVolumeClaim: {claimName: it}}
---
kind: Deployment
spec:
  selector: {matchLabels: {app: it}}
  template:
    metadata: {labels: {app: it}}
    spec:
      containers:
        - name: it
          image: it:1
          lifecycle: {preStop: {exec: {command: [it]}}}
          ports: [{containerPort: 80}]
          readinessProbe: {httpGet: {port: 80}}
---
kind: ReplicaSet
spec:
  selector: {matchLabels: {app: it}}
  template: {metadata: {labels: {app: it}}, spec: {containers: [{name: it, image: it}]}}
---
kind: CronJob
spec:
  schedule: "@daily"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: it, image: it}]}}}}
---
kind: Job
spec:
  template: {metadata: {labels: {app: it}}, spec: {restartPolicy: Never, containers: [{name: it, image: it}]}}
---
kind: Job
metadata: {name: each}
spec:
  completionMode: Indexed
  completions: 2
  backoffLimitPerIndex: 1
  podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: In, values: [1]}}]}
  template: {spec: {restartPolicy: Never, containers: [{name: it, image: it}]}}
"""
# What is filled in otherwise than the schema says in these words: as Kubernetes' defaults.go has it.
OTHERWISE: dict[str, set[Any]] = {
    "Container.imagePullPolicy": {"Always", "IfNotPresent"},  # the latter, if a tag says which image it is
    "HTTPGetAction.path": {"/"},
    "JobSpec.backoffLimit": {6, 2147483647},  # the latter, if there is one for each index
    "JobSpec.completions": {1},
    "JobSpec.parallelism": {1},
    "JobSpec.podReplacementPolicy": {"TerminatingOrFailed", "Failed"},  # the latter, if there is a podFailurePolicy
    "PersistentVolumeClaimSpec.volumeMode": {"Filesystem"},
    "PodSpec.enableServiceLinks": {None, True},  # in a pod, and not in a template of pods
    "PodSpec.schedulerName": {"default-scheduler"},
    "PodSpec.serviceAccountName": {None, "default"},  # by an admission plugin, and so in a pod alone
    "ResourceRequirements.requests": {None, "{'cpu': '1'}"},  # the limits, in a pod alone
    "Secret.type": {"Opaque"},
    "ServicePort.targetPort": {80},  # the port
    "Toleration.operator": {None},  # the one that says nothing is taken for Equal, and stays
}
MADE = ("ObjectMeta", "LabelSelector", "clusterIP")  # not filled in, but made up for each object
STATED = r'\b[Dd]efault(?:s to| to| is| false| value,) ?"?(?P<a>[^\s"]*)|["`](?P<b>\w+)["`] \(default\)'
NO_VALUES = ("", "Limits", "nil", "the", "user")


def types(version: str = VERSION) -> dict[str, str]:
    """The types of all that is known, with their full names."""
    found, left = dict[str, str](), [full(kind) for kind in KINDS]
    while left:
        of = left.pop()
        if short(of) not in found:
            found[short(of)] = of
            fields = definitions(version)["$defs"][of].get("properties", {})
            left += [inner(schema) for name, schema in fields.items() if name in KNOWN[short(of)].keys() - {"status"}]
            left = [each for each in left if "properties" in definitions(version)["$defs"].get(each, {})]
    return found


def stated(of: str, name: str) -> Any:
    """What the description of a type's field says that is filled in; None if nothing, or what is the same."""
    for found in re.finditer(STATED, field(name, of).get("description", "")):
        text = (found["a"] or found["b"] or "").rstrip(".,")
        if text.removesuffix("s").isdigit():
            return int(text.removesuffix("s"), 8 if text.startswith("0") else 10) or None
        if text not in NO_VALUES:
            return {"true": True, "false": None, "empty": None}.get(text, text)
    return None


def filled(given: Object, made: Object, of: str) -> Iterator[tuple[str, str, Any]]:
    """The fields that an object was not given, with their types and what they are then."""
    for name in sorted(KNOWN[short(of)].keys() - {"*", "status"}):
        before, after, its = given.get(name), made.get(name), inner(field(name, of))
        if short(its) in KNOWN and after is not None:
            several = isinstance(after, list)
            for one, other in zip(before or [], after, strict=True) if several else [(before or {}, after)]:
                yield from filled(one, other, its)
        elif before is None:
            yield of, name, (str(after) if isinstance(after, dict) else after) or None


@pytest.mark.parametrize("version", [OLDEST, VERSION])
def test_what_is_known_is_published(version: str) -> None:
    found = types(version)
    assert found.keys() == KNOWN.keys()
    for name, known in KNOWN.items():
        fields = definitions(version)["$defs"][found[name]].get("properties", {})
        assert known.keys() - {"*"} <= fields.keys(), name


def test_what_is_left_out_is_filled_in_as_is_published() -> None:
    store, seen = Store(Clock(), has_node=False), dict[str, set[Any]]()
    for given in yaml.safe_load_all(BARE):
        kind = OF_KIND[given["kind"]]
        metadata = {"name": "it"} | ({"namespace": "default"} if kind.namespaced else {})
        given |= {"apiVersion": kind.api_version, "metadata": metadata | given.get("metadata", {})}
        for of, name, value in filled(given, store.create(given), full(kind)):
            if short(of) not in MADE and name not in MADE:
                seen.setdefault(f"{short(of)}.{name}", set()).add(value)
    expected = {
        f"{short(of)}.{name}": stated(of, name) for of in types().values() for name in KNOWN[short(of)].keys() - {"*"}
    }
    ours = {
        f"{of}.{name}" for of, known in KNOWN.items() for name, each in known.items() if each.default not in (None, {})
    }
    assert seen.keys() >= ours | {each for each, value in expected.items() if value}
    assert {each: values for each, values in seen.items() if values != {expected[each]}} == OTHERWISE


def test_what_a_value_may_be_is_published() -> None:
    for of in types().values():
        for name, known in KNOWN[short(of)].items():
            told = re.findall(r"\w+", field(name, of)["description"]) if known.values else []
            assert set(known.values) <= set(told), f"{of}.{name}"


def test_the_oldest_version_is_that_of_the_manual() -> None:
    assert f"On Kubernetes, {OLDEST} or newer" in README.read_text(encoding="utf-8")
