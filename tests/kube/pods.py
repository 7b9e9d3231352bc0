"""The rules of pods: what their specification has to be like, and what the Pod Security level `restricted` forbids."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from . import probes
from .fields import at
from .kinds import Object, Problems, bad, unknown
from .published import default_only
from .words import IS_LABEL, IS_SUBDOMAIN, name

SOURCES = {"secret", "configMap", "emptyDir", "persistentVolumeClaim"}
GPU = "nvidia.com/gpu"  # that of a device plugin, of which there is as much as is asked for, or nothing
AMOUNTS = ("cpu", "memory", "ephemeral-storage", GPU)
UNITS = dict(zip(["m", "", "k", "M", "G", "T", "P", "E"], [Decimal(1000) ** n for n in range(-1, 7)], strict=True))
UNITS |= {f"{letter}i": Decimal(1024) ** n for n, letter in enumerate("KMGTPE", 1)}
FIELDS = r"metadata\.(name|namespace|uid|(labels|annotations)\['[^']+'\])|spec\.serviceAccountName"


def quantity(value: Any) -> Decimal:
    """How much a resource quantity is.

    Raises:
        Refused: it is none.
    """
    found = re.fullmatch(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)(\w*)", str(value))
    try:
        return Decimal(found[1]) * UNITS[found[2]] if found else Decimal("no")
    except (InvalidOperation, KeyError) as problem:
        raise bad(f"quantities must match the regular expression: {value!r}") from problem


def complete(spec: Object) -> None:
    """Fill in what the specification of a pod leaves out, but not that of a template of pods."""
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("enableServiceLinks", True)
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if limits := at(container, "resources.limits"):
            container["resources"]["requests"] = limits | container["resources"].get("requests", {})


def check(spec: Object, path: str, wrong: Problems) -> None:
    """Fill in what a pod's specification leaves out, and note what is wrong with it.

    Raises:
        Refused: the stand-in does not know something of it.
    """
    if "serviceAccount" in spec:  # its old name
        spec.setdefault("serviceAccountName", spec["serviceAccount"])
    default_only(spec, "PodSpec", path, "dnsPolicy", "schedulerName")
    if not spec["containers"]:
        wrong(f"{path}.containers", "Required value")
    if len(spec["containers"]) > 1:
        raise unknown(f"several containers in a pod: {path}.containers")
    if spec["restartPolicy"] == "OnFailure":
        raise unknown(f"{path}.restartPolicy OnFailure")
    if spec["restartPolicy"] == "Always" and spec.get("initContainers"):
        raise unknown(f"{path}.initContainers of pods that are begun anew")
    for number, each in enumerate(spec.get("tolerations", [])):
        inside = f"{path}.tolerations[{number}]"
        if each.get("operator") == "Exists" and each.get("value"):
            wrong(f"{inside}.operator", "value must be empty when `operator` is 'Exists'")
    volumes = _volumes(spec.get("volumes", []), f"{path}.volumes", wrong)
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(field, [])):
            inside = f"{path}.{field}[{number}]"
            if container["name"] in names:
                wrong(f"{inside}.name", f"Duplicate value: {container['name']!r}")
            names.add(container["name"])
            for each in container.keys() & {*probes.KINDS, "lifecycle"} if field == "initContainers" else ():
                wrong(f"{inside}.{each}", "Forbidden: may not be set for init containers without restartPolicy=Always")
            _container(container, volumes, inside, wrong)


def _volumes(volumes: list[Object], path: str, wrong: Problems) -> set[str]:
    names: set[str] = set()
    for number, volume in enumerate(volumes):
        inside = f"{path}[{number}]"
        name(wrong, f"{inside}.name", volume["name"], IS_LABEL)
        if volume["name"] in names:
            wrong(f"{inside}.name", f"Duplicate value: {volume['name']!r}")
        names.add(volume["name"])
        sources = volume.keys() & SOURCES
        if len(sources) != 1:
            told = "Forbidden: may not specify more than 1 volume type" if sources else "Required value: a volume type"
            wrong(inside, told)
        for each in sources:
            source = volume[each]
            needed = {"secret": "secretName", "configMap": "name", "persistentVolumeClaim": "claimName"}.get(each)
            if needed:
                wrong.check(f"{inside}.{each}.{needed}", source.get(needed), "Required value", bool)
            if "defaultMode" in source:
                wrong.check(
                    f"{inside}.{each}.defaultMode", source["defaultMode"], "0 to 0777", lambda mode: 0 <= mode < 512
                )
            for item in source.get("items", []):
                wrong.check(
                    f"{inside}.{each}.items.path", item["path"], "must be a relative path without '..'", _inside
                )
    return names


def _inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def _container(container: Object, volumes: set[str], path: str, wrong: Problems) -> None:
    probes.check(container, path, wrong)
    name(wrong, f"{path}.name", container["name"], IS_LABEL)
    wrong.check(
        f"{path}.image", container.get("image", ""), "Required value", lambda each: each and each == each.strip()
    )
    fresh = re.search(r":latest$|^[^:@]+(:\d+/[^:@]+)?$", container.get("image", ""))
    container.setdefault("imagePullPolicy", "Always" if fresh else "IfNotPresent")
    default_only(container, "Container", path, "terminationMessagePath")
    if at(container, "securityContext.privileged"):
        raise unknown(f"{path}.securityContext.privileged")
    for number, variable in enumerate(container.get("env", [])):
        _variable(variable, f"{path}.env[{number}]", wrong)
    for number, source in enumerate(container.get("envFrom", [])):
        if len(source.keys() & {"secretRef", "configMapRef"}) != 1:
            wrong(f"{path}.envFrom[{number}]", "Invalid value: must specify one of: `configMapRef` or `secretRef`")
    _resources(container.get("resources", {}), f"{path}.resources", wrong)
    places: set[str] = set()
    for number, mount in enumerate(container.get("volumeMounts", [])):
        inside = f"{path}.volumeMounts[{number}]"
        if mount["name"] not in volumes:
            wrong(f"{inside}.name", f"Not found: {mount['name']!r}")
        if mount["mountPath"] in places:
            wrong(f"{inside}.mountPath", f"Invalid value: {mount['mountPath']!r}: must be unique")
        places.add(mount["mountPath"])
        wrong.check(
            f"{inside}.mountPath", mount["mountPath"], "must not contain ':'", lambda each: each and ":" not in each
        )
        wrong.check(f"{inside}.subPath", mount.get("subPath", ""), "must be a relative path without '..'", _inside)


def _variable(variable: Object, path: str, wrong: Problems) -> None:
    wrong.check(
        f"{path}.name",
        variable["name"],
        "must be printable and without '='",
        lambda each: re.fullmatch(r"[ -<>-~]+", each),
    )
    source = variable.get("valueFrom")
    if source is None:
        return
    if len(source) != 1:
        wrong(f"{path}.valueFrom", "Invalid value: must specify exactly one source")
    if variable.get("value"):
        wrong(f"{path}.valueFrom", "Invalid value: may not be specified when `value` is not empty")
    for each in ("secretKeyRef", "configMapKeyRef"):
        if each in source:
            name(wrong, f"{path}.valueFrom.{each}.name", source[each].get("name", ""), IS_SUBDOMAIN)
    if "fieldRef" in source and not re.fullmatch(FIELDS, source["fieldRef"]["fieldPath"]):
        raise unknown(f"{path}.valueFrom.fieldRef.fieldPath {source['fieldRef']['fieldPath']}")


def _resources(resources: Object, path: str, wrong: Problems) -> None:
    limits = {key: quantity(value) for key, value in resources.get("limits", {}).items()}
    requests = {key: quantity(value) for key, value in resources.get("requests", {}).items()}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for key, amount in amounts.items():
            if key not in AMOUNTS:
                raise unknown(f"{path}.{field}.{key}")
            wrong.check(f"{path}.{field}[{key}]", amount, "must be greater than or equal to 0", lambda each: each >= 0)
    if GPU in requests and requests[GPU] != limits.get(GPU):
        wrong(f"{path}.requests", f"Invalid value: {requests[GPU]}: must be equal to {GPU} limit")
    for field in resources:  # as the API gives them
        resources[field] = {key: str(value) for key, value in resources[field].items()}
    for key, amount in requests.items():
        if amount > limits.get(key, amount):
            told = f"must be less than or equal to {key} limit of {resources['limits'][key]}"
            wrong(f"{path}.requests", f"Invalid value: {resources['requests'][key]!r}: {told}")


def unrestricted(spec: Object) -> list[str]:
    """What the Pod Security level `restricted` has against a pod."""
    told, whole = [], spec.get("securityContext", {})
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = container.get("securityContext", {})
        its, both = f'(container "{container["name"]}"', whole | own
        if own.get("allowPrivilegeEscalation") is not False:
            told.append(
                f"allowPrivilegeEscalation != false {its} must set securityContext.allowPrivilegeEscalation=false)"
            )
        if "ALL" not in at(own, "capabilities.drop", []) or set(at(own, "capabilities.add", [])) - {"NET_BIND_SERVICE"}:
            told.append(f'unrestricted capabilities {its} must set securityContext.capabilities.drop=["ALL"])')
        if both.get("runAsNonRoot") is not True:
            told.append(f"runAsNonRoot != true {its} must set securityContext.runAsNonRoot=true)")
        if both.get("runAsUser") == 0:
            told.append(f"runAsUser=0 {its} must not set runAsUser=0)")
        if at(both, "seccompProfile.type") not in ("RuntimeDefault", "Localhost"):
            told.append(
                f'seccompProfile {its} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
            )
    return told
