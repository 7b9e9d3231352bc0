"""Probes: whether a container has started, is alive, and may be sent requests; asked by HTTP, as the kubelet does."""

import http.client
import re
import time
from dataclasses import dataclass

from .fields import at
from .kinds import VERSION, Object, Problems
from .published import KNOWN, default_only

KINDS = ("startupProbe", "livenessProbe", "readinessProbe")
IS_PORT = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")


def check(container: Object, path: str, wrong: Problems) -> None:
    """Fill in what a container's ports, probes and hook leave out, and note what is wrong with them.

    Raises:
        Refused: the stand-in does not know something of them.
    """
    names = set()
    for number, port in enumerate(container.get("ports", [])):
        inside = f"{path}.ports[{number}]"
        default_only(port, "ContainerPort", inside, "protocol")
        wrong.check(f"{inside}.containerPort", port["containerPort"], "between 1 and 65535", lambda it: 0 < it < 65536)
        if "name" in port:
            wrong.check(f"{inside}.name", port["name"], "at most 15 of a-z, 0-9 and -", IS_PORT.fullmatch)
            if port["name"] in names:
                wrong(f"{inside}.name", f"Duplicate value: {port['name']!r}")
            names.add(port["name"])
    for kind in KINDS:
        if kind in container:
            _probe(container[kind], kind, f"{path}.{kind}", wrong)
    lifecycle = container.get("lifecycle", {})
    if lifecycle and not at(lifecycle, "preStop.exec.command"):
        wrong(f"{path}.lifecycle.preStop.exec.command", "Required value")


def _probe(probe: Object, kind: str, path: str, wrong: Problems) -> None:
    if "httpGet" not in probe:
        wrong(path, "Required value: must specify a handler type")
        return
    default_only(probe["httpGet"], "HTTPGetAction", f"{path}.httpGet", "scheme")
    for field in [name for name, each in KNOWN["Probe"].items() if each.default]:
        wrong.check(f"{path}.{field}", probe[field], "must be 1 or more", lambda each: each > 0)
    if kind != "readinessProbe" and probe["successThreshold"] != 1:
        wrong(f"{path}.successThreshold", f"Invalid value: {probe['successThreshold']}: must be 1")


@dataclass
class Probe:
    """One probe of a container that runs."""

    spec: Object
    address: str
    port: int
    due: float
    row: int = 0  # of the same answer
    good: bool | None = None
    last: str = ""

    def ask(self) -> bool | None:
        """Whether it has succeeded, or failed, as often as it takes; None before that and while it is not due."""
        if time.monotonic() < self.due:
            return None
        good = self._answers()
        self.due = time.monotonic() + self.spec["periodSeconds"]
        self.row = self.row + 1 if good == self.good else 1
        self.good = good
        return good if self.row >= self.spec["successThreshold" if good else "failureThreshold"] else None

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=self.spec["timeoutSeconds"])
        try:
            connection.request("GET", self.spec["httpGet"]["path"], headers={"User-Agent": f"kube-probe/{VERSION}"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            self.last = str(error)
            return False
        finally:
            connection.close()
        self.last = f"HTTP probe failed with statuscode: {status}"
        return 200 <= status < 400


class Probes:
    """All of a container's: the others wait until it has started."""

    def __init__(self, container: Object, address: str) -> None:
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", []) if "name" in port}
        now = time.monotonic()
        self.all: dict[str, Probe] = {}
        for kind in KINDS:
            if kind in container:
                port = container[kind]["httpGet"]["port"]  # 0 for a name that no port has: nobody answers there
                number = port if isinstance(port, int) else ports.get(port, 0)
                due = now + container[kind].get("initialDelaySeconds", 0)
                self.all[kind] = Probe(container[kind], address, number, due)
        self.started = "startupProbe" not in self.all
        self.ready = self.started and "readinessProbe" not in self.all

    def look(self) -> str:
        """Ask what is due; why the container has to be begun anew, or empty where it has not."""
        if not self.started:
            found = self._ask("startupProbe")
            self.started = found is True
            self.ready = self.started and "readinessProbe" not in self.all
            return "" if found is not False else f"Startup probe failed: {self.all['startupProbe'].last}"
        if self._ask("livenessProbe") is False:
            return f"Liveness probe failed: {self.all['livenessProbe'].last}"
        found = self._ask("readinessProbe")
        self.ready = self.ready if found is None else found
        return ""

    def _ask(self, kind: str) -> bool | None:
        return self.all[kind].ask() if kind in self.all else None
