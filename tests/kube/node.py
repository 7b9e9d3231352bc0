"""The node: it executes the containers of each pod, one after the other, and gives what they print."""

import json
import subprocess
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from . import container as containers
from .docker import Failed, Waiting, docker
from .fields import at
from .kinds import Object, bad, unknown
from .loop import Loop
from .store import Store, stamp
from .volumes import Claim, Volumes


def no_logs(pod: Object, options: dict[str, str]) -> Iterator[bytes]:
    """What a cluster without a node has of logs."""
    raise bad(f'pod "{pod["metadata"]["name"]}" does not have a host assigned')


class Node(Loop):
    """Runs every pod in a thread of its own, and removes at the end what it has made."""

    def __init__(self, store: Store, network: str) -> None:
        super().__init__(store)
        self.network = network
        self.claims: dict[str, Claim] = {}  # by uid
        self.containers: dict[tuple[str, str], str] = {}  # by the uid of the pod and the name in it
        self.running: dict[str, threading.Thread] = {}

    def look(self) -> None:
        """Begin new pods, and remove the volumes of claims that are gone."""
        for pod in self.store.all("Pod"):
            uid = pod["metadata"]["uid"]
            if uid not in self.running:
                self.running[uid] = threading.Thread(target=self._run_pod, args=(pod,))
                self.running[uid].start()
        there = {claim["metadata"]["uid"] for claim in self.store.all("PersistentVolumeClaim")}
        for uid in set(self.claims) - there:
            with suppress(Failed):  # a pod still has it
                docker("volume", "rm", self.claims[uid].volume)
                del self.claims[uid]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for thread in self.running.values():
            thread.join()
        if self.claims:
            docker("volume", "rm", "--force", *(claim.volume for claim in self.claims.values()))

    def logs(self, pod: Object, options: dict[str, str]) -> Iterator[bytes]:
        """What a container of a pod has printed."""
        names = [each["name"] for each in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]]
        name, where = options.get("container") or names[-1], pod["metadata"]["name"]
        if name not in names:
            raise bad(f"container {name} is not valid for pod {where}")
        made = self.containers.get((pod["metadata"]["uid"], name))
        if made is None:
            raise bad(f'container "{name}" in pod "{where}" is waiting to start: ContainerCreating')
        if "limitBytes" in options:
            raise unknown("limitBytes of logs")
        command = ["docker", "logs", made]
        command += [f"--tail={options['tailLines']}"] if "tailLines" in options else []
        command += [f"--since={options['sinceSeconds']}s"] if "sinceSeconds" in options else []
        return _printed(
            command + [f"--{option}" for option in ("follow", "timestamps") if options.get(option) == "true"]
        )

    def _run_pod(self, pod: Object) -> None:
        try:
            Pod(self, pod).run()
        except Exception:
            self.errors.append(traceback.format_exc())


def _printed(command: list[str]) -> Iterator[bytes]:
    with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            while part := process.stdout.read(65536):
                yield part
        finally:
            process.kill()


