"""Two projects of one workspace on a real engine: each image has what its project uses, and both are deployed beside
each other.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import copier
import pytest
from containers.docker import docker, image_names, inspected
from listener import until
from production import Production, leave_out_what_takes_long
from rig import Project, append

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("containers")]

USES = '"""Uses what is shared."""\n\nfrom shop_features import hello\n\nSAID = hello()\n'
TESTED = "from my_model.shared import SAID\n\n\ndef test_said() -> None:\n    assert SAID\n"
THERE = "import importlib.util as found; print(*[name for name in {names} if found.find_spec(name)])"


@pytest.fixture
def shop(template: Path, generate: Callable[..., Project], tmp_path: Path) -> Iterator[tuple[Production, Production]]:
    """A committed workspace: one project uses its package, the other does not; nothing of it is left behind."""
    folder = tmp_path / "our shop"
    copier.run_copy(str(template), folder, data={"example": "workspace"}, defaults=True, quiet=True)
    root = Project(folder, "", containers=True)
    own = replace(generate(folder / "models/own", example="blank", database="postgresql"), containers=True)
    churn = replace(generate(folder / "models/churn", example="classify"), containers=True)
    leave_out_what_takes_long(own)
    leave_out_what_takes_long(churn)
    root.make("setup")
    assert root.run("uv", "init", "--quiet", "--lib", "packages/shop-features").returncode == 0
    root.make("add", "PROJECT=models/own", "PACKAGE=shop-features")
    (own.folder / "src/my_model/shared.py").write_text(USES)
    (own.folder / "tests/test_shared.py").write_text(TESTED)
    root.git("checkout", "--quiet", "-b", f"test-{secrets.token_hex(3)}")
    root.git("add", "--all")
    root.git("commit", "--quiet", "--no-verify", "--message", "Share")
    both = Production(own), Production(churn)
    yield both
    for each in both:
        each.project.make("clean", "STAGE=production", f"SURE={each.name}")
        each.project.make("clean", "YES=1")
        assert each.containers() == []
    for image in image_names(f"*:*{both[0].branch}*"):
        docker("image", "rm", image)


def image_of(production: Production) -> str:
    """The image that production runs."""
    return str(inspected(production.name)["Image"])


def test_each_image_has_what_its_project_uses_and_both_are_deployed(shop: tuple[Production, Production]) -> None:
    own, churn = shop
    head = own.project.git("rev-parse", "HEAD")
    # A neighbour's dirt is none of a project's.
    append("README.md", "\nDirt.\n")(churn.project.folder)
    assert "the gates, in sha256:" in own.deploy()
    churn.project.git("checkout", "--quiet", "README.md")
    churn.deploy()
    until(own.done_by(head))
    until(churn.done_by(head))
    names = ["shop_features", "my_model", "customer_churn", "sklearn"]
    code = THERE.format(names=names)
    images = [image_of(each) for each in shop]
    has = [docker("run", "--rm", "--entrypoint=python", image, "-c", code).split() for image in images]
    assert has == [["shop_features", "my_model"], ["customer_churn", "sklearn"]]
    place = docker(
        "run", "--rm", "--entrypoint=python", images[0], "-c", "import shop_features as s; print(s.__file__)"
    )
    assert place == "/opt/app/shop_features/__init__.py"  # a copy, where `.venv` has the folder itself
    for each, other in (shop, shop[::-1]):
        assert each.containers() and not set(each.containers()) & set(other.containers())
        mounts = {mount["Name"] for mount in inspected(each.name)["Mounts"]}
        assert all(name.startswith(each.name) for name in mounts)

    # A commit of a neighbour, its lock with it, leaves every layer as it was.
    churn.project.make("add", "PACKAGE=tabulate")
    second = churn.commit_all()
    assert json.loads(own.project.run("sh", "-c", "echo [$(make -s -C ../.. changed | wc -l)]").stdout) == [1]
    own.project.make("image")
    made = image_names(f"my-model:production-{own.branch}-*")
    layers = {json.dumps(inspected(name)["RootFS"]["Layers"]) for name in made}
    revisions = {inspected(name)["Config"]["Labels"]["org.opencontainers.image.revision"] for name in made}
    assert (len(layers), revisions) == (1, {head, second})
    assert (
        own.project.status()["production"]["commit"] == f"{head[:11]} (1 commit behind HEAD)"
    )  # by the lock, everybody's
    churn.deploy()
    until(churn.done_by(second))
    assert own.seen()["deployments"][-1]["commit"] == head
