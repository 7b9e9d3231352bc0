"""Ports for servers that open theirs themselves, some seconds later."""

import random
import socket

# From 32768 on Linux gives them to connections, and engines to what they publish: what was free a moment ago is not.
OURS = range(20_000, 32_000)


def free_port() -> int:
    """One on loopback that nobody has, and that only a server which asks for it will."""
    for port in random.sample(OURS, 100):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of 100 ports from {OURS.start} on is free")
