"""In place of Kubeflow Pipelines' server and of its cluster: as much of their interfaces as a deployment calls.

It refuses what the real ones refuse, as far as that is known, and every path that it does not know. A run that it is
asked for is executed, by Kubeflow's local runner on the container engine here, in the place of Argo Workflows.
"""

import base64
import json
import os
import re
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

TOKEN = "let-me-in"
EXECUTE = Path(__file__).with_name("execute.py")
CRON = re.compile(r"(\*|\d+(-\d+)?)(/\d+)?(,\d+(-\d+)?(/\d+)?)*")  # a field as robfig/cron has it, without names
LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
Thing = dict[str, Any]


class Refused(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass
class Server:
    """All that it holds, the oldest first."""

    project: Path  # which is set up, and so has kfp
    options: list[str]  # docker run's, for each container
    address: str = ""
    pipelines: dict[str, Thing] = field(default_factory=dict)
    versions: dict[str, Thing] = field(default_factory=dict)
    experiments: dict[str, Thing] = field(default_factory=dict)
    recurring_runs: dict[str, Thing] = field(default_factory=dict)
    runs: dict[str, Thing] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # what changed it, in order

    def named(self, run: Thing) -> str:
        """The name of the version that a run, or a recurring one, is of."""
        name: str = self.versions[run["pipeline_version_reference"]["pipeline_version_id"]]["display_name"]
        return name

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Thing:
        """Do what is asked.

        Raises:
            Refused: it cannot be done.
        """
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if headers["authorization"] != f"Bearer {TOKEN}":
            raise Refused(401, "no token, or a wrong one")
        for (verb, pattern), act in ROUTES.items():
            found = re.fullmatch(pattern, url.path)
            if verb == method and found:
                if method != "GET":
                    self.asked.append(f"{method} {re.sub('[0-9a-f]{8}-[0-9a-f-]{27}', 'ID', url.path)}")
                sent = body if b"form-data" in headers.get("content-type", "").encode() else json.loads(body or b"{}")
                return act(self, *found.groups(), query | {"sent": sent, "type": headers.get("content-type")})
        raise Refused(404, f"{method} {url.path}: unknown to the stand-in")

    def execute(self, run: Thing) -> None:
        version = self.versions[run["pipeline_version_reference"]["pipeline_version_id"]]
        known = version["pipeline_spec"]["root"].get("inputDefinitions", {"parameters": {}})["parameters"]
        given = {name: each.get("defaultValue", "") for name, each in known.items()}
        given |= run["runtime_config"]["parameters"]
        wanted = {
            pair["envVar"]: self.secrets[env["secretName"]][pair["secretKey"]]
            for executor in version["platform"].values()
            for env in executor.get("secretAsEnv", [])
            for pair in env["keyToEnv"]
        }
        arguments = [run["run_id"], json.dumps(given), json.dumps(wanted), *self.options]
        command = [".venv/bin/python", "-W", "ignore", EXECUTE, *arguments]
        run["state"] = "RUNNING"
        env = os.environ | {"PYTHONPATH": "."}
        done = subprocess.run(command, cwd=self.project, env=env, input=version["text"], text=True, capture_output=True)
        run["output"] = done.stdout + done.stderr
        ended = re.findall(r"Task \S*?'([\w-]+)'\S* finished with status \S*?(SUCCESS|FAILURE)", done.stdout)
        states = {"SUCCESS": "SUCCEEDED", "FAILURE": "FAILED"}
        run["run_details"] = {"task_details": [{"display_name": name, "state": states[end]} for name, end in ended]}
        run["state"] = "FAILED" if done.returncode else "SUCCEEDED"
        if done.returncode:
            run["error"] = {"code": 13, "message": (done.stderr.splitlines() or ["?"])[-1]}


def _page(what: str) -> Callable[[Server, Thing], Thing]:
    def listed(server: Server, query: Thing) -> Thing:
        found = [*reversed(getattr(server, what).values())]  # the clients ask for the newest first, or for one
        for predicate in json.loads(query.get("filter", "{}")).get("predicates", []):
            if predicate["operation"] not in (1, "EQUALS"):
                raise Refused(400, f"operation {predicate['operation']}")
            found = [each for each in found if each[predicate["key"]] == predicate["stringValue"]]
        for key in ("experiment_id", "pipeline_id"):
            found = [each for each in found if key not in query or each[key] == query[key]]
        start, size = (
            int(query.get("page_token") or 0),
            min(int(query.get("page_size", 20)), 2),
        )  # so that there are pages
        token = {"next_page_token": str(start + size)} if found[start + size :] else {}
        return {what: found[start : start + size], "total_size": len(found)} | token

    return listed


def _new(things: dict[str, Thing], key: str, values: Thing) -> Thing:
    made = values | {key: str(uuid.uuid4()), "created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    if not made.get("display_name"):
        raise Refused(400, "display_name is empty")
    things[made[key]] = made
    return made


def _unique(things: dict[str, Thing], name: str) -> None:
    if any(each["display_name"] == name for each in things.values()):
        raise Refused(409, f"{name} exists already")


def _take(things: dict[str, Thing], key: str) -> Thing:
    if key not in things:
        raise Refused(404, f"{key} not found")
    return things[key]


def _healthz(server: Server, query: Thing) -> Thing:
    return {"multi_user": False}


def _create_pipeline(server: Server, query: Thing) -> Thing:
    _unique(server.pipelines, query["sent"]["display_name"])
    return _new(server.pipelines, "pipeline_id", query["sent"])


def _delete_pipeline(server: Server, key: str, query: Thing) -> Thing:
    _take(server.pipelines, key)
    if any(each["pipeline_id"] == key for each in server.versions.values()):
        raise Refused(400, "it has versions")
    del server.pipelines[key]
    return {}


def _upload(server: Server, query: Thing) -> Thing:
    _take(server.pipelines, query["pipelineid"])
    mine = {key: each for key, each in server.versions.items() if each["pipeline_id"] == query["pipelineid"]}
    _unique(mine, query["name"])
    form = message_from_bytes(f"Content-Type: {query['type']}\r\n\r\n".encode() + query["sent"])
    payload: Any = next(part for part in form.walk() if not part.is_multipart()).get_payload(decode=True)
    text = payload.decode()
    spec, platform = yaml.safe_load_all(text)
    for executor in spec["deploymentSpec"]["executors"].values():
        if not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", executor["container"]["image"]):
            raise Refused(400, f"{executor['container']['image']}: no node could pull it")
    made = {"display_name": query["name"], "pipeline_id": query["pipelineid"], "text": text, "pipeline_spec": spec}
    made["platform"] = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return _new(server.versions, "pipeline_version_id", made)


def _list_versions(server: Server, pipeline: str, query: Thing) -> Thing:
    found = _page("versions")(server, query | {"pipeline_id": pipeline})
    return {"pipeline_versions": found.pop("versions")} | found


def _delete_version(server: Server, pipeline: str, key: str, query: Thing) -> Thing:
    _take(server.pipelines, pipeline)
    _take(server.versions, key)
    del server.versions[key]
    return {}


def _create_experiment(server: Server, query: Thing) -> Thing:
    _unique(server.experiments, query["sent"]["display_name"])
    return _new(server.experiments, "experiment_id", query["sent"])


def _checked(server: Server, run: Thing) -> Thing:
    _take(server.experiments, run["experiment_id"])
    version = _take(server.versions, run["pipeline_version_reference"]["pipeline_version_id"])
    if version["pipeline_id"] != run["pipeline_version_reference"]["pipeline_id"]:
        raise Refused(400, "a version of another pipeline")
    unknown = (
        run["runtime_config"]["parameters"].keys()
        - version["pipeline_spec"]["root"].get("inputDefinitions", {"parameters": {}})["parameters"].keys()
    )
    if unknown:
        raise Refused(400, f"unknown parameters {unknown}")
    return run


def _create_recurring_run(server: Server, query: Thing) -> Thing:
    run = _checked(server, query["sent"])
    fields = run["trigger"]["cron_schedule"]["cron"].split()
    numbers = [[int(number) for number in re.findall(r"(?<!/)\b\d+", each)] for each in fields]
    if len(fields) != 6 or not all(map(CRON.fullmatch, fields)):
        raise Refused(400, f"cron {fields}: six fields")
    for each, (least, most) in zip(numbers, LIMITS, strict=True):
        if any(not least <= number <= most for number in each):
            raise Refused(400, f"cron {fields}: {each} is not within {least} and {most}")
    if not 1 <= run["max_concurrency"] <= 10:
        raise Refused(400, "max_concurrency: 1 to 10")
    return _new(server.recurring_runs, "recurring_run_id", run | {"status": run["mode"] + "D"})


def _disable(server: Server, key: str, query: Thing) -> Thing:
    _take(server.recurring_runs, key)["status"] = "DISABLED"
    return {}


def _create_run(server: Server, query: Thing) -> Thing:
    run = _new(server.runs, "run_id", _checked(server, query["sent"]) | {"state": "PENDING"})
    threading.Thread(target=server.execute, args=[run], daemon=True).start()
    return run


def _terminate(server: Server, key: str, query: Thing) -> Thing:
    _take(server.runs, key)["state"] = "CANCELING"
    return {}


def _removed(what: str) -> Callable[[Server, str, Thing], Thing]:
    def remove(server: Server, key: str, query: Thing) -> Thing:
        things = getattr(server, what)
        _take(things, key)
        del things[key]
        return {}

    return remove


def _shown(server: Server, name: str) -> Thing:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in _take(server.secrets, name).items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def _create_secret(server: Server, query: Thing) -> Thing:
    name = query["sent"]["metadata"]["name"]
    if not re.fullmatch("[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name) or len(name) > 253:
        raise Refused(422, f"{name} is no name")
    server.secrets[name] = dict(query["sent"]["stringData"])
    return _shown(server, name)


def _patch_secret(server: Server, name: str, query: Thing) -> Thing:
    _take(server.secrets, name)
    server.secrets[name] |= query["sent"]["stringData"]
    return _shown(server, name)


API, SECRETS = "/apis/v2beta1", "/api/v1/namespaces/kubeflow/secrets"
ROUTES: dict[tuple[str, str], Callable[..., Thing]] = {
    ("GET", f"{API}/healthz"): _healthz,
    ("GET", f"{API}/pipelines"): _page("pipelines"),
    ("POST", f"{API}/pipelines"): _create_pipeline,
    ("POST", f"{API}/pipelines/upload_version"): _upload,
    ("DELETE", f"{API}/pipelines/([^/]+)"): _delete_pipeline,
    ("GET", f"{API}/pipelines/([^/]+)/versions"): _list_versions,
    ("DELETE", f"{API}/pipelines/([^/]+)/versions/([^/]+)"): _delete_version,
    ("GET", f"{API}/experiments"): _page("experiments"),
    ("POST", f"{API}/experiments"): _create_experiment,
    ("DELETE", f"{API}/experiments/([^/]+)"): _removed("experiments"),
    ("GET", f"{API}/recurringruns"): lambda server, query: _renamed(_page("recurring_runs")(server, query)),
    ("POST", f"{API}/recurringruns"): _create_recurring_run,
    ("POST", f"{API}/recurringruns/([^/:]+):disable"): _disable,
    ("DELETE", f"{API}/recurringruns/([^/:]+)"): _removed("recurring_runs"),
    ("GET", f"{API}/runs"): _page("runs"),
    ("POST", f"{API}/runs"): _create_run,
    ("GET", f"{API}/runs/([^/:]+)"): lambda server, key, query: _take(server.runs, key),
    ("POST", f"{API}/runs/([^/:]+):terminate"): _terminate,
    ("DELETE", f"{API}/runs/([^/:]+)"): _removed("runs"),
    ("POST", SECRETS): _create_secret,
    ("GET", f"{SECRETS}/([^/]+)"): lambda server, name, query: _shown(server, name),
    ("PATCH", f"{SECRETS}/([^/]+)"): _patch_secret,
    ("DELETE", f"{SECRETS}/([^/]+)"): _removed("secrets"),
}


def _renamed(page: Thing) -> Thing:
    return {"recurringRuns": page["recurring_runs"]} | page


@contextmanager
def serving(project: Path, options: list[str]) -> Iterator[Server]:
    """A server on loopback, as long as the context lasts."""
    server = Server(project, options)

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                status, answer = 200, server.answer(self.command, self.path, self.headers, body)
            except Refused as refused:
                status, answer = refused.status, {"error": str(refused), "code": refused.status}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        server.address = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield server
        finally:
            listening.shutdown()
