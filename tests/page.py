"""A page in a real browser without a window: opened, read, waited for and pictured, by Chromium's DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import rig
from browser import OPTIONS

# What is drawn has its words in `text`, and what is a component of its own in a tree of its own.
READ = """(() => {
    const read = root => [
        ...[...root.children].map(element => element.innerText ?? ""),
        ...[...root.querySelectorAll("svg text")].map(element => element.textContent),
        ...[...root.querySelectorAll("*")].flatMap(element => element.shadowRoot ? read(element.shadowRoot) : []),
    ]
    return document.body ? read(document.body).join("\\n") : ""
})()"""
# The middle of an element that can be seen.
PLACE = """(box => box?.width ? {{x: box.x + box.width / 2, y: box.y + box.height / 2}} : null)(
    document.querySelector({selector})?.getBoundingClientRect()
)"""
PATIENCE = 240  # seconds for what a page has to show


class Page:
    """What a tab shows; commands and answers are JSON, each ended by a zero byte, through two pipes."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = os.fdopen(commands, "wb"), os.fdopen(answers, "rb")
        self._said, self._count, self._session = b"", 0, ""

    def open(self, address: str) -> None:
        """Go there in a new tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.navigate", url=address)

    def text(self) -> str:
        """All that can be read on it, drawn text too."""
        return str(self.call("Runtime.evaluate", expression=READ)["result"].get("value", ""))

    def wait_for(self, *words: str) -> str:
        """What can be read as soon as all of these words can."""
        end = time.monotonic() + PATIENCE
        while [word for word in words if word not in (text := self.text())]:
            assert time.monotonic() < end, f"{words} cannot be read in: {text}"
            time.sleep(0.2)
        return text

    def click(self, selector: str) -> None:
        """With the mouse on the first of what the selector names, as soon as it is there."""
        end = time.monotonic() + PATIENCE
        script = PLACE.format(selector=json.dumps(selector))
        while not (
            place := self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")
        ):
            assert time.monotonic() < end, f"{selector} is not on the page"
            time.sleep(0.2)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **place, button="left", clickCount=1)

    def picture(self) -> bytes:
        """What is in sight, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._count += 1
        command: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        self._commands.write(json.dumps(command).encode() + b"\0")
        self._commands.flush()
        while (answer := self._answer()).get("id") != self._count:
            pass  # an event
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _answer(self) -> dict[str, Any]:
        while b"\0" not in self._said:
            more = os.read(self._answers.fileno(), 2**16)
            assert more, "the browser has ended"
            self._said += more
        answer, _, self._said = self._said.partition(b"\0")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    def close(self) -> None:
        """End the browser."""
        with suppress(OSError, AssertionError):
            self.call("Browser.close")
        self._commands.close()
        self._answers.close()


@contextmanager
def browser() -> Iterator[Page]:
    """A browser of its own, which ends with the block; skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        rig.missing("CHROMIUM", "no chromium here to open pages")
    read_commands, commands = os.pipe()
    answers, write_answers = os.pipe()
    with tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True) as folder:
        started = [program, *OPTIONS, f"--user-data-dir={folder}", "--window-size=1100,2800", "--remote-debugging-pipe"]
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{read_commands} 4>&{write_answers}', "bash", *started],
            pass_fds=(read_commands, write_answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        page = Page(commands, answers)
        try:
            yield page
        finally:
            page.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
