"""From a commit to the active version of a stage, and back."""

import os

from ..problems import Problem
from . import secret_commands
from .candidate_image import Candidate, collect_secrets, deployed_by
from .programs import call
from .target import Target, Version


def deploy(target: Target) -> None:
    """Activate the commit that is checked out, once it has passed the gates.

    Raises:
        Problem: something refuses it; the old version stays active.
    """
    target.preflight()
    here = target.here
    _committed(here.commit)
    if _overtaken(target):
        return
    commands = secret_commands.read(here.stage)
    candidate = Candidate.choose(target.engine)
    version = Version(candidate.image, here.commit, candidate.image)
    target.check_resources(version)
    if target.FROM_REGISTRY:
        version = version._replace(reference=candidate.push())
        if "@sha256:" not in version.reference:
            files = f"[deploy] registry in {here.stage}/platform.toml, or REGISTRY="
            raise Problem(f"{files}: the name of one that the cluster takes images from")
    if commands and not target.engine.knows(version.image, f"{here.stage}/{secret_commands.FILE}", *commands):
        raise Problem("nothing was deployed")
    secrets = collect_secrets(here.stage)
    target.prepare(version, secrets)
    target.store_secrets(version, secrets)
    if target.is_active(version):
        here.say(f"{version.commit} is deployed already, as {version.reference}: nothing to do")
        target.watch(version)  # a webhook may be new
        _serve(target, version)
    else:
        if target.service:
            target.service.check(version)
        here.say(f"the gates, in {version.reference}")
        candidate.unit_tests()
        if not target.on_candidate(version, "gates", "--stage", here.stage):
            raise Problem(f"the gates refuse {version.commit}: nothing was deployed")
        if not target.FROM_REGISTRY:
            version = version._replace(reference=candidate.push())
        target.activate(version, deployed_by(), "deploy")
        _serve(target, version)
        here.say(f"deployed {version.commit} as {version.reference}")
        target.tidy(version)
    _first_run(target)
    stage = here.stage
    here.say(f"make status, make logs STAGE={stage}, make results STAGE={stage} tell the rest; make rollback undoes it")


def rollback(target: Target) -> None:
    """Activate the version before the active one, or the one of the commit TO.

    Raises:
        Problem: there is none, or its image is gone.
    """
    target.preflight()
    here, refused = target.here, "nothing was rolled back"
    if not target.deployed():
        raise Problem(f"{refused}, as nothing is deployed from branch {here.branch}: make deploy")
    found = target.on_stage("previous", "--to", os.environ.get("TO", ""), "--stage", here.stage, out=False)
    if found.returncode:
        raise Problem(refused)
    reference, _, commit = found.stdout.strip().rpartition(" ")
    if not target.engine.fetch(reference):
        raise Problem(f"the image {reference} is neither here nor to be had: {refused}")
    version = Version(reference, commit, reference)
    target.check_resources(version)
    if target.service:
        target.service.check(version)
    target.activate(version, deployed_by(), "rollback")
    _serve(target, version)
    _first_run(target)
    here.say(f"rolled back to {commit} as {reference}")


def remove(target: Target) -> None:
    """Remove the stage, once somebody says yes; CI closes a preview without being asked.

    Raises:
        Problem: nobody does.
    """
    target.preflight()
    here = target.here
    if here.stage != "develop" or not os.environ.get("CI"):
        removed = target.REMOVED.format(stage=here.stage, branch=here.branch)
        here.sure("SURE", target.name, f"remove {target.name}: {removed}, for good")
    target.remove_service()
    target.uninstall()


def _committed(commit: str) -> None:
    """Refuse what cannot be found again, as no commit holds it."""
    if commit in ("unknown", "uncommitted"):
        raise Problem("no commit, and so nothing that could be deployed: git commit")
    if commit.endswith("-dirty") and os.environ.get("DIRTY") != "1":
        stamped = f"git commit, or DIRTY=1 make deploy, which stamps them {commit}"
        raise Problem(f"there are changes that no commit holds: {stamped}")


def _overtaken(target: Target) -> bool:
    """Whether CI deploys a commit that the active version already contains: then a newer commit was quicker."""
    now, commit = target.active() if os.environ.get("CI") else None, target.here.commit
    if now is None or now.commit == commit:
        return False
    if call("git", "merge-base", "--is-ancestor", commit, now.commit, errors=False).returncode:
        return False
    target.here.say(f"{now.commit} is deployed already, which is newer than {commit}: nothing to do")
    return True


def _serve(target: Target, version: Version) -> None:
    """Let the active version answer by HTTP, or nobody, where the project has no service any more."""
    if target.service:
        target.service.move(version)
    else:
        target.remove_service()


def _first_run(target: Target) -> None:
    """With WAIT, a number of minutes: wait until the active version has finished the run that is due."""
    minutes, stage = os.environ.get("WAIT"), target.here.stage
    if minutes and target.on_stage("wait", "--minutes", minutes, "--stage", stage).returncode:
        raise Problem("its first run is not good")
