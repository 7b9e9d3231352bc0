"""MLflow's real server, on loopback: the version that generated projects name, in an environment of its own."""

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import yaml
from containers import engine
from filelock import FileLock
from listener import until
from ports import free_port
from rig import ROOT, Project, environment

COMPOSE = ROOT / "template/develop/{% if tracking == 'mlflow' %}tracking.yaml{% endif %}"

# In the project's environment: all that MLflow knows of an experiment and of a registered model.
READ = """
import hashlib, json, os, tempfile
os.environ |= {{"MLFLOW_TRACKING_URI": "{url}", "MLFLOW_REGISTRY_URI": "{url}", "MLFLOW_DISABLE_TELEMETRY": "true"}}
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

client = MlflowClient()
experiment = client.get_experiment_by_name("{name}")
runs = {{}}
for run in client.search_runs([experiment.experiment_id]) if experiment else []:
    runs.setdefault(run.data.tags["run_id"], []).append({{
        "id": run.info.run_id, "experiment": run.info.experiment_id, "status": run.info.status,
        "began": run.info.start_time, "ended": run.info.end_time,
        "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags,
        "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)) if {files} else [],
    }})
versions = {{str(each.version): each.tags for each in client.search_model_versions("name = '{name}'")}}
models = client.search_registered_models("name = '{name}'")
champion = str(models[0].aliases.get("champion", "")) if models else ""
model = ""
if champion and {files}:
    with tempfile.TemporaryDirectory() as folder:
        place = download_artifacts("models:/{name}@champion", dst_path=folder)
        with open(os.path.join(place, "model.npz"), "rb") as file:
            model = hashlib.sha256(file.read()).hexdigest()
print(json.dumps({{"runs": runs, "versions": versions, "champion": champion, "model": model}}))
"""


def version() -> str:
    """The server's version, as the compose file names its image."""
    found = re.search(r"image: ghcr\.io/mlflow/mlflow:v(\S+)", COMPOSE.read_text(encoding="utf-8"))
    assert found
    return found[1]


def installed() -> Path:
    """The environment with MLflow as a whole, which is made once for all."""
    folder = engine.CACHE / f"mlflow-{version()}"
    engine.CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "ready").exists():
            env = environment()
            subprocess.run(["uv", "venv", "--quiet", "--clear", folder], env=env, check=True)
            install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", f"--python={folder}/bin/python"]
            subprocess.run([*install, f"mlflow=={version()}"], env=env, check=True)
            (folder / "ready").touch()
    return folder


class Server:
    """A server on a port of its own, with what it keeps in a folder; it can be stopped, and begun again."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = [f"--port={port}", "--workers=1", f"--backend-store-uri=sqlite:///{folder}/mlflow.db"]
        self._command = ["setpriv", "--pdeathsig=TERM", str(installed() / "bin/mlflow"), "server", "--host=127.0.0.1"]
        self._command += [*options, f"--artifacts-destination={folder}/files"]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve; on return it answers."""
        env = environment() | yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["mlflow"]["environment"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, env=env, stdout=log, stderr=log)
        until(self.answers, 600)

    def answers(self) -> bool:
        """Whether it does, now."""
        assert self._process is None or self._process.poll() is None, (self._folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return True
        except (URLError, OSError):
            return False

    def stop(self) -> None:
        """End it, and what it has begun."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server that answers, until the block's end."""
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def known(project: Project, url: str = "", name: str = "", *, files: bool = False) -> dict[str, Any]:
    """What MLflow knows of the project's experiment and model, which are called the same here.

    Args:
        project: whose environment has MLflow's client.
        url: where it keeps them, if not where the project's environment says.
        name: that of experiment and model, if not the one in the project's environment.
        files: also the names of the files of each run, and the checksum of the champion.
    """
    url = url or project.env["BURGER_COMBOS_TRACKING__MLFLOW__URL"]
    name = name or project.env["BURGER_COMBOS_TRACKING__MLFLOW__MODEL"]
    done = project.python(READ.format(url=url, name=name, files=files))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
