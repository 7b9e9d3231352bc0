"""A server on loopback that keeps what it is sent, and lets those wait who ask it for something.

Under some paths it answers as chat services do, and takes only what they take.
"""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST = 28 * 1024  # bytes of a message to Teams
# What a card's elements may have, as far as a message of text needs it, by their types.
ELEMENTS = {
    "AdaptiveCard": {"type", "version", "$schema", "body", "msteams", "fallbackText"},
    "RichTextBlock": {"type", "inlines", "horizontalAlignment"},
    "TextRun": {"type", "text", "weight", "color", "size", "fontType", "italic", "highlight", "isSubtle"},
    "TextBlock": {"type", "text", "weight", "color", "size", "fontType", "wrap", "isSubtle", "maxLines"},
}
HELD = {"AdaptiveCard": "body", "RichTextBlock": "inlines"}
Answer = tuple[int, str]


def slack(message: Any, size: int) -> Answer:
    """What an incoming webhook of Slack's answers."""
    if not isinstance(message, dict) or message.keys() - {"text", "blocks", "attachments", "thread_ts", "mrkdwn"}:
        return 400, "invalid_payload"
    text = message.get("text")
    if not text or not isinstance(text, str):
        return 400, "no_text"
    marked = re.sub("&(amp|lt|gt);", "", text)
    return (200, "ok") if len(text) <= 40_000 and not set("&<>") & set(marked) else (400, "invalid_payload")


def workflow(message: Any, size: int) -> Answer:
    """What a workflow of Teams' answers, which posts the card of each attachment."""
    try:
        assert size <= MOST
        assert message["type"] == "message"
        assert message.keys() <= {"type", "attachments", "summary"}
        for attachment in message["attachments"]:
            assert attachment.keys() == {"contentType", "contentUrl", "content"}
            assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
            assert attachment["contentUrl"] is None
            card = attachment["content"]
            assert re.fullmatch(r"1\.[0-5]", card["version"])
            assert card["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json"
            _element(card, "AdaptiveCard")
    except (AssertionError, KeyError, TypeError):
        return 400, "TriggerInputSchemaMismatch"
    return 202, ""


def _element(element: dict[str, Any], *kinds: str) -> None:
    kind = element["type"]
    assert kind in (kinds or ELEMENTS)
    assert element.keys() <= ELEMENTS[kind]
    assert "text" not in ELEMENTS[kind] or (isinstance(element["text"], str) and element["text"])
    for each in element[HELD[kind]] if kind in HELD else []:
        _element(each, *(["TextRun"] if kind == "RichTextBlock" else ["TextBlock", "RichTextBlock"]))


def connector(message: Any, size: int) -> Answer:
    """What an older webhook of Teams' answers: 1, and a status of success whatever goes wrong behind it."""
    return (
        (200, "1") if workflow(message, size)[0] == 202 else (400, "Bad payload received by generic incoming webhook.")
    )


def throttled(message: Any, size: int) -> Answer:
    """The same, where too much was posted."""
    return (
        200,
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId",
    )


SERVICES: dict[str, Callable[[Any, int], Answer]] = {
    "/slack": slack,
    "/workflow": workflow,
    "/connector": connector,
    "/throttled": throttled,
    "/gone": lambda message, size: (410, "channel_is_archived"),
    "/moved": lambda message, size: (301, ""),
}


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
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = json.loads(body)
            listener.received.append((self.path, message))
            service = SERVICES.get(self.path)
            status, answer = service(message, len(body)) if service else (204, "")
            if service and not self.headers["Content-Type"].startswith("application/json"):
                status, answer = 400, "invalid_payload"
            self.send_response(status)
            if status == 301:
                self.send_header("Location", "/elsewhere")
            if answer:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

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
    """Wait until something is so; a look that takes long is followed by a longer pause, as others work meanwhile.

    Raises:
        AssertionError: it is not in time.
    """
    end = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < end, f"not so after {seconds} s"
        time.sleep(min(max(0.2, 4 * (now - begun)), 2))


def children(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that a process has begun and that have not ended."""
    found = subprocess.run(["pgrep", "--parent", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]
