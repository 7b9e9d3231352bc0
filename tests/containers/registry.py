"""An image registry on loopback."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from ports import free_port

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
    address = address or f"127.0.0.1:{free_port()}"
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder, address=address))
    command = ["setpriv", "--pdeathsig=TERM", "docker-registry", "serve", str(config)]
    with (folder / "registry.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while True:
            assert server.poll() is None, (folder / "registry.log").read_text()
            try:
                urlopen(f"http://{address}/v2/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(30)
