"""Redis, on loopback: Debian's, with nothing kept on a disk."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rig


@contextmanager
def serving(port: int, folder: Path, password: str) -> Iterator[None]:
    """An empty server on a port, until the end."""
    program = shutil.which("redis-server") or rig.missing("REDIS", "no redis-server here: apt install redis-server")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    options += ["--requirepass", password]
    server = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        else:
            raise AssertionError(f"redis-server ended with {server.wait()}")
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
