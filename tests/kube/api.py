"""The API over HTTP: discovery, objects, watches and logs."""

import json
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import yaml

from . import budgets, fields, protobuf, rules
from .fields import at
from .kinds import GROUPS, KINDS, VERSION, Kind, Object, Refused, bad, conflict, unknown
from .store import Change, Store

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
QUERY = {
    "GET": "labelSelector fieldSelector watch resourceVersion resourceVersionMatch limit timeoutSeconds "
    "allowWatchBookmarks includeObject",
    "POST": "fieldManager fieldValidation dryRun",
    "PUT": "fieldManager fieldValidation dryRun",
    "PATCH": "fieldManager fieldValidation dryRun force",
    "DELETE": "propagationPolicy gracePeriodSeconds",
    "log": "container follow tailLines timestamps sinceSeconds limitBytes",
}
Logs = Callable[[Object, dict[str, str]], Iterator[bytes]]


class Server(ThreadingHTTPServer):
    """The API server; what it did not foresee stands in `errors`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, store: Store, logs: Logs) -> None:
        self.store, self.logs = store, logs
        self.errors: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer a request, of whichever method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        try:
            Request(self, body).answer()
        except Refused as problem:
            self.send(problem.code, problem.status())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception:
            self.server.errors.append(f"{self.requestline}\n{body.decode(errors='replace')}\n{traceback.format_exc()}")
            self.send(500, Refused(500, "InternalError", traceback.format_exc()).status())

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def send(self, code: int, answer: Object, warnings: Iterable[str] = ()) -> None:
        """Send an answer at once."""
        content = json.dumps(answer).encode()
        self.send_response(code)
        for warning in warnings:
            self.send_header("Warning", f"299 - {json.dumps(warning)}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, kind: str, parts: Iterator[bytes]) -> None:
        """Send an answer as it comes."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in filter(None, parts):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Request:
    """What is asked, and of what."""

    def __init__(self, handler: Handler, body: bytes) -> None:
        self.handler, self.store, self.body = handler, handler.server.store, body
        self.method = handler.command
        self.how = handler.headers.get("Content-Type", "").partition(";")[0].removeprefix("application/")
        address = urlsplit(handler.path)
        self.path = address.path.strip("/")
        self.query = dict(parse_qsl(address.query))

    def answer(self) -> None:
        """Do what is asked and send what comes of it."""
        if self.method == "GET" and (found := discovery(self.path)) is not None:
            return self.handler.send(200, found)
        self.kind, self.namespace, self.name, part = route(self.path)
        if part == "log" and self.method == "GET":
            self.allow("log")
            pod = self.store.get("Pod", self.namespace, self.name)
            return self.handler.stream("text/plain", self.handler.server.logs(pod, self.query))
        if part == "eviction" and self.method == "POST" and self.kind.name == "Pod":
            pod = self.store.get("Pod", self.namespace, self.name)
            return self.handler.send(201, budgets.evict(self.store, pod, yaml.safe_load(self.body)))
        if part:
            raise unknown(f"{self.method} of {self.kind.plural}/{part}")
        self.allow(self.method)
        if self.query.get("watch") in ("1", "true") and self.method == "GET":
            return self.handler.stream("application/json", self.watch())
        verb = self.method if self.name or self.method == "POST" else f"{self.method} all"
        if verb not in self.ANSWERS:
            raise Refused(405, "MethodNotAllowed", f"the stand-in does not do {verb} of {self.kind.plural}")
        code, answer = self.ANSWERS[verb](self)
        return self.handler.send(code, answer, self.warnings(answer) if self.method in ("POST", "PUT", "PATCH") else [])

    def warnings(self, thing: Object) -> list[str]:
        """What is said besides of an object that was taken."""
        where = [each for each in self.store.all("Namespace") if each["metadata"]["name"] == self.namespace]
        return rules.warnings(thing, where[0]) if where else []

    def allow(self, what: str) -> None:
        """Refuse options that are not known."""
        if "sendInitialEvents" in self.query:  # which makes newer clients do without
            raise Refused(422, "Invalid", "sendInitialEvents: Forbidden: unless the WatchList feature gate is enabled")
        for option in self.query.keys() - QUERY[what].split():
            raise unknown(f"the option {option} of {self.method} {self.kind.plural}")
        self.means({"metadata": {"namespace": self.namespace, "name": self.name}})  # selectors that can be read

    def get(self) -> tuple[int, Object]:
        """One object."""
        return 200, self.store.get(self.kind.name, self.namespace, self.name)

    def listed(self) -> tuple[int, Object]:
        """Those that the selectors mean."""
        with self.store.changed:
            found, version = self.store.all(self.kind.name, self.namespace), str(self.store.version)
        listed = {"kind": f"{self.kind.name}List", "apiVersion": self.kind.api_version}
        return 200, listed | {
            "metadata": {"resourceVersion": version},
            "items": [each for each in found if self.means(each)],
        }

    def means(self, thing: Object | None) -> bool:
        """Whether an object is among those asked for."""
        if thing is None or self.namespace not in ("", at(thing, "metadata.namespace")):
            return False
        if self.name and self.name != thing["metadata"]["name"]:
            return False
        return fields.selected(self.query.get("labelSelector", ""), at(thing, "metadata.labels", {})) and (
            fields.field_selected(self.query.get("fieldSelector", ""), thing, self.kind.fields)
        )

    def watch(self) -> Iterator[bytes]:
        """The changes of those that the selectors mean."""
        since = self.query.get("resourceVersion", "0")
        begin = int(since or 0)
        if begin == 0:
            _, listed = self.listed()
            begin = int(listed["metadata"]["resourceVersion"])
            for thing in listed["items"]:
                yield _line("ADDED", thing)
        for change in self.store.watch(self.kind.name, begin, float(self.query.get("timeoutSeconds", 3600))):
            if word := self.word(change):
                yield _line(word, change.thing)

    def word(self, change: Change) -> str:
        """What a change is to one who sees only what the selectors mean."""
        now, then = self.means(change.thing), self.means(change.before)
        if change.word != "MODIFIED":
            return change.word if now else ""
        return ("MODIFIED" if then else "ADDED") if now else "DELETED" if then else ""

    def given(self) -> Object:
        """The object that the request brings, of the kind and the place that its address says."""
        try:
            thing = protobuf.read(self.body) if self.how == "vnd.kubernetes.protobuf" else yaml.safe_load(self.body)
        except yaml.YAMLError as problem:
            raise bad(str(problem)) from problem
        self.check(thing)
        return self.placed(thing)

    def check(self, thing: Any) -> None:
        """Refuse an object of another kind."""
        if not isinstance(thing, dict) or not isinstance(thing.get("metadata"), dict):
            raise bad("the object has no metadata")
        if (thing.get("apiVersion"), thing.get("kind")) != (self.kind.api_version, self.kind.name):
            told = f"{thing.get('apiVersion')}, Kind={thing.get('kind')} cannot be handled as a {self.kind.name}"
            raise bad(f"{told}: no kind is registered for it here")

    def placed(self, thing: Object) -> Object:
        """The object with the name and the namespace that the address says."""
        for field, value in (("namespace", self.namespace), ("name", self.name)):
            if value and thing["metadata"].setdefault(field, value) != value:
                raise bad(f"the {field} of the object does not match the {field} of the request")
        return thing

    @property
    def dry(self) -> bool:
        """Whether nothing is to be kept."""
        return self.query.get("dryRun") == "All"

    @property
    def manager(self) -> str:
        """In whose name fields are changed."""
        return self.query.get("fieldManager") or self.handler.headers.get("User-Agent", "unknown").partition("/")[0]

    def create(self) -> tuple[int, Object]:
        """A new object."""
        return 201, self.own({}, self.store.create(self.given(), dry=self.dry))

    def replace(self) -> tuple[int, Object]:
        """Another in the place of one."""
        before = self.get()[1]
        return 200, self.own(before, self.store.replace(self.given(), dry=self.dry))

    def own(self, before: Object, after: Object) -> Object:
        """Note whose the changed fields are."""
        if not self.dry:
            uid = after["metadata"]["uid"]
            self.store.owned[uid] = fields.changed(before, after, self.store.owned.get(uid, {}), self.manager)
        return after

    def patch(self) -> tuple[int, Object]:
        """An object, changed in part."""
        if self.how == "apply-patch+yaml":
            return self.apply()
        if self.how not in PATCHES:
            raise Refused(415, "UnsupportedMediaType", f"no patch: {self.how}")
        before = self.get()[1]
        after = PATCHES[self.how](before, yaml.safe_load(self.body))
        self.check(after)
        return 200, self.own(before, self.store.replace(self.placed(after), dry=self.dry))

    def apply(self) -> tuple[int, Object]:
        """An object as its manager wants it: server-side apply."""
        thing = self.given()
        if not self.query.get("fieldManager"):
            raise bad("fieldManager: Required value: is required for apply patch")
        with self.store.changed:
            try:
                before = self.get()[1]
            except Refused:
                after, code = self.store.create(thing, dry=self.dry), 201
                owned = dict.fromkeys(dict(fields.leaves(thing)), self.manager)
            else:
                force, code = self.query.get("force") == "true", 200
                owned = self.store.owned.get(before["metadata"]["uid"], {})
                after, owned = fields.applied(before, thing, owned, self.manager, force)
                after = self.store.replace(after, dry=self.dry)
            if not self.dry:
                self.store.owned[after["metadata"]["uid"]] = owned
        return code, after

    def delete(self) -> tuple[int, Object]:
        """Without an object."""
        options: Object = yaml.safe_load(self.body) or {} if self.body else {}
        for option in options.keys() - {
            "kind",
            "apiVersion",
            "propagationPolicy",
            "gracePeriodSeconds",
            "preconditions",
        }:
            raise unknown(f"the option {option} of DELETE")
        thing = self.get()[1]
        if at(options, "preconditions.uid", thing["metadata"]["uid"]) != thing["metadata"]["uid"]:
            raise conflict(self.kind, self.name, "Precondition failed: UID in precondition")
        grace = options.get("gracePeriodSeconds", self.query.get("gracePeriodSeconds"))
        how = options.get("propagationPolicy") or self.query.get("propagationPolicy") or "Background"
        if how not in ("Background", "Foreground", "Orphan"):
            raise bad(f"invalid propagationPolicy: {how}")
        return 200, self.store.delete(thing, how, None if grace is None else int(grace))

    ANSWERS: ClassVar = {
        "GET": get,
        "GET all": listed,
        "POST": create,
        "PUT": replace,
        "PATCH": patch,
        "DELETE": delete,
    }


