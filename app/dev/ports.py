"""TCP ports on the loopback interface."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from infra.errors import PortTakenError


def free_ports(count: int, host: str = "127.0.0.1") -> tuple[int, ...]:
    """Choose distinct ports that nobody listens on, now; use them at once."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)


def require_free(port: int, *, purpose: str, setting: str, host: str = "127.0.0.1") -> None:
    """Make sure that we can listen on a port.

    Args:
        port: the port.
        purpose: what it is for, in the message.
        setting: the option or variable that changes it, in the message.
        host: the address to listen on.

    Raises:
        PortTakenError: another program listens there, or we may not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port} on {host}, for {purpose}, cannot be used: {error.strerror}.",
                remedy=f"Stop the program that uses it, or choose another port by {setting}.",
            ) from error


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on a port."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
