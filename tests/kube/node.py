"""The node: it executes the containers of each pod, one after the other, and gives what they print."""

import json
import subprocess
import threading
import time
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
from .probes import Probes
from .store import Store, stamp
from .volumes import Claim, Volumes

LONGEST = 300.0  # seconds that a container which ended is not begun anew, at most
LASTED = 600.0  # seconds after which it is begun anew at once, as if it had not ended before
LEAST = 2  # seconds that a container has to end, whatever it did before


def no_logs(pod: Object, options: dict[str, str]) -> Iterator[bytes]:
    """What a cluster without a node has of logs."""
    raise bad(f'pod "{pod["metadata"]["name"]}" does not have a host assigned')


class Node(Loop):
    """Runs every pod in a thread of its own, and removes at the end what it has made."""

    def __init__(self, store: Store, network: str, backoff: float) -> None:
        super().__init__(store)
        self.network, self.backoff = network, backoff
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
        self.address, self.ready = "", (False, "")  # whether it is, since when
        self.begun, self.wait = 0.0, 0.0  # when its container was, and for how long that is not begun anew
        self.statuses: dict[str, list[Object]] = {}
        for field, reason in (("initContainers", "PodInitializing"), ("containers", "ContainerCreating")):
            state = {"state": {"waiting": {"reason": reason}}, "restartCount": 0, "ready": False, "imageID": ""}
            state |= {"started": False}
            self.statuses[field] = [
                {"name": each["name"], "image": each["image"]} | state for each in self.spec.get(field, [])
            ]

    def run(self) -> None:
        """Execute the pod, wait until it is deleted, and remove what it was made of."""
        try:
            self._tell("Pending")
            inits = (self._execute("initContainers", number) for number in range(len(self.statuses["initContainers"])))
            code = next(filter(None, inits), 0) or self._execute("containers", 0)
            while self.spec["restartPolicy"] == "Always" and self._again():
                code = self._execute("containers", 0)
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
        began, self.begun = {"startedAt": stamp(self.store.clock.now())}, time.monotonic()
        try:
            docker("start", made)
        except Failed as problem:
            told = {"exitCode": 128, "reason": "StartError", "message": str(problem)}
            status["state"] = {"terminated": began | told | {"finishedAt": began["startedAt"]}}
            return 128
        where = f'{{{{(index .NetworkSettings.Networks "{self.node.network}").IPAddress}}}}'
        self.address = docker("inspect", f"--format={where}", made)
        probes = Probes(container, self.address)
        status |= {"state": {"running": began}, "ready": field == "containers" and probes.ready}
        status["started"] = probes.started
        self._tell("Running" if field == "containers" else "Pending")
        self._wait(made, container, status, probes)
        ended = json.loads(docker("inspect", "--format={{json .State}}", made))
        code = int(ended["ExitCode"])
        told = {"exitCode": code, "reason": "OOMKilled" if ended["OOMKilled"] else "Error" if code else "Completed"}
        if code and container["terminationMessagePolicy"] == "FallbackToLogsOnError":
            told["message"] = b"".join(_printed(["docker", "logs", "--tail=80", made])).decode(errors="replace")[-2048:]
        told["finishedAt"] = stamp(self.store.clock.now())
        status |= {"state": {"terminated": began | told}, "ready": field == "initContainers" and not code}
        status["started"] = False
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

    def _again(self) -> bool:
        """Wait until a container that ended may be begun anew; false if its pod ends before."""
        if time.monotonic() - self.begun > LASTED:
            self.wait = 0.0
        (status,) = self.statuses["containers"]
        status |= {"lastState": status["state"], "restartCount": status["restartCount"] + 1}
        if self.wait:
            told = f"back-off {self.wait:.0f}s restarting failed container={status['name']}"
            status["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": told}}
            self._tell("Running")
        until = time.monotonic() + self.wait
        self.wait = min(max(self.node.backoff, 2 * self.wait), LONGEST)
        while time.monotonic() < until and not self.ending:
            self.node.ended.wait(0.2)
        return not self.ending

    def _wait(self, made: str, container: Object, status: Object, probes: Probes) -> None:
        """Wait for the end of a container, which is made to end with its pod, and when it is not alive."""
        with subprocess.Popen(["docker", "wait", made], stdout=subprocess.DEVNULL) as waiting:
            while waiting.poll() is None:
                if self.ending:
                    grace = at(self.store.current(self.pod), "metadata.deletionGracePeriodSeconds", 0)
                    self._stop(made, container, grace)
                elif why := probes.look():
                    self.store.event(self.pod, "Unhealthy", why)
                    self._stop(made, container, self.spec["terminationGracePeriodSeconds"])
                elif probes.all and (probes.started, probes.ready) != (status["started"], status["ready"]):
                    status |= {"started": probes.started, "ready": probes.ready}
                    self._tell("Running")
                with suppress(subprocess.TimeoutExpired):
                    waiting.wait(0.2)

    def _stop(self, made: str, container: Object, grace: int) -> None:
        """Let a container end: what it does before comes first, of the same time."""
        until = time.monotonic() + grace
        if grace and (command := at(container, "lifecycle.preStop.exec.command")):
            try:
                done = subprocess.run(["docker", "exec", made, *command], capture_output=True, timeout=grace)
                failed = done.returncode
            except subprocess.TimeoutExpired:
                failed = 124
            if failed:
                self.store.event(self.pod, "FailedPreStopHook", f"PreStopHook failed: {failed}")
            grace = max(LEAST, round(until - time.monotonic()))
        docker("stop", f"--time={grace}", made)

    def _tell(self, phase: str) -> None:
        ready = phase == "Running" and all(each["ready"] for each in self.statuses["containers"])
        if ready != self.ready[0] or not self.ready[1]:
            self.ready = ready, stamp(self.store.clock.now())
        held = {"type": "Ready", "status": str(ready), "lastTransitionTime": self.ready[1]}
        held |= {"reason": "PodCompleted"} if phase == "Succeeded" else {}
        told: dict[str, Any] = {"phase": phase, "conditions": [held]}
        told |= {"podIP": self.address} if self.address else {}
        told |= {
            "containerStatuses": self.statuses["containers"],
            "startTime": self.pod["metadata"]["creationTimestamp"],
        }
        told |= {"initContainerStatuses": self.statuses["initContainers"]} if self.statuses["initContainers"] else {}
        self.store.set_status(self.pod, **json.loads(json.dumps(told)))
