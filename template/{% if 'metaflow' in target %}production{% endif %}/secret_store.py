"""The secrets of a stage, stored under one name. Each of them is an environment variable of every task.

secret_store.py keep NAME           store the secrets that standard input has, as one JSON object; the others stay
secret_store.py where NAME          print the reference that tasks need; exit code 1 where there are no secrets
secret_store.py names NAME          print their names
secret_store.py run NAME COMMAND    run a command with them; variables that are set already win; exit code 1 as above
secret_store.py remove NAME         remove all of them
"""

import json
import os
import sys


def main(verb: str, name: str, *rest: str) -> None:
    """Run the command that the arguments name."""
    import secret_backend  # late, as it connects to the cluster or to AWS

    values = secret_backend.read(name)
    match verb:
        case "keep":
            secret_backend.write(name, (values or {}) | json.load(sys.stdin))
        case "where" | "run" if values is None:
            sys.exit(1)
        case "where":
            print(secret_backend.reference(name))
        case "names":
            print("\n".join(values or {}))
        case "run":
            os.execvpe(rest[0], rest, {**(values or {}), **os.environ})
        case "remove" if values is not None:
            secret_backend.remove(name)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # each client has exceptions of its own
        said, *_ = str(error).split("\n")
        sys.exit(f"error: {type(error).__name__}: {said}")
