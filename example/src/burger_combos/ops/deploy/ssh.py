"""The way to a Docker host that CI's secrets hold: SSH_KEY, a private key, and SSH_KNOWN_HOSTS, the host's own."""

import os
import shlex
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from .programs import call

# docker's ssh gets SIGTERM also when no more than a thread of docker's ends.
PROGRAM = """#!/bin/sh
trap '' TERM
exec {real} -i {folder}/key -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known_hosts \\
    -o StrictHostKeyChecking=yes -o ControlMaster=auto -o ControlPath={folder}/%C.socket -o ControlPersist=60 "$@"
"""


class Connection:
    """A program `ssh`, the first on the PATH, which docker calls: all its calls share one connection, until the end."""

    def __enter__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.real = shutil.which("ssh") or "ssh"
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_text(f"{os.environ.pop('SSH_KEY')}\n", encoding="utf-8")
        known = os.environ.get("SSH_KNOWN_HOSTS", "")
        (self.folder / "known_hosts").write_text(f"{known}\n", encoding="utf-8")
        program = self.folder / "ssh"
        words = {"real": shlex.quote(self.real), "folder": shlex.quote(str(self.folder))}
        program.write_text(PROGRAM.format(**words), encoding="utf-8")
        program.chmod(0o755)
        os.environ["PATH"] = f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for socket in self.folder.glob("*.socket"):
            call(self.real, "-o", f"ControlPath={socket}", "-O", "exit", "host", out=False, errors=False)
        (self.folder / "key").unlink()
        shutil.rmtree(self.folder, ignore_errors=True)  # a socket goes with its process, perhaps meanwhile
