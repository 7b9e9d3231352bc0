"""A project's service on this machine, and a client that keeps its connections open, as other programs do."""

import asyncio
import http.client
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ports import free_port
from rig import Project, environment

PATIENCE = 60  # seconds


@dataclass
class Answer:
    """What a service has answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a service, on a connection for each request."""

    port: int
    token: str = ""

    def ask(self, path: str, method: str = "GET", give: Any = None, **headers: str) -> Answer:
        """One request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        body = None if give is None else give if isinstance(give, bytes) else json.dumps(give).encode()
        connection.request(method, path, body, sent | ({"Content-Type": "application/json"} if body else {}))
        response = connection.getresponse()
        told = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        connection.close()
        return told

    def until(self, path: str, status: int = 200) -> Answer:
        """The first answer with this status."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self.ask(path)
                if answer.status == status:
                    return answer
                last = str(answer)
            except OSError as error:
                last = str(error)
            assert time.monotonic() < end, last
            time.sleep(0.1)

    def rows(self, path: str = "/results", limit: int = 100) -> list[dict[str, Any]]:
        """All rows, page by page."""
        found: list[dict[str, Any]] = []
        page = self.ask(f"{path}?limit={limit}")
        while True:
            assert page.status == 200, page
            found += page.json["rows"]
            if page.json["next"] is None:
                return found
            assert len(page.json["rows"]) == limit
            page = self.ask(f"{path}?limit={limit}&cursor={page.json['next']}")


@contextmanager
def service(project: Project, *options: str, ready: int = 200, token: str = "") -> Iterator[Client]:
    """The project's service, on a free port of loopback, until the end."""
    client = Client(free_port(), token)
    with started(project, "serve", "--port", str(client.port), *options):
        client.until("/ready", ready)
        yield client


@contextmanager
def started(project: Project, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The project's command line in the background, until the end."""
    env = environment() | project.env
    process = subprocess.Popen([project.command, *arguments], cwd=project.folder, env=env, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


@dataclass
class Load:
    """Clients that ask again and again, and what came of it."""

    port: int
    paths: list[str]
    token: str = ""
    clients: int = 8
    pause: float = 0  # seconds between two requests of a client
    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    bodies: dict[str, set[bytes]] = field(default_factory=dict)

    def __enter__(self) -> "Load":
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; what came of it stays."""
        self._stop.set()
        self._thread.join(PATIENCE)

    def done(self, more: int) -> None:
        """Wait until so many more requests were answered."""
        wanted, end = self.statuses.total() + more, time.monotonic() + PATIENCE
        while self.statuses.total() < wanted:
            assert time.monotonic() < end, (self.statuses, self.failed[:3])
            time.sleep(0.02)

    async def _all(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(self.clients)))

    async def _client(self, number: int) -> None:
        """One that keeps its connection as long as the service does."""
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._stop.is_set():
            path = self.paths[number % len(self.paths)]
            number += 1
            try:
                streams = streams or await asyncio.open_connection("127.0.0.1", self.port)
                status, body, goes_on = await asyncio.wait_for(self._exchange(*streams, path), PATIENCE)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.failed.append(f"{path}: {error!r}")
                streams = None
                await asyncio.sleep(0.01)
                continue
            self.statuses[status] += 1
            self.bodies.setdefault(path, set()).add(body)
            if not goes_on:
                streams[1].close()
                streams = None
            await asyncio.sleep(self.pause)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
    ) -> tuple[int, bytes, bool]:
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: service\r\n{token}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        return int(head.split()[1]), await reader.readexactly(length), "connection: close" not in head
