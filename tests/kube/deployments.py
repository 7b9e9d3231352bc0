"""The controller of Deployments, and those of what goes with them: ReplicaSets and PodDisruptionBudgets."""

import copy
import json
import zlib
from typing import Any

from . import budgets, replica_sets
from .fields import at
from .kinds import Object, Refused
from .lasting import amount
from .loop import Loop
from .owners import Gone, create
from .store import ALPHABET, Store, moment, stamp

HASH = "pod-template-hash"
READY = ("readyReplicas", "availableReplicas")
REVISION = "deployment.kubernetes.io/revision"
WORDS = {
    "MinimumReplicasAvailable": "Deployment has minimum availability.",
    "MinimumReplicasUnavailable": "Deployment does not have minimum availability.",
    "NewReplicaSetAvailable": "ReplicaSet has successfully progressed.",
    "ProgressDeadlineExceeded": "ReplicaSet has timed out progressing.",
    "ReplicaSetUpdated": "ReplicaSet is progressing.",
}


class Deployments(Loop):
    """All three controllers."""

    def look(self) -> None:
        """Do what they do, for each object that is not being deleted."""
        for kind, control in (
            ("Deployment", deployment),
            ("ReplicaSet", replica_sets.control),
            ("PodDisruptionBudget", budgets.control),
        ):
            for thing in self.store.all(kind):
                if "deletionTimestamp" not in thing["metadata"]:
                    try:
                        control(self.store, thing)
                    except Gone:
                        continue
                    except Refused as problem:
                        if problem.code not in (404, 409):  # somebody else was quicker: there is a next look
                            raise


def deployment(store: Store, it: Object) -> None:
    """Replace the pods of a Deployment's earlier templates by those of its present one, and say how it goes."""
    sets = sorted(store.owned_by(it, "ReplicaSet"), key=revision)
    new = next((each for each in sets if _template(each) == it["spec"]["template"]), None)
    old = [each for each in sets if each is not new]
    if new is None:
        new = create(store, it, _replica_set(it, old))
        if new is None:
            return
    else:
        if old and revision(new) < revision(old[-1]):  # rolled back to
            new["metadata"]["annotations"] = {REVISION: str(revision(old[-1]) + 1)}
        new["spec"]["minReadySeconds"] = it["spec"]["minReadySeconds"]
        new = store.replace(new)
    if not _grow(store, it, old, new):
        _shrink(store, it, old, new)
    spent = [each for each in old if not each["spec"]["replicas"] and not each["status"]["replicas"]]
    for each in spent[: max(0, len(spent) - it["spec"]["revisionHistoryLimit"])]:
        store.delete(each)
    _tell(store, it, old, new)


def revision(replica_set: Object) -> int:
    """Which of its Deployment's templates a ReplicaSet has, the newest being the highest."""
    return int(at(replica_set, ("metadata", "annotations", REVISION), "0"))


def _template(replica_set: Object) -> Object:
    template: Object = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"]["labels"].pop(HASH, None)
    return template


