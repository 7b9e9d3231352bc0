"""The resources that there are, and how the API refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

VERSION, OLDEST = "1.37", "1.31"  # which the stand-in is, and from which on the manual says that it works


@dataclass(frozen=True)
class Kind:
    """A kind of object and where the API has it."""

    name: str
    plural: str
    group: str = ""
    short: str = ""
    namespaced: bool = True
    fields: tuple[str, ...] = ()  # what a field selector may ask for, besides name and namespace

    @property
    def api_version(self) -> str:
        """What stands in `apiVersion`."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def root(self) -> str:
        """Where the kind's group is served."""
        return f"apis/{self.api_version}" if self.group else "api/v1"

    @property
    def qualified(self) -> str:
        """The resource as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


INVOLVED = tuple(f"involvedObject.{field}" for field in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath"))
KINDS = [
    Kind("Namespace", "namespaces", short="ns", namespaced=False),
    Kind("ConfigMap", "configmaps", short="cm"),
    Kind("Secret", "secrets", fields=("type",)),
    Kind("ServiceAccount", "serviceaccounts", short="sa"),
    Kind("PersistentVolumeClaim", "persistentvolumeclaims", short="pvc"),
    Kind("Pod", "pods", short="po", fields=("status.phase", "spec.restartPolicy", "spec.serviceAccountName")),
    Kind("Service", "services", short="svc", fields=("spec.clusterIP", "spec.type")),
    Kind("Event", "events", short="ev", fields=(*INVOLVED, "reason", "type")),
    Kind("Deployment", "deployments", "apps", "deploy"),
    Kind("ReplicaSet", "replicasets", "apps", "rs"),
    Kind("CronJob", "cronjobs", "batch", "cj"),
    Kind("Job", "jobs", "batch", fields=("status.successful",)),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy", "pdb"),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io", "netpol"),
    Kind("Role", "roles", "rbac.authorization.k8s.io"),
    Kind("RoleBinding", "rolebindings", "rbac.authorization.k8s.io"),
]
OF_KIND = {kind.name: kind for kind in KINDS}
GROUPS = list(dict.fromkeys(kind.group for kind in KINDS))


class Refused(Exception):
    """What the API answers instead of doing what was asked."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> Object:
        """The answer's body."""
        told = {"status": "Failure", "message": self.message, "reason": self.reason, "code": self.code}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **told}


def not_found(kind: Kind, name: str) -> Refused:
    """There is no such object."""
    return Refused(404, "NotFound", f'{kind.qualified} "{name}" not found')


def bad(message: str) -> Refused:
    """The request cannot be read."""
    return Refused(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, why: str) -> Refused:
    """The cluster's policy is against it."""
    return Refused(403, "Forbidden", f'{kind.qualified} "{name}" is forbidden: {why}')


def unknown(what: str) -> Refused:
    """Kubernetes may well know this; the stand-in does not."""
    return Refused(501, "NotImplemented", f"the stand-in for a cluster does not know {what}")


def conflict(kind: Kind, name: str, why: str) -> Refused:
    """Somebody else was there before."""
    return Refused(409, "Conflict", f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}')


class Problems(list[str]):
    """What is wrong with an object, each with its field's path."""

    def __call__(self, field: str, why: str) -> None:
        """Note that a field is wrong."""
        self.append(f"{field}: {why}")

    def check(self, field: str, value: Any, why: str, good: Callable[[Any], object]) -> None:
        """Note a field whose value is not good."""
        if not good(value):
            self(field, f"Invalid value: {value!r}: {why}")

    def refuse(self, kind: Kind, name: str) -> None:
        """Refuse the object, if anything was noted.

        Raises:
            Refused: something was.
        """
        if self:
            told = self[0] if len(self) == 1 else f"[{', '.join(self)}]"
            raise Refused(422, "Invalid", f'{kind.name}.{kind.group or "core"} "{name}" is invalid: {told}')
