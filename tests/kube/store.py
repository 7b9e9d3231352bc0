"""The cluster's objects, its time, and what becomes of what an object owns."""

import copy
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from . import rules
from .fields import Owned, at
from .kinds import OF_KIND, Kind, Object, Refused, conflict, forbidden, not_found

Key = tuple[str, str, str]  # kind, namespace, name
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # of the ends of names that Kubernetes makes up
FOREGROUND = "foregroundDeletion"


class Clock:
    """The cluster's time: this machine's, put forward, or at the beginning back."""

    ahead = timedelta()

    def now(self) -> datetime:
        """What the cluster takes for the present."""
        return datetime.now(UTC) + self.ahead

    def advance(self, **parts: float) -> None:
        """Put it forward by `minutes=`, `seconds=` and so on."""
        self.ahead += timedelta(**parts)

    def put(self, now: datetime) -> None:
        """Let it be that moment."""
        self.ahead = now - datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A moment as objects hold it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """A moment that an object holds."""
    return datetime.fromisoformat(text)


def suffix() -> str:
    """The end of a name that Kubernetes makes up."""
    return "".join(secrets.choice(ALPHABET) for _ in range(5))


def key(thing: Object) -> Key:
    """Under which an object is kept."""
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


@dataclass(frozen=True)
class Change:
    """Something that happened to an object."""

    version: int
    word: str
    thing: Object
    before: Object | None


