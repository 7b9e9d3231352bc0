"""What a controller makes in the name of an object."""

from .kinds import Object, Refused
from .store import Store


class Gone(Exception):
    """The object is going, or gone."""


def reference(thing: Object) -> Object:
    """A reference to an object."""
    metadata = thing["metadata"]
    return {"apiVersion": thing["apiVersion"], "kind": thing["kind"], "name": metadata["name"], "uid": metadata["uid"]}


def create(store: Store, owner: Object, thing: Object) -> Object | None:
    """Make what an object controls from then on; nothing where that is refused, of which an event tells.

    Raises:
        Gone: the object is deleted.
    """
    owned = [{**reference(owner), "controller": True, "blockOwnerDeletion": True}]
    with store.changed:
        now = store.current(owner)
        if now is None or "deletionTimestamp" in now["metadata"]:
            raise Gone
        try:
            return store.create(thing | {"metadata": thing["metadata"] | {"ownerReferences": owned}})
        except Refused as problem:
            store.event(owner, "FailedCreate", f"Error creating: {problem}")
            return None
