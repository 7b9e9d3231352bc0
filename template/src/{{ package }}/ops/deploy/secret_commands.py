"""Secrets that a command prints, as that of a password manager: `secrets.toml` of a stage names it, and git has that.

The commands run with a deployment, on the machine that deploys. What they print is neither shown nor logged.
"""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ..problems import Problem
from .checkout import PREFIX

FILE = "secrets.toml"
SECONDS = 60  # that a command may take

Commands = Mapping[str, list[str]]  # by variable: the program and its arguments


def read(stage: str) -> dict[str, list[str]]:
    """The command for each variable that a stage's `secrets.toml` names; none where there is no such file.

    Raises:
        Problem: the file cannot be read, a name is none of a variable, or a command is none.
    """
    file = Path(stage, FILE)
    try:
        named = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{file}: not valid TOML: {error}") from None
    return {name: _command(f"{file}: {name}", name, value) for name, value in named.items()}


def values(stage: str, commands: Commands, given: Mapping[str, str]) -> dict[str, bytes]:
    """What the commands print, without a line's end behind it.

    Args:
        stage: whose they are.
        commands: by variable.
        given: where a value comes from that is given here otherwise, by variable: that counts, and the command does not
            run.

    Raises:
        Problem: a command fails, takes too long, or prints nothing or no text. Nothing of what it printed is told.
    """
    return {
        name: _printed(f"{Path(stage, FILE)}: {name}", command)
        for name, command in commands.items()
        if name not in given
    }


def _command(where: str, name: str, value: object) -> list[str]:
    if not re.fullmatch("[A-Z][A-Z0-9_]*", name):
        raise Problem(f"{where}: no name of a variable, as {PREFIX}DATABASE__URL is")
    if name.startswith(PREFIX) and "__" not in name:
        raise Problem(f"{where}: no setting's name: section and key are divided by __, as in {PREFIX}DATABASE__URL")
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError:
            raise Problem(f"{where}: a quote is not closed in the command") from None
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        words = value
    else:
        raise Problem(f'{where}: a command is expected, as "op read op://shop/db/url", or a list of its words')
    if not words or not words[0]:
        raise Problem(f"{where}: the command is empty")
    return words


def _printed(where: str, command: list[str]) -> bytes:
    """What a command prints; its errors may hold a secret, too, so they are not shown either."""
    program = command[0] if len(command) > 1 else "its command"  # one word alone may be a secret, put there by mistake
    by_hand = "what it printed is not shown: run it by hand to see why"
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, ValueError) as error:
        raise Problem(f"{where}: {program} cannot be run: {getattr(error, 'strerror', None) or 'a NUL'}") from None
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()  # what it has started may hold the other end open
        raise Problem(f"{where}: {program} did not end within {SECONDS} seconds: does it ask for a login?") from None
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        ended = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise Problem(f"{where}: {program} ended with {ended}; {by_hand}")
    value = re.sub(rb"\r?\n\Z", b"", printed)
    if not value.strip():
        raise Problem(f"{where}: {program} printed nothing")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Problem(f"{where}: {program} printed no UTF-8 text")
    return value
