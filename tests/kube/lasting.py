"""The rules of what lasts: Deployments, their ReplicaSets, Services and PodDisruptionBudgets."""

import re
from typing import Any

from . import pods
from .fields import at
from .kinds import Object, Problems, unknown
from .published import default_only

IS_SERVICE = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def amount(value: int | str, of: int, *, up: bool = False) -> int:
    """How many a number or a percentage means, rounded up or down."""
    if isinstance(value, int):
        return value
    hundredths = int(value.removesuffix("%")) * of
    return -(-hundredths // 100) if up else hundredths // 100


def deployment(thing: Object, before: Object | None, wrong: Problems) -> None:
    """A Deployment."""
    spec = thing["spec"]
    default_only(spec["strategy"], "DeploymentStrategy", "spec.strategy", "type")
    rolling = spec["strategy"]["rollingUpdate"]
    for field, value in rolling.items():
        told = "must be an integer that is not negative, or a percentage"
        wrong.check(f"spec.strategy.rollingUpdate.{field}", value, told, _is_amount)
    if not wrong and not any(int(str(each).removesuffix("%")) for each in rolling.values()):
        wrong("spec.strategy.rollingUpdate.maxUnavailable", "Invalid value: 0: may not be 0 when `maxSurge` is 0")
    if spec["progressDeadlineSeconds"] <= spec["minReadySeconds"]:
        wrong("spec.progressDeadlineSeconds", "Invalid value: must be greater than minReadySeconds")
    _pods(spec, before, wrong)
    thing.setdefault("status", {})


def replica_set(thing: Object, before: Object | None, wrong: Problems) -> None:
    """A ReplicaSet."""
    _pods(thing["spec"], before, wrong)
    thing.setdefault("status", {"replicas": 0})


def service(thing: Object, before: Object | None, wrong: Problems) -> None:
    """A Service."""
    spec = thing["spec"]
    wrong.check("metadata.name", thing["metadata"]["name"], "a DNS-1035 label", IS_SERVICE.fullmatch)
    default_only(spec, "ServiceSpec", "spec", "type", "sessionAffinity", "internalTrafficPolicy")
    if not spec.get("selector"):
        raise unknown("services without spec.selector")
    uid = thing["metadata"]["uid"]
    its = f"10.96.{int(uid[:2], 16)}.{int(uid[2:4], 16)}"  # where nobody listens: see `services.py`
    if spec.setdefault("clusterIP", its) != its:
        raise unknown(f"spec.clusterIP: {spec['clusterIP']}")
    ports = spec.get("ports", [])
    if not ports:
        wrong("spec.ports", "Required value")
    for number, port in enumerate(ports):
        inside = f"spec.ports[{number}]"
        default_only(port, "ServicePort", inside, "protocol")
        port.setdefault("targetPort", port["port"])
        wrong.check(f"{inside}.port", port["port"], "must be between 1 and 65535", lambda each: 0 < each < 65536)
        if len(ports) > 1 and not port.get("name"):
            wrong(f"{inside}.name", "Required value")
    for field in ("name", "port"):
        values = [port.get(field) for port in ports]
        if len(set(values)) < len(values):
            wrong("spec.ports", f"Duplicate value: {field}")
    thing.setdefault("status", {"loadBalancer": {}})


def budget(thing: Object, before: Object | None, wrong: Problems) -> None:
    """A PodDisruptionBudget."""
    spec = thing["spec"]
    if {"minAvailable", "maxUnavailable"} <= spec.keys():
        wrong("spec", "Invalid value: minAvailable and maxUnavailable cannot be both set")
    elif not isinstance(spec.get("minAvailable"), int):
        raise unknown("budgets without spec.minAvailable, or with a percentage")
    if not at(spec, "selector.matchLabels"):
        raise unknown("budgets whose spec.selector.matchLabels is empty")
    thing.setdefault("status", {})


def _is_amount(value: Any) -> bool:
    return value >= 0 if isinstance(value, int) else bool(re.fullmatch(r"(\d{1,2}|100)%", value))


def _pods(spec: Object, before: Object | None, wrong: Problems) -> None:
    """Check the selector of what has pods, and their template."""
    chosen = at(spec, "selector.matchLabels", {})
    template = spec["template"]
    if not chosen:
        wrong("spec.selector", "Invalid value: empty selector is invalid")
    elif not chosen.items() <= at(template, "metadata.labels", {}).items():
        wrong("spec.template.metadata.labels", "Invalid value: `selector` does not match template `labels`")
    if before and spec["selector"] != before["spec"]["selector"]:
        wrong("spec.selector", "Invalid value: field is immutable")
    pods.check(template["spec"], "spec.template.spec", wrong)
    policy = template["spec"]["restartPolicy"]
    if policy != "Always":
        wrong("spec.template.spec.restartPolicy", f"Unsupported value: {policy!r}: supported values: 'Always'")
