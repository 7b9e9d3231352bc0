"""What the generated manual promises where there is no make: uv alone, and nothing that only POSIX has."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rig import Project, environment

# Modules of the standard library that Windows does not have.
POSIX = ["fcntl", "grp", "pwd", "resource", "termios", "tty"]
WITHOUT = f"""import sys
sys.modules |= dict.fromkeys({POSIX})
"""


def test_uv_alone_does_what_needs_no_container(generate: Callable[..., Project], tmp_path: Path) -> None:
    mine = generate(tmp_path / "p", notebooks="none")
    section = (mine.folder / "docs/windows-and-macos.md").read_text()
    commands = re.findall("^    (.+)$", section, re.MULTILINE)
    assert len(commands) == 7
    tasks = json.loads((mine.folder / ".vscode/tasks.json").read_text())["tasks"]
    assert commands == [task["windows"]["command"] for task in tasks if "windows" in task]
    (tmp_path / "bin").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(WITHOUT)
    for program in ("uv", "git"):
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program, path=environment()["PATH"])))
    (tmp_path / "bin/python3").symlink_to(Path(sys.executable).resolve())
    there = replace(mine, env={"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tmp_path / "site")})
    shown = {}
    for command in commands:
        done = there.run(str(tmp_path / "bin/uv"), *command.split()[1:])
        assert done.returncode == 0, f"{command}: {done.stderr}"
        shown[command.split()[-1]] = done.stdout
    assert "would like" in shown["explore/first_look.py"]
    assert "2,000 rows of recommendations for" in shown["run"]
    assert ", ok, " in shown["status"]
    assert "publish" in shown["logs"]
    assert "item_1" in shown["results"]
    assert " passed" in shown["pytest"]
