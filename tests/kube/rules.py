"""What the API refuses of an object and what it fills in: fields by the published schemas, their meaning by hand."""

import base64
import binascii
import re
from typing import Any
from zoneinfo import available_timezones

from . import cron, lasting, pods, published
from .fields import at
from .kinds import OF_KIND, VERSION, Object, Problems, Refused, bad, forbidden, unknown
from .words import IS_LABEL, IS_SUBDOMAIN, name

LARGEST = 2**31 - 1
NAMED = "kubernetes.io/metadata.name"
LEVEL = "pod-security.kubernetes.io/"


def admit(thing: Object, before: Object | None) -> None:
    """Fill in what is left out, and check the object and what it was before.

    Raises:
        Refused: it is not one that may be.
    """
    kind, wrong = OF_KIND[thing["kind"]], Problems()
    schema(thing)
    published.fill(thing, published.full(kind), wrong)
    name(wrong, "metadata.name", at(thing, "metadata.name", ""), IS_LABEL if kind.name == "Namespace" else IS_SUBDOMAIN)
    if kind.name in RULES:
        RULES[kind.name](thing, before, wrong)
    wrong.refuse(kind, at(thing, "metadata.name", ""))


def admit_pod(pod: Object, namespace: Object, accounts: set[str]) -> None:
    """What the cluster's policy says of a new pod.

    Raises:
        Refused: it is against it.
    """
    kind, its_name = OF_KIND["Pod"], at(pod, "metadata.name")
    account = at(pod, "spec.serviceAccountName")
    if account not in accounts:
        raise forbidden(kind, its_name, f'error looking up service account: serviceaccount "{account}" not found')
    level = at(namespace, ("metadata", "labels", f"{LEVEL}enforce"), "privileged")
    if level == "restricted" and (told := pods.unrestricted(pod["spec"])):
        raise forbidden(kind, its_name, f'violates PodSecurity "restricted:latest": {", ".join(told)}')


def warnings(thing: Object, namespace: Object) -> list[str]:
    """What the cluster's policy says of an object that makes pods, where it only warns."""
    specs = {"CronJob": "spec.jobTemplate.spec.template.spec", "Pod": "spec"}
    specs |= dict.fromkeys(("Deployment", "Job", "ReplicaSet"), "spec.template.spec")
    level = at(namespace, ("metadata", "labels", f"{LEVEL}warn"), "privileged")
    told = pods.unrestricted(at(thing, specs[thing["kind"]])) if thing["kind"] in specs else []
    return (
        [f'would violate PodSecurity "restricted:latest": {", ".join(told)}'] if told and level == "restricted" else []
    )


def schema(thing: Object, version: str = VERSION) -> None:
    """Check an object's fields and their types by what a version of Kubernetes publishes.

    Raises:
        Refused: one is not as it says.
    """
    found = list(published.validator(OF_KIND[thing["kind"]], version).iter_errors(thing))
    found.sort(key=lambda problem: problem.validator == "required")  # what is missing may be there by another name
    for problem in found[:1]:
        path = ".".join(map(str, problem.path))
        if problem.validator == "additionalProperties":
            extra = re.findall(r"'([^']+)'", problem.message)
            raise bad(f'strict decoding error: unknown field "{".".join(filter(None, (path, extra[0])))}"')
        if problem.validator == "required":
            told = f'{thing["kind"]} "{at(thing, "metadata.name", "")}" is invalid: {path}: {problem.message}'
            raise Refused(422, "Invalid", told)
        raise bad(f'{thing["kind"]} in version "v1" cannot be handled: {path}: {problem.message}')


def _namespace(thing: Object, before: Object | None, wrong: Problems) -> None:
    for key, value in at(thing, "metadata.labels", {}).items():
        if key in (f"{LEVEL}enforce", f"{LEVEL}warn"):
            wrong.check(
                f"metadata.labels[{key}]", value, "no level", ("privileged", "baseline", "restricted").__contains__
            )
            if value == "baseline":
                raise unknown("the Pod Security level baseline")
        elif key.startswith(LEVEL) and not (key.endswith("-version") and value == "latest"):
            raise unknown(f"the label {key}={value}")
    thing["metadata"]["labels"] = at(thing, "metadata.labels", {}) | {NAMED: at(thing, "metadata.name", "")}
    thing.setdefault("status", {"phase": "Active"})