class Pod:
    """One pod from its beginning to its removal."""

    def __init__(self, node: Node, pod: Object) -> None:
        self.node, self.store, self.pod, self.spec = node, node.store, pod, pod["spec"]
        self.uid: str = pod["metadata"]["uid"]
        self.volumes = Volumes(node.store, node.claims, pod)
        self.made: list[str] = []
        self.statuses: dict[str, list[Object]] = {}
        for field, reason in (("initContainers", "PodInitializing"), ("containers", "ContainerCreating")):
            state = {"state": {"waiting": {"reason": reason}}, "restartCount": 0, "ready": False, "imageID": ""}
            self.statuses[field] = [
                {"name": each["name"], "image": each["image"]} | state for each in self.spec.get(field, [])
            ]

    def run(self) -> None:
        """Execute the pod, wait until it is deleted, and remove what it was made of."""
        try:
            self._tell("Pending")
            inits = (self._execute("initContainers", number) for number in range(len(self.statuses["initContainers"])))
            code = next(filter(None, inits), 0) or self._execute("containers", 0)
            self._tell("Failed" if code else "Succeeded")
            while not self.ending:
                self.node.ended.wait(0.2)
        finally:
            for each in self.made:
                docker("rm", "--force", "--volumes", each)
            self.volumes.remove()
        self.store.remove(self.pod)

    @property
    def ending(self) -> bool:
        """Whether the pod is to end, or is gone already."""
        now = self.store.current(self.pod)
        return now is None or "deletionTimestamp" in now["metadata"] or self.node.ended.is_set()

    def _execute(self, field: str, number: int) -> int:
        """Run a container to its end; its exit code."""
        container, status = self.spec[field][number], self.statuses[field][number]
        made = self._create(container, status)
        if made is None:
            return 143
        status |= {"containerID": f"docker://{made}", "imageID": docker("inspect", "--format={{.Image}}", made)}
        began = {"startedAt": stamp(self.store.clock.now())}
        try:
            docker("start", made)
        except Failed as problem:
            told = {"exitCode": 128, "reason": "StartError", "message": str(problem)}
            status["state"] = {"terminated": began | told | {"finishedAt": began["startedAt"]}}
            return 128
        status |= {"state": {"running": began}, "ready": field == "containers"}
        self._tell("Running" if field == "containers" else "Pending")
        self._wait(made)
        ended = json.loads(docker("inspect", "--format={{json .State}}", made))
        code = int(ended["ExitCode"])
        told = {"exitCode": code, "reason": "OOMKilled" if ended["OOMKilled"] else "Error" if code else "Completed"}
        if code and container["terminationMessagePolicy"] == "FallbackToLogsOnError":
            told["message"] = b"".join(_printed(["docker", "logs", "--tail=80", made])).decode(errors="replace")[-2048:]
        told["finishedAt"] = stamp(self.store.clock.now())
        status |= {"state": {"terminated": began | told}, "ready": field == "initContainers" and not code}
        self._tell("Pending" if field == "initContainers" else "Running")
        return code

    def _create(self, container: Object, status: Object) -> str | None:
        """The container's id, or none if the pod ended before it could be made."""
        while not self.ending:
            try:
                made = containers.create(self.store, self.pod, container, self.volumes, self.node.network)
            except Waiting as why:
                status["state"] = {"waiting": {"reason": why.reason, "message": why.message}}
                self._tell("Pending")
                self.store.event(self.pod, "Failed", f"{why.reason}: {why.message}")
                self.node.ended.wait(1)
            else:
                self.made.append(made)
                self.node.containers[self.uid, container["name"]] = made
                return made
        return None

    def _wait(self, made: str) -> None:
        """Wait for the end of a container, which is made to end with its pod."""
        with subprocess.Popen(["docker", "wait", made], stdout=subprocess.DEVNULL) as waiting:
            while waiting.poll() is None:
                if self.ending:
                    grace = at(self.store.current(self.pod), "metadata.deletionGracePeriodSeconds", 0)
                    docker("stop", f"--time={grace}", made)
                with suppress(subprocess.TimeoutExpired):
                    waiting.wait(0.2)

    def _tell(self, phase: str) -> None:
        running = phase == "Running" and "running" in self.statuses["containers"][0]["state"]
        ready = {"type": "Ready", "status": str(running)} | ({"reason": "PodCompleted"} if phase == "Succeeded" else {})
        told: dict[str, Any] = {"phase": phase, "conditions": [ready]}
        told |= {
            "containerStatuses": self.statuses["containers"],
            "startTime": self.pod["metadata"]["creationTimestamp"],
        }
        told |= {"initContainerStatuses": self.statuses["initContainers"]} if self.statuses["initContainers"] else {}
        self.store.set_status(self.pod, **json.loads(json.dumps(told)))
