"""A script of Python's as a process of its own that begins as a copy of this one, with the modules it has read."""

import contextvars
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from rig import ROOT, environment

COPIER = ROOT / ".venv/bin/copier"


def copier(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What somebody sees who calls Copier with these arguments; as `rig.sh`, in a third of the time."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open() as nothing:
        child = os.fork()
        if child == 0:
            os.chdir(cwd)
            for number, file in enumerate((nothing, out, err)):
                os.dup2(file.fileno(), number)
            _become(COPIER, [str(COPIER), *arguments], environment() if env is None else env)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), *texts)


class Forked:
    """What stands for `subprocess` where Copier calls a migration."""

    def __init__(self, begin: Callable[..., subprocess.CompletedProcess[Any]]) -> None:
        self.begin = begin  # any other command

    def run(self, command: Any, **how: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command to its end, as `subprocess.run` does."""
        if how.get("shell") or command[0] != sys.executable or not command[1].endswith(".py"):
            return self.begin(command, **how)
        child = os.fork()
        if child == 0:
            _become(Path(command[1]), command[1:], how["env"])
        _, status = os.waitpid(child, 0)
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status))


def _become(script: Path, arguments: list[str], env: dict[str, str]) -> NoReturn:
    """Run the script to its end, and with it this process."""
    code: Any = 0
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    try:
        os.environ.clear()
        os.environ.update(env)
        # The modules beside the script are its own, and not those of this repository.
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(f"{ROOT}/hooks/"):
                del sys.modules[name]
        sys.path.insert(0, str(script.parent))
        sys.argv = arguments
        contextvars.Context().run(runpy.run_path, str(script), run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
