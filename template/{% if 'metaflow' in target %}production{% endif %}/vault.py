"""The stage's secrets, under one name where tasks find them: each is a variable of every task.

vault.py keep NAME FOLDER    a file for each; what was kept earlier stays
vault.py where NAME          how tasks are told of them; exit code 1 where there are none yet
vault.py names NAME          which there are
vault.py run NAME COMMAND    a command with them; what the environment has already comes first; exit code 1 as well
vault.py remove NAME
"""

import os
import sys
from pathlib import Path


def main(verb: str, name: str, *rest: str) -> None:
    """Do what the arguments say."""
    import keeper  # which finds out where it is

    values = keeper.read(name)
    match verb:
        case "keep":
            given = {file.name: file.read_text(encoding="utf-8").strip() for file in Path(rest[0]).iterdir()}
            keeper.write(name, (values or {}) | given)
        case "where" | "run" if values is None:
            sys.exit(1)
        case "where":
            print(keeper.reference(name))
        case "names":
            print("\n".join(values or {}))
        case "run":
            os.execvpe(rest[0], rest, {**(values or {}), **os.environ})
        case "remove" if values is not None:
            keeper.remove(name)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # of the client's many
        said, *_ = str(error).split("\n")
        sys.exit(f"error: {type(error).__name__}: {said}")
