"""Talking to a running guest: orders go in at its second serial port."""

import socket
from collections.abc import Callable
from pathlib import Path

from .commands import LabError, wait_until
from .hosts import Host, init_pid


def say(host: Host, guest: str, order: str, is_obeyed: Callable[[], bool]) -> bool:
    """Say it once and listen for two seconds; a migration may swallow a line, so the caller says it again.

    The connection has to stay open meanwhile: when it closes, QEMU throws away what the guest has not read.
    """
    with connect(host, guest) as connection:
        connection.sendall(f"\n{order}\n".encode())
        try:
            wait_until(is_obeyed, 2, f"obeying '{order}': {guest}")
        except LabError:
            return False
    return True


def connect(host: Host, guest: str) -> socket.socket:
    """The socket is in the host's own /run, so that source and target of a migration do not take it from each other."""
    path = Path(f"/proc/{init_pid(host)}/root/run/guests/{guest}")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise LabError(f"{guest} cannot be reached on {host.name}: {error}") from error
    return connection
