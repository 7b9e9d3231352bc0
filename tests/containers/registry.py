"""An image registry on loopback."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

CONFIG = """
version: 0.1
log: {{ level: error }}
storage: {{ filesystem: {{ rootdirectory: {folder}/images }} }}
http: {{ addr: "{address}" }}
"""


def is_there() -> bool:
    """Whether its program is."""
    return shutil.which("docker-registry") is not None


@contextmanager
def serving(folder: Path, address: str = "") -> Iterator[str]:
    """A registry that keeps its images in the folder; yields its address, and ends with this process at the latest."""
    if not address:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder, address=address))
    command = ["setpriv", "--pdeathsig=TERM", "docker-registry", "serve", str(config)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            assert server.poll() is None, "the registry did not start"
            try:
                urlopen(f"http://{address}/v2/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(30)
