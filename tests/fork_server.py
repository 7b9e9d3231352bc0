"""A project's commands begin as copies of a Python that has read the libraries, most of a short one's time.

`python fork_server.py SOCKET` is the server, by the Python of a project's environment; it ends with its standard input.
It reads nothing of the project. A command has a standard output, a folder and variables of its own.
"""

import contextlib
import importlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Command = tuple[str | Path, ...]
LIBRARIES = (
    *("adbc_driver_manager.dbapi", "filelock", "jinja2", "numpy", "pandera.polars", "polars", "pydantic_settings"),
    *("pygal", "pygal.style", "rich.console", "rich.table", "scipy.sparse", "sklearn", "structlog", "typer"),
)
# What Python, its libraries or C read when they begin, and so before a copy has variables of its own.
READ_EARLY = ("PYTHON", "LANG", "LC_", "TZ", "LD_", "MALLOC_", "POLARS_", "RUST_", "OMP_", "OPENBLAS_")


def serve(path: str) -> None:
    """Begin a copy for each connection, until nobody is there any more; return in the copy that is a command."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    begun = Path(f"{path}.new")
    listening.bind(str(begun))
    listening.listen()
    begun.rename(path)
    while True:
        sources: list[Any] = [listening, 0]
        if 0 in select.select(sources, [], [])[0]:
            shutil.rmtree(Path(path).parent)
            os._exit(0)
        connection, _ = listening.accept()
        if os.fork() == 0:  # one that waits for the command
            listening.close()
            told, descriptors, *_ = socket.recv_fds(connection, 1 << 20, 3)
            child = os.fork()
            if child == 0:
                connection.close()
                begin(json.loads(told), descriptors)
                return
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(BrokenPipeError):
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def begin(told: dict[str, Any], descriptors: list[int]) -> None:
    """Make this process what the command's would be."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    time.tzset()
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    program, *arguments = told["command"]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if arguments[:1] == ["-c"]:
        code = compile(arguments[1], "<string>", "exec")
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
    else:
        code = compile(Path(program).read_text(encoding="utf-8"), program, "exec")
        sys.argv, sys.path[0], main.__file__ = [program, *arguments], str(Path(program).parent.resolve()), program
    main.__dict__["__builtins__"] = __builtins__
    COMMAND.append((code, main.__dict__))


COMMAND: list[tuple[types.CodeType, dict[str, Any]]] = []


class ForkServer:
    """The server of an environment, as a test sees it; it ends with the tests' process at the latest."""

    def __init__(self, python: Path, env: dict[str, str]) -> None:
        self.place = tempfile.mkdtemp(prefix="fork")
        self.path = f"{self.place}/socket"
        command: list[str | Path] = [python, Path(__file__), self.path]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, cwd=self.place)
        while not Path(self.path).exists():
            assert self.process.poll() is None, "the fork server has ended"
            time.sleep(0.01)

    def end(self) -> None:
        """Let the server go; the commands that it began go on."""
        self.process.stdin and self.process.stdin.close()
        self.process.wait()

    def run(self, command: Command, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as `rig.sh` does."""
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            Path(os.devnull).open() as nothing,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server,
        ):
            server.connect(self.path)
            told = json.dumps({"command": [*map(str, command)], "cwd": str(cwd), "env": env}).encode()
            socket.send_fds(server, [told], [nothing.fileno(), out.fileno(), err.fileno()])
            server.settimeout(1200)
            code = int(server.recv(100))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess(command, code, *texts)


def read_early(env: Mapping[str, str]) -> dict[str, str]:
    """What a copy would have had to know when it began; no command is told to write no bytecode."""
    kept = {name: text for name, text in env.items() if name.startswith(READ_EARLY)}
    return {name: text for name, text in kept.items() if name != "PYTHONDONTWRITEBYTECODE"}


Environment = tuple[Path, int, int]
_seen: set[Environment] = set()
_servers: dict[Environment, list[ForkServer]] = {}
MOST = 3  # environments that have servers at a time


def of(folder: Path, command: Command, env: dict[str, str]) -> ForkServer | None:
    """The server for a command in a project's folder; none for what it cannot run, and for an environment's first.

    An environment has two, by turns: what depends on the order of a set is another thing in each.
    """
    program = str(command[0])
    python = (folder / ".venv").resolve() / "bin/python"
    if not program.startswith(".venv/bin/") or not python.exists() or read_early(env) != read_early(os.environ):
        return None
    if program == ".venv/bin/python":
        if (folder / ".venv").is_symlink() or command[1] != "-c":
            return None
    elif not (folder / program).read_bytes().startswith(f"#!{python}".encode()):
        return None
    libraries = next(python.parents[1].glob("lib/python*/site-packages"))
    environment = (python, python.parents[1].stat().st_ino, libraries.stat().st_mtime_ns)
    if environment not in _seen:
        _seen.add(environment)
        return None
    servers = _servers.pop(environment, [])
    if len(servers) < 2:
        servers.append(ForkServer(python, env))
    _servers[environment] = servers[::-1]
    while len(_servers) > MOST:
        for old in _servers.pop(next(iter(_servers))):
            old.end()
    return servers[-1]


if __name__ == "__main__":
    serve(sys.argv[1])
    try:
        exec(*COMMAND[0])
    except SystemExit:
        raise
    except BaseException as error:
        own = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(own), own)
        sys.exit(1)
