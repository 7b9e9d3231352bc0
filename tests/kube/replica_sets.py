"""The controller of ReplicaSets: as many pods as are wanted."""

import copy
from contextlib import suppress
from datetime import datetime, timedelta

from .fields import at
from .kinds import Object
from .owners import Gone, create
from .store import Store, moment


def ready_since(pod: Object) -> datetime | None:
    """Since when a pod is ready; None if it is not."""
    for each in at(pod, "status.conditions", []):
        if (each["type"], each["status"]) == ("Ready", "True"):
            return moment(each["lastTransitionTime"])
    return None


def goes_on(pod: Object) -> bool:
    """Whether a pod is neither at its end nor on its way there."""
    return at(pod, "status.phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def control(store: Store, it: Object) -> None:
    """Make the pods that are wanted, delete those that are not, and say how many there are."""
    spec, now = it["spec"], store.clock.now()
    active = [pod for pod in store.owned_by(it, "Pod") if goes_on(pod)]
    with suppress(Gone):
        for _ in range(spec["replicas"] - len(active)):
            template = copy.deepcopy(spec["template"])
            where = {"generateName": f"{it['metadata']['name']}-", "namespace": it["metadata"]["namespace"]}
            pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
            if not create(store, it, pod | {"metadata": template["metadata"] | where}):
                break
    for pod in sorted(active, key=_worth)[: max(0, len(active) - spec["replicas"])]:
        store.delete(pod)
    pods = [pod for pod in store.owned_by(it, "Pod") if goes_on(pod)]
    since = [moment for moment in map(ready_since, pods) if moment]
    available = sum(moment + timedelta(seconds=spec["minReadySeconds"]) <= now for moment in since)
    told = {"readyReplicas": len(since) or None, "availableReplicas": available or None}
    store.set_status(it, replicas=len(pods), observedGeneration=it["metadata"]["generation"], **told)


def _worth(pod: Object) -> tuple[bool, bool, float, int]:
    """By which of several pods the first is deleted: not running, not ready, ready not for long, restarted often."""
    since = ready_since(pod)
    restarts = sum(each["restartCount"] for each in at(pod, "status.containerStatuses", []))
    return at(pod, "status.phase") == "Running", bool(since), -since.timestamp() if since else 0.0, -restarts
