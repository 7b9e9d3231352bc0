"""A server on loopback that keeps what it is sent, and lets those wait who ask it for something."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener:
    """What was sent, and where to."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.asked = threading.Event()
        self.ended = threading.Event()

    def texts(self) -> list[str]:
        """The texts that the webhook was sent."""
        return [message["text"] for path, message in self.received if path == "/webhook"]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener, which ends with the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            listener.received.append((self.path, message))
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            listener.asked.set()
            listener.ended.wait(120)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    listener = Listener(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield listener
    finally:
        listener.ended.set()
        server.shutdown()
        server.server_close()


def until(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it is not in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.2)
