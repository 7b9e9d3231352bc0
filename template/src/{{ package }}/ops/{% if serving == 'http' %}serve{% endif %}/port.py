"""The port of a service, held open by a process of its own: what takes its place takes the same socket.

The holder listens, and accepts no connection. It hands the socket to each service that asks, by a Unix socket which the
two share as a file. So several services may accept from one queue, and a connection that comes while one ends and
another begins waits there: none is lost. As a program: port.py FILE ADDRESS PORT.
"""

import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 30.0  # seconds to wait for a holder that is about to begin
BACKLOG = 2048


def hold(file: Path, host: str, port: int) -> None:
    """Hold a port open, and hand its socket to whoever asks, until this process ends."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as asked:
        asked.bind(str(file))
        asked.listen()
        print(f"holding {host}:{listener.getsockname()[1]} for {file}", file=sys.stderr, flush=True)
        takers: list[socket.socket] = []  # each knows by its connection that the holder is alive
        while True:
            for ready in select.select([asked, *takers], [], [])[0]:
                if ready is not asked:
                    takers.remove(ready)
                    ready.close()
                    continue
                taker, _ = asked.accept()
                try:
                    socket.send_fds(taker, [b"port"], [listener.fileno()])
                except OSError:  # it has gone meanwhile
                    taker.close()
                else:
                    takers.append(taker)


def take(file: Path, lost: Callable[[], None]) -> socket.socket:
    """Take the socket of a port that another process holds.

    Args:
        file: where the holder is asked.
        lost: called once, in a thread, when the holder ends: the socket is of no use any more.

    Raises:
        OSError: nobody holds it.
    """
    holder = socket.socket(socket.AF_UNIX)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            holder.connect(str(file))
            break
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    _, (found, *_), _, _ = socket.recv_fds(holder, 16, 1)

    def watch() -> None:
        with holder:
            holder.recv(1)
        lost()

    threading.Thread(target=watch, daemon=True).start()
    return socket.socket(fileno=found)


if __name__ == "__main__":
    hold(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
