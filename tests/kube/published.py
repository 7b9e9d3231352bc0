"""The published schemas of the API, and of what they have the fields that the stand-in knows."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from .kinds import VERSION, Kind, Object, Problems, unknown
from .words import labels

# The fields of each type. After `:` their number in Kubernetes' generated.proto, for what comes in protobuf too: 2.6 is
# field 6 of the message in field 2. After `=` what the API fills in, whatever else an object has, and after `|` what it
# may be besides. With * all others are known too: they are stored as they come.
FIELDS = """
Namespace                  metadata:1 spec status
NamespaceSpec
ConfigMap                  metadata:1 data:2 binaryData:3 immutable:4
Secret                     metadata:1 data:2 type:3=Opaque stringData:4 immutable:5
ServiceAccount             metadata:1 automountServiceAccountToken:4
PersistentVolumeClaim      metadata spec status
Pod                        metadata spec status
Service                    metadata spec status
Event                      metadata *
Deployment                 metadata spec status
ReplicaSet                 metadata spec status
CronJob                    metadata spec status
Job                        metadata:1 spec:2 status
PodDisruptionBudget        metadata spec status
NetworkPolicy              metadata *
Role                       metadata *
RoleBinding                metadata *

ObjectMeta                 name:1 generateName:2 namespace:3 uid:5 resourceVersion:6 generation creationTimestamp \
                           deletionTimestamp deletionGracePeriodSeconds labels:11 annotations:12 ownerReferences:13 \
                           finalizers managedFields
OwnerReference             kind:1 name:3 uid:4 apiVersion:5 controller:6 blockOwnerDeletion:7
ManagedFieldsEntry         *
LabelSelector              matchLabels

PersistentVolumeClaimSpec  accessModes resources storageClassName volumeMode=Filesystem
VolumeResourceRequirements requests limits

ServiceSpec                selector ports type=ClusterIP clusterIP sessionAffinity=None \
                           internalTrafficPolicy=Cluster
ServicePort                name port targetPort protocol=TCP
PodDisruptionBudgetSpec    minAvailable maxUnavailable selector
DeploymentSpec             replicas=1 selector template strategy={} minReadySeconds=0 progressDeadlineSeconds=600 \
                           revisionHistoryLimit=10
DeploymentStrategy         type=RollingUpdate rollingUpdate={}
RollingUpdateDeployment    maxUnavailable=25% maxSurge=25%
ReplicaSetSpec             replicas=1 selector template minReadySeconds=0

CronJobSpec                schedule timeZone concurrencyPolicy=Allow|Forbid|Replace suspend=false \
                           startingDeadlineSeconds successfulJobsHistoryLimit=3 failedJobsHistoryLimit=1 jobTemplate
JobTemplateSpec            metadata spec
JobSpec                    parallelism:1 completions:2 activeDeadlineSeconds:3 selector template:6 backoffLimit:7 \
                           ttlSecondsAfterFinished:8 completionMode:9=NonIndexed|Indexed suspend:10=false \
                           podFailurePolicy:11 backoffLimitPerIndex:12 maxFailedIndexes:13 \
                           podReplacementPolicy:14|TerminatingOrFailed|Failed
PodFailurePolicy           rules:1
PodFailurePolicyRule       action:1|FailJob|FailIndex|Ignore|Count onExitCodes:2
PodFailurePolicyOnExitCodesRequirement operator:2|In|NotIn values:3

PodTemplateSpec            metadata:1 spec:2
PodSpec                    volumes:1 containers:2 restartPolicy:3=Always|OnFailure|Never \
                           terminationGracePeriodSeconds:4=30 dnsPolicy:6=ClusterFirst nodeSelector:7 \
                           serviceAccountName:8 serviceAccount:9 securityContext:14={} imagePullSecrets:15 \
                           hostname:16 schedulerName:19=default-scheduler initContainers:20 \
                           automountServiceAccountToken:21 tolerations:22 enableServiceLinks:30
Toleration                 key:1 operator:2|Equal|Exists value:3 effect:4|NoSchedule|PreferNoSchedule|NoExecute \
                           tolerationSeconds:5
LocalObjectReference       name:1
PodSecurityContext         runAsUser:2 runAsNonRoot:3 supplementalGroups:4 fsGroup:5 runAsGroup:6 \
                           fsGroupChangePolicy:9|OnRootMismatch|Always seccompProfile:10
SeccompProfile             type:1|RuntimeDefault|Localhost|Unconfined
Container                  name:1 image:2 command:3 args:4 workingDir:5 ports env:7 resources:8 volumeMounts:9 \
                           livenessProbe readinessProbe lifecycle terminationMessagePath:13=/dev/termination-log \
                           imagePullPolicy:14|Always|IfNotPresent|Never securityContext:15 envFrom:19 \
                           terminationMessagePolicy:20=File|FallbackToLogsOnError startupProbe
SecurityContext            capabilities:1 privileged:2 runAsUser:4 runAsNonRoot:5 readOnlyRootFilesystem:6 \
                           allowPrivilegeEscalation:7 runAsGroup:8 seccompProfile:11
Capabilities               add:1 drop:2
ContainerPort              name containerPort protocol=TCP
Probe                      httpGet initialDelaySeconds periodSeconds=10 timeoutSeconds=1 successThreshold=1 \
                           failureThreshold=3
