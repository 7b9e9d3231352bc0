"""Calls of the container engine, and what keeps a container from beginning."""

import subprocess

LABEL = "copier-ml.pod"  # of a pod's containers and volumes, with its uid


class Failed(Exception):
    """What the engine says of a command that failed."""


class Waiting(Exception):
    """Why a container cannot begin yet, as its status says it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def docker(*arguments: str, given: bytes | None = None) -> str:
    """What a docker command prints.

    Raises:
        Failed: it did not succeed.
    """
    done = subprocess.run(["docker", *arguments], input=given, capture_output=True)
    if done.returncode != 0:
        raise Failed(done.stderr.decode(errors="replace").strip())
    return done.stdout.decode().strip()
