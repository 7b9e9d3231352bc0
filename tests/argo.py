"""The part of Kubernetes' API that Argo Workflows is deployed to, standing in: it keeps objects, and runs nothing.

What it keeps is validated strictly: an object that Argo's own models do not give back as it came holds a field that is
none of theirs, and is refused.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from hera.workflows.models import CronWorkflow, Workflow, WorkflowTemplate

Objects = dict[str, dict[str, Any]]
MODELS: dict[str, Any] = {"cronworkflows": CronWorkflow, "workflows": Workflow, "workflowtemplates": WorkflowTemplate}


class Cluster(NamedTuple):
    """A cluster as its clients see it."""

    kubeconfig: str
    objects: Objects  # by kind, namespace and name: workflowtemplates/default/NAME


def validated(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """An object of Argo's without what is empty, if it is one.

    Raises:
        ValueError: it is none.
    """
    known = MODELS[kind].model_validate(given).model_dump_json(by_alias=True, exclude_none=True)
    if (back := _filled(json.loads(known))) != (plain := _filled(given)):
        raise ValueError(f"{kind}: {back} is all that is known of {plain}")
    return dict(plain)


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        filled = {key: _filled(each) for key, each in value.items()}
        return {key: each for key, each in filled.items() if each not in (None, {}, [])}
    return [_filled(each) for each in value] if isinstance(value, list) else value


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Of two objects one, as a PATCH merges them."""
    both = old.keys() & new.keys()
    return old | new | {key: _merged(old[key], new[key]) for key in both if isinstance(new[key], dict)}


@contextmanager
def serving(folder: Path) -> Iterator[Cluster]:
    """A cluster with Argo Workflows in it, on loopback; what clients need to know goes into the folder."""
    objects: Objects = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = self._key()
            if key.count("/") == 1:
                self._answer(200, {"items": [each for name, each in objects.items() if name.startswith(key + "/")]})
            else:
                self._answer(200 if key in objects else 404, objects.get(key))

        def do_POST(self) -> None:
            self._keep(201)

        def do_PUT(self) -> None:
            self._keep(200)

        def do_PATCH(self) -> None:
            before = objects.get(self._key())
            if before is None:
                self._answer(404)
            else:
                self._keep(200, before)

        def do_DELETE(self) -> None:
            self._answer(200 if objects.pop(self._key(), None) else 404)

        def log_message(self, *_: object) -> None:
            pass

        def _key(self) -> str:
            _, _, place = self.path.partition("?")[0].partition("/namespaces/")
            namespace, kind, *name = place.split("/")
            return "/".join([kind, namespace, *name])

        def _keep(self, status: int, before: dict[str, Any] | None = None) -> None:
            given = _merged(before or {}, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            metadata = given["metadata"]
            if "generateName" in metadata:
                metadata["name"] = f"{metadata['generateName']}{len(objects):05}"
            kind, namespace, *_ = self._key().split("/")
            metadata["resourceVersion"] = str(len(objects))
            metadata.setdefault("creationTimestamp", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
            try:
                objects[f"{kind}/{namespace}/{metadata['name']}"] = validated(kind, given) if kind in MODELS else given
                self._answer(status, given)
            except ValueError as error:
                self._answer(422, {"message": str(error)})

        def _answer(self, status: int, answer: dict[str, Any] | None = None) -> None:
            body = json.dumps(answer or {"message": f"{status} {self.path}"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    try:
        yield Cluster(str(folder / "kubeconfig"), objects)
    finally:
        server.shutdown()
        server.server_close()