def _replica_set(it: Object, old: list[Object]) -> Object:
    spec, template = it["spec"], copy.deepcopy(it["spec"]["template"])
    number = zlib.crc32(json.dumps(template, sort_keys=True).encode())
    mark = {HASH: "".join(ALPHABET[int(digit)] for digit in str(number))}
    template["metadata"]["labels"] |= mark
    metadata = {
        "name": f"{it['metadata']['name']}-{mark[HASH]}",
        "namespace": it["metadata"]["namespace"],
        "labels": dict(template["metadata"]["labels"]),
        "annotations": {REVISION: str(revision(old[-1]) + 1 if old else 1)},
    }
    chosen = {"matchLabels": spec["selector"]["matchLabels"] | mark}
    wanted = {"replicas": 0, "minReadySeconds": spec["minReadySeconds"], "selector": chosen, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": wanted}


def _bounds(it: Object) -> tuple[int, int]:
    """How many pods may be unavailable, and how many more there may be than wanted."""
    rolling, wanted = it["spec"]["strategy"]["rollingUpdate"], it["spec"]["replicas"]
    without, more = amount(rolling["maxUnavailable"], wanted), amount(rolling["maxSurge"], wanted, up=True)
    return (without, more) if without or more else (1, 0)  # both may come to nothing by rounding


def _scale(store: Store, replica_set: Object, replicas: int) -> bool:
    """Have so many pods; whether that is another number."""
    if replicas == replica_set["spec"]["replicas"]:
        return False
    replica_set["spec"]["replicas"] = replicas
    replica_set |= store.replace(replica_set)
    return True


def _grow(store: Store, it: Object, old: list[Object], new: Object) -> bool:
    """Bring the new ReplicaSet nearer to what is wanted, as far as there is room; whether it was."""
    wanted, now = it["spec"]["replicas"], new["spec"]["replicas"]
    room = wanted + _bounds(it)[1] - sum(each["spec"]["replicas"] for each in (*old, new))
    return _scale(store, new, wanted if now >= wanted else now + max(0, min(room, wanted - now)))


def _shrink(store: Store, it: Object, old: list[Object], new: Object) -> None:
    """Take away old pods: at first those that are of no use, then as many as others are available for."""
    at_least = it["spec"]["replicas"] - _bounds(it)[0]
    missing = new["spec"]["replicas"] - _number(new, "availableReplicas")
    most = sum(each["spec"]["replicas"] for each in (*old, new)) - at_least - missing
    for each in old:
        useless = min(most, each["spec"]["replicas"] - _number(each, "availableReplicas"))
        if useless > 0:
            most -= useless
            _scale(store, each, each["spec"]["replicas"] - useless)
    spare = sum(_number(each, "availableReplicas") for each in (*old, new)) - at_least
    spare = min(spare, most)
    for each in old:
        going = min(spare, each["spec"]["replicas"])
        if going > 0:
            spare -= going
            _scale(store, each, each["spec"]["replicas"] - going)


def _number(thing: Object, field: str) -> int:
    return int(thing["status"].get(field, 0))


def _tell(store: Store, it: Object, old: list[Object], new: Object) -> None:
    before, now = [[each for one in some if (each := store.current(one))] for some in (old, [new])]
    counted = {field: sum(_number(each, field) for each in (*before, *now)) for field in ("replicas", *READY)}
    counted["updatedReplicas"] = sum(_number(each, "replicas") for each in now)
    told: dict[str, Any] = {field: number or None for field, number in counted.items()}
    wanted = sum(each["spec"]["replicas"] for each in (*before, *now))
    told["unavailableReplicas"] = max(0, wanted - counted["availableReplicas"]) or None
    enough = counted["availableReplicas"] >= it["spec"]["replicas"] - _bounds(it)[0]
    reason = f"MinimumReplicas{'Available' if enough else 'Unavailable'}"
    held = [_condition(store, it, "Available", str(enough), reason), _progress(store, it, counted)]
    store.set_status(it, observedGeneration=it["metadata"]["generation"], conditions=held, **told)


def _held(it: Object, word: str) -> Object:
    return next((each for each in at(it, "status.conditions", []) if each["type"] == word), {})


def _condition(store: Store, it: Object, word: str, status: str, reason: str, *, anew: bool = False) -> Object:
    """A condition; one that held before stays as it is, unless something has happened."""
    before, now = _held(it, word), stamp(store.clock.now())
    if not anew and (before.get("status"), before.get("reason")) == (status, reason):
        return before
    since = before["lastTransitionTime"] if before.get("status") == status else now
    times = {"lastUpdateTime": now, "lastTransitionTime": since}
    return {"type": word, "status": status, "reason": reason, "message": WORDS[reason], **times}


def _progress(store: Store, it: Object, now: dict[str, int]) -> Object:
    """Whether it goes on: it does not, once nothing has for as long as that may take."""
    spec, before, held = it["spec"], it["status"], _held(it, "Progressing")
    wanted, observed = spec["replicas"], before.get("observedGeneration") == it["metadata"]["generation"]
    if now["updatedReplicas"] == now["replicas"] == now["availableReplicas"] == wanted:
        return _condition(store, it, "Progressing", "True", "NewReplicaSetAvailable")
    if observed and held.get("reason") == "NewReplicaSetAvailable" and now["replicas"] == now["updatedReplicas"]:
        return held  # it was complete: a pod that is not ready for a while is no matter of progress
    grown = any(now[field] > before.get(field, 0) for field in ("updatedReplicas", *READY))
    left = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    if not observed or not held or grown or now["replicas"] - now["updatedReplicas"] < left:
        return _condition(store, it, "Progressing", "True", "ReplicaSetUpdated", anew=True)
    quiet = (store.clock.now() - moment(held["lastUpdateTime"])).total_seconds()
    if held["status"] == "False" or quiet >= spec["progressDeadlineSeconds"]:
        return _condition(store, it, "Progressing", "False", "ProgressDeadlineExceeded")
    return _condition(store, it, "Progressing", "True", "ReplicaSetUpdated")
