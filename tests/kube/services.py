"""Services: a port on loopback for each, whose connections go to the pods that are ready.

In the cluster's network a Service has no address: its `clusterIP` is one at which nobody listens.
"""

import random
import socket
import threading
import time
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from types import TracebackType

from .fields import at
from .kinds import Object
from .loop import Loop
from .replica_sets import ready_since
from .store import Key, Store, key

LAG = 1.0  # seconds until the nodes know which pods are ready: a Service and the end of a pod are not in step
Address = tuple[str, int]


def addresses(store: Store, it: Object, port: Object) -> list[Address]:
    """Where a Service's port leads: the pods that are ready, or else those that still are while they end."""
    chosen = it["spec"]["selector"].items()
    pods = [
        pod for pod in store.all("Pod", it["metadata"]["namespace"]) if chosen <= at(pod, "metadata.labels", {}).items()
    ]
    ready = [pod for pod in pods if ready_since(pod) and at(pod, "status.podIP")]
    staying = [pod for pod in ready if "deletionTimestamp" not in pod["metadata"]]
    found = [(pod["status"]["podIP"], _number(pod, port["targetPort"])) for pod in staying or ready]
    return [address for address in found if address[1]]


def _number(pod: Object, port: int | str) -> int:
    """The number of a pod's port; 0 if it has none of that name."""
    if isinstance(port, int):
        return port
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or []]
    return next((int(each["containerPort"]) for each in ports if each.get("name") == port), 0)


class Proxy(ThreadingTCPServer):
    """What takes the connections of a Service's port."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self) -> None:
        self.seen: list[tuple[float, list[Address]]] = []  # since when which addresses are the right ones
        super().__init__(("127.0.0.1", 0), Connection)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def look(self, found: list[Address]) -> None:
        """Note where connections should go."""
        if not self.seen or self.seen[-1][1] != found:
            self.seen = [*self.seen[-20:], (time.monotonic(), found)]

    def known(self) -> list[Address]:
        """Where they go: what was right a moment ago."""
        return next((found for since, found in reversed(self.seen) if since <= time.monotonic() - LAG), [])


class Connection(BaseRequestHandler):
    """One connection, which stays with its pod."""

    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        """Pass on what both say, until both have said all; without a pod it is closed at once."""
        found = self.server.known()
        with suppress(OSError):
            if found:
                with socket.create_connection(random.choice(found), timeout=10) as pod:
                    pod.settimeout(None)
                    back = threading.Thread(target=_pass, args=(pod, self.request), daemon=True)
                    back.start()
                    _pass(self.request, pod)
                    back.join()


def _pass(giver: socket.socket, taker: socket.socket) -> None:
    try:
        while part := giver.recv(65536):
            taker.sendall(part)
        taker.shutdown(socket.SHUT_WR)
    except OSError:  # one of both is gone: so is the connection
        for each in (giver, taker):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Services(Loop):
    """Opens a port for each port of a Service, and closes it with that."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.proxies: dict[tuple[Key, int], Proxy] = {}

    def look(self) -> None:
        """Open and close ports, and note where they lead."""
        services = self.store.all("Service")
        wanted = {(key(it), port["port"]): (it, port) for it in services for port in it["spec"]["ports"]}
        for gone in self.proxies.keys() - wanted.keys():
            self._close(gone)
        for which, (it, port) in wanted.items():
            if which not in self.proxies:
                self.proxies[which] = Proxy()
            self.proxies[which].look(addresses(self.store, it, port))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for which in list(self.proxies):
            self._close(which)

    def port(self, name: str, namespace: str) -> int:
        """The port of loopback that leads to a Service's first port.

        Raises:
            TimeoutError: there is no such Service.
        """
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for ((_, where, which), _), proxy in list(self.proxies.items()):
                if (where, which) == (namespace, name):
                    return int(proxy.server_address[1])
            time.sleep(0.05)
        raise TimeoutError(f"no Service {namespace}/{name}")

    def _close(self, which: tuple[Key, int]) -> None:
        proxy = self.proxies.pop(which)
        proxy.shutdown()
        proxy.server_close()