class Store:
    """All objects. What it gives is a copy, what it is given it checks."""

    def __init__(self, clock: Clock, *, has_node: bool) -> None:
        self.clock, self.has_node, self.closed = clock, has_node, False
        self.changed = threading.Condition()
        self.owned: dict[str, Owned] = {}
        self.history: list[Change] = []
        self._objects: dict[Key, Object] = {}
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object.

        Raises:
            Refused: there is none.
        """
        with self.changed:
            if (kind, namespace, name) not in self._objects:
                raise not_found(OF_KIND[kind], name)
            return copy.deepcopy(self._objects[kind, namespace, name])

    def all(self, kind: str, namespace: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or in all."""
        with self.changed:
            found = [each for (its, where, _), each in self._objects.items() if its == kind]
            return copy.deepcopy([each for each in found if namespace in ("", each["metadata"].get("namespace"))])

    def current(self, thing: Object) -> Object | None:
        """The same object as it is now."""
        with self.changed:
            now = self._objects.get(key(thing))
            return copy.deepcopy(now) if now and now["metadata"]["uid"] == thing["metadata"]["uid"] else None

    def owned_by(self, owner: Object, kind: str) -> list[Object]:
        """The objects of a kind that an object controls."""
        return [
            each for each in self.all(kind, owner["metadata"]["namespace"]) if owner["metadata"]["uid"] in _up(each)
        ]

    @property
    def version(self) -> int:
        """The number of the newest change."""
        return len(self.history)

    def create(self, thing: Object, *, dry: bool = False) -> Object:
        """Keep a new object.

        Raises:
            Refused: it is not one that may be.
        """
        thing = copy.deepcopy(thing)
        kind, metadata = OF_KIND[thing["kind"]], thing["metadata"]
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = metadata["generateName"] + suffix()
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp(self.clock.now()), "generation": 1}
        with self.changed:
            where = self._namespace(kind, thing)
            if key(thing) in self._objects:
                told = f'{kind.qualified} "{metadata["name"]}" already exists'
                raise Refused(409, "AlreadyExists", told)
            rules.admit(thing, None)
            if kind.name == "Pod":
                accounts = {each["metadata"]["name"] for each in self.all("ServiceAccount", key(thing)[1])}
                rules.admit_pod(thing, where, accounts)
            if not dry:
                self._keep("ADDED", thing, None)
                if kind.name == "Namespace":
                    account = {"name": "default", "namespace": metadata["name"]}
                    self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        return copy.deepcopy(thing)

    def replace(self, thing: Object, *, dry: bool = False) -> Object:
        """Put an object in the place of the one of the same name, whose status stays.

        Raises:
            Refused: it is not one that may be, or that one has changed since.
        """
        thing = copy.deepcopy(thing)
        with self.changed:
            before = self.get(*key(thing))
            kind, metadata, old = OF_KIND[thing["kind"]], thing["metadata"], before["metadata"]
            for field in ("uid", "resourceVersion"):
                if metadata.get(field, old[field]) != old[field]:
                    raise conflict(kind, old["name"], "the object has been modified; please apply your changes to it")
            fixed = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
            metadata |= {field: old[field] for field in (*fixed, "resourceVersion") if field in old}
            thing.pop("status", None)
            thing |= {"status": before["status"]} if "status" in before else {}
            rules.admit(thing, before)
            if thing != before and not dry:
                metadata["generation"] += thing.get("spec") != before.get("spec")
                self._keep("MODIFIED", thing, before)
        return copy.deepcopy(thing)

    def set_status(self, thing: Object, **fields: Any) -> None:
        """Change fields of an object's status, if the object is still there; those that are None go."""
        with self.changed:
            now = self.current(thing)
            if now is not None:
                status = {
                    field: value for field, value in (now.get("status", {}) | fields).items() if value is not None
                }
                if status != now.get("status"):
                    self._keep("MODIFIED", now | {"status": status}, now)

    def delete(self, thing: Object, propagation: str = "Background", grace: int | None = None) -> Object:
        """Delete an object and what it owns; one that needs time for it is told so and stays until then."""
        with self.changed:
            now = self.get(*key(thing))
            children = self._children(now)
            if propagation == "Orphan":
                for child in children:
                    owners = child["metadata"].get("ownerReferences", [])
                    left = [each for each in owners if each["uid"] != now["metadata"]["uid"]]
                    self._keep("MODIFIED", child | {"metadata": child["metadata"] | {"ownerReferences": left}}, child)
                children = []
            over = at(now, "status.phase") in ("Succeeded", "Failed")
            if now["kind"] == "Pod" and self.has_node and grace != 0 and not over:
                seconds = at(now, "spec.terminationGracePeriodSeconds") if grace is None else grace
                return self._end(now, deletionGracePeriodSeconds=seconds)
            if children and (propagation == "Foreground" or now["kind"] == "Namespace"):
                now = self._end(now, finalizers=[FOREGROUND])
                for child in children:
                    self._delete(child, propagation)
                return now
            self.remove(now)
            return now

    def remove(self, thing: Object) -> None:
        """Take an object away at last, and then what it owned, or what waited for that."""
        with self.changed:
            now = self.current(thing)
            if now is None:
                return
            del self._objects[key(now)]
            self._note("DELETED", now, now)
            for child in self._children(now):
                self._delete(child, "Background")
            for owner in list(self._objects.values()):
                if FOREGROUND in owner["metadata"].get("finalizers", []) and not self._children(owner):
                    self.remove(owner)

    def event(self, about: Object, reason: str, message: str) -> None:
        """Tell of something that went wrong with an object, once."""
        kind, namespace, name = key(about)
        whom = {"kind": kind, "namespace": namespace, "name": name, "uid": about["metadata"]["uid"]}
        whom["apiVersion"] = OF_KIND[kind].api_version
        same = [each for each in self.all("Event", namespace) if each["involvedObject"] == whom]
        if all(each["reason"] != reason for each in same):
            now = stamp(self.clock.now())
            told = {
                "type": "Warning",
                "reason": reason,
                "message": message,
                "count": 1,
                "source": {"component": "stand-in"},
            }
            metadata = {"name": f"{name[:200]}.{suffix()}", "namespace": namespace}
            event = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": whom}
            with suppress(Refused):  # the namespace is about to end
                self.create(event | told | {"firstTimestamp": now, "lastTimestamp": now})

    def watch(self, kind: str, since: int, seconds: float) -> Iterator[Change]:
        """The changes of objects of a kind after a version, as they come, for so long."""
        until = time.monotonic() + seconds
        while not self.closed and time.monotonic() < until:
            with self.changed:
                if self.version <= since:
                    self.changed.wait(min(0.5, max(0, until - time.monotonic())))
                news, since = self.history[since:], self.version
            yield from (change for change in news if change.thing["kind"] == kind)

    def _namespace(self, kind: Kind, thing: Object) -> Object:
        if not kind.namespaced:
            return {}
        where = self.get("Namespace", "", thing["metadata"]["namespace"])
        if "deletionTimestamp" in where["metadata"]:
            told = (
                f"unable to create new content in namespace {where['metadata']['name']} because it is being terminated"
            )
            raise forbidden(kind, thing["metadata"]["name"], told)
        return where

    def _children(self, owner: Object) -> list[Object]:
        """What goes with an object; a namespace has all that is in it."""
        if owner["kind"] == "Namespace":
            return [each for each in self._objects.values() if each["metadata"].get("namespace") == key(owner)[2]]
        return [each for each in self._objects.values() if owner["metadata"]["uid"] in _up(each)]

    def _delete(self, thing: Object, propagation: str) -> None:
        if now := self.current(thing):  # it may have gone with another
            self.delete(now, propagation)

    def _end(self, thing: Object, **more: Any) -> Object:
        metadata = thing["metadata"]
        if "deletionTimestamp" in metadata:
            return thing
        ending = thing | {"metadata": metadata | {"deletionTimestamp": stamp(self.clock.now())} | more}
        if thing["kind"] == "Namespace":
            ending["status"] = {"phase": "Terminating"}
        self._keep("MODIFIED", ending, thing)
        return ending

    def _keep(self, word: str, thing: Object, before: Object | None) -> None:
        thing["metadata"] = thing["metadata"] | {"resourceVersion": str(self.version + 1)}
        self._objects[key(thing)] = copy.deepcopy(thing)
        self._note(word, thing, before)

    def _note(self, word: str, thing: Object, before: Object | None) -> None:
        with self.changed:
            self.history.append(Change(self.version + 1, word, copy.deepcopy(thing), copy.deepcopy(before)))
            self.changed.notify_all()


def _up(thing: Object) -> list[str]:
    """The uids of an object's owners."""
    return [each["uid"] for each in thing["metadata"].get("ownerReferences", [])]
