"""Other programs, called as a shell calls them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NoReturn

from ..problems import Problem

Ended = subprocess.CompletedProcess[str]

NOT_FOUND = 127  # the exit code of a shell that finds no such program
at_the_end = ExitStack()  # what has to be undone, however this program ends: temporary files, connections, locks


def call(
    *command: str,
    give: str | bytes | None = None,
    out: bool = True,
    errors: bool = True,
    out_as_errors: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Ended:
    """Run a program to its end. Ctrl-C reaches it too, and ends this program after it.

    Args:
        command: the program and its arguments.
        give: its standard input, instead of this program's.
        out: show its standard output; otherwise it is returned.
        errors: show its standard error; otherwise it is returned.
        out_as_errors: show its standard output on standard error.
        env: variables beside those of this program.
        cwd: the folder in which it runs.
    """
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            stdin=None if give is None else pipe,
            stdout=sys.stderr if out_as_errors else None if out else pipe,
            stderr=None if errors else pipe,
            env=os.environ | (env or {}),
            cwd=cwd,
        )
    except FileNotFoundError:
        message = f"{command[0]}: not found\n"
        if errors:
            sys.stderr.write(message)
        return Ended(command, NOT_FOUND, "", message)
    try:
        said, complained = process.communicate(give.encode() if isinstance(give, str) else give)
    except BaseException as reason:
        if not isinstance(reason, KeyboardInterrupt):
            process.terminate()
        process.wait()
        raise
    texts = [(text or b"").decode(errors="replace") for text in (said, complained)]
    return Ended(command, process.returncode, *texts)


def ask(*command: str, env: Mapping[str, str] | None = None) -> str:
    """What a program prints, without the line's end; nothing where it fails."""
    ended = call(*command, out=False, errors=False, env=env)
    return "" if ended.returncode else ended.stdout.strip()


def end_with(ended: Ended) -> NoReturn:
    """End this program as another one has ended, with the exit code of a shell."""
    sys.exit(ended.returncode if ended.returncode >= 0 else 128 - ended.returncode)


def become(*command: str, env: Mapping[str, str] | None = None) -> NoReturn:
    """Let another program take the place of this one."""
    at_the_end.close()
    sys.stdout.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, os.environ | (env or {}))
    except FileNotFoundError:
        raise Problem(f"{command[0]}: not found: make setup installs what belongs here") from None


def checksum(text: str) -> str:
    """The checksum of a line, by which names stay short and apart."""
    return call("cksum", give=f"{text}\n", out=False).stdout.split()[0]
