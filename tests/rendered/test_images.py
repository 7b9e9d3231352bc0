"""Which images a deployment removes, on an engine that only knows some names; tests/deployed has a real one."""

import json
import sys
from pathlib import Path

from rig import sh

PROGRAM = """
import json, sys
from types import SimpleNamespace
sys.path.insert(0, "src")
from {package}.ops.deploy import image_cleanup

class Engine:
    "An engine by what it is asked: images by id with their names, and what containers are made of."

    here = SimpleNamespace(project="shop", stage="production", branch="main", say=print)

    def __init__(self, known, used):
        self.known, self.used = known, used

    def found(self, name):
        return next((each for each, about in self.known.items() if name == each or name in about["names"]), None)

    def ask(self, *words):
        match words:
            case "images", "--no-trunc", *_:
                named = ((name, image) for image, about in self.known.items() for name in about["names"])
                return "\\n".join(f"{{name}} {{image}}" for name, image in named if ":production" in name)
            case "images", *_, title:
                mine = (image for image, about in self.known.items() if title.endswith(f"={{about['title']}}"))
                return "\\n".join(each for each in mine if not any(":" in name for name in self.known[each]["names"]))
            case "ps", *_:
                return "\\n".join(self.used)
            case "image", "inspect", name:
                if (image := self.found(name)) is None:
                    return ""
                about = self.known[image]
                tags, digests = ([n for n in about["names"] if ("@" in n) == each] for each in (False, True))
                return json.dumps(
                    [{{"Id": image, "Created": about["made"], "RepoTags": tags, "RepoDigests": digests}}]
                )
            case "image", "rm", name:
                image = self.found(name)
                if image and name in self.known[image]["names"]:
                    self.known[image]["names"].remove(name)
                if image and not self.known[image]["names"]:
                    del self.known[image]
                return ""
        raise AssertionError(words)

    def do(self, *words, **_):
        assert words[:3] == ("inspect", "--format", "{{{{.Image}}}}")
        return SimpleNamespace(stdout="\\n".join(self.used))

known, used, kept, newest, deployed = json.loads(sys.argv[1])
engine = Engine(known, used)
image_cleanup.remove_earlier(engine, kept, newest, deployed)
print(json.dumps({{image: about["names"] for image, about in engine.known.items()}}))
"""
OLD, NEW = "2026-01-01T12:00:00.123456789Z", "2999-01-01T12:00:00Z"


def left(
    folder: Path,
    known: dict[str, list[str]],
    *,
    used: list[str],
    kept: list[str],
    newest: int = 0,
    deployed: list[str] | None = None,
    made: str = OLD,
) -> tuple[dict[str, list[str]], list[str]]:
    """The names that each image has afterwards, and what is said."""
    package = next(path.name for path in (folder / "src").iterdir())
    images = {
        image: {"names": names, "title": "other" if image.startswith("other") else "shop", "made": made}
        for image, names in known.items()
    }
    given = json.dumps([images, used, kept, newest, deployed])
    done = sh(sys.executable, "-S", "-c", PROGRAM.format(package=package), given, cwd=folder)
    assert done.returncode == 0, done.stderr
    *said, found = done.stdout.splitlines()
    return json.loads(found), said


def test_only_a_stages_own_images_go_that_nobody_needs(folders: dict[str, Path]) -> None:
    ours = "shop:production-main-0123456789a"  # and one more digit
    commit = "c" * 40
    known = {
        "active": [f"{ours}1"],
        "previous": [f"{ours}2"],
        "old": [f"{ours}3", f"ghcr.io/me/shop:{commit}", "ghcr.io/me/shop@sha256:abc"],
        "stopped": [f"{ours}4"],
        "shared": [f"{ours}5", "shop:develop-main-0123456789a5"],
        "branch": ["shop:production-main-2-0123456789a6"],
        "named": ["shop:production-main-mine"],
        "nameless": [],
        "pulled": ["ghcr.io/me/shop@sha256:def"],
        "other": [],
        "theirs": ["theirs:production-main-0123456789a7"],
    }
    found, said = left(folders["docker"], known, used=["active", "stopped"], kept=["active", f"{ours}2", "gone"])
    assert found == {
        **{
            name: known[name]
            for name in ("active", "previous", "stopped", "branch", "named", "pulled", "other", "theirs")
        },
        "shared": ["shop:develop-main-0123456789a5"],
    }
    assert said == [
        f"removed the images of earlier versions that no rollback goes back to: {ours}3, {ours}5",
        "removed images of shop that had no name any more: 1",
    ]


def test_where_a_registry_has_them_the_newest_stay(folders: dict[str, Path]) -> None:
    known = {f"image-{number}": [f"shop:production-main-00000000000{number}"] for number in range(4)} | {"nameless": []}
    found, said = left(folders["kubernetes"], known, used=[], kept=["image-0"], newest=2, made=NEW)
    assert list(found) == ["image-0", "image-1", "image-2", "nameless"]  # which somebody may be at work with
    assert said == [
        "removed the images of earlier versions that no rollback goes back to: shop:production-main-000000000003"
    ]


def test_an_image_that_another_deployment_is_at_work_with_stays_for_a_day(folders: dict[str, Path]) -> None:
    known = {name: [f"shop:production-main-00000000000{number}"] for number, name in enumerate(("now", "was", "next"))}
    for made, stays in ((NEW, {"now", "next"}), (OLD, {"now"})):
        found, _ = left(folders["docker"], known, used=["now"], kept=["now"], deployed=["now", "was"], made=made)
        assert found.keys() == stays
