"""Production on the engine here, as a test sees it."""

import json
import secrets
import subprocess
from collections.abc import Callable
from typing import Any

from containers.docker import docker
from rig import Project, configure


class Production:
    """A project whose production, or another stage, is on the engine here, on a branch of its own."""

    def __init__(self, project: Project, branch: str = "", stage: str = "production") -> None:
        self.project = project
        self.stage = stage
        self.branch = branch or project.git("symbolic-ref", "--short", "HEAD")
        self.command = f"/opt/app/bin/{project.package.replace('_', '-')}"
        self.name = f"{project.package.replace('_', '-')}-{stage}-{self.branch}"

    def commit(self, change: str = "", file: str = "model.py") -> str:
        """Commit a change of the code; return the commit."""
        source = self.project.folder / "src" / self.project.package / file
        source.write_text(source.read_text() + (change or f"\n# {secrets.token_hex(4)}\n"))
        return self.commit_all()

    def commit_all(self) -> str:
        self.project.git("add", "--all")
        self.project.git("commit", "--quiet", "--no-verify", "--message", "Change")
        return self.project.git("rev-parse", "HEAD")

    def deploy(self, *arguments: str) -> str:
        """What `make deploy` says; it has to succeed."""
        done = self.project.run("make", "deploy", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refused(self, *arguments: str) -> str:
        """What `make deploy` says on standard error; it has to fail."""
        done = self.project.run("make", "deploy", *arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def seen(self) -> dict[str, Any]:
        """All that the stage tells of itself."""
        seen: dict[str, Any] = json.loads(
            docker("exec", self.name, self.command, "status", f"--stage={self.stage}", "--json")
        )
        seen["record"] = json.loads(seen["record"] or "{}")
        return seen

    def done_by(self, commit: str) -> Callable[[], bool]:
        """Whether the newest run is of this commit, and good."""
        runs = f"/app/var/{self.stage}" + ("" if self.stage == "production" else "/*") + "/runs"
        newest = f"cat $(ls -d {runs}/*/run.json | tail -n 1)"

        def done() -> bool:
            written = subprocess.run(["docker", "exec", self.name, "sh", "-c", newest], capture_output=True, text=True)
            if '"status": "ok"' not in written.stdout:  # a look at a file, where the command line takes a second
                return False
            record = self.seen()["record"]
            return (record.get("git_commit"), record.get("status")) == (commit, "ok")

        return done

    def history(self) -> list[tuple[str, str]]:
        """What was done, and with which commit, oldest first."""
        return [(each["action"], each["commit"]) for each in self.seen()["deployments"]]

    def containers(self) -> list[str]:
        return sorted(docker("ps", "--all", "--format={{.Names}}", f"--filter=name=^{self.name}").split())

    def inside(self, command: str) -> str:
        return docker("exec", self.name, "sh", "-c", command)


FACTORS = "factors = [0.25, 0.5, 1, 2]"


def leave_out_what_takes_long(project: Project, stage: str = "production") -> None:
    """Let a deployment judge a candidate in seconds: without growing sizes, and without the tests that run a pipeline.

    The first deployments of test_deploy.py, one for each database, judge it by all.
    """
    configure(project, stage, {FACTORS: "factors = []"})
    (project.folder / "tests/test_pipeline.py").unlink()


def grow_once(project: Project) -> None:
    """Let both stages look at two sizes, where it is the way of a deployment that is tested.

    How the time grows is not judged: beside other tests, a fifth of a second becomes more than one.
    """
    for stage in ("develop", "production"):
        configure(project, stage, {FACTORS: "factors = [1, 2]", "max_exponent = 1.5": "max_exponent = 9"})


def distinguish(project: Project) -> None:
    """Give it a first commit of its own: two that are alike and of one second are one, and so are their images."""
    (project.folder / "whose.txt").write_text(f"{secrets.token_hex(8)}\n")
