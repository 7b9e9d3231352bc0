"""The real kubectl, and a cluster for it to talk to."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from containers import engine
from filelock import FileLock

from . import rules
from .api import Server
from .controllers import Controllers
from .deployments import Deployments
from .kinds import OLDEST, Object
from .node import Node, no_logs
from .services import Services
from .store import Clock, Store

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: stand-in, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: stand-in, context: {{cluster: stand-in}}}}]
current-context: stand-in
"""


@cache
def program() -> Path | None:
    """The program: the one that is there, or on Debian as root, its package of a newer suite."""
    if found := shutil.which("kubectl"):
        return Path(found)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    engine.CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(engine.CACHE / "kubectl.lock"):
        return engine.unpacked("kubectl", ["kubectl"]) / "usr/bin/kubectl"


def kustomized(folder: Path) -> list[Object]:
    """The objects that kubectl makes of a folder for kustomize, which the oldest Kubernetes takes, and the stand-in.

    Raises:
        Refused: one has a field or a value that may not be, or that the stand-in does not know.
    """
    done = subprocess.run([str(program()), "kustomize", str(folder)], capture_output=True, text=True, check=True)
    made, store = list(yaml.safe_load_all(done.stdout)), Store(Clock(), has_node=False)
    for each in made:
        rules.schema(each, OLDEST)
        store.create(each | {"metadata": {"namespace": "default"} | each["metadata"]})
    return made


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs."""

    kubeconfig: Path
    clock: Clock
    store: Store
    services: Services

    @property
    def env(self) -> dict[str, str]:
        """What a program needs that calls kubectl: it, the cluster, and a cache that is not the user's."""
        kubectl = program()
        path = f"{kubectl.parent if kubectl else ''}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.kubeconfig.parent / "cache")}

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A call of kubectl, whose failure is the caller's to judge."""
        command, env = ["kubectl", *arguments], os.environ | self.env
        return subprocess.run(command, env=env, input=given, text=True, capture_output=True, timeout=300)

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """What a call of kubectl prints that has to succeed."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@contextmanager
def cluster(folder: Path, network: str = "", *, backoff: float = 10) -> Iterator[Cluster]:
    """A cluster whose pods run in this network of the container engine; without one pods stay pending.

    `backoff` is for how many seconds a job's pod that failed is not replaced at first, and a container that ended for
    the second time not begun anew. Where the clock is put forward, deadlines come nearer too.
    """
    clock = Clock()
    store = Store(clock, has_node=bool(network))
    with ExitStack() as ends:
        node = ends.enter_context(Node(store, network, backoff)) if network else None
        server = ends.enter_context(Server(store, node.logs if node else no_logs))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        ends.callback(server.shutdown)
        loops = [Controllers(store, backoff), Deployments(store), services := Services(store)]
        for loop in loops:
            ends.enter_context(loop)
        file = folder / "kubeconfig"
        file.write_text(KUBECONFIG.format(port=server.server_port))
        yield Cluster(file, clock, store, services)
    errors = [*server.errors, *(error for loop in (*loops, *filter(None, [node])) for error in loop.errors)]
    assert not errors, "\n".join(errors)
