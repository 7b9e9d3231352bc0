"""A Docker host that is reached by SSH, on loopback: its commands are executed here, on the same engine."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ports import free_port

# The user is there in a copy of the user list that only the server sees, and its home is the server's folder.
SERVE = """
mount --bind "$1/passwd" /etc/passwd
exec dropbear -F -E -e -s -j -k -r "$1/host" -p "127.0.0.1:$2"
"""


@dataclass(frozen=True)
class Host:
    """How one gets there, and what it says of who came."""

    address: str
    key: str
    known_hosts: str
    log: Path


def is_there() -> bool:
    """Whether a server can be started here."""
    return os.geteuid() == 0 and shutil.which("dropbear") is not None


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """A host, which ends with the block, and with this process at the latest."""
    (folder / ".ssh").mkdir(parents=True)
    passwd = Path("/etc/passwd").read_text()
    (folder / "passwd").write_text(f"{passwd}ada:x:0:0::{folder}:/bin/sh\n")
    subprocess.run(["dropbearkey", "-t", "ed25519", "-f", folder / "host"], check=True, capture_output=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    public = subprocess.run(["dropbearkey", "-y", "-f", folder / "host"], check=True, capture_output=True, text=True)
    own = next(line for line in public.stdout.splitlines() if line.startswith("ssh-ed25519"))
    shutil.copy(folder / "key.pub", folder / ".ssh/authorized_keys")
    for path in (folder, folder / ".ssh", folder / ".ssh/authorized_keys"):
        path.chmod(0o700)
    port = free_port()
    command = ["setpriv", "--pdeathsig=TERM", "unshare", "--mount", "sh", "-ec", SERVE, "host", str(folder), str(port)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            key = (folder / "key").read_text()
            yield Host(f"ssh://ada@127.0.0.1:{port}", key, f"[127.0.0.1]:{port} {own}", folder / "log")
        finally:
            server.terminate()
