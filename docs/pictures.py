"""The documentation's pictures, each of the real thing: `make pictures` puts them into docs/pictures/."""

import socket
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import rig
from browser import Browser
from screen import Screen

PICTURES = Path(__file__).parent / "pictures"


def main() -> None:
    """Run a new project's verbs, and picture what a person sees of it."""
    browser = Browser.found()
    with tempfile.TemporaryDirectory(prefix="pictures") as folder:
        template, project = Path(folder, "template"), Path(folder, "burger-combos")
        template.mkdir()
        rig.generate(rig.snapshot(template), project)
        for name, terminal in _terminals(project).items():
            _write(f"{name}.svg", _neutral(terminal.svg(), folder).encode())
        report = _report(project)
        for name, dark in (("report.png", False), ("report-dark.png", True)):
            _write(name, browser.picture(report, dark=dark))


def _terminals(project: Path) -> dict[str, Screen]:
    """What is typed into each, in turn: the verbs leave behind what the next ones show."""
    develop = Screen(project, "From a new project to today's recommendations")
    develop.run("make develop")
    look = Screen(project, "Which version, how good, what for whom")
    look.run("make status")
    look.run("make results KEY=C0000003")
    refused = Screen(project, "A model that is not good enough is refused")
    refused.run("BURGER_COMBOS_GATE__MIN_LIFT=2 make develop", fails=True)
    refused.run("make status STAGE=develop")
    return {"develop": develop, "look": look, "refused": refused}


def _report(project: Path) -> Path:
    """That of today's run, after a week of them, of a version that has been through the gates."""
    made = rig.Project(project, "burger_combos")
    today = date.today()
    for call in (
        ["gates", "--stage=develop"],
        *(["run", f"--date={today - timedelta(days)}"] for days in range(6, -1, -1)),
    ):
        done = made.call(*call)
        assert done.returncode == 0, done.stderr
    return max(project.glob("var/develop/*/runs/*/report.html"))


def _neutral(picture: str, folder: str) -> str:
    """The picture, which tells nothing of the machine on which it was made.

    Raises:
        SystemExit: it does.
    """
    told = [word for word in (folder, str(rig.ROOT), str(Path.home()), socket.gethostname()) if word in picture]
    if told:
        sys.exit(f"pictures: this machine's {', '.join(told)} would be in a picture")
    return picture


def _write(name: str, content: bytes) -> None:
    (PICTURES / name).write_bytes(content)
    print(f"pictures: docs/pictures/{name}, {len(content) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