HTTPGetAction              path=/ port scheme=HTTP
Lifecycle                  preStop
LifecycleHandler           exec
ExecAction                 command
EnvVar                     name:1 value:2 valueFrom:3
EnvVarSource               fieldRef:1 configMapKeyRef:3 secretKeyRef:4
ObjectFieldSelector        apiVersion:1=v1 fieldPath:2
ConfigMapKeySelector       name:1.1 key:2 optional:3
SecretKeySelector          name:1.1 key:2 optional:3
EnvFromSource              prefix:1 configMapRef:2 secretRef:3
ConfigMapEnvSource         name:1.1 optional:2
SecretEnvSource            name:1.1 optional:2
ResourceRequirements       limits:1 requests:2
VolumeMount                name:1 readOnly:2 mountPath:3 subPath:4
Volume                     name:1 emptyDir:2.2 secret:2.6 persistentVolumeClaim:2.10 configMap:2.19
EmptyDirVolumeSource       medium:1 sizeLimit:2
SecretVolumeSource         secretName:1 items:2 defaultMode:3=420 optional:4
ConfigMapVolumeSource      name:1.1 items:2 defaultMode:3=420 optional:4
KeyToPath                  key:1 path:2
PersistentVolumeClaimVolumeSource claimName:1 readOnly:2
"""
Number = tuple[int, ...]


class Field(NamedTuple):
    """Of a field that is known, the number, what is filled in, and what it may be; all, if that is empty."""

    number: Number = ()
    default: Any = None
    values: tuple[str, ...] = ()


def _field(text: str) -> tuple[str, Field]:
    said, *others = text.split("|")
    said, _, default = said.partition("=")
    name, _, number = said.partition(":")
    values = (default, *others) if default and others else tuple(others)
    return name, Field(tuple(map(int, filter(None, number.split(".")))), yaml.safe_load(default), values)


ROWS = [line.split() for line in FIELDS.replace("\\\n", "").splitlines() if line]
KNOWN = {name: dict(map(_field, row)) for name, *row in ROWS}


@cache
def definitions(version: str = VERSION) -> Object:
    """The schemas of all types of a version of Kubernetes, by their full names."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    found: Object = json.loads((folder / "_definitions.json").read_text())
    return found


@cache
def validator(kind: Kind, version: str = VERSION) -> Draft202012Validator:
    """What judges objects of a kind."""
    schemas = definitions(version)
    schema = {"$ref": f"{schemas['$id']}#/$defs/{full(kind)}"}
    return Draft202012Validator(schema, registry=Resource.from_contents(schemas) @ Registry())


def full(kind: Kind) -> str:
    """The name of a kind's type: `io.k8s.api.batch.v1.Job`."""
    return f"io.k8s.api.{kind.group.partition('.')[0] or 'core'}.v1.{kind.name}"


def short(name: str) -> str:
    """The last part of a type's name."""
    return name.rpartition(".")[2]


def field(name: str, of: str) -> Object:
    """The schema of a field of a type."""
    found: Object = definitions()["$defs"][of]["properties"][name]
    return found


def inner(schema: Object) -> str:
    """The name of a field's own type, or of its items'; empty where that is none."""
    of = schema.get("items") or schema
    return str(of.get("$ref", "")).rpartition("/")[2]


def parts(thing: Object, of: str, path: str) -> Iterator[tuple[Object, str, str]]:
    """The objects that are fields of one, or items of such: each with its type and its path."""
    for name in filter(KNOWN[short(of)].__contains__, thing):
        if short(its := inner(field(name, of))) in KNOWN:
            place, value = f"{path}.{name}".removeprefix("."), thing[name]
            if isinstance(value, list):
                yield from ((each, its, f"{place}[{number}]") for number, each in enumerate(value))
            else:
                yield value, its, place


def fill(thing: Object, of: str, wrong: Problems, path: str = "") -> None:
    """Fill in what is left out of an object that its schema allows, and note values that may not be.

    Raises:
        Refused: it has what Kubernetes knows and the stand-in does not.
    """
    known = KNOWN[short(of)]
    for name in [name for name, value in thing.items() if value is None]:
        del thing[name]
    for name in thing:
        if name not in known and "*" not in known and (path or name not in ("apiVersion", "kind")):
            raise unknown(f"{path}.{name}".removeprefix("."))
    for name, each in known.items():
        if each.default is not None:
            thing.setdefault(name, copy.deepcopy(each.default))
    for name in filter(known.__contains__, thing):
        place, value, values = f"{path}.{name}".removeprefix("."), thing[name], known[name].values
        if values and value not in values:
            wrong(place, f"Unsupported value: {value!r}: supported values: {', '.join(values)}")
        if isinstance(value, int) and value < 0 and name != "tolerationSeconds":
            wrong(place, f"Invalid value: {value}: must be greater than or equal to 0")
    if short(of) == "ObjectMeta":
        labels(wrong, path, thing)
    for inside, its, place in parts(thing, of, path):
        fill(inside, its, wrong, place)


def default_only(thing: Object, of: str, path: str, *names: str) -> None:
    """Refuse fields that have another value than the one that is filled in.

    Raises:
        Refused: one has, with which the stand-in would not do what Kubernetes does.
    """
    for name in names:
        if thing[name] != KNOWN[of][name].default:
            raise unknown(f"{path}.{name}: {thing[name]}")
