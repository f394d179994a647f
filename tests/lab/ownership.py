"""One lab at a time: its names and addresses are fixed, so a second one would tear down the first."""

import socket

from .commands import LabError
from .names import LAB


def take() -> socket.socket:
    """Held while the socket is open. An abstract address vanishes with its process, even if that is killed."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0{LAB}")
    except OSError as error:
        lock.close()
        raise LabError(
            "another process uses the lab (a test run?): wait for it, end it, or set BALANCER_LAB_NUMBER=1"
        ) from error
    return lock
