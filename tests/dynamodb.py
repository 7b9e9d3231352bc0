"""Servers that speak DynamoDB's protocol, on loopback, and a proxy before one that goes wrong as it is told."""

import json
import logging
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import rig
from containers import npm
from ports import free_port

DYNALITE = "4.0.0"
SERVERS = ("moto", "dynalite")
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "topsecret"}  # pragma: allowlist secret
REGION = "eu-central-1"

Request = dict[str, Any]
Answer = tuple[int, Request]
Fault = Callable[[str, Request, Callable[[Request], Answer]], Answer]  # an operation, what it asks, and to forward that


@contextmanager
def serving(kind: str) -> Iterator[str]:
    """Serve no table yet, by one of SERVERS; yields the address."""
    if kind == "moto":
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.stop()
        return
    try:
        program = npm.install("dynalite", DYNALITE) / "dynalite"
    except RuntimeError as error:
        rig.missing("DYNALITE", str(error))
    port = free_port()
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--createTableMs", "50"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _await(address: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address}: no answer")


class Proxy:
    """A server that forwards each request, or does with it what `fault` says.

    Attributes:
        address: where it is.
        fault: what goes wrong; nothing if it is None.
        operations: what was asked, in order.
    """

    def __init__(self, behind: str) -> None:
        self.fault: Fault | None = None
        self.operations: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                headers = {
                    name: text for name, text in self.headers.items() if name.lower() not in ("host", "content-length")
                }

                def forward(asked: Request) -> Answer:
                    request = urllib.request.Request(behind, json.dumps(asked).encode(), headers)
                    try:
                        with urllib.request.urlopen(request, timeout=60) as answer:
                            return answer.status, json.loads(answer.read())
                    except urllib.error.HTTPError as error:
                        return error.code, json.loads(error.read())

                proxy.operations.append(operation)
                status, told = (proxy.fault or (lambda _, asked, go: go(asked)))(operation, json.loads(body), forward)
                sent = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that was killed does not wait for its answer."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


def error(code: str, said: str = "said so") -> Answer:
    """An answer that refuses."""
    kind = "com.amazon.coral.service" if code == "AccessDeniedException" else "com.amazonaws.dynamodb.v20120810"
    return 400, {"__type": f"{kind}#{code}", "message": said}