PATCHES: dict[str, Callable[[Object, Any], Object]] = {
    "merge-patch+json": fields.merged,
    "json-patch+json": fields.patched,
    "strategic-merge-patch+json": fields.strategic,
}


def _line(word: str, thing: Object) -> bytes:
    return json.dumps({"type": word, "object": thing}).encode() + b"\n"


def route(path: str) -> tuple[Kind, str, str, str]:
    """The kind, the namespace, the name and the part of it that a path means.

    Raises:
        Refused: it means none.
    """
    for kind in reversed(KINDS):  # of namespaces, what is in them would be parts
        within = "(namespaces/(?P<namespace>[^/]+)/)?" if kind.namespaced else ""
        form = rf"{kind.root}/{within}{kind.plural}(/(?P<name>[^/]+)(/(?P<part>.+))?)?"
        if found := re.fullmatch(form, path):
            asked = found.groupdict(default="")
            return kind, asked.get("namespace", ""), asked["name"], asked["part"]
    raise Refused(404, "NotFound", f"the server could not find the requested resource: /{path}")


def discovery(path: str) -> Object | None:
    """What there is, as clients ask before anything else."""
    if path in ("livez", "readyz", "healthz"):
        return {"status": "ok"}
    if path == "version":
        major, minor = VERSION.split(".")
        return {"major": major, "minor": minor, "gitVersion": f"v{VERSION}.0", "platform": "linux/amd64"}
    if path == "api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "apis":
        versions = [{"groupVersion": f"{group}/v1", "version": "v1"} for group in GROUPS]
        named = zip(filter(None, GROUPS), versions[1:], strict=True)
        groups = [{"name": group, "versions": [one], "preferredVersion": one} for group, one in named]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    roots: dict[str, list[Kind]] = {}
    for kind in KINDS:
        roots.setdefault(kind.root, []).append(kind)
    if path == "openapi/v3":
        return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}
    if path.removeprefix("openapi/v3/") in roots and path.startswith("openapi"):
        return _openapi(roots[path.removeprefix("openapi/v3/")])
    if path in roots:
        told = {"kind": "APIResourceList", "groupVersion": roots[path][0].api_version}
        return told | {"resources": [each for kind in roots[path] for each in _resources(kind)]}
    return None


def _resources(kind: Kind) -> Iterator[Object]:
    told = {"kind": kind.name, "namespaced": kind.namespaced, "singularName": kind.name.lower(), "verbs": VERBS}
    groups = ["all"] if kind.name in ("CronJob", "Deployment", "Job", "Pod", "ReplicaSet", "Service") else []
    yield told | {"name": kind.plural, "shortNames": [kind.short] if kind.short else [], "categories": groups}
    if kind.name == "Pod":
        yield told | {"name": "pods/log", "verbs": ["get"]}
        eviction = {"name": "pods/eviction", "kind": "Eviction", "group": "policy", "version": "v1"}
        yield told | eviction | {"verbs": ["create"]}


def _openapi(kinds: list[Kind]) -> Object:
    """No schemas: only that fields are checked here, so that kubectl leaves it to the server."""
    paths = {}
    for kind in kinds:
        checks = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("fieldValidation", "dryRun")]
        which = {"group": kind.group, "version": "v1", "kind": kind.name}
        operation = {"parameters": checks, "x-kubernetes-group-version-kind": which, "responses": {}}
        paths[f"/{kind.root}/{kind.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "stand-in", "version": VERSION}, "paths": paths}
