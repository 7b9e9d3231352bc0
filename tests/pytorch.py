"""A stand-in for PyTorch's own package indexes, at an address on loopback, where those are out of reach.

It serves the build for processors that pip finds on this machine, and of the one for GPUs as much as a lock needs. Like
PyTorch's, it tells no dates. Its address is always the same one, so that uv keeps one copy of what it gives.
"""

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
PORT = 8917
VERSION = "2.13.0"
BUILDS = {"pytorch-cpu": "cpu", "pytorch-cuda": "cu130"}  # the names of the indexes, and of what they have
NEEDS = ["nvidia-cublas==13.*; sys_platform == 'linux'", "triton>=3; sys_platform == 'linux'", "typing-extensions"]
REAL = re.search(r'url = "(\S+)/cpu"', (ROOT / "template/pyproject.toml.jinja").read_text(encoding="utf-8"))


@functools.cache
def environment() -> dict[str, str]:
    """What has uv find PyTorch: nothing more where its indexes are reached, else the stand-in, which is then there."""
    if _is_reached():
        return {}
    if _files() is None:
        reason = "PyTorch's package index is out of reach, and pip knows no build for processors here"
        (pytest.fail if os.environ.get("REQUIRE_PYTORCH") == "1" else pytest.skip)(reason)
    serve_at("127.0.0.1")
    return {"UV_INDEX": " ".join(f"{name}=http://127.0.0.1:{PORT}/{build}" for name, build in BUILDS.items())}


def serve_at(address: str) -> None:
    """Have the stand-in answer at an address of this machine, for as long as this process is there."""
    files = _files()
    assert files
    threading.Thread(target=_serve, args=(address, files), daemon=True).start()
    while not _answers(address):
        time.sleep(0.05)


def _is_reached() -> bool:
    assert REAL
    try:
        with urllib.request.urlopen(f"{REAL[1]}/cpu/torch/", timeout=5):
            return True
    except OSError:
        return False


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:{PORT}/cpu/torch/", timeout=5) as answer:
            return b"torch-" in answer.read()
    except OSError:
        return False


@functools.cache
def _files() -> dict[str, Path | bytes] | None:
    """By their paths at the address, the wheels; None where there is none for processors."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--report", "-", f"torch=={VERSION}+cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return None
    address = json.loads(done.stdout)["install"][0]["download_info"]["url"]
    wheel = Path(unquote(urlsplit(address).path))
    gpu = f"torch-{VERSION}+cu130-cp311-cp311-manylinux_2_28_x86_64.whl"
    return {f"cpu/torch/{wheel.name}": wheel, f"cu130/torch/{gpu}": _wheel()}


def _wheel() -> bytes:
    """As much of a build for GPUs as a lock needs: what it is called, and what it asks for."""
    about = f"Metadata-Version: 2.1\nName: torch\nVersion: {VERSION}+cu130\n"
    about += "".join(f"Requires-Dist: {each}\n" for each in NEEDS)
    files = {"METADATA": about, "WHEEL": "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n", "RECORD": ""}
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            # Always of the same bytes, as the lock has their hash.
            archive.writestr(zipfile.ZipInfo(f"torch-{VERSION}+cu130.dist-info/{name}"), text)
    return made.getvalue()


def _serve(address: str, files: dict[str, Path | bytes]) -> None:
    """Serve for as long as this process is there; where another one does, once that has ended."""
    while True:
        try:
            with http.server.ThreadingHTTPServer((address, PORT), functools.partial(_Index, files)) as server:
                server.serve_forever()
        except OSError:
            time.sleep(0.1)


class _Index(http.server.BaseHTTPRequestHandler):
    """A page of links for each package, and the files."""

    protocol_version = "HTTP/1.1"

    def __init__(self, files: dict[str, Path | bytes], *arguments: Any) -> None:
        self._files = files
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self._answer(content=False)

    def do_GET(self) -> None:
        self._answer(content=True)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, *, content: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        found: Path | bytes | None = self._files.get(path)
        kind = "application/octet-stream"
        if names := [name.rpartition("/")[2] for name in self._files if name.rpartition("/")[0] == path]:
            found = "".join(f'<a href="/{path}/{quote(name)}">{name}</a>\n' for name in names).encode()
            kind = "text/html"
        if found is None:
            self._begin(404, kind, 0)
            return
        size = found.stat().st_size if isinstance(found, Path) else len(found)
        first, last = self._range(size)
        self._begin(206 if "Range" in self.headers else 200, kind, last + 1 - first, f"bytes {first}-{last}/{size}")
        if not content:
            return
        if isinstance(found, bytes):
            self.wfile.write(found[first : last + 1])
            return
        with found.open("rb") as file:
            file.seek(first)
            left = last + 1 - first
            while left > 0 and (chunk := file.read(min(left, 1 << 20))):
                self.wfile.write(chunk)
                left -= len(chunk)

    def _begin(self, status: int, kind: str, size: int, part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", part)
        self.end_headers()

    def _range(self, size: int) -> tuple[int, int]:
        """The first and the last byte that are asked for."""
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return 0, size - 1
        if not asked[1]:
            return size - int(asked[2]), size - 1
        return int(asked[1]), min(int(asked[2] or size - 1), size - 1)
