"""One lab at a time: its names and addresses are fixed, so a second one would tear down the first."""

import socket

from .commands import LabError


def take() -> socket.socket:
    """Held while the socket is open. An abstract address vanishes with its process, even if that is killed."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind("\0balancer-lab")
    except OSError as error:
        lock.close()
        raise LabError("another process on this machine uses the lab (a test run?): wait for it, or end it") from error
    return lock
