"""Budgets of disruptions: how many pods may be evicted, and the eviction of one."""

from .fields import at, selected
from .kinds import Object, Refused, bad, unknown
from .replica_sets import ready_since
from .store import Store, stamp

DISRUPTED = "Cannot evict pod as it would violate the pod's disruption budget."


def control(store: Store, it: Object) -> None:
    """Say of a budget how many of its pods are healthy, and how many may go."""
    with store.changed:
        pods = [pod for pod in store.all("Pod", it["metadata"]["namespace"]) if _means(it, pod)]
        healthy = sum(ready_since(pod) is not None and "deletionTimestamp" not in pod["metadata"] for pod in pods)
        spare = max(0, healthy - it["spec"]["minAvailable"])
        status, reason = str(spare > 0), "SufficientPods" if spare else "InsufficientPods"
        held: Object = next(iter(at(it, "status.conditions", [])), {})
        if held.get("status") != status:
            since = {"lastTransitionTime": stamp(store.clock.now()), "observedGeneration": it["metadata"]["generation"]}
            held = {"type": "DisruptionAllowed", "status": status, "reason": reason, "message": "", **since}
        told = {"currentHealthy": healthy, "desiredHealthy": it["spec"]["minAvailable"], "expectedPods": len(pods)}
        told |= {"disruptionsAllowed": spare, "observedGeneration": it["metadata"]["generation"]}
        store.set_status(it, conditions=[held], **told)


def evict(store: Store, pod: Object, eviction: Object) -> Object:
    """Delete a pod if its budget allows it.

    Raises:
        Refused: it does not.
    """
    if (eviction.get("apiVersion"), eviction.get("kind")) != ("policy/v1", "Eviction"):
        raise bad("an Eviction of policy/v1 is expected")
    for field in eviction.keys() - {"apiVersion", "kind", "metadata"}:
        raise unknown(f"the field {field} of Eviction")
    name, where = pod["metadata"]["name"], pod["metadata"]["namespace"]
    if at(eviction, "metadata.name", name) != name:
        raise bad("name in URL does not match name in Eviction object")
    with store.changed:
        found = [each for each in store.all("PodDisruptionBudget", where) if _means(each, pod)]
        if len(found) > 1:
            told = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise Refused(500, "InternalError", told)
        over = at(pod, "status.phase") in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]
        if found and not over:
            control(store, found[0])  # as it is now
            status = store.get("PodDisruptionBudget", where, found[0]["metadata"]["name"])["status"]
            # One that is not ready may go as long as enough others are.
            enough = status["currentHealthy"] >= status["desiredHealthy"] > 0
            if not status["disruptionsAllowed"] and (ready_since(pod) or not enough):
                raise Refused(429, "TooManyRequests", DISRUPTED)
        store.delete(pod)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _means(budget: Object, pod: Object) -> bool:
    chosen = ",".join(f"{key}={value}" for key, value in budget["spec"]["selector"]["matchLabels"].items())
    return budget["metadata"]["namespace"] == pod["metadata"]["namespace"] and selected(
        chosen, at(pod, "metadata.labels", {})
    )
