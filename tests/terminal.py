"""A real terminal, and somebody who sits at it."""

import time
from pathlib import Path

import pexpect
import pyte
from forked import COPIER
from rig import environment

COLUMNS, LINES = 100, 40
ENTER, DOWN, ERASE, INTERRUPT = "\r", "\x1b[B", "\x15", "\x03"


class Terminal(pyte.Screen):
    """The screen and the keyboard of a person who calls Copier with these arguments."""

    def __init__(self, *arguments: str, cwd: Path | None = None) -> None:
        super().__init__(COLUMNS, LINES)
        self.stream = pyte.Stream(self)
        self.child = pexpect.spawn(
            str(COPIER),
            list(arguments),
            cwd=cwd,
            env=environment() | {"TERM": "xterm-256color"},
            dimensions=(LINES, COLUMNS),
            encoding="utf-8",
        )
        self.child.delaybeforesend = None

    def write_process_input(self, data: str) -> None:
        """Answer, as terminals do, where the cursor is."""
        self.child.send(data)

    @property
    def shown(self) -> list[str]:
        return [line.strip() for line in self.display if line.strip()]

    def has(self, *wanted: str) -> bool:
        """Whether these lines stand on the screen, one below the other."""
        shown = self.shown
        return any(shown[at : at + len(wanted)] == list(wanted) for at in range(LINES))

    def read(self) -> bool:
        """Show what comes next; whether more may come."""
        try:
            self.stream.feed(self.child.read_nonblocking(65536, timeout=0.1))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def press(self, keys: str, *wanted: str) -> None:
        """Press keys, and wait until what they bring is on the screen."""
        self.child.send(keys)
        deadline = time.monotonic() + 30
        while not self.has(*wanted):
            assert self.read() and time.monotonic() < deadline, "\n".join([f"no {wanted} in:", *self.shown])

    def end(self, keys: str) -> int:
        """Press the last keys, and return the exit code."""
        self.child.send(keys)
        deadline = time.monotonic() + 30
        while self.read():
            assert time.monotonic() < deadline, "\n".join(self.shown)
        self.child.close()
        assert self.child.exitstatus is not None
        return int(self.child.exitstatus)
