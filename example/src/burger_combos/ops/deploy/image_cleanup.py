"""The images that a stage leaves on an engine: those of earlier versions go, but for some that a rollback may want.

What is removed has the name that a deployment from this branch gave it, or none any more, and no container is made of
it. An image that has another name, too, as that of another stage or branch, only loses this one.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from .engine import Engine

DIGEST = "-[0-9a-f]{12}"  # the beginning of one, with which the name ends that a candidate gets
COMMIT = "[0-9a-f]{40}(-dirty)?"
TITLE = "label=org.opencontainers.image.title="
YOUNG = timedelta(days=1)  # an image without a name, or not deployed yet, may be one that somebody is at work with


def remove_earlier(engine: Engine, kept: Iterable[str], newest: int = 0, deployed: Iterable[str] | None = None) -> None:
    """Remove images of earlier versions of a stage, and those of this project that lost their name; say which.

    Args:
        engine: the engine, and whose images.
        kept: those that stay, by any of their names.
        newest: how many of the others stay, too: those that were built last.
        deployed: those that have been deployed, where that is known: a new one that has not may be on its way.
    """
    here = engine.here
    spared, known = _ids(engine, kept) | _in_use(engine), None if deployed is None else _ids(engine, deployed)
    mine: dict[str, list[str]] = {}
    for name, image in _named(engine):
        if image not in spared and (known is None or image in known or _is_old(_about(engine, image))):
            mine.setdefault(image, []).append(name)
    gone = [name for image in list(mine)[newest:] for name in mine[image] if _removed(engine, image, name)]
    if gone:
        here.say(f"removed the images of earlier versions that no rollback goes back to: {', '.join(gone)}")
    if unnamed := sum(_removed(engine, image) for image in _unnamed(engine) if image not in spared):
        here.say(f"removed images of {here.project} that had no name any more: {unnamed}")


def _named(engine: Engine) -> Iterator[tuple[str, str]]:
    """The name that a deployment of this stage gave, and the image's id; those built last come first."""
    here = engine.here
    begun = f"{here.project}:{here.stage}-{here.branch}"
    form = "{{.Repository}}:{{.Tag}} {{.ID}}"
    listed = engine.ask("images", "--no-trunc", "--filter", f"reference={begun}-*", "--format", form)
    for line in listed.splitlines():
        name, image = line.split()
        if re.fullmatch(re.escape(begun) + DIGEST, name):  # main-2 begins with main- as well
            yield name, image


def _unnamed(engine: Engine) -> Iterator[str]:
    """The images of this project that have no name, not even a registry's, and are not quite new."""
    dangling = ("images", "--quiet", "--no-trunc", "--filter", "dangling=true")
    for title in (engine.here.project, f"{engine.here.project}-test", f"{engine.here.project}-scan"):
        for image in engine.ask(*dangling, "--filter", TITLE + title).split():
            about = _about(engine, image)
            if about and not _names(about) and _is_old(about):
                yield image


def _removed(engine: Engine, image: str, name: str = "") -> bool:
    """Remove an image by a name, and by those that a registry gave it, unless it has others; whether that worked."""
    names = _names(_about(engine, image))
    of_registry = re.compile(f"(.*/)?{re.escape(engine.here.project)}(:{COMMIT}|@sha256:[0-9a-f]+)")
    if all(each == name or of_registry.fullmatch(each) for each in names):
        for each in sorted(names, key=lambda each: "@" in each):  # a digest goes with its last name, or after it
            engine.ask("image", "rm", each)
    elif name:
        engine.ask("image", "rm", name)
    if not name:
        engine.ask("image", "rm", image)
    return not _about(engine, name or image)


def _ids(engine: Engine, names: Iterable[str]) -> set[str]:
    """The ids of those images that are here."""
    return {str(about["Id"]) for name in names if (about := _about(engine, name))}


def _in_use(engine: Engine) -> set[str]:
    """The ids of the images of all containers, also of those that are stopped."""
    containers = engine.ask("ps", "--all", "--quiet", "--no-trunc").split()
    if not containers:
        return set()
    found = engine.do("inspect", "--format", "{{.Image}}", *containers, out=False, errors=False)
    return set(found.stdout.split())


def _about(engine: Engine, image: str) -> dict[str, Any]:
    """What the engine knows of an image; nothing where there is none."""
    found: list[dict[str, Any]] = json.loads(engine.ask("image", "inspect", image) or "[]")
    return found[0] if found else {}


def _names(about: dict[str, Any]) -> list[str]:
    """All names of an image; without any, some engines say <none>."""
    names = (about.get("RepoTags") or []) + (about.get("RepoDigests") or [])
    return [name for name in names if not name.startswith("<none>")]


def _is_old(about: dict[str, Any]) -> bool:
    """Whether nobody is at work with an image any more."""
    # The engine says when with more digits than Python reads.
    made = datetime.fromisoformat(str(about["Created"])[:19]).replace(tzinfo=UTC) if about else datetime.now(UTC)
    return datetime.now(UTC) - made > YOUNG