def _data(thing: Object, before: Object | None, wrong: Problems) -> None:
    if thing["kind"] == "Secret":
        for key, text in (thing.pop("stringData", None) or {}).items():
            thing.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
        if thing["type"] not in ("Opaque", "kubernetes.io/dockerconfigjson", "kubernetes.io/basic-auth"):
            raise unknown(f"secrets of type {thing['type']}")
        if thing["type"].endswith("dockerconfigjson") and ".dockerconfigjson" not in thing.get("data", {}):
            wrong("data[.dockerconfigjson]", "Required value")
    size = 0
    for field in ("data", "binaryData"):
        for key, text in (thing.get(field) or {}).items():
            wrong.check(f"{field}[{key}]", key, "no key", lambda each: re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", each))
            if thing["kind"] == "Secret" or field == "binaryData":
                try:
                    base64.b64decode(text, validate=True)
                except binascii.Error as problem:
                    raise bad(f"illegal base64 data in {field}.{key}") from problem
            size += len(text) * 3 // 4 if thing["kind"] == "Secret" else len(text.encode())
    wrong.check("data", size, "Too long: may not be more than 1048576 bytes", lambda each: each <= 1048576)
    if (
        before
        and before.get("immutable")
        and any(before.get(each) != thing.get(each) for each in ("data", "immutable"))
    ):
        wrong("data", "Forbidden: field is immutable when `immutable` is set")
    if before and before.get("type") != thing.get("type"):
        wrong("type", "Invalid value: field is immutable")


def _claim(thing: Object, before: Object | None, wrong: Problems) -> None:
    spec = thing["spec"]
    published.default_only(spec, "PersistentVolumeClaimSpec", "spec", "volumeMode")
    modes = spec.get("accessModes", [])
    if not modes:
        wrong("spec.accessModes", "Required value: at least 1 access mode is required")
    for mode in modes:
        wrong.check("spec.accessModes", mode, "Unsupported value", ("ReadWriteOnce", "ReadWriteMany").__contains__)
    size = at(spec, "resources.requests.storage")
    wrong.check("spec.resources[storage]", size, "must be greater than zero", lambda each: pods.quantity(each) > 0)
    fixed = [
        {key: value for key, value in each["spec"].items() if key != "resources"} for each in (thing, before or thing)
    ]
    if fixed[0] != fixed[1]:
        told = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        wrong("spec", f"Forbidden: {told}")
    if before and pods.quantity(size) < pods.quantity(at(before, "spec.resources.requests.storage")):
        wrong("spec.resources.requests.storage", "Forbidden: field can not be less than status.capacity")
    thing.setdefault("status", {"phase": "Bound"})


def _cron_job(thing: Object, before: Object | None, wrong: Problems) -> None:
    spec = thing["spec"]
    wrong.check(
        "metadata.name",
        at(thing, "metadata.name", ""),
        "must be no more than 52 characters",
        lambda each: len(each) < 53,
    )
    if "TZ" in spec["schedule"]:
        wrong("spec.schedule", "Invalid value: cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    else:
        try:
            cron.parse(spec["schedule"])
        except ValueError as problem:
            wrong("spec.schedule", f"Invalid value: {spec['schedule']!r}: {problem}")
    if "timeZone" in spec:
        wrong.check("spec.timeZone", spec["timeZone"], "unknown time zone", available_timezones().__contains__)
    if "selector" in spec["jobTemplate"]["spec"]:
        wrong("spec.jobTemplate.spec.selector", "Invalid value: `selector` will be auto-generated")
    _job_spec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", wrong)
    thing.setdefault("status", {})


def _job(thing: Object, before: Object | None, wrong: Problems) -> None:
    spec, metadata = thing["spec"], thing["metadata"]
    if before is None:
        if "selector" in spec:
            wrong("spec.selector", "Invalid value: `selector` will be auto-generated")
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
        of = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        if of and not metadata.get("labels"):
            metadata["labels"] = dict(of)
        of |= {"controller-uid": metadata["uid"], "batch.kubernetes.io/controller-uid": metadata["uid"]}
        of |= {"job-name": metadata["name"], "batch.kubernetes.io/job-name": metadata["name"]}
    _job_spec(spec, "spec", wrong)
    thing.setdefault("status", {})
    if at(spec, "completionMode") == "Indexed" and len(f"{metadata['name']}-{spec.get('completions', 1) - 1}") > 63:
        wrong(
            "metadata.name",
            "Invalid value: will not be able to create pod hostnames: must be no more than 63 characters",
        )
    fixed = ("template", "selector", "completionMode", "backoffLimitPerIndex", "completions", "podFailurePolicy")
    for field in fixed:
        if before and spec.get(field) != before["spec"].get(field):
            wrong(f"spec.{field}", "Invalid value: field is immutable")


def _job_spec(spec: Object, path: str, wrong: Problems) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", LARGEST if "backoffLimitPerIndex" in spec else 6)
    policy = spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    if "podFailurePolicy" in spec and policy != "Failed":
        wrong(f"{path}.podReplacementPolicy", f"Unsupported value: {policy!r}: supported values: Failed")
    if "completions" not in spec:
        raise unknown("jobs with parallelism and without completions")
    if spec["completionMode"] != "Indexed":
        for field in {"backoffLimitPerIndex", "maxFailedIndexes"} & spec.keys():
            wrong(f"{path}.{field}", "Invalid value: requires indexed completion mode")
    elif spec["parallelism"] > 100_000:
        wrong(
            f"{path}.parallelism", "Invalid value: must be less than or equal to 100000 when completion mode is Indexed"
        )
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        wrong(f"{path}.backoffLimitPerIndex", "Required value: must be specified when maxFailedIndexes is specified")
    if spec.get("maxFailedIndexes", 0) > spec["completions"]:
        wrong(f"{path}.maxFailedIndexes", "Invalid value: must be less than or equal to completions")
    template, inside = spec["template"], f"{path}.template"
    _failures(spec, f"{path}.podFailurePolicy.rules", wrong)
    alone = {"backoffLimitPerIndex", "podFailurePolicy"} & spec.keys()
    allowed = ("Never",) if alone else ("OnFailure", "Never")
    policy = at(template, "spec.restartPolicy", "Always")
    if policy not in allowed:
        wrong(f"{inside}.spec.restartPolicy", f"Unsupported value: {policy!r}: supported values: {allowed}")
    pods.check(template["spec"], f"{inside}.spec", wrong)


def _failures(spec: Object, path: str, wrong: Problems) -> None:
    for number, rule in enumerate(at(spec, "podFailurePolicy.rules", [])):
        inside = f"{path}[{number}]"
        if rule["action"] == "FailIndex" and "backoffLimitPerIndex" not in spec:
            wrong(f"{inside}.action", "Unsupported value: 'FailIndex': supported values: Count, FailJob, Ignore")
        codes = rule.get("onExitCodes")
        if codes is None:
            wrong(inside, "Invalid value: specifying one of OnExitCodes and OnPodConditions is required")
            continue
        values = codes["values"]
        if not values or values != sorted(set(values)) or (codes["operator"] == "In" and 0 in values):
            wrong(
                f"{inside}.onExitCodes.values", "Invalid value: must be ordered, without duplicates, and not 0 for In"
            )


def _pod(thing: Object, before: Object | None, wrong: Problems) -> None:
    pods.check(thing["spec"], "spec", wrong)
    pods.complete(thing["spec"])
    if before and thing["spec"] != before["spec"]:
        wrong(
            "spec", "Forbidden: pod updates may not change fields other than `spec.containers[*].image` and a few more"
        )
    thing.setdefault("status", {"phase": "Pending"})


RULES: dict[str, Any] = {
    "Namespace": _namespace,
    "ConfigMap": _data,
    "Secret": _data,
    "PersistentVolumeClaim": _claim,
    "Service": lasting.service,
    "Deployment": lasting.deployment,
    "ReplicaSet": lasting.replica_set,
    "PodDisruptionBudget": lasting.budget,
    "CronJob": _cron_job,
    "Job": _job,
    "Pod": _pod,
}
