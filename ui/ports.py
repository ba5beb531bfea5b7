"""Ports: whether one can be listened on, told in one line where it cannot."""

from __future__ import annotations

import errno
import socket

from knowledge.errors import InvalidUsage

BACKLOG = 1024


def listen(host: str, port: int, remedy: str = "choose another with --host and --port") -> socket.socket:
    """A socket that listens there. Raises InvalidUsage, in one line with the remedy, where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as fault:
        taken = fault.errno == errno.EADDRINUSE
        reason = "another program listens there" if taken else fault.strerror or str(fault)
        raise InvalidUsage(f"{host} port {port}: {reason}; {remedy}") from None


def check_free(host: str, port: int, remedy: str) -> None:
    """Raises InvalidUsage where the port cannot be listened on, for a server that opens it itself afterwards."""
    listen(host, port, remedy).close()
