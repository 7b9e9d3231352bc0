"""A terminal's screen, on which commands are really run, and its picture."""

import itertools
import shlex
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pexpect
import pyte
import rig

COLUMNS, LINES = 108, 500
COLORS = {
    "default": "#d5dae1",
    "black": "#5c6672",
    "red": "#f28b82",
    "green": "#8ccf9d",
    "brown": "#e5c07b",  # pyte's word for yellow
    "blue": "#8ab4f8",
    "magenta": "#d7aefb",
    "cyan": "#80cbd6",
    "white": "#d5dae1",
    "brightblack": "#858f9c",
}
FAINT, GRAY = b"\x1b[2m", b"\x1b[90m"


@dataclass(frozen=True)
class Span:
    """Characters of one style, side by side."""

    column: int
    text: str
    color: str
    bold: bool


class Screen:
    """A screen that is high enough for everything that the commands print."""

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        self.title = title
        self.cells = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.cells)

    def run(self, command: str, *, fails: bool = False) -> None:
        """Run a command as if it were typed here.

        Raises:
            RuntimeError: it fails, or where it should, does not.
        """
        between = "\r\n" if self.cells.cursor.y else ""
        self.stream.feed(f"{between}\x1b[90m$\x1b[0m \x1b[1m{command}\x1b[0m\r\n".encode())
        printed, code = pexpect.run(
            f"sh -c {shlex.quote(command)}",
            cwd=str(self.folder),
            env=_environment(),
            dimensions=(LINES, COLUMNS),
            timeout=600,
            withexitstatus=True,
        )
        if fails != (code != 0):
            raise RuntimeError(f"{command}: exit code {code}: {printed.decode()}")
        self.stream.feed(printed.replace(FAINT, GRAY))  # pyte knows no faint

    def svg(self) -> str:
        """The screen down to the last line that something stands on."""
        here = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        lines = [self._spans(number) for number in range(self.cells.cursor.y)]
        while not lines[-1]:
            lines.pop()
        return here.get_template("screen.svg.j2").render(
            title=self.title, lines=lines, columns=COLUMNS, color=COLORS["default"]
        )

    def _spans(self, line: int) -> list[Span]:
        cells = [self.cells.buffer[line][column] for column in range(COLUMNS)]
        spans, column = [], 0
        for (name, bold), group in itertools.groupby(cells, lambda cell: (cell.fg, cell.bold)):
            text = "".join(cell.data for cell in group)
            if text.strip():
                spans.append(Span(column, text.rstrip(), COLORS.get(name, f"#{name}"), bold))
            column += len(text)
        return spans


def _environment() -> dict[str, str]:
    unwanted = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    return {key: value for key, value in rig.environment().items() if key not in unwanted} | {"TERM": "xterm-256color"}
