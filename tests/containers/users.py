"""Another user of this machine, who is added to copies of its user lists that only their processes see."""

import os
import shutil
from pathlib import Path

UID = 1234

# Node, in which the devcontainer CLI is written, wants to find whose process it is.
BECOME = """
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
uid=$2 socket=$3
export HOME=$1 USER=dev DOCKER_CONFIG=$1/.docker
shift 3
exec setpriv --reuid="$uid" --regid="$uid" --groups="$socket" "$@"
"""


def someone(home: Path) -> list[str]:
    """What to put before a command so that a user of UID 1234 executes it, who may use the engine; needs root."""
    config = home / ".docker"
    config.mkdir(parents=True)
    given = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"), "config.json")
    if given.exists():
        shutil.copy(given, config)
    for name, line in {"passwd": f"dev:x:{UID}:{UID}::{home}:/bin/sh", "group": f"dev:x:{UID}:"}.items():
        (home / name).write_text(Path("/etc", name).read_text() + line + "\n")
    for path in (home, config):
        os.chown(path, UID, UID)
    socket = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    return ["unshare", "--mount", "sh", "-c", BECOME, "someone", str(home), str(UID), str(socket.stat().st_gid)]
