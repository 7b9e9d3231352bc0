"""Serve until somebody ends it: on an address of this machine, or on a socket that another process holds open."""

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from .. import logs
from ..problems import Problem
from ..settings import StageSettings, settings_file
from .app import Application
from .port import BACKLOG, take

DRAIN = 15.0  # seconds that connections which are open have to end, when the service is asked to
KEEP_ALIVE = 30  # seconds that an idle connection stays open
log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn, which lets those who are connected end in order: their next answer asks them to connect anew."""

    def __init__(self, config: uvicorn.Config, application: Application, mark: Path | None) -> None:
        super().__init__(config)
        self._application, self._mark, self._patient = application, mark, True

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Begin, and leave the mark by which others know that connections are taken."""
        await super().startup(sockets)
        if self._mark:
            self._mark.touch()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Note who asks: a person, with Ctrl-C, does not want to wait."""
        self._patient = sig != signal.SIGINT
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Take no new connection, wait for the others, then end."""
        self._application.middleware.draining = True
        for server in self.servers:
            server.close()
        until = time.monotonic() + DRAIN * self._patient
        while self.server_state.connections and time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


def serve(settings: StageSettings, host: str, port: int) -> None:
    """Serve a stage's results at an address.

    Args:
        settings: those of the stage.
        host: the address to listen at.
        port: its port; 0 for any that is free.

    Raises:
        Problem: others could reach it without a token, the address is taken, or there is nothing to serve.
    """
    need_token(settings, host)
    application = _application(settings)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Problem(f"serving: {host}:{port}: {error.strerror or error}") from None
    _run(application, listener)


def serve_held(settings: StageSettings, file: Path, mark: Path | None) -> None:
    """Serve a stage's results on a port that another process holds, and that a later service takes over.

    Args:
        settings: those of the stage.
        file: where the holder is asked for its socket.
        mark: the file that is made once connections are taken; None for none.

    Raises:
        Problem: nobody holds a port there, or as for `serve`.
    """
    application = _application(settings)
    try:
        listener = take(file, lambda: os.kill(os.getpid(), signal.SIGTERM))
    except OSError as error:
        raise Problem(f"serving: {file}: nobody holds a port: {error.strerror or error}") from None
    need_token(settings, listener.getsockname()[0])
    _run(application, listener, mark)


def _application(settings: StageSettings) -> Application:
    logs.start()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # which tells of its own beginning and end
    return Application(settings)


def _run(application: Application, listener: socket.socket, mark: Path | None = None) -> None:
    config = uvicorn.Config(
        application.middleware,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(DRAIN),
    )
    address, port, *_ = listener.getsockname()
    shown = f"[{address}]" if ":" in address else address
    log.info("serving", url=f"http://{shown}:{port}{application.base(next(iter(application.tables)))}")
    Server(config, application, mark).run([listener])


def need_token(settings: StageSettings, host: str) -> None:
    """Refuse to serve others without a token.

    Raises:
        Problem: the address is not this machine's alone, and no token is set.
    """
    if not is_loopback(host) and not settings.serving.token.get_secret_value():
        where = settings_file(settings.stage, "serving", "token")
        raise Problem(f"{where}: serving.token is empty, and {host} is not this machine alone: set it, as a secret")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
